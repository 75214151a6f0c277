"""Batches of several sources in shares that may change: each in its own exact order, none repeated.

A global position p belongs to one source by the closed form of ``interleaving``, and is that source's c-th sample, c
being how many positions before p were its own: sample c mod n of its epoch c // n, in the order that ``Loader`` has
with the same seed. So batches are equal at any world size, and a state (position, and where the running phase began)
resumes exactly, also when the phases ahead have changed: a source goes on at its own count. Within a phase the count of
a source is less than 2 samples from its share at every step. Memory does not grow with samples or steps.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TypedDict

import numpy as np

from warehouse.errors import StateError, UsageError
from warehouse.loader.course import Ahead, Numbers, check_shape, distinct, order_key
from warehouse.loader.delivery import Counters, check_threads, delivered
from warehouse.loader.interleaving import WHOLE, counts, dealt, tempered, whole_shares
from warehouse.loader.permutation import permuted
from warehouse.loader.several import Source, open_several
from warehouse.loader.tokens import Batch, Slots, Tokens, Wanted


@dataclass(frozen=True, slots=True)
class Phase:
    """From sample ``start`` of the run (of all ranks together) on: shares in proportion to ``weights``, one a source.

    Without weights in proportion to samples^(1 / temperature): 1 as large as they are, infinity all equal.
    """

    start: int = 0
    weights: Sequence[float] | None = None
    temperature: float = 1


class MixtureState(TypedDict):
    """Where a mixture stands; JSON. samples: consumed by all ranks together; mixture: of the data sets and splits.

    start, shares, taken: of the running phase: the sample it began with, its shares, what each source had given before.
    """

    mixture: str
    seed: int
    samples: int
    start: int
    shares: list[int]
    taken: list[int]


FIELDS = tuple(MixtureState.__annotations__)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A phase as it runs: from ``start`` on by ``shares``, each source having given ``taken`` samples before."""

    start: int
    shares: tuple[int, ...]
    taken: tuple[int, ...]

    def reached(self, position: int) -> tuple[int, ...]:
        """How many of the samples before ``position`` each source gave."""
        new = counts(self.shares, position - self.start)
        return tuple(before + more for before, more in zip(self.taken, new, strict=True))


def planned(
    phases: Sequence[Phase], sizes: Sequence[int], *, position: int = 0, running: Stretch | None = None
) -> tuple[Stretch, ...]:
    """The stretches from ``position`` on; ``running`` goes on where the phases have the same shares there.

    sizes: samples of each source. Raises UsageError for phases that do not begin at 0 or do not ascend.
    """
    starts = [phase.start for phase in phases]
    if starts[:1] != [0] or any(later <= earlier for earlier, later in pairwise(starts)):
        raise UsageError(f"phases that start at {starts}", allowed="0, then ascending numbers of samples")
    first = bisect_right(starts, position) - 1
    found = [running] if running else []
    for phase in phases[first:]:
        start, shares = max(phase.start, position), _shares(phase, sizes)
        if not found:
            found.append(Stretch(start, shares, (0,) * len(sizes)))
        elif found[-1].shares != shares:
            found.append(Stretch(start, shares, found[-1].reached(start)))
    return tuple(found)


def _shares(phase: Phase, sizes: Sequence[int]) -> tuple[int, ...]:
    if phase.weights is None:
        return tempered(sizes, phase.temperature)
    if len(phase.weights) != len(sizes):
        raise UsageError(
            f"{len(phase.weights)} weights for {len(sizes)} sources", allowed="one a source, in their order"
        )
    return whole_shares(phase.weights)


def placed(stretches: Sequence[Stretch], positions: Numbers) -> tuple[Numbers, Numbers]:
    """Source of each position and how many samples that source gave before it: int64, as long as ``positions``."""
    owner = np.searchsorted([stretch.start for stretch in stretches], positions, side="right") - 1
    sources, ranks = np.empty(positions.size, np.int64), np.empty(positions.size, np.int64)
    for number in distinct(owner):
        stretch, places = stretches[number], np.flatnonzero(owner == number)
        sources[places], new = dealt(stretch.shares, positions[places] - stretch.start)
        ranks[places] = np.array(stretch.taken, np.int64)[sources[places]] + new
    return sources, ranks


class MixedCourse:
    """The way of one rank through a mixture; ``consumed`` samples are behind it, of all ranks together. It has no end.

    orders: data set and split of each source; sizes: its samples; stride: as of ``Course``.
    """

    unfinished = True
    stride = 1

    def __init__(
        self,
        orders: Sequence[tuple[str, str]],
        sizes: Sequence[int],
        phases: Sequence[Phase],
        *,
        batch: int,
        world: int,
        rank: int,
        seed: int,
    ) -> None:
        self.orders, self.sizes, self.batch, self.seed = tuple(orders), tuple(sizes), batch, seed
        self.world, self.rank = world, rank
        self.consumed, self.phases = 0, tuple(phases)
        self._stretches = planned(phases, sizes)
        self._ahead = Ahead(batch, batch // world, rank)

    @property
    def place(self) -> object:
        """Samples consumed, and by which stretches it goes on."""
        return self.consumed, self._stretches

    @property
    def running(self) -> Stretch:
        """The stretch in which it stands."""
        starts = [stretch.start for stretch in self._stretches]
        return self._stretches[bisect_right(starts, self.consumed) - 1]

    def advance(self) -> None:
        """Count the batch at ``consumed`` as handed out."""
        self.skip(self.stride)

    def skip(self, steps: int) -> None:
        """Count so many batches as handed out."""
        self.consumed += steps * self.batch

    def numbers(self) -> tuple[Numbers, Numbers]:
        """Sample numbers, and the source of each, of this rank's part of the global batch at ``consumed``."""
        numbers, sources = self._ahead.at(self._stretches, self.consumed, self._order)
        return numbers, sources

    def follow(self, phases: Sequence[Phase], position: int, running: Stretch) -> None:
        """Go on at ``position``, which ``running`` led to, by ``phases``."""
        self._stretches = planned(phases, self.sizes, position=position, running=running)
        self.phases, self.consumed = tuple(phases), position

    def state(self) -> MixtureState:
        """Where the run stands: some hundred bytes of JSON, equal on every rank."""
        running = self.running
        return MixtureState(
            mixture=self._identity(),
            seed=self.seed,
            samples=self.consumed,
            start=running.start,
            shares=list(running.shares),
            taken=list(running.taken),
        )

    def restore(self, state: MixtureState) -> None:
        """Go on where ``state`` was taken. Raises StateError for other data sets, splits, their order or seed."""
        try:
            came, samples = (state["mixture"], state["seed"]), int(state["samples"])
            running = Stretch(int(state["start"]), tuple(map(int, state["shares"])), tuple(map(int, state["taken"])))
        except (KeyError, TypeError, ValueError):
            raise _unlike(state) from None
        if came != (self._identity(), self.seed):
            raise StateError(
                f"state of the mixture {came[0]}, seed {came[1]}",
                allowed=f"the mixture {self._identity()}, seed {self.seed}: {', '.join(map('/'.join, self.orders))}",
                do="give the sources that the state was taken from, in their order, or start anew without a state",
                **state,
            )
        if not 0 <= running.start <= samples or not self._possible(running):
            raise _unlike(state)
        self.follow(self.phases, samples, running)

    def _order(self, positions: Numbers) -> tuple[Numbers, Numbers]:
        """Sample number and source at positions of the run."""
        sources, ranks = placed(self._stretches, positions)
        numbers = np.empty_like(ranks)
        for source in distinct(sources):
            places = np.flatnonzero(sources == source)
            numbers[places] = self._ordered(source, ranks[places])
        return numbers, sources

    def _ordered(self, source: int, ranks: Numbers) -> Numbers:
        """The samples that a source gives after ``ranks`` others, each epoch in its own order."""
        epochs, places = np.divmod(ranks, self.sizes[source])
        found = np.empty_like(ranks)
        for epoch in distinct(epochs):
            own, key = epochs == epoch, order_key(*self.orders[source], self.seed, epoch)
            found[own] = permuted(places[own], n=self.sizes[source], key=key)
        return found

    def _possible(self, running: Stretch) -> bool:
        whole = len(running.shares) == len(running.taken) == len(self.sizes) and sum(running.taken) == running.start
        return whole and min(running.shares) >= 0 and min(running.taken) >= 0 and 0 < sum(running.shares) <= WHOLE

    def _identity(self) -> str:
        return hashlib.sha256("\n".join("/".join(order) for order in self.orders).encode()).hexdigest()[:16]


class Mixture:
    """Iterates without end over several sources; what it shares with ``Loader`` means the same.

    ``change`` gives other phases for what is ahead, at any step; ``taken`` counts what each source gave. Raises
    UsageError for a source given twice, FormatError for sources of other tokens, and as Loader.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        phases: Sequence[Phase] = (Phase(),),
        batch: int,
        world: int = 1,
        rank: int = 0,
        seed: int = 0,
        checked: bool = True,
    ) -> None:
        check_shape(batch, world, rank)
        self._reader, orders = open_several(sources, checked=checked)
        self.sources, self.sizes, self.counters = tuple(sources), self._reader.sizes, Counters()
        if not all(self.sizes):
            raise UsageError(f"{self.sources[self.sizes.index(0)]} has 0 samples", allowed="1 or more")
        self.course = MixedCourse(orders, self.sizes, phases, batch=batch, world=world, rank=rank, seed=seed)

    @classmethod
    def resume(
        cls,
        sources: Sequence[Source],
        state: MixtureState,
        *,
        phases: Sequence[Phase] = (Phase(),),
        batch: int,
        world: int = 1,
        rank: int = 0,
        checked: bool = True,
    ) -> Mixture:
        """A mixture that goes on where ``state`` was taken, with any batch, world and phases ahead.

        Phases as in the interrupted run give what it would have given. Raises StateError if it cannot.
        """
        try:
            seed = state["seed"]
        except (KeyError, TypeError):
            raise _unlike(state) from None
        mixture = cls(sources, phases=phases, batch=batch, world=world, rank=rank, seed=seed, checked=checked)
        mixture.restore(state)
        return mixture

    def __iter__(self) -> Iterator[Tokens]:
        """This rank's rows of each global batch, without end: [rows, sequence_length], a fresh array each."""
        return (batch.tokens for batch in self.batches())

    def batches(
        self,
        *,
        boundaries: bool = False,
        positions: bool = False,
        loss_mask: bool = False,
        source_ids: bool = False,
        reuse: bool = False,
        threads: int = 0,
        ahead: int | None = None,
    ) -> Iterator[Batch]:
        """As iteration, with the source of each row and its number there; options as ``Loader.batches``."""
        ahead = check_threads(threads, ahead)
        wanted = self._reader.ready(Wanted(boundaries, positions, loss_mask, source_ids))
        made = partial(self._made, wanted=wanted, slots=[None] * (ahead + 1) if reuse else None)
        return delivered(self.course, made, self.counters, threads=threads, ahead=ahead)

    def _made(self, rows: tuple[Numbers, Numbers], slot: int, *, wanted: Wanted, slots: Slots | None) -> Batch:
        return self._reader.read(*rows, wanted=wanted, slots=slots, slot=slot)

    @property
    def source_names(self) -> tuple[str, ...]:
        """What the numbers of ``Batch.source_ids`` stand for: the sources of all releases, each once."""
        return self._reader.source_names

    def taken(self) -> tuple[int, ...]:
        """Samples that each source gave so far, to all ranks together; divided by ``sizes``: its epochs."""
        return self.course.running.reached(self.course.consumed)

    def change(self, phases: Sequence[Phase]) -> None:
        """Go on by other phases from here; what is behind stays as it was, and starts count from the run's begin."""
        self.course.follow(phases, self.course.consumed, self.course.running)

    def state(self) -> MixtureState:
        """Where the run stands: some hundred bytes of JSON, equal on every rank; store it beside the model."""
        return self.course.state()

    def restore(self, state: MixtureState) -> None:
        """Go on where ``state`` was taken. Raises StateError for other data sets, splits, their order or seed."""
        self.course.restore(state)


def _unlike(state: object) -> StateError:
    return StateError(f"a state of {state!r:.160}", allowed=", ".join(FIELDS), do="pass what Mixture.state() gave")
