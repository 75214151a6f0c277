"""The repository measured, modelled, audited and published.

What measures documents measures what is not measured yet. ``build_snapshot`` is one step on purpose: it builds every
SQL model in a file nobody else can see, audits it, and switches it in only when every check has passed, so what fails
leaves the last good snapshot in place and no half-built file behind.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Protocol

import dagster as dg
import pyarrow as pa
from tqdm import tqdm

from pipelines.contamination import contamination_asset
from pipelines.costs import Meter, cost_metadata, metered
from pipelines.gates import (
    Metadata,
    Result,
    audit,
    check_results,
    check_specs,
    columns_metadata,
    skipped_results,
    table_metadata,
)
from pipelines.ingest import OWNERS, freshness
from pipelines.pairs import pairs_asset
from warehouse import curation, models, publish
from warehouse.contracts import TEXT_ROWS, Batches, Check, Freshness, Snapshot
from warehouse.energy import Rate
from warehouse.gate import Suite, grain_suite, run_suites
from warehouse.models import Built, Model
from warehouse.project import Project
from warehouse.query import Connection, attach_repository, connect, fetch_one, literal, shared, stream
from warehouse.repository import Repository

DUCKDB_WRITER = "duckdb_writer"
"""Pool of the steps that build a DuckDB file: one run at a time, so that two from the UI do not halve each other."""
PUBLISHED = dg.AssetKey(["published", "snapshot"])
Event = dg.MaterializeResult[None] | dg.AssetCheckResult
COMMIT_BYTES = 512 << 20
"""Text measured between two commits: what a killed run repeats at most."""


class Measure(Protocol):
    """Rows of a batch of documents, found by so many threads."""

    def __call__(self, batch: pa.RecordBatch, /, *, threads: int) -> pa.RecordBatch: ...


Suites = Mapping[str, Sequence[Suite]]
"""Suites by the table they hold for; a table without one has an empty list."""


def unmeasured(
    repository: Repository, table: str, *, measured_as: Mapping[str, int | str], memory_limit: str, batch_rows: int
) -> tuple[int, Generator[pa.RecordBatch]]:
    """The version of ``table`` (-1: none yet) and batches of (doc_id, text) of the documents it says nothing about.

    The batches are to be closed. measured_as: columns and values; rows that have others, or lack one, do not count.
    """
    known = [repository.snapshot(table)] if table in repository.tables() else []
    counted = [each for each in known if measured_as.keys() <= set(each.schema.names)]
    snapshots = [repository.snapshot("documents"), *counted]
    return (known[0].version if known else -1), _texts(
        snapshots, measured_as, memory_limit=memory_limit, batch_rows=batch_rows
    )


def _texts(
    snapshots: Sequence[Snapshot], measured_as: Mapping[str, int | str], *, memory_limit: str, batch_rows: int
) -> Generator[pa.RecordBatch]:
    """Each document of the first snapshot once, however many facts there are of it, unless the others know it."""
    current = " AND ".join(f"{column} = {literal(str(value))}" for column, value in measured_as.items())
    known = (f"(FROM repository.{each.table} WHERE {current})" for each in snapshots[1:])
    measured = "".join(f"ANTI JOIN {rows} USING (doc_id)" for rows in known)
    first = f"SELECT doc_id, min(known_at) AS known_at FROM repository.documents {measured} GROUP BY doc_id"
    con = shared(memory_limit)
    attach_repository(con, snapshots)
    total = fetch_one(con, f"SELECT count(*) FROM ({first})")
    with tqdm(total=total[0] if total else 0, desc="measure", unit="doc", disable=None, delay=2) as progress:
        sql = f"SELECT doc_id, text FROM repository.documents JOIN ({first}) USING (doc_id, known_at)"
        with stream(con, sql, batch_rows=batch_rows) as batches:
            for batch in batches:
                progress.update(batch.num_rows)
                yield batch


def measure(
    repository: Repository,
    table: str,
    function: Measure,
    *,
    schema: pa.Schema,
    measured_as: Mapping[str, int | str],
    run_id: str,
    memory_limit: str,
    threads: int = 1,
) -> tuple[int, int]:
    """Append what ``function`` measures of every document that has no row of ``measured_as``: rows and text bytes.

    It is committed part by part. Raises Busy where another run has measured meanwhile.
    """
    rows = size = 0
    at, batches = unmeasured(
        repository, table, measured_as=measured_as, memory_limit=memory_limit, batch_rows=threads * TEXT_ROWS
    )

    def measured(some: Batches) -> Batches:
        nonlocal size
        for batch in some:
            size += batch.nbytes
            yield function(batch, threads=threads)

    with closing(batches):  # also where a write fails: the connection is shared
        for some in chain(_chunks(batches), [iter(())]):  # the empty end makes the table, clears what a kill left in it
            receipt = repository.append(
                table, measured(some), schema=schema, source="curation", run_id=run_id, after=at
            )
            rows, at = rows + receipt.rows_out, max(at, receipt.version)
    return rows, size


def _chunks(batches: Batches, *, max_bytes: int = COMMIT_BYTES) -> Iterator[Batches]:
    """The same batches in runs of about ``max_bytes``; each run must be consumed before the next is asked for."""
    for first in batches:
        yield _run(first, batches, max_bytes)


def _run(first: pa.RecordBatch, rest: Batches, max_bytes: int) -> Batches:
    size = first.nbytes
    yield first
    while size < max_bytes and (batch := next(rest, None)) is not None:
        size += batch.nbytes
        yield batch


def measure_asset(
    project: Project,
    table: str,
    function: Measure,
    *,
    schema: pa.Schema,
    description: str,
    suites: Sequence[Suite],
    **measured_as: str,
) -> dg.AssetsDefinition:
    """The asset ``repository/<table>`` of group curation: one row or more for each document, audited by its suite.

    measured_as: columns of the rows and the values they have now. Where these or the version of the measurement
    (curation.VERSIONS) are others, every document is measured again.
    """
    key = dg.AssetKey(["repository", table])
    stated: dict[str, int | str] = {"version": curation.VERSIONS[table], **measured_as}

    @dg.asset(
        key=key,
        deps=[dg.AssetKey(["repository", "documents"])],
        group_name="curation",
        description=description,
        kinds={"deltalake", "numba"},
        owners=OWNERS,
        code_version=" ".join(map(str, stated.values())),
        check_specs=check_specs(key, suites),
    )
    def _measured(context: dg.AssetExecutionContext) -> Result:
        repository, limit = Repository(project.root), project.memory_limit
        run_id = context.run.run_id
        with metered(project, f"repository/{table}", run_id) as meter:
            meter.rows, meter.bytes_read = measure(
                repository,
                table,
                function,
                schema=schema,
                measured_as=stated,
                run_id=run_id,
                memory_limit=limit,
                threads=project.threads,
            )
            results = audit(key, suites, repository, memory_limit=limit)
        snapshot = repository.snapshot(table)
        return dg.MaterializeResult(
            metadata={**table_metadata(snapshot), "new_rows": meter.rows, **meter.cost()},
            data_version=dg.DataVersion(str(snapshot.version)),
            check_results=results,
        )

    return _measured


def curation_assets(project: Project, suites: Suites, *, registered: bool) -> list[dg.AssetsDefinition]:
    """Signals, paragraphs, personal data, MinHash bands, near pairs and benchmarks met of every document.

    registered: whether a source of the project is a benchmark.
    """
    return [
        measure_asset(
            project,
            "signals",
            partial(curation.measure, words=project.words),
            schema=curation.SIGNALS,
            description="Statistics of every document that the rules of Gopher, C4 and FineWeb need, and its language.",
            suites=suites["repository.signals"],
            words_mode=project.words,
        ),
        measure_asset(
            project,
            "paragraphs",
            curation.paragraphs,
            schema=curation.PARAGRAPHS,
            description="Hash and length of every line of 20 bytes and more, for duplicates across documents.",
            suites=suites["repository.paragraphs"],
        ),
        measure_asset(
            project,
            "pii",
            curation.pii,
            schema=curation.PII,
            description="Where each document holds e-mail, phone, IP, card or account numbers; places, not the text.",
            suites=suites["repository.pii"],
        ),
        measure_asset(
            project,
            "minhash",
            curation.minhash,
            schema=curation.MINHASH,
            description="MinHash bands of every document, by which near duplicates meet.",
            suites=suites["repository.minhash"],
        ),
        pairs_asset(project, suites["repository.pairs"]),
        contamination_asset(project, suites["repository.contamination"], registered=registered),
    ]


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
                meter.parts[each.model.name.replace(".", "/")] = (each.cpu_s, each.wall_s, each.rows or 0)
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
