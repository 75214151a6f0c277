"""A file whose hashes are made of the bytes as they are written, so that a release's shards are not read again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from warehouse.manifest import BLOCK_BYTES, FileEntry


class HashedFile:
    """A new file ``folder``/``path``; ``entry`` is what ``hash_file`` would say of what was written so far."""

    def __init__(self, folder: Path, path: str) -> None:
        self._path, self._stream = path, (folder / path).open("wb", buffering=0)
        self._whole, self._block = hashlib.sha256(), xxhash.xxh3_64()
        self._blocks: list[str] = []
        self._size = 0

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._stream.close()

    def write(self, array: npt.NDArray[Any]) -> None:
        """Append a contiguous array's bytes, a block of the manifest at a time while it is in the processor's cache."""
        left = array.reshape(-1).view(np.uint8).data
        while left:
            part = left[: BLOCK_BYTES - self._size % BLOCK_BYTES]
            left = left[len(part) :]
            self._whole.update(part)
            self._block.update(part)
            self._size += len(part)
            if self._size % BLOCK_BYTES == 0:
                self._blocks.append(self._block.hexdigest())
                self._block.reset()
            while part:
                part = part[self._stream.write(part) :]

    def entry(self) -> FileEntry:
        """Size, sha256 and the hash of each block."""
        last = [self._block.hexdigest()] if self._size % BLOCK_BYTES else []
        return FileEntry(self._path, self._size, self._whole.hexdigest(), (*self._blocks, *last))
