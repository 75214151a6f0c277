"""Processes that ingest and kill themselves with SIGKILL at one point: ``killed_writer.py [ROOT TABLE POINT]...``.

Each is a fork of one that has loaded everything; its status is a line of output. The product has no hook for this:
functions at the boundaries are wrapped here, in the child.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from killing import die, killing
from scenes import day, documents, reject, rows

from warehouse.contracts import Reject
from warehouse.repository import Repository, archive, delta, ingestion, parts

POINTS = {
    "in_archive_copy": (archive, "os.replace", "before"),
    "between_archive_and_rows": (ingestion.Ingestion, "add", "before"),
    "while_reading": None,
    "inside_parquet_write": (parts._Open, "write", "after 2"),
    "inside_parquet_footer": (parts._Open, "close", "before"),
    "while_files_are_widened": (parts.Stage, "_copy", "after 2"),
    "between_widened_files_and_commit": (ingestion, "land", "before 2"),
    "before_rejects": (ingestion, "append", "before 2"),
    "between_rejects_and_table": (ingestion, "append", "after 2"),
    "before_commit": (ingestion, "land", "before 2"),
    "after_commit": (parts.Stage, "settle", "before"),
    "between_new_column_and_its_rows": (delta, "_adds", "before 4"),
}


def arm(point: str) -> None:
    target = POINTS.get(point)
    if target:
        owner, name, when = target
        if "." in name:
            owner, name = getattr(owner, name.split(".")[0]), name.split(".")[1]
        setattr(owner, name, killing(getattr(owner, name), when))


def readings(table: str, number: int, *, die_in: int = -1) -> Iterator[pa.RecordBatch | Reject]:
    for at in range(3):
        text = [f"{number} {at} {row}" for row in range(50)]
        extra = {"seen": [number] * 50} if number == 3 else {}
        wider = {"n": [number if number < 2 else number / 2] * 50}
        own = wider if table == "widened" else extra
        yield documents(text, uri=f"{number}/{at}") if table == "documents" else rows(text=text, **own)
        yield reject(f"{number} {at}")
        if number == die_in and at == 1:
            die()


def run(root: Path, table: str, *, die_in: int = -1) -> None:
    """Four objects in two commits, each with rows and rejects, in row groups of about 4 KB."""
    parts.BATCH_BYTES, ingestion.COMMIT_OBJECTS = 4096, 2
    repository = Repository(root, wait_s=5)
    inputs = root.parent / "inputs"
    inputs.mkdir(exist_ok=True)
    with repository.ingestion(table=table, source="s", run_id="r", max_reject_share=1.0) as taking:
        for number in range(4):
            path = inputs / str(number)
            path.write_text(f"object {number}")
            sha256, size = repository.archive(path)
            if not taking.is_current(str(number), sha256, "r@1"):
                taking.add(str(number), sha256, size, day(1), "r@1", readings(table, number, die_in=die_in))


def main(given: list[str]) -> None:
    """Each of the writers in turn."""
    for root, table, point in zip(given[::3], given[1::3], given[2::3], strict=True):
        child = os.fork()
        if child == 0:
            arm(point)
            run(Path(root), table, die_in=2 if point == "while_reading" else -1)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
