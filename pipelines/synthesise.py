"""Synthetic rows and text: one asset a recipe, after the typed tables that it is made of and before what it adds to.

A recipe's SELECT reads SQL models, which the snapshot builds only later; so the few that it needs are built in a
private database in memory, from pinned versions, with one thread (a parallel sum of doubles has many results). What
reads ``documents`` or a synthetic table is refused when the project is loaded: there is no way round in a circle.

Order of a write: the facts or the sketch into the archive, statements, then rejects and the table with its receipt. A
kill leaves statements that the next run finds again under the same key.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa

from pipelines.build import Event
from pipelines.costs import metered
from pipelines.gates import Metadata
from pipelines.ingest import OWNERS, planned_at
from warehouse import models, synthetic
from warehouse.answers.features import tables_read
from warehouse.contracts import Receipt, Snapshot, content_hash, doc_id
from warehouse.errors import CheckFailed, RecipeError
from warehouse.models import Model
from warehouse.project import Project, prepare
from warehouse.query import Connection, arrow, attach_repository, connect, fetch_all, quoted, refusals, stream
from warehouse.repository import Repository
from warehouse.sketches import TableSketch, to_bytes
from warehouse.synthetic import FactsRecipe, Quality, RowsRecipe

STATEMENTS = synthetic.TABLE
SAMPLE_ROWS = 20_000
"""Rows held out, and rows counted, that quality is measured with."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A recipe with what it reads: the models in the order to build them, the repository tables under them."""

    recipe: FactsRecipe | RowsRecipe
    models: tuple[Model, ...]
    tables: tuple[str, ...]

    @property
    def key(self) -> dg.AssetKey:
        """Its asset."""
        return dg.AssetKey(["synthetic", self.recipe.name])

    @property
    def writes(self) -> tuple[str, ...]:
        """The repository tables that it adds to."""
        return ("documents", STATEMENTS) if isinstance(self.recipe, FactsRecipe) else (self.recipe.table,)


@dataclass(frozen=True, slots=True)
class Made:
    """What a run of a recipe did: the receipts of its table, and what is to be shown."""

    receipts: tuple[Receipt, ...]
    facts: Metadata

    def total(self, count: str) -> int:
        """Sum of one of the receipts' counts."""
        return sum(getattr(receipt, count) for receipt in self.receipts)


def bind(recipe: FactsRecipe | RowsRecipe, loaded: Sequence[Model], typed: set[str]) -> Bound:
    """The recipe with what it reads. Raises RecipeError where that is, or may hold, anything synthetic."""
    named = {model.name: (*model.depends_on, *model.reads) for model in loaded}
    selects = [(at, sorted(_read(recipe.path, sql, at))) for sql, at in recipe.selects]
    needed, tables = synthetic.inputs_of(selects, named, typed)
    return Bound(recipe, tuple(model for model in loaded if model.name in needed), tuple(tables))


def _read(path: Path, sql: str, at: str) -> set[str]:
    return tables_read(path, sql, int(at.rpartition(":")[2]))


def synthetic_asset(project: Project, bound: Bound) -> dg.AssetsDefinition:
    """The asset ``synthetic/<name>`` of group synthetic; it waits where a table that it reads is not there yet."""
    conserved = dg.AssetCheckSpec("rows_are_conserved", asset=bound.key, blocking=True)

    @dg.multi_asset(name=f"synthetic__{bound.recipe.name}", specs=[_spec(bound)], check_specs=[conserved])
    def _synthetic(context: dg.AssetExecutionContext) -> Iterator[Event]:
        prepare(project)
        repository = Repository(project.root)
        missing = _missing(repository, bound)
        if missing and isinstance(bound.recipe, RowsRecipe):
            yield _verdict(bound, Made((), {"skipped": missing}))
            return
        with metered(project, f"synthetic/{bound.recipe.name}", context.run.run_id) as meter:
            made = synthesise(project, bound, run_id=context.run.run_id, known_at=planned_at(context))
            meter.rows = made.total("rows_out")
        yield _verdict(bound, made)
        yield dg.MaterializeResult(asset_key=bound.key, metadata={**made.facts, **meter.cost()})

    return _synthetic


def _verdict(bound: Bound, made: Made) -> dg.AssetCheckResult:
    """Whether the counts add up; where an input is not there yet, only a warning."""
    skipped = made.facts.get("skipped", "")
    return dg.AssetCheckResult(
        asset_key=bound.key,
        check_name="rows_are_conserved",
        passed=not skipped and all(receipt.balanced for receipt in made.receipts),
        severity=dg.AssetCheckSeverity.WARN if skipped else dg.AssetCheckSeverity.ERROR,
        metadata={"rows_in": made.total("rows_in"), "rows_out": made.total("rows_out"), "skipped": skipped},
    )


def _missing(repository: Repository, bound: Bound) -> str:
    """Which table that it reads has no commit yet."""
    absent = sorted(set(bound.tables) - set(repository.tables()))
    return f"repository.{absent[0]} has not been ingested" if absent else ""


def _spec(bound: Bound) -> dg.AssetSpec:
    recipe = bound.recipe
    kind = "facts" if isinstance(recipe, FactsRecipe) else "sketch"
    return dg.AssetSpec(
        bound.key,
        deps=[dg.AssetKey(["repository", table]) for table in bound.tables],
        group_name="synthetic",
        description=recipe.description or f"Synthetic {', '.join(bound.writes)} of {recipe.name}.",
        kinds={"deltalake", kind},
        owners=OWNERS,
        skippable=isinstance(recipe, RowsRecipe),
        metadata={"writes": ", ".join(bound.writes), "reads": ", ".join(bound.tables)},
    )


def synthesise(project: Project, bound: Bound, *, run_id: str, known_at: datetime) -> Made:
    """Make what a recipe states and is not there yet. Nothing new, no commit; facts wait where an input is missing.

    Raises CheckFailed for an input table with synthetic rows, RecipeError for a SELECT that is refused.
    """
    repository = Repository(project.root)
    if missing := _missing(repository, bound):
        _append_statements(repository, bound.recipe.name, [], run_id=run_id)
        return Made((), {"skipped": missing, "rows_out": 0})
    inputs = [repository.snapshot(table) for table in bound.tables]
    with connected(project, bound, inputs) as con:
        if isinstance(bound.recipe, FactsRecipe):
            return _documents(repository, bound.recipe, con, inputs, run_id=run_id, known_at=known_at)
        return _rows(repository, bound.recipe, con, run_id=run_id, known_at=known_at)


@contextmanager
def connected(project: Project, bound: Bound, inputs: Sequence[Snapshot]) -> Iterator[Connection]:
    """A private database with the recipe's models over these versions. Raises CheckFailed for synthetic rows."""
    with connect(threads=1, memory_limit=project.memory_limit) as con:
        attach_repository(con, inputs)
        for snapshot in inputs:
            _refuse_synthetic(con, bound, snapshot)
        for built in models.build(con, bound.models):
            if built.skipped:
                raise RecipeError(f"{bound.recipe.path}:1: {built.model.name} cannot be built: {built.skipped}")
        yield con


def _refuse_synthetic(con: Connection, bound: Bound, snapshot: Snapshot) -> None:
    names = snapshot.schema.names
    if "synthetic" not in names or not pa.types.is_boolean(snapshot.schema.field("synthetic").type):
        return
    sql = f"SELECT count(*) FROM repository.{quoted(snapshot.table)} WHERE synthetic"
    found = fetch_all(con, sql)[0][0]
    if found:
        raise CheckFailed(
            f"{found:,} of {snapshot.rows:,} rows of {snapshot.table} are synthetic, and {bound.recipe.path} reads it",
            allowed="real rows: nothing synthetic is made from synthetic rows",
            do="bring real and synthetic rows into tables of their own",
        )


def fact_rows(recipe: FactsRecipe, con: Connection) -> Mapping[str, pa.Table]:
    """The rows of each fact. Raises RecipeError for a SELECT that DuckDB refuses."""
    found: dict[str, pa.Table] = {}
    for fact in recipe.facts:
        with refusals(fact.at):
            found[fact.name] = arrow(con, fact.select)
    return found


def _documents(
    repository: Repository,
    recipe: FactsRecipe,
    con: Connection,
    inputs: Sequence[Snapshot],
    *,
    run_id: str,
    known_at: datetime,
) -> Made:
    """New documents and their statements; a document whose facts are those it had is unchanged."""
    composed = synthetic.compose(recipe, fact_rows(recipe, con))
    reads = {fact.name: ", ".join(sorted(_read(recipe.path, fact.select, fact.at))) for fact in recipe.facts}
    versions = {snapshot.table: snapshot.version for snapshot in inputs}
    with repository.ingestion(
        table="documents",
        source=recipe.name,
        run_id=run_id,
        licence=recipe.licence,
        max_reject_share=recipe.max_reject_share,
        synthetic=True,
        generation=1,
    ) as ingestion:
        stored = [(each, *_archived(repository, each.facts)) for each in composed]
        new = [each for each in stored if not ingestion.is_current(each[0].uri, each[1], synthetic.READER)]
        rows = [
            row
            for each, sha256, _ in new
            for row in synthetic.statement_rows(
                recipe.name,
                doc_id(recipe.name, each.uri, "0", content_hash(each.text)),
                sha256,
                each,
                reads=reads,
                inputs=versions,
            )
        ]
        _append_statements(repository, recipe.name, rows, run_id=run_id)
        for each, sha256, size in new:
            ingestion.add(each.uri, sha256, size, known_at, synthetic.READER, each.readings())
        receipts = tuple(ingestion.finish())
    facts = {
        "documents": sum(bool(each.statements) for each in composed),
        "statements_read_back": sum(len(each.statements) for each in composed),
        "rejected": sum(len(each.rejects) for each in composed),
        "documents_unchanged": len(composed) - len(new),
        "characters": sum(len(each.text) for each in composed),
        "inputs": ", ".join(f"{table} {version}" for table, version in sorted(versions.items())),
    }
    return Made(receipts, {**facts, "rows_out": sum(receipt.rows_out for receipt in receipts)})


def _append_statements(repository: Repository, source: str, rows: list[dict[str, object]], *, run_id: str) -> Receipt:
    batch = pa.RecordBatch.from_pylist(rows, schema=synthetic.STATEMENTS)
    return repository.append(
        STATEMENTS, [batch], schema=synthetic.STATEMENTS, source=source, run_id=run_id, keys=synthetic.GRAIN
    )


def _archived(repository: Repository, raw: bytes) -> tuple[str, int]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(raw)
        file.flush()
        return repository.archive(Path(file.name))


def _rows(repository: Repository, recipe: RowsRecipe, con: Connection, *, run_id: str, known_at: datetime) -> Made:
    """The sketch of the counted rows into the archive, and the rows drawn from it into their table."""
    with refusals(recipe.at):
        con.execute(f"CREATE TEMP TABLE _counted AS {recipe.select.rstrip().rstrip(';')}")
    _refuse_names(recipe, arrow(con, "FROM _counted LIMIT 0").schema)
    columns = synthetic.fit_columns(
        split(con, recipe, held_out=False), stated=recipe.columns, fineness=recipe.fineness, seed=recipe.seed
    )
    made = synthetic.fit(lambda: split(con, recipe, held_out=False), columns, max_parents=recipe.max_parents)
    drawn = synthetic.sample(made, recipe.rows, seed=recipe.seed)
    rows = synthetic.marked(drawn, made, seed=recipe.seed)
    with repository.ingestion(table=recipe.table, source=recipe.name, run_id=run_id) as ingestion:
        sha256, size = _archived(repository, to_bytes(made))
        uri, reader = f"synthetic/{recipe.name}", f"{synthetic.VERSION}/{recipe.rows}/{recipe.seed}"
        if not ingestion.is_current(uri, sha256, reader):
            ingestion.add(uri, sha256, size, known_at, reader, rows.to_batches())
        receipts = tuple(ingestion.finish())
    measured = _measured(recipe, con, made, drawn)
    facts = {**_network(made), "sketch_bytes": size, "sketch_sha256": sha256, **measured}
    return Made(receipts, {**facts, "rows_out": sum(receipt.rows_out for receipt in receipts)})


def _refuse_names(recipe: RowsRecipe, schema: pa.Schema) -> None:
    for name in schema.names:
        if name in synthetic.MARKS or name.startswith("_"):
            raise RecipeError(
                f"{recipe.at}: a column {name}",
                allowed=f"names without _ before them, none of {', '.join(synthetic.MARKS)}",
                do="give it another name in the SELECT",
            )


def split(con: Connection, recipe: RowsRecipe, *, held_out: bool) -> Iterator[pa.RecordBatch]:
    """The rows that are counted, or those that are held out: by (seed, number of the row)."""
    least, met = np.uint64(min(int(recipe.holdout * 2**64), 2**64 - 1)), 0
    for batch in stream(con, "FROM _counted", batch_rows=1 << 16):
        out = synthetic.ranks_of(met, batch.num_rows, seed=recipe.seed) < least
        met += batch.num_rows
        yield batch.filter(pa.array(out == held_out))


def _measured(recipe: RowsRecipe, con: Connection, made: TableSketch, drawn: pa.Table) -> Metadata:
    """Quality against the rows held out; nothing where there are none."""
    if not recipe.holdout or not any(batch.num_rows for batch in list(split(con, recipe, held_out=True))):
        return {"quality": "not measured: no rows held out"}
    held, counted = (
        synthetic.sampled(split(con, recipe, held_out=out), SAMPLE_ROWS, seed=recipe.seed) for out in (True, False)
    )
    found: Quality = synthetic.quality(made.columns, drawn, held, counted)
    return {
        "quality": round(found.mean, 4),
        "column_shapes": found.shapes,
        "pair_trends": found.pairs,
        "dcr_share": found.dcr_share,
        "exact_copies": found.copies,
        "rows_held_out": held.num_rows,
    }


def _network(made: TableSketch) -> Metadata:
    names = [column.name for column in made.columns]
    above = [
        f"{names[at]} <- {', '.join(names[each] for each in own)}" for at, own in enumerate(made.parents or ()) if own
    ]
    return {
        "rows_counted": made.n,
        "network": "; ".join(above) or "independent columns",
        "bins_fitted_from_rows": ", ".join(column.name for column in made.columns if column.fitted) or "none",
        "sketch": made.fingerprint,
    }
