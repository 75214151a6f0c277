"""Blocks of a release as they arrive from its origin: each compared with its xxh3, none given out that differs.

A body that breaks off is gone on with after its last whole block. What may pass is tried again, with waits that double;
a block that differs is asked for once more, then file and block are named. A file that cannot be had is explained: the
release was revoked, the file is gone, or of another size.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

import xxhash

from warehouse.errors import InputError, NetworkError, NotFound
from warehouse.loader.offering import Offer
from warehouse.loader.origin import wait_s
from warehouse.manifest import BLOCK_BYTES, FileEntry, damaged

RUN_BLOCKS = 8
"""Blocks of one request, where the origin gives ranges."""
FLIPS = 2
"""Times a block may come damaged before it is given up."""


@dataclass(slots=True)
class Arrivals:
    """What comes of an offer. stop: ends all that is on its way; again: blocks that came damaged, and right when they
    were asked for once more, as ``file: block 3``.
    """

    offer: Offer
    stop: threading.Event = field(default_factory=threading.Event)
    again: set[str] = field(default_factory=set)

    def blocks(self, entry: FileEntry, at: int, last: int) -> Iterator[bytes]:
        """Blocks at to last - 1 of a file, each as it was recorded; fewer where ``stop`` was set meanwhile.

        Raises IntegrityError for what is not as recorded, NetworkError when the network stays dead, Revoked.
        """
        tries = flips = 0
        while at < last and not self.stop.is_set():
            try:
                for block in self._coming(entry, at, last):
                    if xxhash.xxh3_64_hexdigest(block) != entry.blocks[at]:
                        flips += 1
                        self._note_flip(entry, at, flips)
                        break
                    yield block
                    at, tries, flips = at + 1, 0, 0
                    if self.stop.is_set():
                        return
            except NetworkError as error:
                tries += 1
                if tries == self.offer.origin.tries:
                    raise
                self.stop.wait(wait_s(tries, error))
            except (NotFound, InputError) as error:
                self._explain(entry, error)

    def _coming(self, entry: FileEntry, at: int, last: int) -> Iterator[bytes]:
        """The blocks as they come; a file that ends before is explained."""
        held, stop = bytearray(), min(last * BLOCK_BYTES, entry.bytes)
        for piece in self.offer.origin.read(entry.path, at * BLOCK_BYTES, stop):
            if not held and len(piece) == length(entry, at):  # nothing to put together, nothing to copy
                yield piece
                at += 1
                continue
            held += piece
            while at < last and len(held) >= length(entry, at):
                size = length(entry, at)
                yield bytes(held[:size])
                del held[:size]
                at += 1
        if at < last:
            self._explain(entry, NetworkError(f"{entry.path} ended before block {at}", do="run it again"))

    def _note_flip(self, entry: FileEntry, number: int, flips: int) -> None:
        """Count a block that came damaged for the ``flips``-th time; raise IntegrityError where that is enough."""
        start, shown = number * BLOCK_BYTES, self.offer.origin.shown
        if flips == FLIPS:
            span = f"block {number} (bytes {start} to {start + length(entry, number)})"
            raise damaged(entry, f"{span} comes from {shown} other than its hash", block=number)
        self.again.add(f"{entry.path}: block {number}")

    def _explain(self, entry: FileEntry, error: InputError | NetworkError | NotFound) -> NoReturn:
        """Raise what is behind a file that cannot be had: the release was revoked, it is gone, or of another size."""
        self.offer.refuse_revoked()
        if isinstance(error, NotFound):
            raise damaged(entry, f"the file is missing in {self.offer.origin.shown}") from None
        size = self.offer.origin.size(entry.path)
        if size is not None and size != entry.bytes:
            raise damaged(entry, f"{size} bytes in {self.offer.origin.shown} where {entry.bytes} were recorded")
        raise error


def length(entry: FileEntry, number: int) -> int:
    """Bytes of a block."""
    return min(BLOCK_BYTES, entry.bytes - number * BLOCK_BYTES)


def consecutive(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Runs of numbers without a gap: the first, and the one after the last."""
    first = last = None
    for number in numbers:
        if first is None or number != last:
            if first is not None and last is not None:
                yield first, last
            first = number
        last = number + 1
    if first is not None and last is not None:
        yield first, last
