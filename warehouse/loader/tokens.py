"""A batch of tokens from the samples of one or several splits, and what a model wants beside them.

Boundaries, position ids and loss mask are all made of the lengths of pieces in the Megatron index: nothing of them is
stored a second time. Of 512 tokens position ids take 1.1 us of CPU a sample, a loss mask 0.7, boundaries 0.9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.loader.course import Numbers
from warehouse.loader.shards import Bounds, Rows, joined, open_boundaries, open_samples
from warehouse.manifest import Manifest

Tokens = npt.NDArray[Any]
Slots = list[Tokens | None]
Opened = tuple[Rows, Callable[[], Bounds]]
"""The samples of a split, and what opens their boundaries."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A rank's part of a global batch; L is the sequence length.

    samples: int64[rows], numbers within the split (what ``warehouse trace`` takes); tokens: [rows, L]; sources:
    int64[rows], which source of a Mixture a row is of (0 in a Loader), in whose split its number counts.
    None or empty unless asked for: boundaries, for each row its cu_seqlens (int32, 0 to L); positions: int32[rows, L],
    0 at the first token of each piece of a document; loss_mask: bool[rows, L], true but in padding.
    """

    samples: Numbers
    tokens: Tokens
    sources: Numbers
    boundaries: tuple[npt.NDArray[np.int32], ...] = ()
    positions: npt.NDArray[np.int32] | None = None
    loss_mask: npt.NDArray[np.bool_] | None = None

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

    @property
    def pieces(self) -> bool:
        """Whether the lengths of pieces are needed."""
        return self.boundaries or self.positions or self.loss_mask


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

    def ready(self, *, boundaries: bool, positions: bool, loss_mask: bool) -> Wanted:
        """What to pass to ``read``; the first time that it needs the indexes they are hashed."""
        wanted = Wanted(boundaries, positions, loss_mask)
        if wanted.pieces and not self._boundaries:
            self._boundaries = self._bounds()
        return wanted

    def read(self, numbers: Numbers, sources: Numbers, *, wanted: Wanted, slots: Slots | None, slot: int) -> Batch:
        """The samples of their sources as a batch; slots: its tokens lie in this one of them."""
        before = self._before[sources] + numbers
        tokens = room(slots, slot, (numbers.size, self.length), self.dtype)
        self.samples.gather(before, tokens)
        if not wanted.pieces:
            return Batch(numbers, tokens, sources)
        lengths, counts = self._pieces(before)
        return Batch(
            numbers,
            tokens,
            sources,
            _cu_seqlens(lengths, counts, self.length) if wanted.boundaries else (),
            _positions(lengths, tokens.shape) if wanted.positions else None,
            _unpadded(lengths, tokens, np.repeat(self._pads[sources], counts)) if wanted.loss_mask else None,
        )

    def _pieces(self, numbers: Numbers) -> tuple[npt.NDArray[np.int32], Numbers]:
        """Lengths of the pieces of all rows, one row after the other, and how many pieces each row has."""
        found = [np.empty(0, np.int32)]
        for shard, row in zip(*(each.tolist() for each in self.samples.located(numbers)), strict=True):
            bounds = self._boundaries[shard]
            found.append(bounds.lengths[bounds.firsts[row] : bounds.firsts[row + 1]])
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
