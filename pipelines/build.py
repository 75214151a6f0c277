"""The repository modelled, audited and published.

``build_snapshot`` is one step on purpose: it builds every SQL model in a file nobody else can see, audits it, and
switches it in only when every check has passed, so what fails leaves the last good snapshot in place and no half-built
file behind.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg

from pipelines.costs import Meter, Part, cost_metadata, metered
from pipelines.gates import (
    Metadata,
    check_results,
    check_specs,
    columns_metadata,
    skipped_results,
)
from pipelines.ingest import OWNERS, freshness
from warehouse import models, publish
from warehouse.contracts import Check, Freshness
from warehouse.energy import Rate
from warehouse.gate import Suite, grain_suite, run_suites
from warehouse.models import Built, Model
from warehouse.project import Project
from warehouse.query import Connection, attach_repository, connect, literal
from warehouse.repository import Repository

DUCKDB_WRITER = "duckdb_writer"
"""Pool of the steps that build a DuckDB file: one run at a time, so that two from the UI do not halve each other."""
PUBLISHED = dg.AssetKey(["published", "snapshot"])
Event = dg.MaterializeResult[None] | dg.AssetCheckResult
Suites = Mapping[str, Sequence[Suite]]
"""Suites by the table they hold for; a table without one has an empty list."""


class BuildConfig(dg.Config):
    """env: the published environment that the snapshot is switched into."""

    env: str = "prod"


def model_key(name: str) -> dg.AssetKey:
    """``marts.chips`` as an asset key."""
    return dg.AssetKey(name.split("."))


def snapshot_asset(
    project: Project,
    loaded: Sequence[Model],
    suites: Suites,
    *,
    pins: Iterable[str] = (),
    derived: Mapping[str, str] | None = None,
    pool: str | None = None,
) -> dg.AssetsDefinition:
    """Every SQL model and the snapshot that holds them, one step: build, audit, switch.

    pins: repository tables that no model need read, but what reads the snapshot does; it is built after them too.
    derived: views of the repository that models may read -> the tables that they are of.
    """
    tables = derived or {}
    pins = sorted({tables.get(name, name) for name in pins})
    audits = {model.name: [grain_suite(model.name, model.grain), *suites[model.name]] for model in loaded}

    @dg.multi_asset(
        name="build_snapshot",
        specs=[*(_model_spec(model, tables) for model in loaded), _published_spec(loaded, pins, project.fresh_within)],
        check_specs=[spec for name, own in audits.items() for spec in check_specs(model_key(name), own)],
        pool=pool,
    )
    def _build(context: dg.AssetExecutionContext, config: BuildConfig) -> Iterator[Event]:
        with metered(project, "published/snapshot", context.run.run_id) as meter:
            facts = yield from _published(
                project, loaded, audits, env=config.env, run_id=context.run.run_id, meter=meter
            )
        if facts:
            yield dg.MaterializeResult(asset_key=PUBLISHED, metadata={**facts, **meter.cost()})

    return _build


def _published(
    project: Project,
    loaded: Sequence[Model],
    audits: Suites,
    *,
    env: str,
    run_id: str,
    meter: Meter,
) -> Generator[Event, None, Metadata | None]:
    """Build in a file of its own, audit it, and switch it in if nothing failed; else remove it and publish nothing.

    Yields the events of the models; returns what was published, as metadata.
    """
    repository = Repository(project.root)
    inputs = [repository.snapshot(table) for table in repository.tables()]
    path = publish.building(project.published, env)
    try:
        with connect(path, memory_limit=project.memory_limit) as con:
            attach_repository(con, inputs)
            con.execute(f"SET VARIABLE words_mode = {literal(project.words)}")
            built, checks = list[Built](), list[Check]()
            for made in models.build(con, loaded):
                suites = audits[made.model.name]
                each, verdicts = _audited(con, made, suites)
                built.append(each)
                meter.parts[each.model.name.replace(".", "/")] = Part(each.cpu_s, each.wall_s, each.rows or 0)
                checks += _binding(suites, verdicts)
                yield from _model_events(each, suites, verdicts, at=meter.rate)
        if all(check.success for check in checks):
            done = publish.publish(
                project.published,
                env,
                path,
                inputs=inputs,
                checks=checks,
                models=built,
                created_at=datetime.now(UTC),
                run_id=run_id,
            )
            return _facts(done, env, len(checks), built)
        return None
    finally:
        publish.discard(path)


def _audited(con: Connection, made: Built, suites: Sequence[Suite]) -> tuple[Built, list[Check]]:
    """The model with its rows counted, and its verdicts; none of a skipped one."""
    if made.skipped:
        return made, []
    types = {name: kind for name, kind, _ in made.columns}
    verdicts = run_suites(con, suites, types, view=made.model.kind == "view")
    if made.rows is None:  # a view's: the first verdict is its grain's, which counts every row
        made = replace(made, rows=verdicts[0].element_count)
    return made, verdicts


def _binding(suites: Sequence[Suite], verdicts: Sequence[Check]) -> list[Check]:
    """The verdicts that block when they fail; the others only warn."""
    asked = [expectation for suite in suites for expectation in suite.expectations] if verdicts else []
    return [check for check, expectation in zip(verdicts, asked, strict=True) if not expectation.warns]


def _model_events(built: Built, suites: Sequence[Suite], verdicts: Sequence[Check], *, at: Rate) -> Iterator[Event]:
    """A model's materialisation and its verdicts; in place of a skipped one's, warnings."""
    key = model_key(built.model.name)
    if built.skipped:
        yield from skipped_results(key, suites, built.skipped)
        return
    cost = cost_metadata(built.cpu_s, built.wall_s, at)
    yield dg.MaterializeResult(asset_key=key, metadata={**columns_metadata(built.rows or 0, built.columns), **cost})
    yield from check_results(key, suites, verdicts)


def _facts(done: publish.Published, env: str, checks: int, built: list[Built]) -> Metadata:
    return {
        "generation": done.n,
        "env": env,
        "path": dg.MetadataValue.path(done.path),
        "bytes": done.path.stat().st_size,
        "checks_passed": checks,
        "models": sum(not each.skipped for each in built),
        "skipped": "; ".join(f"{each.model.name}: {each.skipped}" for each in built if each.skipped) or "none",
    }


def _model_spec(model: Model, derived: Mapping[str, str]) -> dg.AssetSpec:
    schema = model.name.split(".")[0]
    kept_aside = ("runs", "rejects", "resolved_rejects", "schema_changes", "score_models")
    no_asset = {f"repository.{table}" for table in kept_aside}
    found = dict.fromkeys(derived.get(name, name) for name in (*model.depends_on, *model.reads))
    reads = [name for name in found if name not in no_asset]
    return dg.AssetSpec(
        model_key(model.name),
        deps=[model_key(name) for name in reads],
        group_name=schema,
        description=model.description,
        kinds={"duckdb", "sql", model.kind},
        owners=[model.owner],
        code_version=model.fingerprint,
        skippable=True,
        metadata={"grain": ", ".join(model.grain), "sql": dg.MetadataValue.md(f"```sql\n{model.sql}\n```")},
    )


def _published_spec(loaded: Sequence[Model], pins: Iterable[str], fresh: Freshness | None) -> dg.AssetSpec:
    return dg.AssetSpec(
        PUBLISHED,
        deps=[model_key(name) for name in (*(model.name for model in loaded), *pins)],
        group_name="published",
        description="The analysts' DuckDB file: every model of one moment, switched in when all checks have passed.",
        kinds={"duckdb"},
        owners=OWNERS,
        skippable=True,
        freshness_policy=freshness(fresh),
    )
