"""A process that takes in text: ``python large_writer.py ROOT KIND MEGABYTES``; prints its peak RSS in MB,
its CPU seconds without imports and without making the input, and the megabytes of text written.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from scenes import day

from warehouse.contracts import RECORDS
from warehouse.repository import Repository

ROWS = 2000


def texts(seed: int) -> pa.Array:
    """2,000 texts of about 4 KB, words by Zipf's law."""
    source = random.Random(seed)
    words = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=source.randint(2, 9))) for _ in range(5000)]
    drawn = source.choices(words, [1 / rank for rank in range(1, 5001)], k=700 * ROWS)
    return pa.array([" ".join(drawn[at * 700 : at * 700 + 700]) for at in range(ROWS)], pa.large_string())


def batches(megabytes: int, spent: list[float]) -> Iterator[pa.RecordBatch]:
    """RECORDS with new uris over the same texts; ``spent`` gathers the CPU seconds of making them."""
    began = time.process_time()
    text = texts(1)
    names = {name: pa.nulls(ROWS, RECORDS.field(name).type) for name in RECORDS.names}
    for number in range(megabytes * 1_000_000 // text.nbytes + 1):
        uris = pa.array([f"{number}/{row}" for row in range(ROWS)])
        columns = names | {"uri": uris, "record": pa.array(["0"] * ROWS), "text": text}
        batch = pa.RecordBatch.from_pydict(columns, schema=RECORDS)
        spent[0] += time.process_time() - began
        yield batch
        began = time.process_time()


def main(root: Path, kind: str, megabytes: int) -> None:
    repository, spent, began = Repository(root), [0.0], time.process_time()
    if kind == "append":
        repository.append("t", batches(megabytes, spent), schema=RECORDS, source="s", run_id="r")
    else:
        with repository.ingestion(table=kind, source="s", run_id="r") as ingestion:
            ingestion.add("u", "sha", 1, day(1), "r@1", batches(megabytes, spent))
    cpu = time.process_time() - began - spent[0]
    print(peak_mb(), round(cpu, 2), megabytes)


def peak_mb() -> int:
    """The high-water mark of this program's memory; ru_maxrss would begin at that of the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) // 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
