"""A batch of tokens from the samples of one or several splits, and what a model wants beside them.

Boundaries and position ids are made of the lengths of pieces in the Megatron index, and so is the loss mask of
documents: nothing of them is stored a second time. Source ids, and the loss mask of conversations, lie beside it. Of
512 tokens position ids take 1.1 us of CPU a sample, a loss mask 0.7, boundaries 0.9, source ids about as much as
boundaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.loader.course import Numbers
from warehouse.loader.shards import SourceIds
from warehouse.loader.splits import Splits, source_names
from warehouse.manifest import Manifest

Tokens = npt.NDArray[Any]
Slots = list[Tokens | None]

LINE = 64
"""Bytes of a line of the processor's cache."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A rank's part of a global batch; L is the sequence length.

    samples: int64[rows], numbers within the split (what ``warehouse trace`` takes); tokens: [rows, L]; sources:
    int64[rows], which source of a Mixture a row is of (0 in a Loader), in whose split its number counts. None or empty
    unless asked for: boundaries, for each row its cu_seqlens (int32, 0 to L); positions: int32[rows, L], 0 at the first
    token of each piece of a document; loss_mask: bool[rows, L], true but in padding, and of conversations where they
    are learnt; source_ids, for each row the source of each of its pieces (uint16, a place in the loader's
    ``source_names``; NO_SOURCE for padding).
    """

    samples: Numbers
    tokens: Tokens
    sources: Numbers
    boundaries: tuple[npt.NDArray[np.int32], ...] = ()
    positions: npt.NDArray[np.int32] | None = None
    loss_mask: npt.NDArray[np.bool_] | None = None
    source_ids: tuple[SourceIds, ...] = ()

    @property
    def bytes(self) -> int:
        """Of its tokens."""
        return self.tokens.nbytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What comes beside the tokens: fields of Batch."""

    boundaries: bool = False
    positions: bool = False
    loss_mask: bool = False
    source_ids: bool = False


PLAIN = Wanted()


def room(slots: Slots | None, slot: int, shape: tuple[int, int], dtype: np.dtype[Any]) -> Tokens:
    """An array of this shape that may be filled: fresh, or the beginning of this one of ``slots``."""
    if slots is None:
        return _aligned(shape, dtype)
    held = slots[slot]
    if held is None or len(held) < shape[0]:
        held = slots[slot] = _aligned(shape, dtype)
    return held[: shape[0]]


def _aligned(shape: tuple[int, int], dtype: np.dtype[Any]) -> Tokens:
    """An array that begins with a line of the processor's cache.

    Large ones of numpy begin 16 bytes into a page, and rows of 8 KiB, which begin a page of their map, take 3.6 times
    as long to be copied there: each load waits for a store to the same place of another page.
    """
    size = dtype.itemsize * shape[0] * shape[1]
    held = np.empty(size + LINE, np.uint8)
    skipped = -held.__array_interface__["data"][0] % LINE
    return held[skipped : skipped + size].view(dtype).reshape(shape)


class TokenReader:
    """The samples of one or several splits of releases with one dtype and sequence length.

    manifests: of the release of each split.
    """

    def __init__(self, manifests: Sequence[Manifest], splits: Splits) -> None:
        self.manifests, self.sizes, self._splits = tuple(manifests), splits.sizes, splits
        self.dtype, self.length = np.dtype(manifests[0].dtype), manifests[0].sequence_length
        self._before = np.cumsum([0, *self.sizes[:-1]], dtype=np.int64)
        self._pads = np.array([manifest.pad_id for manifest in manifests])

    def ready(self, wanted: Wanted) -> Wanted:
        """What to pass to ``read``; the first time that it needs the files beside the shards they are hashed."""
        self._splits.ready(pieces=self._pieced(wanted), sources=wanted.source_ids, mask=wanted.loss_mask)
        return wanted

    @property
    def source_names(self) -> tuple[str, ...]:
        """What the numbers of ``Batch.source_ids`` stand for."""
        return source_names(self.manifests)

    def _pieced(self, wanted: Wanted) -> bool:
        """Whether the lengths of pieces are needed: for a loss mask only where none is stored."""
        unmasked = wanted.loss_mask and any(mask is None for mask in self._splits.masks)
        return wanted.boundaries or wanted.positions or wanted.source_ids or unmasked

    def read(self, numbers: Numbers, sources: Numbers, *, wanted: Wanted, slots: Slots | None, slot: int) -> Batch:
        """The samples of their sources as a batch; slots: its tokens lie in this one of them."""
        before = self._before[sources] + numbers if len(self.sizes) > 1 else numbers
        tokens = room(slots, slot, (numbers.size, self.length), self.dtype)
        self._splits.samples.gather(before, tokens)
        if wanted == PLAIN:
            return Batch(numbers, tokens, sources)
        places = self._places(before) if self._pieced(wanted) else []
        lengths, counts = self._lengths(places)
        return Batch(
            numbers,
            tokens,
            sources,
            _cu_seqlens(lengths, counts, self.length) if wanted.boundaries else (),
            _positions(lengths, tokens.shape) if wanted.positions else None,
            self._learnt(numbers, sources, lengths, counts, tokens) if wanted.loss_mask else None,
            tuple(self._splits.sources[part][pieces] for part, pieces in places) if wanted.source_ids else (),
        )

    def _learnt(
        self, numbers: Numbers, sources: Numbers, lengths: npt.NDArray[np.int32], counts: Numbers, tokens: Tokens
    ) -> npt.NDArray[np.bool_]:
        pads = np.repeat(self._pads[sources], counts) if counts.size else None
        mask = np.empty(tokens.shape, np.bool_) if pads is None else _unpadded(lengths, tokens, pads)
        for split, bits in enumerate(self._splits.masks):
            if bits is not None:
                rows = np.flatnonzero(sources == split)
                packed = np.empty((rows.size, -(-self.length // 8)), np.uint8)
                bits.gather(numbers[rows], packed)
                mask[rows] = np.unpackbits(packed, axis=1, count=self.length, bitorder="little").view(np.bool_)
        return mask

    def _places(self, numbers: Numbers) -> list[tuple[int, slice]]:
        """For each row its part, and where its pieces stand among those of the part."""
        found = []
        for part, row in zip(*(each.tolist() for each in self._splits.samples.located(numbers)), strict=True):
            firsts = self._splits.boundaries[part].firsts
            found.append((part, slice(int(firsts[row]), int(firsts[row + 1]))))
        return found

    def _lengths(self, places: list[tuple[int, slice]]) -> tuple[npt.NDArray[np.int32], Numbers]:
        """Lengths of the pieces of all rows, one row after the other, and how many pieces each row has."""
        bounds = self._splits.boundaries
        found = [np.empty(0, np.int32), *(bounds[part].lengths[pieces] for part, pieces in places)]
        return np.concatenate(found), np.array([len(lengths) for lengths in found[1:]], np.int64)


def _cu_seqlens(lengths: npt.NDArray[np.int32], counts: Numbers, length: int) -> tuple[npt.NDArray[np.int32], ...]:
    rows = np.repeat(np.arange(counts.size), counts)
    found = np.zeros(lengths.size + counts.size, np.int32)
    found[np.arange(lengths.size) + rows + 1] = np.cumsum(lengths) - rows * length
    edges = [0, *np.cumsum(counts + 1).tolist()]
    return tuple(found[first:last] for first, last in pairwise(edges))


def _positions(lengths: npt.NDArray[np.int32], shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
    starts = np.cumsum(lengths, dtype=np.int32) - lengths
    places = np.arange(shape[0] * shape[1], dtype=np.int32)
    return (places - np.repeat(starts, lengths)).reshape(shape)


def _unpadded(lengths: npt.NDArray[np.int32], tokens: Tokens, pads: Numbers) -> npt.NDArray[np.bool_]:
    """False in pieces that begin with the padding id, which no text has."""
    starts = np.cumsum(lengths) - lengths
    return np.repeat(tokens.reshape(-1)[starts] != pads, lengths).reshape(tokens.shape)
