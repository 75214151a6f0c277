"""Many writers and maintenance on one table, threads and processes, some killed: every row is there once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from scenes import leftovers

from warehouse.repository import Repository, locks

SCHEMA = pa.schema([("key", pa.int64()), ("value", pa.string())])
SHARED = range(8)
"""Keys that every writer brings."""


@pytest.fixture(autouse=True)
def _prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "POLL_S", 0.002)


def keyed(keys: list[int]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"key": keys, "value": [str(key) for key in keys]}, schema=SCHEMA)


def append(root: Path, keys: list[int]) -> None:
    """As every writer of the pipelines does: what the table has already is left out under the table's lock."""
    Repository(root, wait_s=120).append("t", [keyed(keys)], schema=SCHEMA, source="s", run_id="r", keys=("key",))


def maintain(root: Path) -> None:
    repository = Repository(root, wait_s=120)
    if "t" in repository.tables():
        repository.compact("t")
        repository.vacuum("t", pins=(), since=datetime.now(UTC) + timedelta(days=1))


def read(root: Path) -> list[int]:
    return sorted(pl.read_parquet(list(Repository(root).snapshot("t").files))["key"].to_list())


@pytest.mark.disk
def test_sixteen_threads_and_maintenance_lose_and_double_no_row(tmp_path: Path) -> None:
    own = {thread: [1000 + thread * 10 + at for at in range(6)] for thread in range(16)}
    append(tmp_path, [])

    def write(thread: int) -> None:
        for key in own[thread]:
            append(tmp_path, [key, *SHARED])

    with ThreadPoolExecutor(18) as pool:
        done = [pool.submit(write, thread) for thread in own]
        done += [pool.submit(lambda: [maintain(tmp_path) for _ in range(12)]) for _ in range(2)]
        for each in done:
            each.result(120)
    assert read(tmp_path) == sorted([*SHARED, *(key for keys in own.values() for key in keys)])
    receipts = Repository(tmp_path).receipts("t")
    assert sum(receipt.rows_out for receipt in receipts) == len(read(tmp_path))
    assert all(receipt.balanced for receipt in receipts)
    maintain(tmp_path)
    assert len(Repository(tmp_path).snapshot("t").files) <= 3
    assert leftovers(tmp_path) == []


WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import test_stress
root, number = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
while number < 0:
    test_stress.maintain(root)
for at in range(12):
    test_stress.append(root, [1000 + number * 100 + at, *test_stress.SHARED])
"""


def worker(root: Path, number: int) -> subprocess.Popen[str]:
    script = WORKER.format(here=str(Path(__file__).parent))
    started = subprocess.Popen(
        [sys.executable, "-c", script, str(root), str(number)], stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


@pytest.mark.disk
def test_processes_and_maintenance_killed_and_started_again_lose_and_double_no_row(tmp_path: Path) -> None:
    append(tmp_path, [])
    maintaining = worker(tmp_path, -1)
    writers = [worker(tmp_path, number) for number in (1, 2)]
    for victim in (writers[0], maintaining):
        time.sleep(0.3)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    again = worker(tmp_path, 1)
    assert [each.wait(120) for each in (writers[1], again)] == [0, 0]
    for each in (maintaining, *writers, again):
        assert each.stdout is not None
        each.stdout.close()
    maintain(tmp_path)
    own = [1000 + number * 100 + at for number in (1, 2) for at in range(12)]
    assert read(tmp_path) == sorted([*SHARED, *own])
    assert leftovers(tmp_path) == []
