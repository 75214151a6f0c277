"""The files that were dropped into a source's inbox and are whole, so that a run may read them.

A file counts as whole when nothing has written to it for SETTLE_S; one that is renamed into place keeps its time and
counts at once if it was written that long ago. Left out: what is hidden or a program's own (``is_bookkeeping``), names
that end in .part, .tmp or .crdownload, and links that lead out of the inbox. Not won: a writer that pauses longer than
SETTLE_S is taken at its word; it should write under such a name and rename.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from warehouse.contracts import digest
from warehouse.sources.recipe import Source, is_bookkeeping

SETTLE_S = 10.0
UNFINISHED = (".part", ".tmp", ".crdownload")


def complete(source: Source, folder: Path) -> Iterator[Path]:
    """Files in the inbox of ``source``, in subfolders too; none where there is no such folder."""
    if source.inbox_folder is None:
        return
    base, now = folder / source.inbox_folder, time.time()
    for above, folders, names in os.walk(base):
        folders[:] = [name for name in folders if not is_bookkeeping(name)]
        for name in names:
            path = Path(above, name)
            if not is_bookkeeping(name) and not name.lower().endswith(UNFINISHED) and _settled(path, base, now):
                yield path


def arrivals(source: Source, folder: Path) -> dict[str, Path]:
    """The same files by a print of name, size and time, which a file that is written again changes."""
    found = {}
    for path in complete(source, folder):
        with suppress(FileNotFoundError):
            stat = path.stat()
            found[digest(os.path.relpath(path, folder), str(stat.st_size), str(stat.st_mtime_ns))[:16]] = path
    return found


def _settled(path: Path, base: Path, now: float) -> bool:
    """A file of the inbox itself that nothing has written to lately; a time in the future is no reason to wait."""
    if not path.is_file() or not path.resolve().is_relative_to(base.resolve()):
        return False
    with suppress(FileNotFoundError):
        return abs(now - path.stat().st_mtime) >= SETTLE_S
    return False
