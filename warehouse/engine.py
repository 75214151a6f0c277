"""Where pure functions run: one seam, so that a cluster can take the place of this machine without touching a stage.

A task is a picklable value, a function is importable, and the results come back in the order of the tasks whatever the
number of processes; so the output never depends on it. Threads inside numba, DuckDB and Polars need no processes: use
this for work that holds the GIL.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_tasks(function: Callable[[Task], Result], tasks: Sequence[Task], *, processes: int = 1) -> Iterator[Result]:
    """The result of each task, in the order of the tasks. With one process, no process is started."""
    if processes <= 1 or len(tasks) <= 1:
        yield from map(function, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(tasks)), mp_context=context) as pool:
        yield from pool.map(function, tasks)
