"""How fast a loader gives its batches to a job that does nothing else: the upper bound of what training can have."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from warehouse.loader.loader import Loader
from warehouse.loader.records import RecordBatch, RecordLoader
from warehouse.loader.rows import RowBatch, TableLoader
from warehouse.loader.streaming import StreamingLoader, StreamingTableLoader
from warehouse.loader.tokens import Batch

SHOWN_EVERY_S = 0.5
COUNTED = ("batches", "samples", "bytes", "stalls", "wait_s")

AnyLoader = Loader | RecordLoader | TableLoader | StreamingLoader | StreamingTableLoader


@dataclass(frozen=True, slots=True)
class Pace:
    """What was given in ``wall_s`` seconds; epoch: the one it stands in. cpu_s: of all threads, opening left out.

    open_ms: from nothing to a loader; first_batch_ms: from there to its first batch.
    """

    wall_s: float
    cpu_s: float
    open_ms: float
    first_batch_ms: float
    epoch: int
    batches: int
    samples: int
    bytes: int
    stalls: int
    wait_s: float

    @property
    def samples_per_s(self) -> float:
        """Samples a second."""
        return self.samples / self.wall_s

    @property
    def bytes_per_s(self) -> float:
        """Bytes of samples a second."""
        return self.bytes / self.wall_s

    @property
    def cpu_us_per_sample(self) -> float:
        """CPU microseconds a sample."""
        return 1e6 * self.cpu_s / self.samples


def paced(opened: Callable[[], AnyLoader], *, seconds: float, threads: int = 0, shown: Callable[[Pace], None]) -> Pace:
    """The pace over as many epochs as ``seconds`` hold, one batch at least; ``shown`` gets it twice a second."""
    begun = time.perf_counter()
    loader = opened()
    start, cpu = time.perf_counter(), time.process_time()

    def pace() -> Pace:
        counters = {name: getattr(loader.counters, name) for name in COUNTED}
        return Pace(
            wall_s=time.perf_counter() - start,
            cpu_s=time.process_time() - cpu,
            open_ms=1e3 * (start - begun),
            first_batch_ms=1e3 * loader.counters.first_s,
            epoch=loader.course.epoch,
            **counters,
        )

    told = start
    while True:
        for _ in _batches(loader, threads):
            now = time.perf_counter()
            if now >= start + seconds:
                return pace()
            if now >= told + SHOWN_EVERY_S:
                told = now
                shown(pace())


def _batches(loader: AnyLoader, threads: int) -> Iterator[Batch | RecordBatch | RowBatch]:
    """The rest of an epoch."""
    if isinstance(loader, Loader):
        return loader.batches(threads=threads, reuse=True)
    if isinstance(loader, TableLoader | RecordLoader):
        return loader.batches(threads=threads)
    return loader.batches(reuse=True) if isinstance(loader, StreamingLoader) else loader.batches()
