"""Worker processes end with the process that started them, and one that dies is one clear error."""

from __future__ import annotations

import operator
import os
import resource
import signal
import subprocess
import sys
import time
from multiprocessing import active_children

import pytest

from warehouse.engine import one_pool, run_tasks
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
