"""Runs the small project's route in forked children, and kills one of them at a chosen call of a chosen function.

Usage: kill_harness.py FOLDER RESULTS. FOLDER holds the pristine project; RESULTS gets a JSON object: of each kill point
what was on disk after the kill, and after a second run. One run serves all points: at each the folder is copied as it
stands, which is all that a kill leaves, and at the last the run is killed. All is loaded once.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from preloaded import preload

from pipelines.run import run_assets
from warehouse import publish
from warehouse.datasets import list_releases
from warehouse.errors import NotFound
from warehouse.project import Project, load
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository, delta

POINTS: dict[str, tuple[Any, str]] = {
    "commit": (delta, "commit"),
    "parquet": (pq.ParquetWriter, "write_table"),
    "replace": (os, "replace"),
}
TABLES = {
    "documents": "source, uri, record, content_hash",
    "chips": "owner, units, _uri",
    "rejects": "reject_id",
    "signals": "doc_id",
    "paragraphs": "doc_id, version",
    "pii": "doc_id, version, start, stop, mask",
    "minhash": "doc_id, bands",
    "pairs": "a, b, jaccard",
    "contamination": "doc_id, benchmark, start",
}


def route(folder: Path) -> None:
    """Everything the small project can do."""
    run_assets(load(folder), ["sources/manual+", "sources/chips+"])


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A place in a route: before or after the call at this index of all calls of POINTS' functions."""

    call: int
    after: bool
    name: str


def logged(log: Path) -> None:
    """The calls of POINTS' functions go into a file from now on, by name, in order."""
    calls: list[str] = []

    def write(_: int, name: str, after: bool) -> None:
        if not after:
            calls.append(name)
            log.write_text(json.dumps(calls))

    _wrap(write)


def captured(folder: Path, points: Sequence[Point], copies: Path) -> None:
    """At each point the folder is copied from now on, to the point's name below ``copies``; at the last all ends."""
    left = list(points)

    def copy(call: int, _: str, after: bool) -> None:
        while left and (left[0].call, left[0].after) == (call, after):
            shutil.copytree(folder, copies / left.pop(0).name, symlinks=True)
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    _wrap(copy)


def _wrap(told: Callable[[int, str, bool], None]) -> None:
    """``told`` hears of each call of POINTS' functions, but for commits of what runs cost: its place among all, its
    name, and whether it has been made.
    """
    places = count()

    def telling(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if name == "commit" and args[0].name == "runs":
                return real(*args, **kwargs)
            place = next(places)
            told(place, name, False)
            result = real(*args, **kwargs)
            told(place, name, True)
            return result

        return wrapped

    for name, (owner, function) in POINTS.items():
        setattr(owner, function, telling(name, getattr(owner, function)))


def forked(work: Callable[[], None]) -> int:
    """Do ``work`` in a child; its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            work()
            status = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def observed(folder: Path, result: Path) -> Callable[[], None]:
    """Work that writes what can be read of a project: rows of each table, the release's id, and files left over."""

    def work() -> None:
        project = load(folder)
        seen = {"rows": _rows(project), "release": _release(project), "leftovers": _leftovers(project)}
        result.write_text(json.dumps(seen))

    return work


def _rows(project: Project) -> dict[str, list[list[str]]]:
    repository = Repository(project.root)
    tables = [table for table in repository.tables() if table in TABLES]
    con = connect()
    attach_repository(con, [repository.snapshot(table) for table in tables])
    return {
        table: sorted(
            [str(value) for value in row] for row in fetch_all(con, f"SELECT {TABLES[table]} FROM repository.{table}")
        )
        for table in tables
    }


def _release(project: Project) -> list[str]:
    try:
        with publish.connect_current(project.published, "prod") as con:
            fetch_all(con, "SELECT count(*) FROM curation.decisions")
    except NotFound:
        return []
    return [release.id for release in list_releases(project.datasets)]


def _leftovers(project: Project) -> list[str]:
    """Files that no table, snapshot or release accounts for."""
    repository = Repository(project.root)
    live = {file for table in repository.tables() for file in repository.snapshot(table).files}
    parts = {str(path) for path in (project.root / "repository").glob("*/*.parquet")}
    temporary = [
        path
        for path in project.root.rglob("*")
        if path.is_file()
        and not path.is_relative_to(project.state)
        and any(part.startswith((".", "_staging", "tmp")) or part.endswith(".tmp") for part in _inside(project, path))
        and not path.name.endswith(".lock")
        and path.name != ".lock"
    ]
    return sorted([*(parts - live), *(str(path.relative_to(project.root)) for path in temporary)])


def _inside(project: Project, path: Path) -> tuple[str, ...]:
    return path.relative_to(project.root).parts


def main(pristine: Path, results: Path) -> None:
    """Baseline, then every kill point: between each pair of commits, inside file writes, after files are moved in."""
    scratch = results.parent
    folder, log, copies = scratch / "route", scratch / "log.json", scratch / "copies"
    preload()
    shutil.copytree(pristine, folder)
    code = forked(lambda: (logged(log), route(folder))[1])
    baseline = {"exit": code, **_observe(folder, scratch)}
    points = _points(json.loads(log.read_text()))
    _replace(folder, pristine)
    killed = forked(lambda: (captured(folder, points, copies), route(folder))[1])
    seen: dict[str, Any] = {}
    for point in points:
        _replace(folder, copies / point.name)
        after_kill = _observe(folder, scratch)
        again = forked(lambda: route(folder))
        seen[point.name] = {"after_kill": after_kill, "again": again, **_observe(folder, scratch)}
    results.write_text(json.dumps({"baseline": baseline, "killed": killed, "points": seen}))


def _points(calls: Sequence[str]) -> list[Point]:
    """In the order in which a route comes to them."""
    numbered = {point: [at for at, name in enumerate(calls) if name == point] for point in POINTS}
    chosen = [Point(numbered["commit"][0], False, "commit-1-before")]
    for point, wanted in (("commit", 4), ("parquet", 1), ("replace", 1)):
        for number in _spread(len(numbered[point]), wanted):
            chosen.append(Point(numbered[point][number - 1], True, f"{point}-{number}-after"))
    return sorted(chosen)


def _spread(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` of the calls 1..count, spread evenly, the last among them."""
    return sorted({round(count * part / wanted) for part in range(1, wanted + 1)} - {0})


def _replace(folder: Path, other: Path) -> None:
    """The other folder's content in the place of this one's: what a project stored of its own place stays true."""
    shutil.rmtree(folder)
    shutil.copytree(other, folder, symlinks=True)


def _observe(folder: Path, scratch: Path) -> dict[str, Any]:
    result = scratch / "observed.json"
    result.unlink(missing_ok=True)
    code = forked(observed(folder, result))
    return {"readable": code, **(json.loads(result.read_text()) if result.exists() else {})}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
