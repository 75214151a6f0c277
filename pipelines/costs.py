"""What each asset used: CPU seconds of all threads and waited-for children, peak memory, rows and bytes.

Peak memory is the kernel's high-water mark, reset when a step begins (``/proc/self/clear_refs``, Linux); where that is
not allowed it is the process's own maximum so far, which is never too low.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse.contracts import RUNS
from warehouse.repository import Repository


@dataclass(slots=True)
class Meter:
    """Counts that only the step itself knows; ``parts`` are assets made within it: name -> (cpu_s, wall_s, rows)."""

    rows: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    parts: dict[str, tuple[float, float, int]] = field(default_factory=dict)


def cpu_seconds() -> float:
    """User and system seconds of this process and of the children it has waited for."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def reset_peak() -> None:
    """Forget the high-water mark of this process's memory."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_rss() -> int:
    """High-water mark of this process's memory in bytes since the last reset."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def metered(repository: Repository, asset: str, run_id: str) -> Iterator[Meter]:
    """Measure a step and append what it used to ``runs`` when it has succeeded."""
    started, wall, cpu = datetime.now(UTC), time.perf_counter(), cpu_seconds()
    reset_peak()
    meter = Meter()
    yield meter
    used = {"wall_s": time.perf_counter() - wall, "cpu_s": cpu_seconds() - cpu}
    common: dict[str, Any] = {"run_id": run_id, "started_at": started, "peak_rss": peak_rss()}
    rows = [
        {**common, "asset": name, "cpu_s": cpu_s, "wall_s": wall_s, "rows": count, "bytes_read": 0, "bytes_written": 0}
        for name, (cpu_s, wall_s, count) in meter.parts.items()
    ]
    own = {**common, "asset": asset, "rows": meter.rows}
    own |= {"bytes_read": meter.bytes_read, "bytes_written": meter.bytes_written}
    own |= {key: max(0.0, total - sum(row[key] for row in rows)) for key, total in used.items()}
    batch = pa.RecordBatch.from_pylist([*rows, own], schema=RUNS)
    repository.append("runs", [batch], schema=RUNS, source="pipelines", run_id=run_id)
