"""Where releases lie: ``<datasets>/<name>/<version>/``, written in a hidden folder and shown in one rename.

One process at a time builds a data set (a lock on ``.lock``), so a hidden building folder that another one left is dead
and is removed. ``index.json`` says of each version whether it is live or revoked: the one mutable file, replaced whole;
a version that a crash kept out of it counts as live.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from warehouse import manifest, mirror, signature
from warehouse.errors import Busy, IntegrityError, NotFound, Revoked, StorageFull, UsageError
from warehouse.manifest import AnyManifest, read_any

FULL = (errno.ENOSPC, errno.EDQUOT)
BUILDING = ".building-"
RUN = "run.json"
CLAIM = ".building"
"""In a bucket: of a version that is being brought there; its manifest is the last file to come."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A version on the shelf. state: ``live`` or ``revoked`` (why says it); run: what run.json says (time, cost)."""

    name: str
    version: int
    path: Path
    state: str
    why: str
    manifest: AnyManifest
    run: Mapping[str, Any]

    @property
    def id(self) -> str:
        return self.manifest.id


@contextmanager
def building(home: Path) -> Iterator[Path]:
    """A new hidden folder in ``home`` under its lock; what is left of it at the end is removed, whatever happened.

    Raises Busy if another process builds here, StorageFull when the disk is full.
    """
    folder = home / f"{BUILDING}{os.getpid()}"
    with room(home):
        home.mkdir(parents=True, exist_ok=True)
        with (home / ".lock").open("a") as lock:
            _hold(lock.fileno(), home)
            _sweep(home)
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def room(place: Path) -> Iterator[None]:
    """Raise StorageFull instead of the system's error when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StorageFull(
            f"no space left at {place} while the release was written",
            allowed="room for the shards and their indexes",
            do="free some space and try again; nothing half-written is visible",
        ) from error


def _hold(lock: int, home: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Busy(f"another process exports {home.name}", do="wait for it to end, then export again") from None


def _sweep(home: Path) -> None:
    for left in home.glob(f"{BUILDING}*"):
        shutil.rmtree(left, ignore_errors=True)
    for name in mirror.names(home):
        if name.isdecimal() and mirror.is_left(home / name / CLAIM):
            mirror.remove_below(home / name)


def place(folder: Path, home: Path) -> int:
    """Show the built folder as the next version of ``home``: synced to disk, renamed in one step, then indexed."""
    version = max((number for number, _ in _folders(home)), default=0) + 1
    while not mirror.claim(home / str(version) / CLAIM):
        version += 1
    sync(folder)
    mirror.send_below(folder, to=home / str(version), last=manifest.NAME)
    os.rename(folder, home / str(version))
    mirror.remove(home / str(version) / CLAIM)
    write_index(home)
    return version


def sign(folder: Path, key: Path | None) -> None:
    """Sign the manifest of a release, unless it is by this key; without a key nothing is done."""
    if key is None:
        return
    signed, path = signature.sign((folder / manifest.NAME).read_bytes(), key), folder / signature.SIGNATURE
    mirror.fetch(path)
    if not path.is_file() or path.read_bytes() != signed:
        draft = folder / f".{signature.SIGNATURE}"
        draft.write_bytes(signed)
        os.replace(draft, path)
        if not folder.name.startswith(BUILDING):
            mirror.send(path)


def sync(folder: Path) -> None:
    """Bring every file and folder below ``folder`` to the disk."""
    for path in [folder, *folder.rglob("*")]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_index(home: Path) -> None:
    """index.json of a data set, from its folders and what it said before of their state."""
    mirror.swap(home / "index.json", lambda _: _index(home))
    draft = home / f"{BUILDING}index"
    draft.write_text(_index(home), "utf-8")
    os.replace(draft, home / "index.json")


def _index(home: Path) -> str:
    versions = [
        {"version": found.version, "id": found.id, "state": found.state, "why": found.why}
        for found in versions_of(home)
    ]
    return json.dumps({"name": home.name, "versions": versions}, indent=1) + "\n"


def versions_of(home: Path) -> list[Listed]:
    """The versions of the data set in ``home``, oldest first."""
    return [_listed(home, version, path) for version, path in _folders(home)]


def list_releases(datasets: Path) -> list[Listed]:
    """Every version of every data set, by name and version."""
    return [found for name in mirror.names(datasets) for found in versions_of(datasets / name)]


def _folders(home: Path) -> list[tuple[int, Path]]:
    mirror.fetch_below(home, named=(manifest.NAME, manifest.REVOKED, RUN))
    found = [home / name for name in mirror.names(home) if name.isdecimal() and (home / name / manifest.NAME).is_file()]
    for path in found:
        if manifest.revocation(path) is not None:
            mirror.forget_below(path)
    return sorted((int(path.name), path) for path in found)


def _listed(home: Path, version: int, path: Path) -> Listed:
    said, why = _states(home).get(version, {}), manifest.revocation(path)
    if why is not None:
        said = {"state": "revoked", "why": why}
    run = path / RUN
    values = json.loads(run.read_text("utf-8")) if run.is_file() else {}
    held = read_any(path, revoked=True)
    return Listed(home.name, version, path, said.get("state", "live"), said.get("why", ""), held, values)


def revoke(home: Path, version: int, *, why: str, at: datetime) -> None:
    """Take a version back: it says why from the first moment on, then index.json does, then all but that is deleted.

    The same again completes what a kill cut short; a version that is revoked keeps its first reason. Raises Busy while
    another process exports this data set, StorageFull.
    """
    folder = home / str(version)
    with building(home):
        _folders(home)
        if manifest.revocation(folder) is None:
            draft = folder / f".{manifest.REVOKED}"
            draft.write_text(json.dumps({"why": why, "at": at.isoformat()}) + "\n", "utf-8")
            mirror.replace(draft, folder / manifest.REVOKED)
        write_index(home)
        mirror.remove_below(folder, but=(manifest.NAME, manifest.REVOKED))
        for path in folder.iterdir():
            if path.name not in (manifest.NAME, manifest.REVOKED):
                mirror.remove(path)


def _states(home: Path) -> dict[int, dict[str, str]]:
    index = mirror.refresh(home / "index.json")
    if not index.is_file():
        return {}
    try:
        return {entry["version"]: entry for entry in json.loads(index.read_text("utf-8"))["versions"]}
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{index} is not an index of versions: {error!r}",
            do="restore it, or remove it if no version was ever revoked",
        ) from None


def resolve(datasets: Path, reference: str | Path) -> Path:
    """The folder that ``name@version``, ``name`` (its last live version) or a path means, its files here.

    Raises NotFound where there is none, naming what there is, Revoked where the version was taken back.
    """
    if (Path(reference) / manifest.NAME).is_file():
        return Path(reference)
    path = named(datasets, str(reference))
    mirror.fetch_below(path)
    return path


def named(datasets: Path, reference: str) -> Path:
    """The folder of ``name@version`` or ``name``; raises as ``resolve``. Of a data root in a bucket its manifest alone
    is here.
    """
    name, _, version = reference.partition("@")
    if version and not version.isdecimal():
        raise UsageError(f"version {version!r} in '{reference}'", allowed="NAME@NUMBER, NAME or a folder")
    simple = re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", name) and name in mirror.names(datasets)
    found = versions_of(datasets / name) if simple else []
    wanted = [item for item in found if (item.version == int(version) if version else item.state == "live")]
    if not wanted:
        there = sorted({item.name for item in list_releases(datasets)}) if not found else _versions(found)
        raise NotFound(f"no release '{reference}' in {datasets}", allowed=", ".join(there), do="'warehouse export' one")
    if wanted[-1].state != "live":
        raise Revoked(
            f"'{reference}' was {wanted[-1].state}: {wanted[-1].why}",
            allowed=", ".join(_versions(found)) or "none",
            why=wanted[-1].why,
        )
    return wanted[-1].path


def _versions(found: list[Listed]) -> list[str]:
    return [f"{item.name}@{item.version}" for item in found if item.state == "live"]
