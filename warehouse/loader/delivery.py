"""Batches handed out in order, made when they are asked for or ahead in threads, and what the training job waited.

Won: threads overlap reading, hashing and copying with training (numpy and xxhash let go of the interpreter meanwhile),
in memory of ``ahead`` + 1 batches; order, content and the step at which an error comes are those without threads, since
the main thread alone says what is next. Lost: nothing is gained where all is in the page cache and a batch takes less
than handing it to a thread, some 15 us of CPU.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Protocol, TypeVar

from warehouse.errors import UsageError


class Way(Protocol):
    """Which samples come next; a copy goes on alone."""

    @property
    def unfinished(self) -> bool:
        """Whether there is another batch."""

    @property
    def place(self) -> object:
        """Where it stands; differs at each batch."""

    def numbers(self) -> Any:
        """What the next batch is made of."""

    def advance(self) -> None:
        """Count the next batch as handed out."""


class Sized(Protocol):
    """A batch."""

    @property
    def samples(self) -> Any:
        """Numbers of its rows."""

    @property
    def bytes(self) -> int:
        """Of its values."""


@dataclass(slots=True)
class Counters:
    """What a loader has given so far, for a training job's log: ``dataclasses.asdict(loader.counters)``.

    batches, samples, bytes: of this rank; wait_s: seconds that the job waited for batches, first_s: for the first one;
    stalls: batches that were not ready when they were asked for (without threads: all).
    """

    batches: int = 0
    samples: int = 0
    bytes: int = 0
    wait_s: float = 0.0
    first_s: float = 0.0
    stalls: int = 0

    def count(self, batch: Sized, *, wait_s: float, stalled: bool) -> None:
        """Add a batch that the job waited ``wait_s`` for."""
        self.first_s = self.first_s if self.batches else wait_s
        self.batches += 1
        self.samples += len(batch.samples)
        self.bytes += batch.bytes
        self.wait_s += wait_s
        self.stalls += stalled


Made = TypeVar("Made", bound=Sized)


def delivered(
    way: Way, make: Callable[[Any, int], Made], counters: Counters, *, threads: int, ahead: int
) -> Iterator[Made]:
    """The batches from where ``way`` stands to its end; ``way`` counts each as it is handed out.

    make(numbers, slot): a batch from what ``way.numbers()`` gave; what it made in the same of the slots 0..ahead before
    is no longer in use. At most ``ahead`` batches are made ahead. A way that is moved meanwhile is followed.
    """
    if not threads:
        while way.unfinished:
            asked = time.perf_counter()
            batch = make(way.numbers(), 0)
            way.advance()
            counters.count(batch, wait_s=time.perf_counter() - asked, stalled=True)
            yield batch
        return
    with ThreadPoolExecutor(threads, "loader") as pool:
        while way.unfinished:
            yield from _from_here(way, make, counters, pool, ahead)


def _from_here(
    way: Way, make: Callable[[Any, int], Made], counters: Counters, pool: ThreadPoolExecutor, ahead: int
) -> Iterator[Made]:
    """The batches until the end, or until something else moves ``way``."""
    plan, place = copy(way), way.place
    slots, begun = cycle(range(ahead + 1)), deque[Future[Made]]()

    def fill() -> None:
        while plan.unfinished and len(begun) < ahead:
            begun.append(pool.submit(make, plan.numbers(), next(slots)))
            plan.advance()

    try:
        while way.place == place and way.unfinished:
            asked = time.perf_counter()
            fill()
            stalled = not begun[0].done()
            batch = begun.popleft().result()
            fill()
            way.advance()
            place = way.place
            counters.count(batch, wait_s=time.perf_counter() - asked, stalled=stalled)
            yield batch
    finally:
        for future in begun:
            if not future.cancel():
                future.exception()  # waits: its slot is taken again


def check_threads(threads: int, ahead: int | None) -> int:
    """How many batches to make ahead: ``ahead``, or two a thread. Raises UsageError for what cannot work."""
    if threads < 0 or (ahead is not None and ahead < 1):
        raise UsageError(f"{threads} threads, {ahead} batches ahead", allowed="0 threads or more, 1 batch or more")
    return 2 * threads if ahead is None else ahead
