"""Samples a second and CPU time of one epoch through PyTorch, beside the plain loader on the same release.

``make bench-frameworks`` runs it in the environment of ``make test-frameworks``. 19,075 samples of 512 uint16 tokens,
global batches of 64, page cache warm, each way after the other in one process tree; CPU seconds include the workers'.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from written_release import write_release

from warehouse.loader import Loader
from warehouse.loader.torch import token_dataset, tracked

SIZES = (9_538, 9_537)


def cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measured(name: str, made: Callable[[], Iterable[Any]]) -> dict[str, Any]:
    """One epoch: samples, wall seconds, CPU seconds."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    batches = sum(1 for _ in made())
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    samples = batches * 64
    print(f"{name:44} {samples / wall:12,.0f} samples/s {1e6 * cpu / samples:8.2f} us of CPU a sample", flush=True)
    return {"way": name, "samples_per_s": round(samples / wall), "cpu_us": round(1e6 * cpu / samples, 2)}


def main() -> None:
    """Print a line a way, and all of them as JSON."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = write_release(Path(folder) / "release", SIZES, length=512)
        plain = Loader(path, batch=64)
        stored = token_dataset(path, batch=64, dtype=None)
        whole = token_dataset(path, batch=64)
        labelled = token_dataset(path, batch=64, labels=True, boundaries=True)
        ways: list[tuple[str, Callable[[], Iterable[Any]]]] = [
            ("(first touch: every block is hashed)", lambda: plain),
            ("Loader, uint16", lambda: plain),
            ("Loader, boundaries", lambda: plain.batches(boundaries=True)),
            ("(first touch)", lambda: tracked(stored)),
            ("token_dataset, as stored", lambda: tracked(stored)),
            ("(first touch)", lambda: tracked(whole)),
            ("token_dataset, int64", lambda: tracked(whole)),
            ("(first touch)", lambda: tracked(labelled)),
            ("token_dataset, int64, labels, boundaries", lambda: tracked(labelled)),
        ]
        for workers in (1, 2):
            for name, data in (("as stored", stored), ("int64, labels, boundaries", labelled)):
                loader = DataLoader(data, batch_size=None, num_workers=workers)
                ways.append((f"DataLoader, {workers} workers, {name}", lambda loader=loader: tracked(loader)))
        found = [measured(name, made) for name, made in ways]
    print(json.dumps([each for each in found if not each["way"].startswith("(")]))


if __name__ == "__main__":
    main()
