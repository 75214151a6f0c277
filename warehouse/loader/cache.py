"""Releases on a fast disk, of a bounded size: the ones used longest ago make room for the next, never one in use.

``<cache>/<id>/`` is a release or a part of one. ``<id>.lock`` beside it says by a shared lock that it is in use, by its
time of change when it last was, by its content how many bytes it takes. A cache belongs to one machine: locks do.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from warehouse.errors import StorageFull
from warehouse.loader.offering import Offer
from warehouse.loader.pulling import Progress, Pulled, fetch
from warehouse.manifest import NAME

ADMISSION = ".admission"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A release in the cache. lock: open and held alone by us, None where it is in use."""

    name: str
    size: int
    used: int
    lock: IO[str] | None


@contextmanager
def cached(
    offer: Offer, cache: Path | str, *, most_bytes: int, workers: int = 8, progress: Progress | None = None
) -> Iterator[Pulled]:
    """The release in the cache, brought there if it is not; while the block lasts it is in use.

    Raises StorageFull where the cache cannot hold it beside those in use, before anything is removed; else as ``pull``.
    """
    with claimed(cache, offer.key, offer.size, most_bytes=most_bytes) as folder:
        yield fetch(offer, folder, workers=workers, progress=progress)


@contextmanager
def claimed(cache: Path | str, key: str, size: int, *, most_bytes: int) -> Iterator[Path]:
    """The folder of that name in the cache, with room for ``size`` bytes; while the block lasts it is in use.

    Raises StorageFull as ``cached``.
    """
    home = Path(cache)
    home.mkdir(parents=True, exist_ok=True)
    with (home / f"{key}.lock").open("a+", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        _admit(home, key, size, lock, most_bytes)
        try:
            yield home / key
        finally:
            now = time.time_ns()
            os.utime(lock.fileno(), ns=(now, now))


def _admit(home: Path, key: str, size: int, lock: IO[str], most_bytes: int) -> None:
    """Make room for the release, and say that it takes it. One process at a time does so."""
    with ExitStack() as held:
        alone = held.enter_context((home / ADMISSION).open("a"))
        fcntl.flock(alone, fcntl.LOCK_EX)
        others = [_kept(held, path) for path in home.glob("*.lock") if path.stem != key]
        used = sum(other.size for other in others if other.lock is None)
        if used + size > most_bytes:
            raise StorageFull(
                f"{size:,} bytes do not fit in {home}, where {used:,} are in use",
                allowed=f"{most_bytes:,} bytes in all",
                do="allow more, or pull a part; nothing was removed",
            )
        _evict(home, others, sum(other.size for other in others) + size - most_bytes)
        _state(lock, size)


def _kept(held: ExitStack, path: Path) -> _Kept:
    lock = held.enter_context(path.open("a+", encoding="ascii"))
    lock.seek(0)
    size = int(lock.read() or 0)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _Kept(path.stem, size, 0, None)
    return _Kept(path.stem, size, path.stat().st_mtime_ns, lock)


def _evict(home: Path, others: Sequence[_Kept], surplus: int) -> None:
    """Remove those used longest ago until ``surplus`` bytes are free, the manifest first: no half is a release."""
    for other in sorted(others, key=lambda other: other.used):
        if surplus <= 0:
            return
        if other.lock is not None and other.size:
            with suppress(FileNotFoundError):
                (home / other.name / NAME).unlink()
            shutil.rmtree(home / other.name, ignore_errors=True)
            _state(other.lock, 0)
            surplus -= other.size


def _state(lock: IO[str], size: int) -> None:
    lock.seek(0)
    lock.truncate()
    lock.write(str(size) if size else "")
    lock.flush()
