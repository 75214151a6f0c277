"""Runs that are in memory, in slots of one array, and what lies beside their samples.

When all slots are taken, the run whose last use lies furthest back, as far as is planned, makes room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.loader.beside import Beside
from warehouse.loader.course import Numbers
from warehouse.loader.shards import Array, Boundaries, SourceIds
from warehouse.loader.windows import Runs


@dataclass(frozen=True, slots=True)
class Arrived:
    """Bytes of a run's samples, and what lies beside them."""

    data: memoryview
    beside: Beside


class Held:
    """The samples of the runs that are in memory; see ``Rows``. form: dtype and shape of a sample; slots: runs.

    bounds, sources, masks: what came beside the samples of each run, as ``Beside`` has it.
    """

    def __init__(self, runs: Runs, form: tuple[np.dtype[Any], tuple[int, ...]], slots: int) -> None:
        self.runs, self.dtype, self.shape = runs, *form
        self.rows = int(np.diff(runs.edges).max(initial=0))
        self.slots = slots
        self.pool = np.empty((slots * self.rows, *self.shape), self.dtype)
        self.bounds: dict[int, Boundaries] = {}
        self.sources: dict[int, SourceIds] = {}
        self.masks: dict[int, npt.NDArray[np.uint8]] = {}
        self._slot: dict[int, int] = {}
        self._due: dict[int, int] = {}

    def __contains__(self, run: int) -> bool:
        return run in self._slot

    @property
    def total(self) -> int:
        """Samples of the split."""
        return self.runs.total

    def located(self, numbers: Numbers) -> tuple[Numbers, Numbers]:
        """The run of each sample and its place there."""
        return self.runs.located(numbers)

    def gather(self, numbers: Numbers, out: Array) -> None:
        """Copy the samples ``numbers``, whose runs are here, into the rows of ``out``."""
        owner, within = self.located(numbers)
        slots = np.array([self._slot[run] for run in owner.tolist()], np.int64)
        self.pool.take(slots * self.rows + within, axis=0, out=out, mode="clip")

    def plan(self, run: int, step: int) -> bool:
        """Whether the run is here; it is needed at this step of those that were ever planned."""
        self._due[run] = step
        return run in self._slot

    def put(self, run: int, arrived: Arrived, needed: set[int]) -> None:
        """Place a run, in the slot of one that is not ``needed`` where all are taken."""
        slot = self._freed(needed) if len(self._slot) == self.slots else len(self._slot)
        self._slot[run] = slot
        room = self.pool[slot * self.rows : (slot + 1) * self.rows].view(np.uint8).reshape(-1)
        room[: len(arrived.data)] = arrived.data
        if arrived.beside.bounds is not None:
            self.bounds[run] = arrived.beside.bounds
        if arrived.beside.sources is not None:
            self.sources[run] = arrived.beside.sources
        if arrived.beside.mask is not None:
            self.masks[run] = arrived.beside.mask

    def clear(self) -> None:
        """Let all go."""
        for known in (self._slot, self._due, self.bounds, self.sources, self.masks):
            known.clear()

    def _freed(self, needed: set[int]) -> int:
        others = [run for run in self._slot if run not in needed]
        if not others:
            return self._more()
        victim = min(others, key=lambda run: self._due.get(run, 0))
        for known in (self._due, self.bounds, self.sources, self.masks):
            known.pop(victim, None)
        return self._slot.pop(victim)

    def _more(self) -> int:
        """Another slot, for a batch that lies in more runs than there are slots."""
        self.pool = np.concatenate([self.pool, np.empty((self.rows, *self.shape), self.dtype)])
        self.slots += 1
        return self.slots - 1


@dataclass(frozen=True, slots=True)
class HeldMasks:
    """The masks of the samples that are held."""

    held: Held

    def gather(self, numbers: Numbers, out: Array) -> None:
        """Copy the bits of samples ``numbers``, whose runs are here, into the rows of ``out``."""
        runs, places = (each.tolist() for each in self.held.located(numbers))
        for row, (run, place) in enumerate(zip(runs, places, strict=True)):
            out[row] = self.held.masks[run][place]
