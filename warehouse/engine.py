"""Where pure functions run: one seam, so that a cluster can take the place of this machine without touching a stage.

A task is a picklable value, a function is importable, and the results come back in the order of the tasks whatever the
number of processes; so the output never depends on it. Threads inside numba, DuckDB and Polars need no processes: use
this for work that holds the GIL.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from threading import Thread
from typing import TypeVar

from warehouse.errors import WarehouseError

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_tasks(function: Callable[[Task], Result], tasks: Sequence[Task], *, processes: int = 1) -> Iterator[Result]:
    """The result of each task, in the order of the tasks. With one process, no process is started.

    Raises WarehouseError if a worker is killed, such as by the system for want of memory.
    """
    if processes <= 1 or len(tasks) <= 1:
        yield from map(function, tasks)
        return
    context = multiprocessing.get_context("spawn")
    workers = min(processes, len(tasks))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            yield from pool.map(function, tasks)
        except BrokenProcessPool:
            raise WarehouseError(
                f"one of {workers} worker processes was killed",
                do="look for the system's out-of-memory killer; use fewer processes or smaller parts",
            ) from None


def _end_with_parent() -> None:
    """Let a worker end when its parent does: a killed one closes no queue, and its workers would wait for ever."""
    Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
