"""Batches of a release: an exact global shuffle without replacement, equal at any world size, resumable to the sample.

The order of an epoch is ``permuted`` under a key of (release id, split, seed, epoch); global batch g is a slice of it
and rank r takes the r-th part of that slice. So a position is one integer, and a resume on another number of ranks or
with another batch goes on with exactly the samples that were not seen. One epoch of 19,075 samples of 512 uint16 tokens
in batches of 64 takes 1.3 us of CPU a sample, checks included (0.6 without, 4.6 with boundaries), and the first batch
5 ms, page cache warm, on a 2-core AMD EPYC machine. Lost: no locality; a cold disk sees random reads of one sample (of
1 MiB at the first touch of a block).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from warehouse.errors import StateError, UsageError
from warehouse.loader.permutation import permuted
from warehouse.loader.shards import Boundaries, open_boundaries, open_samples
from warehouse.manifest import read_manifest

CHUNK = 4096
"""Positions of the order computed at once: enough to hide numpy's call overhead, 32 kB."""

Tokens = npt.NDArray[Any]


class State(TypedDict):
    """Where a training job stands; JSON. samples: consumed in this epoch by all ranks together."""

    dataset: str
    split: str
    seed: int
    epoch: int
    samples: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A rank's part of a global batch.

    samples: int64[rows], numbers within the split (what ``warehouse trace`` takes); tokens: [rows, sequence_length];
    boundaries: for each row its cu_seqlens (int32, 0 to sequence_length), empty unless asked for.
    """

    samples: npt.NDArray[np.int64]
    tokens: Tokens
    boundaries: tuple[npt.NDArray[np.int32], ...]


class Loader:
    """Iterates an epoch of a split; when it ends, the next iteration is the next epoch.

    batch is the global one: each of ``world`` ranks gets batch / world rows a step. With drop_last the last partial
    batch is left out; else ranks share it, in order, and some may get fewer rows or none.
    checked: compare each block with its hash at first touch.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        split: str = "train",
        batch: int,
        world: int = 1,
        rank: int = 0,
        seed: int = 0,
        epoch: int = 0,
        drop_last: bool = True,
        checked: bool = True,
    ) -> None:
        _check_shape(batch, world, rank)
        self.folder, self.manifest = Path(path), read_manifest(Path(path))
        self.split, self.batch, self.world, self.rank = split, batch, world, rank
        self.seed, self.epoch, self.drop_last, self.consumed = seed, epoch, drop_last, 0
        self._samples = open_samples(self.folder, self.manifest, split, checked=checked)
        self.total = int(self._samples.firsts[-1])
        if self.total < (batch if drop_last else 1):
            raise UsageError(
                f"split {split!r} of {self.folder} has {self.total} samples",
                allowed=f"at least one batch, {batch}",
                do="take a smaller batch, drop_last=False or another split",
            )
        self._chunk: tuple[int, int, npt.NDArray[np.int64]] = (-1, -1, np.empty(0, np.int64))
        self._boundaries: tuple[Boundaries, ...] | None = None

    @classmethod
    def resume(cls, path: Path | str, state: State, *, batch: int, world: int = 1, rank: int = 0) -> Loader:
        """A loader that goes on where ``state`` was taken, with any batch and world. Raises StateError if it cannot."""
        try:
            loader = cls(
                path,
                split=state["split"],
                batch=batch,
                world=world,
                rank=rank,
                seed=state["seed"],
                epoch=state["epoch"],
            )
        except (KeyError, TypeError):
            raise _unlike(state) from None
        loader.restore(state)
        return loader

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return self.total // self.batch if self.drop_last else -(-self.total // self.batch)

    def __iter__(self) -> Iterator[Tokens]:
        """This rank's rows of each remaining global batch of the epoch: [rows, sequence_length], a fresh array each."""
        return (batch.tokens for batch in self.batches())

    def batches(self, *, out: Tokens | None = None, boundaries: bool = False) -> Iterator[Batch]:
        """As iteration, with sample numbers and document boundaries.

        out: [batch / world, sequence_length] of the release's dtype, filled again at every step; without it each step
        gets an array of its own. The position counts a batch as consumed when it is handed out.
        """
        while self.consumed + (self.batch if self.drop_last else 1) <= self.total:
            numbers = self._numbers()
            tokens = self._room(out, numbers.size)
            self._samples.gather(numbers, tokens)
            self.consumed = min(self.consumed + self.batch, self.total)
            yield Batch(numbers, tokens, self._bounds(numbers) if boundaries else ())
        self.epoch, self.consumed = self.epoch + 1, 0

    def state(self) -> State:
        """Where the epoch stands: five small values, equal on every rank; store it beside the model."""
        return State(
            dataset=self.manifest.id, split=self.split, seed=self.seed, epoch=self.epoch, samples=self.consumed
        )

    def restore(self, state: State) -> None:
        """Go on where ``state`` was taken. Raises StateError for another data set, split or seed."""
        own = f"data set {self.manifest.id}, split {self.split!r}, seed {self.seed}, 0 to {self.total} samples"
        try:
            came = (state["dataset"], state["split"], state["seed"])
            epoch, samples = int(state["epoch"]), int(state["samples"])
        except (KeyError, TypeError, ValueError):
            raise _unlike(state) from None
        if came != (self.manifest.id, self.split, self.seed) or not 0 <= samples <= self.total or epoch < 0:
            raise StateError(
                f"state of data set {came[0]}, split {came[1]!r}, seed {came[2]}, {samples} samples into epoch {epoch}",
                allowed=own,
                do="open the release the state was taken from, or start anew without a state",
                **state,
            )
        self.epoch, self.consumed = epoch, samples

    def _numbers(self) -> npt.NDArray[np.int64]:
        """Sample numbers of this rank's part of the global batch that begins at ``consumed``."""
        share = self.batch // self.world
        start = min(self.consumed + self.rank * share, self.total)
        stop = min(start + share, self.total)
        firsts = range(start - start % CHUNK, stop, CHUNK)
        parts = [self._order(first)[max(start - first, 0) : stop - first] for first in firsts]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def _order(self, first: int) -> npt.NDArray[np.int64]:
        """Samples at positions first..first+CHUNK-1 of this epoch's order; the last chunk asked for is kept."""
        if self._chunk[:2] != (self.epoch, first):
            key = f"{self.manifest.id}/{self.split}/{self.seed}/{self.epoch}"
            positions = np.arange(first, min(first + CHUNK, self.total), dtype=np.uint64)
            self._chunk = (self.epoch, first, permuted(positions, n=self.total, key=key).astype(np.int64))
        return self._chunk[2]

    def _room(self, out: Tokens | None, rows: int) -> Tokens:
        shape, dtype = (self.batch // self.world, self.manifest.sequence_length), np.dtype(self.manifest.dtype)
        if out is None:
            return np.empty((rows, shape[1]), dtype=dtype)
        if out.shape != shape or out.dtype != dtype:
            raise UsageError(f"out of shape {out.shape} and dtype {out.dtype}", allowed=f"shape {shape}, dtype {dtype}")
        return out[:rows]

    def _bounds(self, numbers: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], ...]:
        if self._boundaries is None:
            self._boundaries = open_boundaries(self.folder, self.manifest, self.split)
        owner = np.searchsorted(self._samples.firsts, numbers, side="right") - 1
        local = numbers - self._samples.firsts[owner]
        return tuple(self._boundaries[shard].of(int(row)) for shard, row in zip(owner, local, strict=True))


def _check_shape(batch: int, world: int, rank: int) -> None:
    if batch < 1 or world < 1 or batch % world:
        raise UsageError(
            f"a global batch of {batch} over {world} ranks",
            allowed="a positive batch that the world size divides",
            do=f"take a batch that is a multiple of {world}",
        )
    if not 0 <= rank < world:
        raise UsageError(f"rank {rank} of a world of {world}", allowed=f"0 to {world - 1}")


def _unlike(state: object) -> StateError:
    return StateError(
        f"a state of {state!r:.120}", allowed="dataset, split, seed, epoch, samples", do="pass what Loader.state() gave"
    )
