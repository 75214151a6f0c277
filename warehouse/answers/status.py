"""What is here: tables, the published snapshot, releases, when each asset was last made, at what cost, and what is
overdue.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from warehouse.contracts import Freshness
from warehouse.datasets import Listed, TableManifest, list_releases
from warehouse.errors import NotFound
from warehouse.project import Project
from warehouse.publish import connect_current, current
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository
from warehouse.sources import load_source


@dataclass(frozen=True, slots=True)
class TableStatus:
    """A table of the repository at its newest version; bytes of its live files."""

    name: str
    version: int
    rows: int
    bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class SnapshotStatus:
    """The published snapshot of an environment. checks: all passed; skipped: models whose input is not there."""

    env: str
    n: int
    created_at: datetime
    run_id: str
    path: Path
    bytes: int
    models: int
    skipped: int
    checks: int


@dataclass(frozen=True, slots=True)
class ReleaseStatus:
    """A version of a data set; state: live or revoked. rows: of a release of rows; documents, tokens: of any other."""

    release: str
    id: str
    state: str
    rows: int
    documents: int
    shards: int
    samples: int
    tokens: int
    bytes: int
    path: Path


@dataclass(frozen=True, slots=True)
class AssetStatus:
    """The last run of an asset, and what all of its runs cost. Seconds, bytes; started_at in UTC."""

    asset: str
    started_at: datetime
    rows: int
    cpu_s: float
    wall_s: float
    peak_rss: int
    bytes_read: int
    bytes_written: int
    runs: int
    cpu_s_of_all: float


@dataclass(frozen=True, slots=True)
class FreshnessStatus:
    """An asset that states ``fresh_within``: since when it is not run again, and when it was or will be overdue.

    state: fresh, near (past its warning), overdue, or never where no run has succeeded.
    """

    asset: str
    state: str
    last_run_at: datetime | None
    overdue_at: datetime | None
    fail_s: int
    warn_s: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """A project at a glance; published is None where nothing is."""

    project: str
    root: Path
    tables: tuple[TableStatus, ...]
    published: SnapshotStatus | None
    releases: tuple[ReleaseStatus, ...]
    assets: tuple[AssetStatus, ...]
    freshness: tuple[FreshnessStatus, ...] = ()


def status(project: Project, *, env: str = "prod", now: datetime | None = None) -> Status:
    """What the project holds now. Raises RecipeError for a source's YAML that is refused."""
    repository = Repository(project.root)
    tables = tuple(_table(repository, name) for name in repository.tables())
    releases = tuple(_release(listed) for listed in list_releases(project.datasets))
    assets = _assets(repository)
    fresh = _freshness(project, assets, now or datetime.now(UTC))
    return Status(project.name, project.root, tables, _published(project, env), releases, assets, fresh)


def _freshness(project: Project, assets: tuple[AssetStatus, ...], now: datetime) -> tuple[FreshnessStatus, ...]:
    sources = [load_source(path) for path in project.files("recipes/sources", "*.yaml")]
    stated = {f"sources/{source.name}": source.fresh_within for source in sources}
    stated["published/snapshot"] = project.fresh_within
    ended = {each.asset: each.started_at + timedelta(seconds=each.wall_s) for each in assets}
    return tuple(_fresh(name, rule, ended.get(name), now) for name, rule in stated.items() if rule)


def _fresh(asset: str, rule: Freshness, ended: datetime | None, now: datetime) -> FreshnessStatus:
    if ended is None:
        return FreshnessStatus(asset, "never", None, None, rule.fail_s, rule.warn_s)
    age_s = (now - ended).total_seconds()
    state = "overdue" if age_s > rule.fail_s else "near" if rule.warn_s and age_s > rule.warn_s else "fresh"
    return FreshnessStatus(asset, state, ended, ended + timedelta(seconds=rule.fail_s), rule.fail_s, rule.warn_s)


def _table(repository: Repository, name: str) -> TableStatus:
    snapshot = repository.snapshot(name)
    return TableStatus(name, snapshot.version, snapshot.rows, snapshot.bytes, len(snapshot.files))


def _published(project: Project, env: str) -> SnapshotStatus | None:
    try:
        found = current(project.published, env)
    except NotFound:
        return None
    sql = """
        SELECT created_at, run_id,
               (SELECT count(*) FROM meta.models WHERE skipped IS NULL),
               (SELECT count(*) FROM meta.models WHERE skipped IS NOT NULL),
               (SELECT count(*) FROM meta.checks WHERE success)
        FROM meta.snapshot"""
    with connect_current(project.published, env) as con:
        created_at, run_id, *counts = fetch_all(con, sql)[0]
    return SnapshotStatus(env, found.n, created_at, run_id, found.path, found.path.stat().st_size, *counts)


def _release(listed: Listed) -> ReleaseStatus:
    manifest = listed.manifest
    splits = manifest.splits.values()
    rows = manifest.samples if isinstance(manifest, TableManifest) else 0
    return ReleaseStatus(
        f"{listed.name}@{listed.version}",
        listed.id,
        listed.state,
        rows,
        0 if isinstance(manifest, TableManifest) else manifest.documents,
        sum(len(split.shards) for split in splits),
        sum(split.samples for split in splits),
        0 if isinstance(manifest, TableManifest) else sum(split.tokens for split in manifest.splits.values()),
        sum(entry.bytes for entry in manifest.files.values()),
        listed.path,
    )


_ASSETS = """
SELECT asset, started_at, rows, cpu_s, wall_s, peak_rss, bytes_read, bytes_written,
       count(*) OVER everything, sum(cpu_s) OVER everything
FROM repository.runs
WINDOW everything AS (PARTITION BY asset)
QUALIFY row_number() OVER (PARTITION BY asset ORDER BY started_at DESC, run_id) = 1
ORDER BY started_at, asset"""


def _assets(repository: Repository) -> tuple[AssetStatus, ...]:
    if "runs" not in repository.tables():
        return ()
    with connect() as con:
        attach_repository(con, [repository.snapshot("runs")])
        return tuple(AssetStatus(*row) for row in fetch_all(con, _ASSETS))
