"""Published generations: files ``<n>.duckdb`` of an environment and the small text object ``current`` that names one.

```
published/<env>/7.duckdb  8.duckdb  current (text: 8.duckdb)  .lock  .publishing  .building-<pid>-<random>.duckdb
```
A file is built where nobody looks, moved to its number, and named by ``current``: two renames, each of which a reader
sees whole or not at all. ``.publishing`` holds the number between the two, so that the next publisher knows a
generation that was never switched in. Won: no reader ever waits, and an open one keeps its file after it is deleted.
Lost: a generation is a whole file, so each publish rewrites every mart.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from warehouse import mirror, query
from warehouse.contracts import Check, Snapshot
from warehouse.errors import CheckFailed, FormatError, NotFound, StorageFull, UsageError
from warehouse.publish.meta import BuiltModel, snapshots, write_meta

KEEP = 5
CURRENT = "current"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_GENERATION = re.compile(r"([1-9][0-9]*)\.duckdb\Z")
_BUILDING = re.compile(r"\.building-([0-9]+)-([0-9]+)x[0-9a-f]+\.duckdb(\.wal)?\Z")
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9_-]*\Z")


@dataclass(frozen=True, slots=True)
class Published:
    """One generation of an environment."""

    n: int
    path: Path


def building(published: Path, env: str) -> Path:
    """A fresh path to build a database file at; what dead processes left is removed. The file does not exist yet."""
    folder = _folder(published, env)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder)
    return folder / f".building-{os.getpid()}-{_birth(os.getpid())}x{secrets.token_hex(4)}.duckdb"


def publish(
    published: Path,
    env: str,
    building_path: Path,
    *,
    inputs: Sequence[Snapshot],
    checks: Sequence[Check],
    models: Sequence[BuiltModel],
    created_at: datetime,
    run_id: str,
) -> Published:
    """The new current generation, made of a closed database file that ``building`` named.

    Writes the schema ``meta`` into the file first, so that it says by itself what it holds. Another publisher of the
    environment is waited for. Raises CheckFailed if a check failed, StorageFull where the disk is full: then nothing is
    switched, and the built file is removed.
    """
    folder = _folder(published, env)
    try:
        refuse_failed(checks)
        with storage_errors(folder), _locked(folder):
            _clean(folder)
            n = _next(folder)
            write_meta(
                building_path, root=published.parent, n=n, env=env, inputs=inputs, checks=checks, models=models,
                created_at=created_at, run_id=run_id,
            )  # fmt: skip
            done = _switched(folder, building_path, n)
            _prune(folder)
            return done
    finally:
        discard(building_path)


def discard(building_path: Path) -> None:
    """Remove a built file that will not be published, and its log; nothing if it has been, or never was made."""
    building_path.unlink(missing_ok=True)
    building_path.with_name(building_path.name + ".wal").unlink(missing_ok=True)


def current(published: Path, env: str) -> Published:
    """The generation that readers get. Raises NotFound with what to do where nothing is published."""
    folder = _folder(published, env)
    try:
        name = mirror.refresh(folder / CURRENT).read_text("utf-8").strip()
    except FileNotFoundError:
        others = environments(published)
        allowed = f"environments {', '.join(others)}" if others else ""
        raise NotFound(f"nothing is published in {env!r}", allowed=allowed, do="run 'warehouse run' first") from None
    found = _GENERATION.match(name)
    if found is None or not mirror.fetch(folder / name).exists():
        raise NotFound(
            f"{folder / CURRENT} names {name!r}, which is not there", do="run 'warehouse run' to publish again"
        )
    return Published(int(found[1]), folder / name)


def generations(published: Path, env: str) -> list[Published]:
    """The generations kept, oldest first; one that was moved to its number but never switched in is not among them."""
    folder = _folder(published, env)
    return [each for each in _numbered(folder) if each.n != _pending(folder)]


def environments(published: Path) -> list[str]:
    """The environments that something is published in, sorted."""
    return [env for env in mirror.names(published) if CURRENT in mirror.names(published / env)]


def pinned(published: Path) -> list[Snapshot]:
    """The repository tables, as they were, that any generation of any environment was made from.

    Raises FormatError for a file that cannot be opened: what it pins is not known.
    """
    files = [each.path for env in environments(published) for each in _numbered(published / env)]
    return [snapshot for path in files for snapshot in _inputs(path, published.parent)]


def _inputs(path: Path, root: Path) -> list[Snapshot]:
    """None of a generation that another publish deletes meanwhile."""
    try:
        with query.connect(mirror.fetch(path), read_only=True) as con:
            return snapshots(con, root)
    except query.Error as error:
        if not path.exists():
            return []
        said = str(error).partition("\n")[0]
        raise FormatError(
            f"{path} cannot be opened, so what it pins is not known: {said}", do="move it out of the way"
        ) from None


def remove_before(published: Path, env: str, n: int) -> int:
    """Delete the generations before ``n``, whatever readers have them open, and what was left of builds; how many."""
    folder = _folder(published, env)
    with _locked(folder):
        _clean(folder)
        gone = [each.path for each in _numbered(folder) if each.n < n]
        for path in gone:
            mirror.remove(path)
    return len(gone)


def refuse_failed(checks: Iterable[Check]) -> None:
    """Raises CheckFailed that names the checks that failed, if any did."""
    failed = [check for check in checks if not check.success]
    if failed:
        named = "; ".join(_said(check) for check in failed[:5]) + ("; ..." if len(failed) > 5 else "")
        raise CheckFailed(
            f"{len(failed)} checks failed: {named}",
            do="mend the input, the model or the suite; the last published snapshot stays",
            checks=[(check.table, check.expectation, check.column) for check in failed],
        )


def _said(check: Check) -> str:
    column = f" of {check.column}" if check.column else ""
    what = f"{check.unexpected_count} unexpected" if check.unexpected_count else f"observed {check.observed}"
    samples = f", such as {', '.join(map(repr, check.samples[:3]))}" if check.samples else ""
    return f"{check.table}: {check.expectation}{column} ({what}{samples})"


def _folder(published: Path, env: str) -> Path:
    if not _ENVIRONMENT.match(env):
        raise UsageError(
            f"{env!r} is no environment", allowed="lower-case letters, digits, _ and -", do="name one such as prod"
        )
    return published / env


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One publisher of an environment at a time; the lock ends with its process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """A full disk as StorageFull, whether the system or DuckDB says so."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(
                f"no space left in {folder}", do="free some and run again; nothing was switched"
            ) from None
        raise
    except query.Error as error:
        if "No space left" in str(error) or "File too large" in str(error):
            raise StorageFull(
                f"no space left in {folder}", do="free some and run again; nothing was switched"
            ) from None
        raise


def _switched(folder: Path, building_path: Path, n: int) -> Published:
    target = folder / f"{n}.duckdb"
    _synced(building_path)
    _replace(folder, ".publishing", str(n))
    os.replace(building_path, target)
    mirror.send(target)
    mirror.swap(folder / CURRENT, lambda said: _later(said, target.name))
    _replace(folder, CURRENT, target.name)
    (folder / ".publishing").unlink()
    return Published(n, target)


def _replace(folder: Path, name: str, text: str) -> None:
    """The small text object ``name``, whole and on disk before it is seen."""
    fresh = folder / f".{name.lstrip('.')}.new"
    fresh.write_text(text + "\n", "utf-8")
    _synced(fresh)
    os.replace(fresh, folder / name)
    _synced(folder)


def _synced(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _numbered(folder: Path) -> list[Published]:
    """Those that have a file, switched in or not, oldest first; a number that is only claimed has none."""
    found = [(_GENERATION.match(path.name), path) for path, size in mirror.sizes(folder).items() if size]
    return sorted((Published(int(match[1]), path) for match, path in found if match), key=lambda each: each.n)


def _next(folder: Path) -> int:
    """A number after every one that is in use, which no other machine takes."""
    n = max((each.n for each in _numbered(folder)), default=0) + 1
    while not mirror.claim(folder / f"{n}.duckdb"):
        n += 1
    return n


def _later(said: str | None, name: str) -> str | None:
    """What ``current`` is to say of a generation: its name, unless another machine has switched to a later one."""
    held = _GENERATION.match(said.strip()) if said else None
    mine = _GENERATION.match(name)
    return None if held and mine and int(held[1]) > int(mine[1]) else f"{name}\n"


def _pending(folder: Path) -> int | None:
    """The number that a publisher moved a file to and did not, or not yet, switch in."""
    try:
        n = int((folder / ".publishing").read_text())
        switched = (folder / CURRENT).read_text().strip() == f"{n}.duckdb"
    except (FileNotFoundError, ValueError):
        return None
    return None if switched else n


def _clean(folder: Path) -> None:
    """Remove what a killed publisher left; called with the lock held."""
    mirror.refresh(folder / CURRENT)
    pending = _pending(folder)
    if pending is not None:
        mirror.remove(folder / f"{pending}.duckdb")
    for name in (".publishing", ".publishing.new", f".{CURRENT}.new"):
        (folder / name).unlink(missing_ok=True)
    _remove_stale(folder)


def _prune(folder: Path) -> None:
    """Delete all but the last KEEP generations and the current one, and earlier numbers that were only claimed; who
    holds one open keeps it.
    """
    named = (folder / CURRENT).read_text().strip()
    for each in _numbered(folder)[:-KEEP]:
        if each.path.name != named:
            mirror.remove(each.path)
    for path, size in mirror.sizes(folder).items():
        if not size and _GENERATION.match(path.name) and int(path.stem) < int(Path(named).stem):
            mirror.remove(path)


def _remove_stale(folder: Path) -> None:
    for path in folder.glob(".building-*"):
        found = _BUILDING.match(path.name)
        if found and _birth(int(found[1])) != found[2]:
            path.unlink(missing_ok=True)


def _birth(pid: int) -> str:
    """When a process began, in clock ticks since boot; "" if it is dead. Its number alone may be used again.

    proc(5), /proc/<pid>/stat, field 22. Elsewhere than on Linux every living process is "0".
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return "0" if not Path("/proc/self").exists() and _alive(pid) else ""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
