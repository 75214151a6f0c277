"""What each asset used: CPU seconds of all threads and waited-for children, their energy, peak memory, rows and bytes.

Peak memory is the kernel's high-water mark, reset when a step begins (``/proc/self/clear_refs``, Linux); where that is
not allowed it is the process's own maximum so far, which is never too low.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse.contracts import RUNS
from warehouse.energy import Rate, rate
from warehouse.project import Project
from warehouse.repository import Repository


@dataclass(frozen=True, slots=True)
class Part:
    """What an asset made within a step used."""

    cpu_s: float
    wall_s: float
    rows: int
    bytes_read: int = 0


@dataclass(slots=True)
class Meter:
    """Counts that only the step itself knows; ``parts`` are assets made within it, by name.

    cpu_s and wall_s are known when the step has ended: its own, without its parts. rate: what its energy is counted at.
    """

    rate: Rate
    rows: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    parts: dict[str, Part] = field(default_factory=dict)
    cpu_s: float = 0.0
    wall_s: float = 0.0

    def cost(self) -> dict[str, float | int | str]:
        """What the step used, as metadata of its asset."""
        return cost_metadata(self.cpu_s, self.wall_s, self.rate)


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


def cost_metadata(cpu_s: float, wall_s: float, at: Rate) -> dict[str, float | int | str]:
    """What an asset used, under the names of the table ``runs``; the peak is that of its step so far, in bytes."""
    used = {"cpu_s": round(cpu_s, 3), "wall_s": round(wall_s, 3), "peak_rss": peak_rss()}
    return {**used, **asdict(at.used(cpu_s))}


@contextmanager
def metered(project: Project, asset: str, run_id: str) -> Iterator[Meter]:
    """Measure a step and append what it used to ``runs`` when it has succeeded."""
    meter = Meter(rate(project))
    started, wall, cpu = datetime.now(UTC), time.perf_counter(), cpu_seconds()
    reset_peak()
    yield meter
    meter.cpu_s = max(0.0, cpu_seconds() - cpu - sum(part.cpu_s for part in meter.parts.values()))
    meter.wall_s = max(0.0, time.perf_counter() - wall - sum(part.wall_s for part in meter.parts.values()))
    common: dict[str, Any] = {"run_id": run_id, "started_at": started, "peak_rss": peak_rss(), "bytes_written": 0}
    own = Part(meter.cpu_s, meter.wall_s, meter.rows, meter.bytes_read)
    rows = [
        {**common, **asdict(part), **asdict(meter.rate.used(part.cpu_s)), "asset": name}
        for name, part in [*meter.parts.items(), (asset, own)]
    ]
    rows[-1]["bytes_written"] = meter.bytes_written
    batch = pa.RecordBatch.from_pylist(rows, schema=RUNS)
    Repository(project.root).append("runs", [batch], schema=RUNS, source="pipelines", run_id=run_id)
