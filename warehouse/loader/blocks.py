"""Blocks of a release by file and number: from a disk that keeps some of them, else from its origin; all checked.

The disk keeps a fixed choice, as many as it may: first the indexes, then runs in a permuted order. Every epoch needs
every run once, in another order, so a cache that let the oldest go would lose each before it is needed again; this one
has its share of every epoch. Blocks lie where they lie in the release's own files, sparse ones; the hash tells a block
from a hole, so a kill leaves nothing to mend, and ranks of a machine share a folder without asking each other.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash

from warehouse.errors import FormatError, WarehouseError
from warehouse.loader.arriving import Arrivals, consecutive, length
from warehouse.loader.permutation import permuted
from warehouse.loader.pulling import room
from warehouse.loader.shards import HEADER, Boundaries
from warehouse.loader.windows import Runs
from warehouse.manifest import BLOCK_BYTES, FileEntry

INDEX_BLOCKS = 64
"""Blocks of indexes that are held in memory."""
PREAMBLE = struct.Struct("<QQ")  # pieces, samples + 1: bytes 18 to 34 of a Megatron index


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
    runs: Runs, indexes: tuple[FileEntry, ...], *, most_bytes: int, name: str
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which blocks of a split's files are kept in ``most_bytes``: of each file, bool of each block.

    name: of the release; every process that has the same arguments chooses the same. A block that two runs share counts
    for both.
    """
    found, left = {}, most_bytes
    for entry in indexes:
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


@dataclass(slots=True)
class Indexes:
    """Boundaries of runs, of Megatron indexes of which only the needed blocks come; INDEX_BLOCKS of them stay."""

    blocks: Blocks
    held: dict[tuple[str, int], Future[bytes]] = field(default_factory=dict)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def boundaries(self, entry: FileEntry, first: int, last: int) -> Boundaries:
        """Of a shard's samples first to last - 1: lengths of their pieces, and the first piece of each, from 0 on."""
        head = self._bytes(entry, 0, 34)
        if head[: len(HEADER)] != HEADER:
            raise FormatError(f"{entry.path} does not start as a Megatron index", allowed="MMIDIDX version 1")
        pieces, _ = PREAMBLE.unpack(head[18:])
        samples = 34 + 12 * pieces
        firsts = np.frombuffer(self._bytes(entry, samples + 8 * first, samples + 8 * (last + 1)), "<i8")
        begin, end = 34 + 4 * int(firsts[0]), 34 + 4 * int(firsts[-1])
        return Boundaries(np.frombuffer(self._bytes(entry, begin, end), "<i4"), firsts - firsts[0])

    def _bytes(self, entry: FileEntry, start: int, stop: int) -> bytes:
        numbers = range(start // BLOCK_BYTES, -(-stop // BLOCK_BYTES))
        found = b"".join(self._block(entry, number) for number in numbers)
        return found[start - numbers.start * BLOCK_BYTES : stop - numbers.start * BLOCK_BYTES]

    def _block(self, entry: FileEntry, number: int) -> bytes:
        """A block that one thread asks for while the others wait: they share what befalls it, the next asks anew."""
        key = (entry.path, number)
        with self.turn:
            known = self.held.pop(key, None)
            future = self.held[key] = known or Future()
            while len(self.held) > INDEX_BLOCKS:
                del self.held[next(iter(self.held))]
        if known is None:
            try:
                future.set_result(self.blocks.read(entry, range(number, number + 1)))
            except (WarehouseError, CancelledError) as error:
                future.set_exception(error)
                with self.turn:
                    self.held.pop(key, None)
        return future.result()
