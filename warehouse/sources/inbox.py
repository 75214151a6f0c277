"""The files that were dropped into a source's inbox and are whole, so that a run may read them.

A file counts as whole when nothing has written to it for SETTLE_S; one that is renamed into place keeps its time and
counts at once if it was written that long ago. Left out: what is hidden or a program's own (``is_bookkeeping``), and
names that end in .part, .tmp or .crdownload. A link that leads out of the inbox is not followed, and said. Not won: a
writer that pauses longer than SETTLE_S is taken at its word; it should write under such a name and rename.
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


def complete(source: Source, folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Files in the inbox of ``source``, in subfolders too; none where there is no such folder. With each link that is
    not followed (``led_out``) where it leads.
    """
    if source.inbox_folder is None:
        return
    base, now = folder / source.inbox_folder, time.time()
    for above, folders, names in os.walk(base):
        folders[:] = [name for name in folders if not is_bookkeeping(name)]
        for name in (*names, *(name for name in folders if os.path.islink(Path(above, name)))):
            path = Path(above, name)
            if is_bookkeeping(name) or name.lower().endswith(UNFINISHED):
                continue
            link = led_out(path, base) if path.is_symlink() else None
            if (link is not None or path.is_file()) and _settled(path, now, follow=link is None):
                yield path, link


def arrivals(source: Source, folder: Path) -> dict[str, Path]:
    """The same by a print of name, size and time, which a file that is written again changes."""
    found = {}
    for path, link in complete(source, folder):
        with suppress(FileNotFoundError):
            stat = path.stat(follow_symlinks=link is None)
            found[digest(os.path.relpath(path, folder), str(stat.st_size), str(stat.st_mtime_ns))[:16]] = path
    return found


def led_out(path: Path, base: Path) -> str | None:
    """Where a link leads that is not followed: out of ``base``, or to nothing."""
    real = os.path.realpath(path)
    inside = Path(real).is_relative_to(os.path.realpath(base))
    return None if inside and os.path.exists(path) else real


def _settled(path: Path, now: float, *, follow: bool) -> bool:
    """Whether nothing has written to it lately; a time in the future is no reason to wait."""
    with suppress(FileNotFoundError):
        return abs(now - path.stat(follow_symlinks=follow).st_mtime) >= SETTLE_S
    return False
