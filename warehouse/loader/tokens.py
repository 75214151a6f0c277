"""A batch of tokens from the samples of one or several splits, and what a model wants beside them.

Boundaries and position ids are made of the lengths of pieces in the Megatron index, and so is the loss mask of
documents: nothing of them is stored a second time. Source ids, and the loss mask of conversations, lie beside it. Of
512 tokens position ids take 1.1 us of CPU a sample, a loss mask 0.7, boundaries 0.9, source ids about as much as
boundaries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.errors import UsageError
from warehouse.loader.course import Numbers
from warehouse.loader.shards import Bounds, Rows, joined, open_boundaries, open_masks, open_samples, open_sources
from warehouse.manifest import NO_SOURCE, Manifest

Tokens = npt.NDArray[Any]
SourceIds = npt.NDArray[np.uint16]
Slots = list[Tokens | None]
Opened = tuple[Rows, Callable[[], Bounds]]
"""The samples of a split, and what opens their boundaries."""


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

    @property
    def pieces(self) -> bool:
        """Whether the lengths of pieces are needed."""
        return self.boundaries or self.positions or self.loss_mask or self.source_ids


def room(slots: Slots | None, slot: int, shape: tuple[int, int], dtype: np.dtype[Any]) -> Tokens:
    """An array of this shape that may be filled: fresh, or the beginning of this one of ``slots``."""
    if slots is None:
        return np.empty(shape, dtype)
    held = slots[slot]
    if held is None or len(held) < shape[0]:
        held = slots[slot] = np.empty(shape, dtype)
    return held[: shape[0]]


class TokenReader:
    """The samples of several splits of releases with one dtype and sequence length. Raises as open_samples.

    opened: those of one part that are not mapped from files.
    """

    def __init__(
        self, parts: Sequence[tuple[Path, Manifest, str]], *, checked: bool, opened: Opened | None = None
    ) -> None:
        self.parts = tuple(parts)
        self.samples, self.sizes, self._bounds = _mapped(self.parts, checked) if opened is None else _alone(*opened)
        self.dtype, self.length = np.dtype(parts[0][1].dtype), parts[0][1].sequence_length
        self._before = np.cumsum([0, *self.sizes[:-1]], dtype=np.int64)
        self._pads = np.array([manifest.pad_id for _, manifest, _ in parts])
        self._boundaries: Bounds = ()
        self._sources: tuple[SourceIds, ...] = ()
        self._mapped = opened is None
        self._masks = [open_masks(*part, checked=checked) for part in parts] if self._mapped else []

    def ready(self, wanted: Wanted) -> Wanted:
        """What to pass to ``read``; the first time that it needs the files beside the shards they are hashed.

        Raises UsageError for what is not streamed.
        """
        if not self._mapped:
            self._refuse_far(wanted)
        if wanted.pieces and not self._boundaries:
            self._boundaries = self._bounds()
        if wanted.source_ids and not self._sources:
            self._sources = tuple(ids for part in self.parts for ids in open_sources(*part, self._numbers(part[1])))
        return wanted

    def _refuse_far(self, wanted: Wanted) -> None:
        folder, manifest, _ = self.parts[0]
        if wanted.source_ids or (wanted.loss_mask and manifest.chat):
            raise UsageError(
                f"{'source ids' if wanted.source_ids else 'the loss mask of conversations'} of {folder}, streamed",
                allowed="tokens, boundaries, positions, and the loss mask of documents",
                do="pull the release, and open the copy with Loader",
            )

    @property
    def source_names(self) -> tuple[str, ...]:
        """The sources of all releases, each once, in the order in which the releases name them."""
        return tuple(dict.fromkeys(name for _, manifest, _ in self.parts for name in manifest.sources))

    def _numbers(self, manifest: Manifest) -> SourceIds:
        """The place in ``source_names`` of each number of a release: uint16[65,536]."""
        places = {name: place for place, name in enumerate(self.source_names)}
        numbers = np.full(NO_SOURCE + 1, NO_SOURCE, np.uint16)
        numbers[: len(manifest.sources)] = [places[name] for name in manifest.sources]
        return numbers

    def read(self, numbers: Numbers, sources: Numbers, *, wanted: Wanted, slots: Slots | None, slot: int) -> Batch:
        """The samples of their sources as a batch; slots: its tokens lie in this one of them."""
        before = self._before[sources] + numbers
        tokens = room(slots, slot, (numbers.size, self.length), self.dtype)
        self.samples.gather(before, tokens)
        if not wanted.pieces:
            return Batch(numbers, tokens, sources)
        places = self._places(before)
        lengths, counts = self._lengths(places)
        return Batch(
            numbers,
            tokens,
            sources,
            _cu_seqlens(lengths, counts, self.length) if wanted.boundaries else (),
            _positions(lengths, tokens.shape) if wanted.positions else None,
            self._learnt(numbers, sources, lengths, counts, tokens) if wanted.loss_mask else None,
            tuple(self._sources[shard][pieces] for shard, pieces in places) if wanted.source_ids else (),
        )

    def _learnt(
        self, numbers: Numbers, sources: Numbers, lengths: npt.NDArray[np.int32], counts: Numbers, tokens: Tokens
    ) -> npt.NDArray[np.bool_]:
        mask = _unpadded(lengths, tokens, np.repeat(self._pads[sources], counts))
        for part, bits in enumerate(self._masks):
            if bits is not None:
                rows = np.flatnonzero(sources == part)
                packed = np.empty((rows.size, bits.row_bytes), np.uint8)
                bits.gather(numbers[rows], packed)
                mask[rows] = np.unpackbits(packed, axis=1, count=self.length, bitorder="little").view(np.bool_)
        return mask

    def _places(self, numbers: Numbers) -> list[tuple[int, slice]]:
        """For each row its shard, and where its pieces stand among those of the shard."""
        found = []
        for shard, row in zip(*(each.tolist() for each in self.samples.located(numbers)), strict=True):
            firsts = self._boundaries[shard].firsts
            found.append((shard, slice(int(firsts[row]), int(firsts[row + 1]))))
        return found

    def _lengths(self, places: list[tuple[int, slice]]) -> tuple[npt.NDArray[np.int32], Numbers]:
        """Lengths of the pieces of all rows, one row after the other, and how many pieces each row has."""
        found = [np.empty(0, np.int32), *(self._boundaries[shard].lengths[pieces] for shard, pieces in places)]
        return np.concatenate(found), np.array([len(lengths) for lengths in found[1:]], np.int64)


def _mapped(
    parts: Sequence[tuple[Path, Manifest, str]], checked: bool
) -> tuple[Rows, tuple[int, ...], Callable[[], Bounds]]:
    samples = [open_samples(folder, manifest, split, checked=checked) for folder, manifest, split in parts]
    sizes = tuple(part.total for part in samples)
    return joined(samples), sizes, lambda: [bounds for part in parts for bounds in open_boundaries(*part)]


def _alone(samples: Rows, bounds: Callable[[], Bounds]) -> tuple[Rows, tuple[int, ...], Callable[[], Bounds]]:
    return samples, (samples.total,), bounds


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
