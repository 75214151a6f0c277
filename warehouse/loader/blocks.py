"""Blocks of a release by file and number: from a disk that keeps some of them, else from its origin; all checked.

The disk keeps a fixed choice, as many as it may: first what lies beside the samples, then runs in a permuted order.
Every epoch needs every run once, in another order, so a cache that let the oldest go would lose each before it is
needed again; this one has its share of every epoch. Blocks lie where they lie in the release's own files, sparse ones;
the hash tells a block from a hole, so a kill leaves nothing to mend, and ranks of a machine share a folder without
asking each other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash

from warehouse.loader.arriving import Arrivals, consecutive, length
from warehouse.loader.permutation import permuted
from warehouse.loader.pulling import room
from warehouse.loader.windows import Runs
from warehouse.manifest import BLOCK_BYTES, FileEntry


@dataclass(frozen=True, slots=True)
class Disk:
    """Where blocks are kept. chosen: of a file, which of its blocks."""

    folder: Path
    chosen: Mapping[str, npt.NDArray[np.bool_]]

    def read(self, entry: FileEntry, number: int) -> bytes | None:
        """A block that is kept; None for one that is not, or not as recorded."""
        if not self._keeps(entry, number):
            return None
        try:
            with (self.folder / entry.path).open("rb", buffering=0) as stream:
                block = os.pread(stream.fileno(), length(entry, number), number * BLOCK_BYTES)
        except FileNotFoundError:
            return None
        return block if xxhash.xxh3_64_hexdigest(block) == entry.blocks[number] else None

    def write(self, entry: FileEntry, number: int, block: bytes) -> None:
        """Keep a block, if it is one that is kept. Raises StorageFull."""
        if not self._keeps(entry, number):
            return
        path = self.folder / entry.path
        with room(self.folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.pwrite(handle, block, number * BLOCK_BYTES)
            finally:
                os.close(handle)

    def _keeps(self, entry: FileEntry, number: int) -> bool:
        return entry.path in self.chosen and bool(self.chosen[entry.path][number])


def chosen(
    runs: Runs, beside: tuple[FileEntry, ...], *, most_bytes: int, name: str
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which blocks of a split's files are kept in ``most_bytes``: of each file, bool of each block.

    beside: files that come first, each whole or not at all; name: of the release. Every process that has the same
    arguments chooses the same. A block that two runs share counts for both.
    """
    found, left = {}, most_bytes
    for entry in beside:
        found[entry.path] = np.full(len(entry.blocks), left >= entry.bytes)
        left -= entry.bytes if left >= entry.bytes else 0
    first, last, held = runs.spans()
    order = permuted(np.arange(len(runs)), n=len(runs), key=name).view(np.int64)
    fitting = order[: np.searchsorted(np.cumsum(held[order]), left, side="right")]
    edges = np.zeros(sum(len(entry.blocks) for entry, _ in runs.shards) + 1, np.int64)
    np.add.at(edges, first[fitting], 1)
    np.add.at(edges, last[fitting], -1)
    kept, at = np.cumsum(edges) > 0, 0
    for entry, _ in runs.shards:
        found[entry.path] = kept[at : at + len(entry.blocks)]
        at += len(entry.blocks)
    return found


@dataclass(slots=True)
class Blocks:
    """Blocks from the disk, where one keeps them, and from the origin. fetched: bytes that came over the network."""

    arrivals: Arrivals
    disk: Disk | None = None
    fetched: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock)

    def read(self, entry: FileEntry, numbers: range) -> bytes:
        """The bytes of blocks side by side. Raises as ``Arrivals.blocks``; CancelledError where that was stopped."""
        found: dict[int, bytes] = {}
        if self.disk is not None:
            kept = ((number, self.disk.read(entry, number)) for number in numbers)
            found = {number: block for number, block in kept if block is not None}
        for first, last in consecutive(number for number in numbers if number not in found):
            for number, block in enumerate(self.arrivals.blocks(entry, first, last), first):
                found[number] = block
                self._came(entry, number, block)
        if len(found) < len(numbers):
            raise CancelledError
        return b"".join(found[number] for number in numbers)

    def _came(self, entry: FileEntry, number: int, block: bytes) -> None:
        with self.turn:
            self.fetched += len(block)
        if self.disk is not None:
            self.disk.write(entry, number, block)
