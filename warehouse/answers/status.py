"""What is here: tables, the published snapshot, releases, when each asset was last made, at what cost, and what is
overdue.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from warehouse import mirror
from warehouse.contracts import RUNS, Freshness
from warehouse.curation import load_score
from warehouse.datasets import Listed, TableManifest, list_releases
from warehouse.errors import NotFound
from warehouse.project import Project
from warehouse.publish import connect_current, current
from warehouse.query import Connection, attach_repository, connect, fetch_all
from warehouse.repository import Repository, Statistics
from warehouse.sources import load_source


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
    """The last run of an asset, and what all of its runs cost. Seconds, bytes; started_at in UTC.

    Energy is None for runs of before it was counted; power_model and grid are those of the last run.
    """

    asset: str
    started_at: datetime
    rows: int
    cpu_s: float
    wall_s: float
    peak_rss: int
    bytes_read: int
    bytes_written: int
    watt_hours: float | None
    grams_co2e: float | None
    power_model: str | None
    grid: str | None
    runs: int
    cpu_s_of_all: float
    watt_hours_of_all: float | None
    grams_co2e_of_all: float | None
    runs_without_energy: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What all runs of all assets cost, and each asset; power_models and grids: how the energy of any run was made."""

    assets: tuple[AssetStatus, ...]
    runs: int
    cpu_s: float
    watt_hours: float
    grams_co2e: float
    runs_without_energy: int
    power_models: tuple[str, ...]
    grids: tuple[str, ...]


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
class ScoreStatus:
    """A recipe of recipes/scores and the newest model that was trained for it; version 0 where there is none.

    release: that it was trained on, as NAME@VERSION, where one was named. current: whether it is of the recipe as it is
    now.
    """

    name: str
    version: int
    release: str | None
    measure: str
    value: float | None
    current: bool


@dataclass(frozen=True, slots=True)
class TakedownStatus:
    """A takedown that was begun and is not proved yet: what it was asked for, and since when."""

    id: str
    asked: str
    value: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """A difference between objects of a source and their table; times: commits that had it, last_at in UTC."""

    source: str
    table: str
    column: str
    change: str
    was: str | None
    became: str | None
    times: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """A project at a glance; published is None where nothing is."""

    project: str
    root: str
    tables: tuple[Statistics, ...]
    published: SnapshotStatus | None
    releases: tuple[ReleaseStatus, ...]
    assets: tuple[AssetStatus, ...]
    freshness: tuple[FreshnessStatus, ...] = ()
    scores: tuple[ScoreStatus, ...] = ()
    changes: tuple[SchemaChange, ...] = ()
    takedowns: tuple[TakedownStatus, ...] = ()


def status(project: Project, *, env: str = "prod", now: datetime | None = None) -> Status:
    """What the project holds now. Raises RecipeError for the YAML of a source or a score that is refused."""
    repository = Repository(project.root)
    tables = tuple(map(repository.statistics, repository.tables()))
    releases = tuple(_release(listed) for listed in list_releases(project.datasets))
    assets = _assets(repository)
    fresh = _freshness(project, assets, now or datetime.now(UTC))
    scores = tuple(_scores(project, repository))
    told = (_changes(repository), tuple(_takedowns(project)))
    return Status(
        project.name,
        mirror.address(project.root),
        tables,
        _published(project, env),
        releases,
        assets,
        fresh,
        scores,
        *told,
    )


def _takedowns(project: Project) -> Iterator[TakedownStatus]:
    mirror.fetch_below(project.root / "takedowns")
    for path in sorted((project.root / "takedowns").glob("*.json")):
        plan = json.loads(path.read_text("utf-8"))
        yield TakedownStatus(plan["id"], plan["asked"], plan["value"], datetime.fromisoformat(plan["at"]))


CHANGES_SHOWN = 20
_CHANGES = """
SELECT source, table_name, coalesce(column_name, ''), change, was, became, count(*), max(known_at) AS last_at
FROM repository.schema_changes GROUP BY ALL
ORDER BY last_at DESC, source, table_name, change, 3, was, became LIMIT $1"""


def _changes(repository: Repository) -> tuple[SchemaChange, ...]:
    """The differences met last, the newest first."""
    if "schema_changes" not in repository.tables():
        return ()
    with connect() as con:
        attach_repository(con, [repository.snapshot("schema_changes")])
        return tuple(SchemaChange(*row) for row in fetch_all(con, _CHANGES, [CHANGES_SHOWN]))


_MODELS = """
SELECT name, recipe, version, list_filter(json_keys(inputs), lambda input: contains(input, '@'))[1], value
FROM repository.score_models
QUALIFY row_number() OVER (PARTITION BY name ORDER BY version DESC) = 1"""


def _scores(project: Project, repository: Repository) -> Iterator[ScoreStatus]:
    """The recipes in order of name, each with its newest model."""
    recipes = [load_score(path) for path in project.files("recipes/scores", "*.yaml")]
    newest = dict[str, tuple[Any, ...]]()
    if recipes and "score_models" in repository.tables():
        with connect() as con:
            attach_repository(con, [repository.snapshot("score_models")])
            newest = {name: tuple(model) for name, *model in fetch_all(con, _MODELS)}
    for recipe in recipes:
        made_of, version, release, value = newest.get(recipe.name, ("", 0, None, None))
        yield ScoreStatus(recipe.name, version, release, recipe.measure, value, made_of == recipe.fingerprint)


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
       watt_hours, grams_co2e, power_model, grid,
       count(*) OVER everything, sum(cpu_s) OVER everything,
       sum(watt_hours) OVER everything, sum(grams_co2e) OVER everything,
       count(*) FILTER (watt_hours IS NULL) OVER everything
FROM runs
WINDOW everything AS (PARTITION BY asset)
QUALIFY row_number() OVER (PARTITION BY asset ORDER BY started_at DESC, run_id) = 1
ORDER BY started_at, asset"""


def _assets(repository: Repository) -> tuple[AssetStatus, ...]:
    with _runs(repository) as con:
        return tuple(AssetStatus(*row) for row in fetch_all(con, _ASSETS))


def costs(project: Project) -> Costs:
    """What every run so far has cost."""
    repository = Repository(project.root)
    with _runs(repository) as con:
        total = fetch_all(con, _TOTAL)[0]
        said = [tuple(row[0] for row in fetch_all(con, sql)) for sql in _SAID]
    return Costs(_assets(repository), *total, *said)


_TOTAL = """
SELECT count(*), coalesce(sum(cpu_s), 0), coalesce(sum(watt_hours), 0), coalesce(sum(grams_co2e), 0),
       count(*) FILTER (watt_hours IS NULL)
FROM runs"""
_SAID = [
    "SELECT power_model FROM runs WHERE power_model IS NOT NULL GROUP BY ALL ORDER BY max(started_at)",
    "SELECT grid FROM runs WHERE grid IS NOT NULL GROUP BY ALL ORDER BY max(started_at)",
]


@contextmanager
def _runs(repository: Repository) -> Iterator[Connection]:
    """A connection with the view ``runs``: no row where there is no table, null energy where it has no such columns."""
    with connect() as con:
        con.register("nothing", RUNS.empty_table())
        held = "runs" in repository.tables()
        attach_repository(con, [repository.snapshot("runs")] if held else [])
        also = "UNION ALL BY NAME FROM repository.runs" if held else ""
        con.execute(f"CREATE TEMP VIEW runs AS FROM nothing {also}")
        yield con
