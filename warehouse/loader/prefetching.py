"""Runs of a release brought into memory before their samples are due: in threads, of a bounded size, in order of need.

What is due is computed, step by step, by a copy of the course that goes ahead, at most ``ahead`` bytes of samples or of
runs on their way. No lock is needed: threads only fetch, the main thread alone places, takes and counts. A thread ends
with its loader, and never keeps the process from ending.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from warehouse.loader.beside import NOTHING, Alongside, Needed
from warehouse.loader.blocks import Blocks
from warehouse.loader.course import Course, Numbers, distinct
from warehouse.loader.held import Arrived, Held, HeldMasks
from warehouse.loader.parts import Parts
from warehouse.loader.shards import Boundaries, SourceIds, sourceless
from warehouse.loader.windows import Runs
from warehouse.manifest import BLOCK_BYTES

STEPS = 8
"""That are planned at each step at most: the first batch waits for no plan of thousands."""


@dataclass(slots=True)
class Fetch:
    """What a thread does for a run. needed: beside its samples."""

    runs: Runs
    blocks: Blocks
    alongside: Alongside
    needed: Needed = NOTHING

    def run(self, number: int) -> Arrived:
        """The run, every block of it checked."""
        run = self.runs[number]
        before = run.start - run.blocks.start * BLOCK_BYTES
        data = memoryview(self.blocks.read(run.entry, run.blocks))[before : before + run.stop - run.start]
        first, last = run.start // self.runs.row_bytes, run.stop // self.runs.row_bytes
        return Arrived(data, self.alongside.read(run.entry.path, first, last, self.needed))


Task = tuple[int, Future[Arrived]]


class Threads:
    """Threads that fetch runs, begun with the first that is asked for."""

    def __init__(self, fetch: Fetch, count: int) -> None:
        self.fetch, self.count, self.closed = fetch, count, False
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._begun = False

    def ask(self, number: int) -> Future[Arrived]:
        """The run, when it has come; cancelled where the threads were ended meanwhile."""
        future: Future[Arrived] = Future()
        self._tasks.put((number, future))
        if self.closed:
            future.cancel()
            return future
        if not self._begun:
            self._begun = True
            for _ in range(self.count):
                threading.Thread(target=_serve, args=(self._tasks, self.fetch.run), name="stream", daemon=True).start()
        return future

    def close(self) -> None:
        """End the threads: what they fetch is given up, what is asked for is cancelled."""
        self.fetch.blocks.arrivals.stop.set()
        self.forget()
        self.closed = True
        for _ in range(self.count):
            self._tasks.put(None)

    def forget(self) -> None:
        """Cancel what was asked for and not yet begun."""
        if self.closed:  # what is left in the queue ends the threads
            return
        try:
            while task := self._tasks.get_nowait():
                task[1].cancel()
        except Empty:
            return


def _serve(tasks: SimpleQueue[Task | None], fetch: Callable[[int], Arrived]) -> None:
    while task := tasks.get():
        number, future = task
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(fetch(number))
            except BaseException as error:  # noqa: BLE001 # raised in the main thread, at the step that needs the run
                future.set_exception(error)


@dataclass(frozen=True, slots=True)
class Step:
    """What is due at a place of the course: this rank's samples, and the runs that hold them."""

    place: object
    numbers: Numbers
    runs: tuple[int, ...]


def step_of(course: Course, runs: Runs) -> Step:
    """What is due where the course stands."""
    numbers = course.numbers()
    return Step(course.place, numbers, tuple(distinct(runs.located(numbers)[0])))


class Feed:
    """The steps of a course, their runs asked for ahead of need. ahead: bytes of samples, and of runs on their way."""

    def __init__(self, held: Held, threads: Threads, *, ahead: int) -> None:
        self.held, self.threads = held, threads
        self._rows = max(ahead // held.runs.row_bytes, 1)
        self._runs = max(self._rows // max(held.rows, 1), 1)
        self._steps: deque[Step] = deque()
        self._coming: dict[int, Future[Arrived]] = {}
        self._plan: Course | None = None
        self._planned = 0

    def step(self, course: Course) -> tuple[Numbers, bool]:
        """The samples due where the course stands, all of them in memory, and whether any had to be waited for.

        Raises as ``Arrivals.blocks`` what befell a run that is due.
        """
        self._fill(course, steps=0)
        step = self._steps.popleft()
        missing = [run for run in step.runs if run not in self.held]
        stalled = any(run not in self._coming or not self._coming[run].done() for run in missing)
        for run in missing:
            arrived = (self._coming.pop(run, None) or self.threads.ask(run)).result()
            self.held.put(run, arrived, set(step.runs))
        after = copy(course)
        after.advance()
        self._fill(after, steps=STEPS)
        return step.numbers, stalled

    def need(self, needed: Needed) -> None:
        """From now on runs come with this beside their samples, too; those that are in memory come again."""
        fetch = self.threads.fetch
        if fetch.needed | needed != fetch.needed:
            self.reset()
            self.held.clear()
            fetch.needed |= needed

    def reset(self) -> None:
        """Forget what was asked for."""
        self.threads.forget()
        self._coming.clear()
        self._steps.clear()
        self._plan = None

    def _fill(self, course: Course, *, steps: int) -> None:
        """Plan on from where the course stands, or anew where it was moved: what is due, and so many steps more."""
        plan = self._plan
        due = self._steps[0].place if self._steps else None if plan is None else plan.place
        if plan is None or due != course.place:
            self.reset()
            plan = self._plan = copy(course)
        end = self._planned + steps
        while plan.unfinished and (not self._steps or (self._planned < end and not self._enough(plan))):
            step = step_of(plan, self.held.runs)
            for run in step.runs:
                if not self.held.plan(run, self._planned) and run not in self._coming:
                    self._coming[run] = self.threads.ask(run)
            self._steps.append(step)
            self._planned += 1
            plan.advance()

    def _enough(self, plan: Course) -> bool:
        return len(self._steps) * plan.share >= self._rows or len(self._coming) >= self._runs


@dataclass(frozen=True, slots=True)
class StreamedSplit:
    """A split as ``TokenReader`` takes it, its parts the runs that are in memory. where: it lies, for errors."""

    feed: Feed
    where: str

    @property
    def samples(self) -> Held:
        """Of the runs in memory."""
        return self.feed.held

    @property
    def sizes(self) -> tuple[int, ...]:
        """Samples of the split."""
        return (self.feed.held.total,)

    @property
    def boundaries(self) -> Mapping[int, Boundaries]:
        """Of each run in memory."""
        return self.feed.held.bounds

    @property
    def sources(self) -> Mapping[int, SourceIds]:
        """Of each run in memory."""
        return self.feed.held.sources

    @property
    def masks(self) -> tuple[HeldMasks | None]:
        """Of the runs in memory; None where the release has none."""
        return (HeldMasks(self.feed.held) if self._parts.masks else None,)

    def ready(self, *, pieces: bool, sources: bool, mask: bool) -> None:
        """See ``Splits``; nothing is fetched here."""
        if sources and not self._parts.sources:
            raise sourceless(self.where)
        self.feed.need(Needed(pieces, sources, mask and bool(self._parts.masks)))

    @property
    def _parts(self) -> Parts:
        return self.feed.threads.fetch.alongside.parts
