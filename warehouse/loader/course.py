"""Which samples a rank takes at each step: the exact global order, and where an epoch stands, whatever a sample is.

The order of an epoch is ``permuted`` under a key of (release id, split, seed, epoch); global batch g is a slice of it
and rank r takes the r-th part of that slice. So a position is one integer, and a resume on another number of ranks or
with another batch goes on with exactly the samples that were not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NotRequired, TypedDict

import numpy as np
import numpy.typing as npt

from warehouse.errors import StateError, UsageError
from warehouse.loader.permutation import permuted

CHUNK = 4096
"""Samples of a rank whose numbers are computed at once: enough to hide numpy's call overhead, 32 kB."""
LANES_CHUNK = 4 * CHUNK
"""The same where an order has lanes and windows, which are computed one by one."""

Numbers = npt.NDArray[np.int64]
Order = Callable[[int, Numbers], Numbers]
"""An epoch's number and positions in it to samples."""


class State(TypedDict):
    """Where a training job stands; JSON. samples: consumed in this epoch by all ranks together; window: of a stream
    alone, the blocks, run and lanes of its ``Window``.
    """

    dataset: str
    split: str
    seed: int
    epoch: int
    samples: int
    window: NotRequired[list[int]]


@dataclass(slots=True)
class Ahead:
    """The numbers of a rank's next steps, computed for ever more at once: first one, in the end ``most`` samples.

    lanes: rows of a batch are put in order of position modulo this, see ``arranged``.
    """

    batch: int
    share: int
    rank: int
    lanes: int = 1
    most: int = CHUNK
    name: object = None
    first: int = 0
    steps: int = 0
    values: tuple[Numbers, ...] = ()

    def at(self, name: object, consumed: int, made: Callable[[Numbers], tuple[Numbers, ...]]) -> tuple[Numbers, ...]:
        """Values of this rank's part of the batch that begins at ``consumed`` of the order ``name``: each [share].

        made: positions to their values, arrays as long.
        """
        step, between = divmod(consumed - self.first, self.batch)
        known = name == self.name and not between and step >= 0
        if not known or step >= self.steps:
            self.steps = min(2 * self.steps, -(-self.most // self.share)) if known else 1
            begins = consumed + self.batch * np.arange(self.steps)
            positions = (begins[:, None] + self._places(begins)).reshape(-1)
            self.values = tuple(values.reshape(self.steps, -1) for values in made(positions))
            self.name, self.first, step = name, consumed, 0
        return tuple(values[step] for values in self.values)

    def _places(self, begins: Numbers) -> Numbers:
        """Places of this rank's rows in the batches that begin there: [steps, share]; [share] where all are alike."""
        part = slice(self.rank * self.share, (self.rank + 1) * self.share)
        if self.batch % self.lanes == 0:
            return arranged(int(begins[0]) % self.lanes, self.batch, self.lanes)[part]
        return np.stack([arranged(begin % self.lanes, self.batch, self.lanes)[part] for begin in begins.tolist()])


@lru_cache(maxsize=128)
def arranged(begin: int, size: int, lanes: int) -> Numbers:
    """Places in a batch in the order of its rows: by position modulo ``lanes``, then by position.

    So ranks that share the rows in order have lanes of their own. begin: of the batch, modulo lanes.
    """
    return ((begin + np.arange(size)) % lanes).argsort(kind="stable")


@dataclass(slots=True)
class Course:
    """The way of one rank through ``total`` samples of a split; ``consumed`` of this epoch are behind it.

    batch is the global one; with drop_last the last partial batch is left out, else ranks share it, in order, and some
    may get fewer samples or none. order: another than the exact shuffle, that of ``window``: blocks, run, lanes; lanes
    are what its ranks take, see ``arranged``. stride: batches that ``advance`` passes, for one of so many that share a
    rank's steps.
    """

    dataset: str
    split: str
    total: int
    batch: int
    world: int = 1
    rank: int = 0
    seed: int = 0
    epoch: int = 0
    drop_last: bool = True
    consumed: int = 0
    order: Order | None = None
    window: list[int] | None = None
    stride: int = 1
    _ahead: Ahead = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.total < (self.batch if self.drop_last else 1):
            raise UsageError(
                f"split {self.split!r} has {self.total} samples",
                allowed=f"at least one batch, {self.batch}",
                do="take a smaller batch, drop_last=False or another split",
            )
        most = CHUNK if self.order is None else LANES_CHUNK
        self._ahead = Ahead(self.batch, self.share, self.rank, self.lanes, most)

    @property
    def share(self) -> int:
        """Samples of this rank in a whole batch."""
        return self.batch // self.world

    @property
    def lanes(self) -> int:
        """Parts of a batch that have samples of their own; 1 in the exact shuffle."""
        return self.window[-1] if self.window else 1

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return self.total // self.batch if self.drop_last else -(-self.total // self.batch)

    @property
    def unfinished(self) -> bool:
        """Whether the epoch has another batch."""
        return self.consumed + (self.batch if self.drop_last else 1) <= self.total

    @property
    def place(self) -> tuple[int, int]:
        """Epoch and samples consumed in it."""
        return self.epoch, self.consumed

    def advance(self) -> None:
        """Count the batch at ``consumed`` as handed out."""
        self.skip(self.stride)

    def skip(self, steps: int) -> None:
        """Count so many batches as handed out."""
        self.consumed = min(self.consumed + steps * self.batch, self.total)

    def turn(self) -> None:
        """Go to the beginning of the next epoch."""
        self.epoch, self.consumed = self.epoch + 1, 0

    def state(self) -> State:
        """Where the epoch stands: some small values, equal on every rank."""
        found = State(dataset=self.dataset, split=self.split, seed=self.seed, epoch=self.epoch, samples=self.consumed)
        return {**found, "window": self.window} if self.window else found

    def restore(self, state: State) -> None:
        """Go on where ``state`` was taken. Raises StateError for another data set, split, seed or window."""
        own = (self.dataset, self.split, self.seed, self.window)
        try:
            came = (state["dataset"], state["split"], state["seed"], state.get("window"))
            epoch, samples, shuffled = int(state["epoch"]), int(state["samples"]), _shuffled(came[3])
        except (KeyError, TypeError, ValueError, AttributeError):
            raise unlike(state) from None
        if came != own or not 0 <= samples <= self.total or epoch < 0:
            raise StateError(
                f"state of data set {came[0]}, split {came[1]!r}, seed {came[2]}, {shuffled}, "
                f"{samples} samples into epoch {epoch}",
                allowed=f"data set {self.dataset}, split {self.split!r}, seed {self.seed}, {_shuffled(self.window)}, "
                f"0 to {self.total} samples",
                do="open the release the state was taken from, and as it was opened, or start anew without a state",
                **state,
            )
        self.epoch, self.consumed = epoch, samples

    def numbers(self) -> Numbers:
        """Sample numbers of this rank's part of the global batch that begins at ``consumed``."""
        left = self.total - self.consumed
        if left >= self.batch:
            return self._ahead.at(self.epoch, self.consumed, self._ordered)[0]
        rest = arranged(self.consumed % self.lanes, left, self.lanes)
        return self._ordered(self.consumed + rest[self.rank * self.share : (self.rank + 1) * self.share])[0]

    def _ordered(self, positions: Numbers) -> tuple[Numbers]:
        """Samples at positions of this epoch's order; of those from ``total`` on the last one."""
        places = np.minimum(positions, self.total - 1)
        if self.order is not None:
            return (self.order(self.epoch, places),)
        key = order_key(self.dataset, self.split, self.seed, self.epoch)
        return (permuted(places, n=self.total, key=key).view(np.int64),)


def distinct(values: Numbers) -> list[int]:
    """The different values, ascending; ``np.unique`` would import numpy.ma, 20 ms of a first batch."""
    return sorted(set(values.tolist()))


def order_key(dataset: str, split: str, seed: int, epoch: int) -> str:
    """What names the order of an epoch of a split."""
    return f"{dataset}/{split}/{seed}/{epoch}"


def _shuffled(window: list[int] | None) -> str:
    if window is None:
        return "shuffled as a whole"
    blocks, run, lanes = window
    return f"streamed in windows of {blocks} blocks, runs of {run}, {lanes} lanes"


def check_shape(batch: int, world: int, rank: int) -> None:
    """Raise UsageError for a batch that the world size does not divide, or a rank outside it."""
    if batch < 1 or world < 1 or batch % world:
        raise UsageError(
            f"a global batch of {batch} over {world} ranks",
            allowed="a positive batch that the world size divides",
            do=f"take a batch that is a multiple of {world}",
        )
    if not 0 <= rank < world:
        raise UsageError(f"rank {rank} of a world of {world}", allowed=f"0 to {world - 1}")


def unlike(state: object) -> StateError:
    """The error for what is no state."""
    return StateError(
        f"a state of {state!r:.120}", allowed="dataset, split, seed, epoch, samples", do="pass what Loader.state() gave"
    )
