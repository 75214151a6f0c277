"""What a manifest says of a split that is streamed: its shards, their indexes, and the form of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from warehouse.loader.course import State, unlike
from warehouse.loader.windows import Runs, Window, Windows
from warehouse.manifest import FileEntry, Manifest, damaged


@dataclass(frozen=True, slots=True)
class Parts:
    """What a kind of release says of a split: file and samples of each shard, index of each, form of a sample."""

    shards: Sequence[tuple[FileEntry, int]]
    index: dict[str, FileEntry]
    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()

    @property
    def row_bytes(self) -> int:
        """Bytes of a sample."""
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))


def windows_of(manifest: Manifest, state: State) -> Windows | None:
    """The order of the job whose state this is, where it streams the tokens of a release; None where it does not.

    Raises StateError for what is no window.
    """
    if "window" not in state:
        return None
    try:
        window = Window(*state["window"])
    except TypeError:
        raise unlike(state) from None
    parts = of_tokens(manifest, state["split"])
    runs = Runs(parts.shards, parts.row_bytes, window.run or 1)
    return Windows(f"{manifest.id}/{state['split']}/{state['seed']}", runs, window)


def of_tokens(manifest: Manifest, split: str) -> Parts:
    """A split of tokens. Raises IntegrityError as ``sized``."""
    shards = [shard for shard in manifest.splits[split].shards if shard.samples]
    index = {shard.data: manifest.files[shard.index] for shard in shards}
    held = [(manifest.files[shard.data], shard.samples) for shard in shards]
    return sized(Parts(held, index, np.dtype(manifest.dtype), (manifest.sequence_length,)))


def sized(parts: Parts) -> Parts:
    """The same. Raises IntegrityError for a file that has other bytes than its samples."""
    for entry, samples in parts.shards:
        if entry.bytes != samples * parts.row_bytes:
            raise damaged(entry, f"{entry.bytes} bytes for {samples} samples of {parts.row_bytes} bytes")
    return parts
