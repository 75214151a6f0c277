"""A full disk as one clear error, whichever layer meets it first.

pyarrow raises OSError with its errno, delta-rs an exception of its own whose text ends in "os error 28"; both become
StorageFull. Nothing is retried: what was staged is removed by whoever staged it.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse.errors import StorageFull

_FULL = {errno.ENOSPC, errno.EDQUOT}
_SIGNS = ("No space left on device", "os error 28", "Disk quota exceeded", "os error 122")


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk or a quota is exhausted."""
    code = getattr(error, "errno", None)
    return code in _FULL or any(sign in str(error) for sign in _SIGNS)


def full(what: str, folder: Path) -> StorageFull:
    """The error that names what was being written, where, and how much room is left."""
    free = shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
    return StorageFull(
        f"no space left while writing {what} under {folder} ({free / 2**20:,.1f} MiB free)",
        do="free space or set WAREHOUSE_ROOT to a larger disk, then run the same again; nothing half-written is kept",
        folder=str(folder),
        free=free,
    )


@contextmanager
def room(what: str, folder: Path) -> Iterator[None]:
    """Run a block of writes; raises StorageFull in place of the operating system's error for a full disk."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise full(what, folder) from error
        raise
