"""The raw archive: ``archive/<aa>/<sha256>``, each content stored once, as it came.

An object is written to ``archive/tmp/<random>`` and renamed when complete, so a name always has all its bytes. A copy
that a killed process left is removed by the next ingestion. Not won: no fsync, so a power cut (not a kill) may tear
an object; one whose size is off is written again.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse import mirror
from warehouse.errors import InputError, NotFound
from warehouse.repository import locks
from warehouse.repository.storage import room

CHUNK = 1 << 20
REDACTED = ".redacted"
"""Of the file that names what is in an object's place since a record was cut out of it."""


def store(root: Path, path: Path) -> tuple[str, int]:
    """Copy the bytes of ``path`` in: (sha256, size). Bounded memory: 1 MiB at a time.

    Raises NotFound or InputError for a path that is no readable file, StorageFull.
    """
    return store_chunks(root, chunks(path), name=path.name)


def store_chunks(root: Path, given: Iterable[bytes], *, name: str) -> tuple[str, int]:
    """Take bytes in as they come: (sha256, size). What raises among them leaves nothing behind. Raises StorageFull."""
    with locks.shared(_lock(root)):
        staged = _staged(root)
        try:
            sha256, size = _copy(given, staged, name)
            _keep(staged, place(root, sha256), size)
            if place(root, sha256).is_file():
                mirror.send_once(place(root, sha256))
        finally:
            staged.unlink(missing_ok=True)
    return sha256, size


def object_path(root: Path, sha256: str) -> Path:
    """Where an archived object lies, or what is in its place since a record was cut out of it. Raises NotFound."""
    found = mirror.fetch(place(root, sha256))
    while not found.is_file() and (said := _said(found)):
        found = mirror.fetch(place(root, said[0]))
    if not found.is_file():
        raise NotFound(f"no object {sha256!r} in the archive {root / 'archive'}", do="ingest its source again")
    return found


def is_cut(root: Path, sha256: str) -> bool:
    """Whether something else is in the place of an object since a record was cut out of it."""
    return _is_cut(place(root, sha256))


def _is_cut(named: Path) -> bool:
    return mirror.fetch(named.with_suffix(REDACTED)).is_file()


def is_closed(root: Path, sha256: str) -> bool:
    """Whether records were cut out of an object so that it is not to be read again: those left are in the tables."""
    found = place(root, sha256)
    while not found.is_file() and (said := _said(found)):
        if said[1:]:
            return True
        found = place(root, said[0])
    return False


def _said(found: Path) -> list[str]:
    """What is in an object's place, and whether that is closed; nothing where it is the object itself or nothing."""
    instead = mirror.fetch(found.with_suffix(REDACTED))
    return instead.read_text("utf-8").split() if instead.is_file() else []


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """An empty folder for files that are made of an object; it is removed. Raises StorageFull."""
    with locks.shared(_lock(root)), room("what is left of an object", root):
        folder = _staged(root)
        folder.mkdir()
        try:
            yield folder
        finally:
            mirror.remove(folder)


def sweep(root: Path) -> int:
    """How many copies of killed processes were removed; 0 while any process is archiving."""
    with locks.alone_if_free(_lock(root)) as free:
        stale = list((root / "archive" / "tmp").glob("*")) if free else []
        for path in stale:
            mirror.remove(path)
    return len(stale)


def _lock(root: Path) -> Path:
    return root / "locks" / "archive.objects"


def place(root: Path, sha256: str) -> Path:
    """Where an object lies under its own name, if it is there."""
    return root / "archive" / sha256[:2] / sha256


def _staged(root: Path) -> Path:
    folder = root / "archive" / "tmp"
    with room("an archived object", root):
        folder.mkdir(parents=True, exist_ok=True)
    return folder / uuid.uuid4().hex


def chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file. Raises NotFound, InputError."""
    try:
        source = path.open("rb")
    except FileNotFoundError:
        raise NotFound(f"no file {path}", do="check the location in the source's YAML") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", allowed="readable files") from None
    with source:
        while chunk := source.read(CHUNK):
            yield chunk


def _copy(given: Iterable[bytes], staged: Path, name: str) -> tuple[str, int]:
    state, size = hashlib.sha256(), 0
    with room(f"the archived copy of {name}", staged.parent), staged.open("wb") as target:
        for chunk in given:
            state.update(chunk)
            size += target.write(chunk)
    return state.hexdigest(), size


def _keep(staged: Path, named: Path, size: int) -> None:
    if _is_cut(named) or (named.is_file() and named.stat().st_size == size):
        return
    with room("an archived object", staged.parent):
        named.parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged, named)
