"""Where pure functions run: one seam, so that a cluster can take the place of this machine without touching a stage.

Results come back in the order of the tasks whatever the number of processes or threads; so the output never depends on
it. Processes are for work that holds the GIL: a task is a picklable value, a function is importable. Threads are for
work that lets it go: kernels, Arrow.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Thread
from typing import TypeVar

from warehouse.errors import WarehouseError

Task = TypeVar("Task")
Result = TypeVar("Result")


_POOLS: ContextVar[dict[int, ProcessPoolExecutor] | None] = ContextVar("pools", default=None)
"""By number of processes, the pools of the block of ``one_pool`` that this is in."""


@contextmanager
def one_pool() -> Iterator[None]:
    """Within the block, or in a function with this decorator, workers stay from one ``run_tasks`` to the next: to start
    one takes 2 CPU seconds of imports.

    They end with the outermost block; what they used counts as that of children from then on.
    """
    if _POOLS.get() is not None:
        yield
        return
    pools: dict[int, ProcessPoolExecutor] = {}
    token = _POOLS.set(pools)
    try:
        yield
    finally:
        _POOLS.reset(token)
        for pool in pools.values():
            pool.shutdown()


def run_tasks(function: Callable[[Task], Result], tasks: Sequence[Task], *, processes: int = 1) -> Iterator[Result]:
    """The result of each task, in the order of the tasks. With one process, no process is started.

    Raises WarehouseError if a worker is killed, such as by the system for want of memory.
    """
    if processes <= 1 or len(tasks) <= 1:
        yield from map(function, tasks)
        return
    with _pool(processes) as pool:
        try:
            yield from pool.map(function, tasks)
        except BrokenProcessPool:
            raise WarehouseError(
                f"one of {min(processes, len(tasks))} worker processes was killed",
                do="look for the system's out-of-memory killer; use fewer processes or smaller parts",
            ) from None


def run_threads(function: Callable[[Task], Result], tasks: Iterable[Task], *, threads: int) -> Generator[Result]:
    """The result of each task, in the order of the tasks, which are drawn by the caller's thread: one more than threads
    at a time.
    """
    if threads <= 1:
        yield from map(function, tasks)
        return
    running = deque[Future[Result]]()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for task in tasks:
                running.append(pool.submit(function, task))
                if len(running) > threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """The pool of the block that this is in, else one that ends with this; it starts a worker when none is idle."""
    pools = _POOLS.get()
    if pools is None:
        with _begun(processes) as pool:
            yield pool
        return
    if processes not in pools:
        pools[processes] = _begun(processes)
    yield pools[processes]


def _begun(processes: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Let a worker end when its parent does: a killed one closes no queue, and its workers would wait for ever."""
    Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
