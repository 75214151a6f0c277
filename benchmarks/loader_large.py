"""10^9 samples of ``loader.py``: python loader_large.py SAMPLES SPARSE prints what one opening of so many takes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import xxhash

from warehouse.loader.course import Course
from warehouse.loader.shards import Mapped, Samples
from warehouse.manifest import BLOCK_BYTES, FileEntry

LENGTH, BATCH, ROUNDS = 1024, 64, 5


class Alike(Sequence[str]):
    """``count`` times the hash of a block of zeros."""

    def __init__(self, count: int) -> None:
        self.count, self.digest = count, xxhash.xxh3_64_hexdigest(bytes(BLOCK_BYTES))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: Any) -> Any:
        return self.digest


def simulated(samples: int, sparse: Path) -> dict[str, float]:
    """Milliseconds to the first batch of an opened epoch of ``samples``, and memory after 20."""
    flat = np.asarray(np.memmap(sparse, np.uint8, "r"))[: samples * 2 * LENGTH]
    blocks = -(-flat.size // BLOCK_BYTES)
    entry = FileEntry(sparse.name, flat.size, "", Alike(blocks))
    opened = Samples([Mapped(entry, flat.view("<u2").reshape(samples, LENGTH), flat)], checked=True)
    course, out = Course("simulated", "train", samples, batch=BATCH), np.empty((BATCH, LENGTH), "<u2")
    before, begun, cpu = anonymous_mb(), time.perf_counter(), time.process_time()
    opened.gather(course.numbers(), out)
    first, first_cpu = time.perf_counter() - begun, time.process_time() - cpu
    for _ in range(19):
        course.advance()
        opened.gather(course.numbers(), out)
    return {"first_ms": 1e3 * first, "first_cpu_ms": 1e3 * first_cpu, "grown_mb": anonymous_mb() - before}


def anonymous_mb() -> float:
    """Memory of this process that is no file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("RssAnon"))


def at_10_9(folder: Path) -> dict[str, Any]:
    """First batch and memory at 10^9 samples."""
    sparse = folder / "sparse.bin"
    with sparse.open("wb") as stream:
        stream.truncate(10**9 * 2 * LENGTH)

    def run(samples: int) -> dict[str, float]:
        command = [sys.executable, __file__, str(samples), sparse]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

    run(10**9)
    large, small = [run(10**9) for _ in range(ROUNDS)], [run(10**6) for _ in range(ROUNDS)]
    first = [each["first_ms"] for each in large]
    found = {
        "first_batch_ms_1e9": round(median(first), 1),
        "first_batch_cpu_ms_1e9": round(median(each["first_cpu_ms"] for each in large), 1),
        "rss_growth_mb_1e9": round(median(e["grown_mb"] for e in large) - median(e["grown_mb"] for e in small), 1),
    }
    print(
        f"10^9 samples: first batch {found['first_batch_ms_1e9']} ms ({min(first):.1f} to {max(first):.1f}; "
        f"{found['first_batch_cpu_ms_1e9']} of CPU), {found['rss_growth_mb_1e9']} MB more than at 10^6",
        flush=True,
    )
    return found


if __name__ == "__main__":
    print(json.dumps(simulated(int(sys.argv[1]), Path(sys.argv[2]))))
