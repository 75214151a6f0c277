"""Runs the small project's route in forked children, and kills one of them at a chosen call of a chosen function.

Usage: kill_harness.py FOLDER RESULTS. FOLDER holds the pristine project; RESULTS gets a JSON object: of each kill point
what was on disk after the kill, and after a second run. Importing once and forking makes a point cost a route without
its imports.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines.run import run_assets
from warehouse import pictures, publish
from warehouse.datasets import list_releases
from warehouse.errors import NotFound
from warehouse.kernels.__main__ import warm
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
    "paragraphs": "doc_id, ordinal, hash",
    "pii": "doc_id, version, start, stop, mask",
    "minhash": "doc_id, bands",
    "pairs": "a, b, jaccard",
    "contamination": "doc_id, benchmark, start",
}


def route(folder: Path) -> None:
    """Everything the small project can do."""
    run_assets(load(folder), ["sources/manual+", "sources/chips+"])


def counted(counts: Path) -> Callable[[], None]:
    """A hook that counts the calls of every point into a file."""

    def hook() -> None:
        numbers = dict.fromkeys(POINTS, 0)

        def count(point: str) -> bool:
            numbers[point] += 1
            counts.write_text(json.dumps(numbers))
            return False

        for point in POINTS:
            _wrap(point, count)

    return hook


def killed_at(point: str, number: int, *, after: bool) -> Callable[[], None]:
    """A hook that kills the process before or after the ``number``-th call of a point."""

    def hook() -> None:
        left = [number]

        def now(_: str) -> bool:
            left[0] -= 1
            return left[0] == 0

        _wrap(point, now, after=after)

    return hook


def _wrap(point: str, now: Callable[[str], bool], *, after: bool = False) -> None:
    owner, name = POINTS[point]
    real = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        costs = point == "commit" and args[0].name == "runs"
        die = not costs and now(point)
        if die and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if die:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, wrapped)


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
    pictures.costs([("any", 1.0)], title="loads matplotlib before the forks")
    warm()
    seen: dict[str, Any] = {}
    counts = scratch / "counts.json"
    base = _copy(pristine, scratch / "baseline")
    hook = counted(counts)
    seen["baseline"] = {"exit": forked(lambda: (hook(), route(base))[1]), **_observe(base, scratch)}
    for name, hook in _points(json.loads(counts.read_text())):
        folder = _copy(pristine, scratch / name)
        code = forked(lambda folder=folder, hook=hook: (hook(), route(folder))[1])
        after_kill = _observe(folder, scratch)
        again = forked(lambda folder=folder: route(folder))
        seen[name] = {"exit": code, "after_kill": after_kill, "again": again, **_observe(folder, scratch)}
        shutil.rmtree(folder)
    results.write_text(json.dumps(seen))


def _points(counts: dict[str, int]) -> list[tuple[str, Callable[[], None]]]:
    commits = [(f"commit-{n}-after", "commit", n, "after") for n in _spread(counts["commit"], 4)]
    writes = [(f"parquet-{n}-after", "parquet", n, "after") for n in _spread(counts["parquet"], 1)]
    moves = [(f"replace-{n}-after", "replace", n, "after") for n in _spread(counts["replace"], 1)]
    chosen = [("commit-1-before", "commit", 1, "before"), *commits, *writes, *moves]
    return [(name, killed_at(point, n, after=side == "after")) for name, point, n, side in chosen]


def _spread(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` of the calls 1..count, spread evenly, the last among them."""
    return sorted({round(count * part / wanted) for part in range(1, wanted + 1)} - {0})


def _copy(pristine: Path, folder: Path) -> Path:
    shutil.copytree(pristine, folder)
    return folder


def _observe(folder: Path, scratch: Path) -> dict[str, Any]:
    result = scratch / "observed.json"
    result.unlink(missing_ok=True)
    code = forked(observed(folder, result))
    return {"readable": code, **(json.loads(result.read_text()) if result.exists() else {})}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
