"""What lies beside the samples of a run: their pieces, the sources of these, and which tokens are learnt.

Of the files beside a shard nothing comes but the blocks that a run needs, each checked as those of data are, and
HELD_BLOCKS of them stay in memory. Lost: a block is the least that can be checked, so where a release has more of them
than that they come again, for each run up to two of an index, one of sources and one of a mask.
"""

from __future__ import annotations

import struct
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from warehouse.errors import FormatError
from warehouse.loader.blocks import Blocks
from warehouse.loader.parts import Parts
from warehouse.loader.shards import HEADER, Boundaries, SourceIds
from warehouse.manifest import BLOCK_BYTES, FileEntry, damaged

HELD_BLOCKS = 64
"""Blocks of files beside the shards that are held in memory."""
PREAMBLE = struct.Struct("<QQ")  # pieces, samples + 1: bytes 18 to 34 of a Megatron index
LENGTHS = 34
"""Where the lengths of pieces begin in it."""


@dataclass(frozen=True, slots=True)
class Needed:
    """What is needed beside the samples; sources are found by pieces, and need these."""

    pieces: bool = False
    sources: bool = False
    mask: bool = False

    def __or__(self, other: Needed) -> Needed:
        return Needed(self.pieces or other.pieces, self.sources or other.sources, self.mask or other.mask)


NOTHING = Needed()


@dataclass(frozen=True, slots=True)
class Beside:
    """Of the samples of a run: where their pieces end, the source of each of these, the bits of their mask.

    mask: uint8[samples, bytes], see ``Splits``. None: what was not needed.
    """

    bounds: Boundaries | None
    sources: SourceIds | None
    mask: npt.NDArray[np.uint8] | None


@dataclass(slots=True)
class Alongside:
    """The files beside the shards, by their blocks. totals: pieces of each index that was looked at."""

    blocks: Blocks
    parts: Parts
    totals: dict[str, int] = field(default_factory=dict)
    held: dict[tuple[str, int], Future[bytes]] = field(default_factory=dict)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def read(self, data: str, first: int, last: int, needed: Needed) -> Beside:
        """What is needed of samples first to last - 1 of the shard with this file of data."""
        bounds, begin = self._boundaries(self.parts.index[data], first, last) if needed.pieces else (None, 0)
        end = begin + (0 if bounds is None else bounds.lengths.size)
        sources = self._sources(data, begin, end) if needed.sources else None
        return Beside(bounds, sources, self._mask(data, first, last) if needed.mask else None)

    def _boundaries(self, entry: FileEntry, first: int, last: int) -> tuple[Boundaries, int]:
        """Lengths of the samples' pieces, and the first piece of each, counted from the one that is given too."""
        samples = LENGTHS + 12 * self._pieces(entry)
        firsts = np.frombuffer(self._bytes(entry, samples + 8 * first, samples + 8 * (last + 1)), "<i8")
        begin, end = LENGTHS + 4 * int(firsts[0]), LENGTHS + 4 * int(firsts[-1])
        lengths = np.frombuffer(self._bytes(entry, begin, end), "<i4")
        return Boundaries(lengths, firsts - firsts[0]), int(firsts[0])

    def _pieces(self, entry: FileEntry) -> int:
        """How many an index has. Raises FormatError for what is no index."""
        if entry.path not in self.totals:
            head = self._bytes(entry, 0, LENGTHS)
            if head[: len(HEADER)] != HEADER:
                raise FormatError(f"{entry.path} does not start as a Megatron index", allowed="MMIDIDX version 1")
            self.totals[entry.path], _ = PREAMBLE.unpack(head[18:])
        return self.totals[entry.path]

    def _sources(self, data: str, begin: int, end: int) -> SourceIds:
        found = np.frombuffer(self._bytes(self.parts.sources[data], 2 * begin, 2 * end), "<u2")
        return self.parts.numbers.take(found)

    def _mask(self, data: str, first: int, last: int) -> npt.NDArray[np.uint8]:
        size = self.parts.mask_bytes
        found = np.frombuffer(self._bytes(self.parts.masks[data], size * first, size * last), np.uint8)
        return found.reshape(last - first, size)

    def _bytes(self, entry: FileEntry, start: int, stop: int) -> bytes:
        """Raises IntegrityError for bytes that the file has not."""
        if not 0 <= start <= stop <= entry.bytes:
            raise damaged(entry, f"bytes {start} to {stop} of {entry.bytes} are asked for")
        numbers = range(start // BLOCK_BYTES, -(-stop // BLOCK_BYTES))
        found = b"".join(self._block(entry, number) for number in numbers)
        return found[start - numbers.start * BLOCK_BYTES : stop - numbers.start * BLOCK_BYTES]

    def _block(self, entry: FileEntry, number: int) -> bytes:
        """A block that one thread asks for while the others wait: they share what befalls it, the next asks anew."""
        key = (entry.path, number)
        with self.turn:
            known = self.held.pop(key, None)
            future = self.held[key] = known or Future()
            while len(self.held) > HELD_BLOCKS:
                del self.held[next(iter(self.held))]
        if known is None:
            try:
                future.set_result(self.blocks.read(entry, range(number, number + 1)))
            except BaseException as error:
                future.set_exception(error)
                with self.turn:
                    self.held.pop(key, None)
                raise
        return future.result()
