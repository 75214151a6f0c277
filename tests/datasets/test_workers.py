"""Worker processes end with the process that started them, and one that dies is one clear error; threads keep order."""

from __future__ import annotations

import operator
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import active_children

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.engine import one_pool, run_tasks, run_threads
from warehouse.errors import WarehouseError

PARENT = """
import os, signal, time
from multiprocessing import active_children
from warehouse.engine import run_tasks
if __name__ == "__main__":
    results = run_tasks(time.sleep, [0, 60, 60], processes=2)
    next(results)
    print(*[child.pid for child in active_children()], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_of_a_killed_process_end_with_it() -> None:
    done = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    pids = [int(pid) for pid in done.stdout.split()]
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(pids) == 2 and not [pid for pid in pids if alive(pid)]


def test_a_worker_that_dies_is_one_clear_error() -> None:
    with pytest.raises(WarehouseError, match="one of 2 worker processes was killed"):
        list(run_tasks(os._exit, [1, 1], processes=2))


def test_steps_in_one_pool_have_the_same_workers_which_end_with_it_and_are_counted() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with one_pool():
        steps = [set(run_tasks(operator.call, [os.getpid] * 6, processes=2)) for _ in range(3)]
        assert set.union(*steps) <= {child.pid for child in active_children()}
    assert 1 <= len(set.union(*steps)) <= 2 and os.getpid() not in set.union(*steps)
    assert not active_children()
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime > before


def test_outside_of_a_pool_workers_end_with_their_tasks() -> None:
    first, second = (set(run_tasks(operator.call, [os.getpid] * 2, processes=2)) for _ in range(2))
    assert not first & second and not active_children()


@given(st.integers(0, 20), st.integers(1, 4), st.integers(0, 20))
def test_threads_give_results_in_order_and_draw_one_task_more_than_threads(tasks: int, threads: int, stop: int) -> None:
    drawn, found = list[int](), list[int]()

    def counted() -> Iterator[int]:
        for task in range(tasks):
            drawn.append(task)
            yield task

    results = run_threads(lambda task: -task, counted(), threads=threads)
    for result in results:
        found.append(result)
        assert len(drawn) <= len(found) + threads
        if len(found) == stop:
            results.close()
    assert found == [-task for task in range(tasks)][: stop or None]


def test_a_task_that_fails_in_a_thread_fails_in_its_turn() -> None:
    results = run_threads(lambda task: 1 // task, [2, 1, 0, 1], threads=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
