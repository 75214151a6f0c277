"""Scores by models trained here: one asset a recipe, which trains, and one that scores every document by every model.

A model is trained where its recipe, or the code that trains, is another than that of the newest model of the name;
else it stays, however many documents have come. A SELECT's models are built in a private database in memory from
pinned versions, with one thread, for the snapshot comes later. Order of a write: the model's bytes into the archive,
then its row in ``score_models``. A model that fails its check is not stored, and stops the run.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg
import pyarrow as pa
from pyarrow.parquet import read_schema

from pipelines.build import Event
from pipelines.costs import metered
from pipelines.gates import Result, audit, check_specs, skipped_results, table_metadata
from pipelines.ingest import OWNERS, planned_at
from pipelines.measures import MeasuredTable, measure
from pipelines.parts import COMMIT_BYTES, Added, append_parts, held
from warehouse import curation, models
from warehouse.answers.features import tables_read
from warehouse.contracts import Snapshot
from warehouse.curation import RELEASE, ScoreRecipe, Trained
from warehouse.datasets import DOCUMENTS, read_manifest, resolve
from warehouse.errors import NotFound, RecipeError
from warehouse.gate import Suite
from warehouse.models import Model
from warehouse.project import Project
from warehouse.query import Connection, arrow, attach_repository, connect, literal
from warehouse.repository import Repository
from warehouse.sources import SCORED_HERE

MODELS, SCORES = SCORED_HERE
KEY = dg.AssetKey(["repository", SCORES])
HELD_OUT = "held_out"
NOTHING = pa.schema([])
WHY = "What the model says of texts that it was not trained on; one that fails is not stored."


@dataclass(frozen=True, slots=True)
class Bound:
    """A recipe with what it reads: the models in the order to build them, the repository tables under them."""

    recipe: ScoreRecipe
    models: tuple[Model, ...]
    tables: tuple[str, ...]

    @property
    def key(self) -> dg.AssetKey:
        """Its asset."""
        return dg.AssetKey(["scores", self.recipe.name])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured of a recipe's newest model, and its row in ``score_models`` where it is stored; or what is
    missing for a model. new: whether it was trained now.
    """

    value: float = math.nan
    row: Mapping[str, Any] = field(default_factory=dict)
    new: bool = False
    skipped: str = ""


def bind_score(recipe: ScoreRecipe, loaded: Sequence[Model], written: set[str]) -> Bound:
    """The recipe with what it reads. Raises RecipeError where nothing here writes that, or where it is a score.

    written: repository tables of the project, with their schema.
    """
    named = {model.name: model for model in loaded}
    found = {"repository.documents"}
    for name, select in recipe.selects.items():
        line = int(recipe.at(name).rpartition(":")[2])
        waiting = sorted(tables_read(recipe.path, select, line))
        while waiting:
            read = waiting.pop()
            if read in {f"repository.{table}" for table in SCORED_HERE}:
                do = "choose documents by something that is no score"
                raise RecipeError(f"{recipe.at(name)}: {name} reads scores, which are made of it", do=do)
            if read == RELEASE and not recipe.release:
                do = "add release: NAME@VERSION, or choose documents elsewhere"
                raise RecipeError(f"{recipe.at(name)}: {name} reads {RELEASE}, and the recipe names no release", do=do)
            if read == RELEASE:
                continue
            if read not in named and read not in written:
                do = "mend the name, or write the model or the recipe of a source with that table"
                raise RecipeError(f"{recipe.at(name)}: {name} reads {read}, which nothing here writes", do=do)
            if read not in found and read in named:
                waiting += [*named[read].depends_on, *named[read].reads]
            found.add(read)
    tables = sorted(each.removeprefix("repository.") for each in found - named.keys())
    return Bound(recipe, tuple(model for model in loaded if model.name in found), tuple(tables))


def score_assets(
    project: Project, bound: Sequence[Bound], suites: Mapping[str, Sequence[Suite]]
) -> Iterator[dg.AssetsDefinition]:
    """The asset ``scores/<name>`` of each recipe, and ``repository/scores``; none where there is no recipe."""
    for each in bound:
        yield model_asset(project, each, suites[f"repository.{MODELS}"])
    if bound:
        yield scores_asset(project, bound, suites[f"repository.{SCORES}"])


def model_asset(project: Project, bound: Bound, suites: Sequence[Suite]) -> dg.AssetsDefinition:
    """The asset ``scores/<name>``: the newest model of a recipe; it waits while there is nothing to train on."""
    held_out = dg.AssetCheckSpec(HELD_OUT, asset=bound.key, blocking=True, description=WHY)

    @dg.multi_asset(
        name=f"scores__{bound.recipe.name}",
        specs=[_spec(bound)],
        check_specs=[held_out, *check_specs(bound.key, suites)],
    )
    def _trained(context: dg.AssetExecutionContext) -> Iterator[Event]:
        yield from _events(project, bound, suites, run_id=context.run.run_id, known_at=planned_at(context))

    return _trained


def _spec(bound: Bound) -> dg.AssetSpec:
    recipe = bound.recipe
    return dg.AssetSpec(
        bound.key,
        deps=[dg.AssetKey(["repository", table]) for table in bound.tables],
        group_name="curation",
        description=recipe.description or f"The {recipe.kind} {recipe.name}, trained here.",
        kinds={"deltalake", "numpy"},
        owners=OWNERS,
        skippable=True,
        code_version=recipe.fingerprint,
        metadata={"reads": ", ".join(bound.tables)},
    )


def _events(
    project: Project, bound: Bound, suites: Sequence[Suite], *, run_id: str, known_at: datetime
) -> Iterator[Event]:
    """The verdict on the model, its materialisation where that is passed, and the verdicts of the table's suites."""
    recipe = bound.recipe
    with metered(project, f"scores/{recipe.name}", run_id) as meter:
        made = train(project, bound, run_id=run_id, known_at=known_at)
        meter.rows = int(made.new)
    yield _verdict(bound, made)
    if made.skipped:  # what comes after need not wait
        yield dg.MaterializeResult(asset_key=bound.key, metadata={"skipped": made.skipped})
        yield from skipped_results(bound.key, suites, made.skipped)
    elif recipe.accepts(made.value):
        row = made.row
        yield dg.MaterializeResult(
            asset_key=bound.key,
            metadata={**{name: row[name] for name in SAID}, recipe.measure: made.value, **meter.cost()},
            data_version=dg.DataVersion(f"{row['version']}/{row['model']}"),
        )
        repository = Repository(project.root)
        yield from audit(bound.key, suites, repository, memory_limit=project.memory_limit, table=MODELS)


def _verdict(bound: Bound, made: Outcome) -> dg.AssetCheckResult:
    """Whether what was measured is within the limit; a warning while there is nothing to measure."""
    recipe, passed = bound.recipe, bound.recipe.accepts(made.value)
    facts: dict[str, float | str] = {recipe.measure: made.value, "limit": recipe.limit}
    if made.skipped:
        facts = {"skipped": made.skipped}
    elif not passed:
        facts["samples"] = f"{recipe.measure} {made.value}, limit {recipe.limit}"
    return dg.AssetCheckResult(
        asset_key=bound.key,
        check_name=HELD_OUT,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN if made.skipped else dg.AssetCheckSeverity.ERROR,
        metadata=facts,
    )


SAID = ("version", "model", "inputs", "documents", "held_out")
"""Columns of ``score_models`` that are shown in Dagster."""


def train(project: Project, bound: Bound, *, run_id: str, known_at: datetime) -> Outcome:
    """Train a recipe's model, unless the newest one is of this recipe; one beyond the recipe's limit is not stored.

    Raises RecipeError for a SELECT that DuckDB refuses, Busy where another run has trained meanwhile.
    """
    repository, recipe = Repository(project.root), bound.recipe
    before = held(repository, MODELS, curation.SCORE_MODELS)
    inputs = [held(repository, table, NOTHING) for table in bound.tables]
    pinned: dict[str, int | str] = {snapshot.table: snapshot.version for snapshot in inputs}
    with connect(threads=1, memory_limit=project.memory_limit) as con:
        attach_repository(con, [before, *(snapshot for snapshot in inputs if snapshot.version >= 0)])
        newest = newest_models(con).get(recipe.name, {"version": 0, "recipe": ""})
        older = f"; the older model {newest['version']} still scores" if newest["version"] else ""
        if newest["recipe"] == recipe.fingerprint:
            return Outcome(newest["value"], newest)
        if recipe.release:
            try:
                pinned[recipe.release] = _attach_release(con, project, recipe.release)
            except NotFound as missing:
                return Outcome(skipped=str(missing).rstrip(".") + older)
        absent = [f"repository.{each.table} has not been ingested" for each in inputs if each.version < 0]
        absent += [built.skipped for built in models.build(con, bound.models) if built.skipped]
        made = absent[0] if absent else curation.train(con, recipe)
    if isinstance(made, str):
        return Outcome(skipped=made + older)
    if not recipe.accepts(made.value):
        return Outcome(made.value)
    row = _row(repository, recipe, made, pinned) | {"version": newest["version"] + 1, "known_at": known_at}
    batch = pa.RecordBatch.from_pylist([row], before.schema)
    repository.append(MODELS, [batch], schema=before.schema, source="curation", run_id=run_id, after=before.version)
    return Outcome(made.value, row, new=True)


def _attach_release(con: Connection, project: Project, release: str) -> str:
    """Make the documents of a release visible as RELEASE, each once; its id.

    Raises NotFound where it is not there or revoked.
    """
    folder = resolve(project.datasets, release)
    once = "WHERE copy = 0" if "copy" in read_schema(folder / DOCUMENTS).names else ""
    con.execute("CREATE SCHEMA release")
    con.execute(f"CREATE VIEW {RELEASE} AS FROM read_parquet({literal(str(folder / DOCUMENTS))}) {once}")
    return read_manifest(folder).id


def _row(repository: Repository, recipe: ScoreRecipe, made: Trained, inputs: Mapping[str, int | str]) -> dict[str, Any]:
    """What SCORE_MODELS says of a model, whose bytes go into the archive."""
    sha256, _ = repository.archive_chunks([made.model.to_bytes()], name=f"scores/{recipe.name}")
    return {
        "name": recipe.name,
        "kind": recipe.kind,
        "model": sha256,
        "recipe": recipe.fingerprint,
        "inputs": json.dumps(inputs),
        "texts": made.texts,
        "documents": made.documents,
        "held_out": made.held_out,
        "measure": recipe.measure,
        "value": made.value,
    }


def newest_models(con: Connection) -> dict[str, dict[str, Any]]:
    """By name, the row of repository.score_models with the highest version."""
    return {row["name"]: row for row in arrow(con, f"FROM repository.{MODELS} ORDER BY version").to_pylist()}


def score(
    repository: Repository,
    names: Collection[str],
    *,
    run_id: str,
    memory_limit: str,
    commit_bytes: int = COMMIT_BYTES,
    threads: int = 1,
) -> Added:
    """Append the scores that documents lack of the newest models of these names.

    Every part is a commit; a run killed between two is finished by the next. Where no model was ever stored, the table
    of models is made, empty. Raises Busy where another run has scored meanwhile.
    """

    def plan(con: Connection, _: Mapping[str, Snapshot]) -> curation.Measure:
        newest = {name: row for name, row in newest_models(con).items() if name in names}
        return curation.scored(
            {name: (row["version"], _stored(repository, row["model"])) for name, row in newest.items()}
        )

    models = held(repository, MODELS, curation.SCORE_MODELS)
    if models.version < 0:
        append_parts(repository, [models], [], run_id=run_id)
    table = MeasuredTable(SCORES, curation.SCORES, plan, reads={MODELS: curation.SCORE_MODELS})
    return measure(
        repository, [table], run_id=run_id, memory_limit=memory_limit, commit_bytes=commit_bytes, threads=threads
    )[SCORES]


def _stored(repository: Repository, sha256: str) -> curation.Model:
    return curation.Model.of_bytes(repository.object_path(sha256).read_bytes())


def scores_asset(project: Project, bound: Sequence[Bound], suites: Sequence[Suite]) -> dg.AssetsDefinition:
    """The asset ``repository/scores``, audited by its suite."""

    @dg.asset(
        key=KEY,
        deps=[dg.AssetKey(["repository", "documents"]), *(each.key for each in bound)],
        group_name="curation",
        description="Scores of every document by the newest model of each recipe in recipes/scores.",
        kinds={"deltalake", "numpy"},
        owners=OWNERS,
        check_specs=check_specs(KEY, suites),
    )
    def _scored(context: dg.AssetExecutionContext) -> Result:
        repository, run_id, limit = Repository(project.root), context.run.run_id, project.memory_limit
        with metered(project, f"repository/{SCORES}", run_id) as meter:
            names = [each.recipe.name for each in bound]
            added = score(repository, names, run_id=run_id, memory_limit=limit, threads=project.threads)
            meter.rows, meter.bytes_read = added.rows, added.bytes
            results = audit(KEY, suites, repository, memory_limit=limit)
        snapshot = repository.snapshot(SCORES)
        return dg.MaterializeResult(
            metadata={
                **table_metadata(snapshot),
                "new_rows": added.rows,
                "documents_measured": added.compared,
                **meter.cost(),
            },
            data_version=dg.DataVersion(str(snapshot.version)),
            check_results=results,
        )

    return _scored
