"""Locks that die with their process: flock on ``<root>/locks/<name>``. The empty files stay; they hold no state.

One writer per table for as long as it holds the lock; archive writers share one lock, which the sweeper takes alone.
flock belongs to the open file, so two threads of one process exclude each other as two processes do. Works on a local
file system (and on NFS since Linux 2.6.12); an object store needs another door.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse.errors import Busy
from warehouse.repository.storage import room

POLL_S = 0.05


@contextmanager
def alone(path: Path, *, what: str, wait_s: float) -> Iterator[None]:
    """Hold ``path`` exclusively; raises Busy, naming the holder, when it is not free within ``wait_s`` seconds."""
    handle = _open(path)
    try:
        _wait(handle, what, wait_s)
        with room("a lock", path.parent):
            os.truncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold ``path`` together with any number of others; waits for the (short) exclusive holder."""
    handle = _open(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


@contextmanager
def alone_if_free(path: Path) -> Iterator[bool]:
    """Whether ``path`` could be taken exclusively at once; held until the block ends."""
    handle = _open(path)
    try:
        yield _taken(handle)
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    with room("a lock", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(handle: int, what: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while not _taken(handle):
        if time.monotonic() >= deadline:
            holder = os.pread(handle, 32, 0).decode(errors="replace") or "unknown"
            raise Busy(
                f"{what} is being written by process {holder} (waited {wait_s:g} s)",
                do="let it finish, or end that process; the lock goes with it",
                holder=holder,
            )
        time.sleep(POLL_S)
