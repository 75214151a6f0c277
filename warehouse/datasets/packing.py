"""Where each piece of a document lies in the samples of a shard: arrays in, arrays out.

best_fit keeps every document of up to a sample's length in one piece and fills 99.9 % (warehouse.kernels.pack);
concatenate cuts the stream of documents at every sample's end: 100 % but for the last, with most long documents cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from warehouse.datasets.recipe import Packing
from warehouse.kernels import pack

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces in the order of the .bin (by sample, then position); int64 arrays of equal length.

    start: in the shard's stream of tokens (documents one after another, each with its end-of-text token);
    document: its row in the shard; offset: of the piece's first token in that document.
    """

    sample: Ints
    position: Ints
    length: Ints
    start: Ints
    document: Ints
    offset: Ints

    @property
    def samples(self) -> int:
        return int(self.sample[-1]) + 1 if self.sample.size else 0


def arrange(lengths: Ints, capacity: int, packing: Packing) -> Pieces:
    """The pieces of documents of ``lengths`` tokens in samples of ``capacity`` tokens."""
    stream = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if packing == "concatenate":
        cuts = np.unique(np.concatenate([stream, np.arange(0, stream[-1], capacity, dtype=np.int64)]))
        document = np.searchsorted(stream, cuts[:-1], side="right") - 1
        sample = cuts[:-1] // capacity
    else:
        cuts, document = _cut(lengths, stream, capacity)
        sample = pack.best_fit(np.diff(cuts).astype(np.int32), capacity)
    start, length = cuts[:-1], np.diff(cuts)
    order = np.argsort(sample, kind="stable")
    ordered = Pieces(
        sample[order],
        np.empty_like(order),
        length[order],
        start[order],
        document[order],
        (start - stream[document])[order],
    )
    return _positioned(ordered)


def _cut(lengths: Ints, stream: Ints, capacity: int) -> tuple[Ints, Ints]:
    """Ends of pieces when each document is cut at multiples of ``capacity`` of its own, and each piece's document."""
    counts = -(-lengths // capacity)
    document = np.repeat(np.arange(lengths.size), counts)
    within = np.arange(document.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.append(stream[document] + within * capacity, stream[-1]), document


def _positioned(pieces: Pieces) -> Pieces:
    """Fill ``position``: tokens of the same sample before the piece."""
    before = np.cumsum(pieces.length) - pieces.length
    first = np.flatnonzero(np.diff(pieces.sample, prepend=-1))
    pieces.position[:] = before - np.repeat(before[first], np.diff(np.append(first, before.size)))
    return pieces
