"""Releases of data sets: one asset a recipe, made from the published snapshot and the versions it pins."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import dagster as dg
from pyarrow import RecordBatch
from tqdm import tqdm

from pipelines.build import PUBLISHED
from pipelines.costs import metered
from pipelines.features import CATALOG, feature_key, stored_rows
from pipelines.gates import Metadata
from pipelines.ingest import OWNERS
from warehouse import curation, datasets, features, publish
from warehouse.answers.features import reads, tables_read, upstream
from warehouse.contracts import Snapshot
from warehouse.datasets import Basis, Chat, DatasetRecipe, Manifest, Overlap, Release, TableManifest, TableRecipe
from warehouse.datasets.licences import UNKNOWN
from warehouse.energy import rate
from warehouse.errors import NotFound, RecipeError
from warehouse.features import FeatureSet
from warehouse.project import Project
from warehouse.query import Connection, attach_repository, connect, fetch_all
from warehouse.repository import Repository
from warehouse.sources import BENCHMARKS, load_source
from warehouse.synthetic import TABLE as STATEMENTS

DRAWN = "repository.synthetic_"
"""What the names of tables of drawn rows begin with."""


class ExportConfig(dg.Config):
    """env: the published environment to select from; processes: workers that render shards."""

    env: str = "prod"
    processes: int = 1


def export(project: Project, recipe: DatasetRecipe, *, env: str, processes: int, run_id: str) -> Release[Manifest]:
    """A release of ``recipe`` from what the environment's snapshot pins: its models, and the documents' version."""
    with publish.connect_current(project.published, env) as con:
        return of_documents(project, recipe, basis(project, con, run_id), processes=processes)


def basis(project: Project, con: Connection, run_id: str) -> Basis:
    """What a release is made from: the snapshot that ``con`` reads."""
    return Basis(
        con=con,
        inputs=dict(fetch_all(con, "SELECT table_name, version FROM meta.inputs")),
        checks=publish.checks(con),
        model_fingerprints=dict(fetch_all(con, "SELECT name, fingerprint FROM meta.models WHERE skipped IS NULL")),
        datasets=project.datasets,
        created_at=datetime.now(UTC),
        run_id=run_id,
        at=rate(project),
        signing_key=project.signing_key,
    )


def of_documents(project: Project, recipe: DatasetRecipe, stated: Basis, *, processes: int) -> Release[Manifest]:
    """A release of documents. Raises NotFound where the snapshot has none."""
    pinned = stated.inputs
    if "documents" not in pinned:
        raise NotFound("the published snapshot holds no documents", do="run a source of documents, then publish")
    repository = Repository(project.root)
    documents = repository.snapshot("documents", version=pinned["documents"])
    spans = repository.snapshot("pii", version=pinned["pii"]) if "pii" in pinned else None
    with tqdm(desc=recipe.name, unit="shard", disable=None, delay=2) as bar:
        return datasets.export(
            recipe,
            stated,
            snapshot_documents=documents,
            snapshot_pii=spans,
            overlap=_overlap(repository, pinned),
            processes=processes,
            progress=lambda _, done, total: _show(bar, done, total),
        )


def _overlap(repository: Repository, pinned: Mapping[str, int]) -> Overlap | None:
    """The pinned benchmarks and what documents hold of them; None where none is registered."""
    if not {BENCHMARKS, "contamination"} <= pinned.keys():
        return None
    benchmarks, met = (repository.snapshot(table, version=pinned[table]) for table in (BENCHMARKS, "contamination"))
    return Overlap(benchmarks, met, lambda: _search(benchmarks))


def _search(benchmarks: Snapshot) -> Callable[[RecordBatch], RecordBatch]:
    with connect() as con:
        attach_repository(con, [benchmarks])
        return curation.searcher(con)


def export_table(
    project: Project, recipe: TableRecipe, read: Sequence[FeatureSet], *, env: str, run_id: str
) -> Release[TableManifest]:
    """A release of rows from what the environment's snapshot pins and the newest rows of the feature sets it reads.

    Raises NotFound for a feature set that has no rows yet, RecipeError where a benchmark would go out.
    """
    repository = Repository(project.root)
    stored = {made: _stored(repository, made) for made in read}
    limit, also = project.memory_limit, list(stored.values())
    with publish.connect_current(project.published, env, memory_limit=limit, also=also) as con:
        return of_rows(project, recipe, basis(project, con, run_id), stored)


def of_rows(
    project: Project, recipe: TableRecipe, stated: Basis, stored: Mapping[FeatureSet, Snapshot]
) -> Release[TableManifest]:
    """A release of rows. stored: the rows of feature sets that it reads beside the snapshot."""
    con = stated.con
    names = _below(con, {*read_by(recipe), *(name for made in stored for name in reads(made))})
    _refuse_benchmarks(recipe, names)
    return datasets.export_table(
        recipe,
        replace(stated, inputs={**stated.inputs, **{each.table: each.version for each in stored.values()}}),
        attached=dict(file for made, snapshot in stored.items() for file in _defined(con, made, snapshot)),
        licences={
            source.name: source.licence or UNKNOWN
            for source in map(load_source, project.files("recipes/sources", "*.yaml"))
            if f"repository.{source.table}" in names
        },
        drawn=_drawn(names),
    )


def export_chat(
    project: Project, recipe: DatasetRecipe, chat: Chat, *, env: str, processes: int, run_id: str
) -> Release[Manifest]:
    """A release of conversations from what the environment's snapshot pins.

    Raises RecipeError where a benchmark would go out.
    """
    with publish.connect_current(project.published, env, memory_limit=project.memory_limit) as con:
        return of_conversations(recipe, chat, basis(project, con, run_id), processes=processes)


def of_conversations(recipe: DatasetRecipe, chat: Chat, stated: Basis, *, processes: int) -> Release[Manifest]:
    """A release of conversations. Raises as ``export_chat``."""
    names = _below(stated.con, read_by(recipe))
    _refuse_benchmarks(recipe, names)
    with tqdm(desc=recipe.name, unit="shard", disable=None, delay=2) as bar:
        return datasets.export_chat(
            recipe,
            chat,
            stated,
            find=curation.pii,
            drawn=_drawn(names),
            processes=processes,
            progress=lambda _, done, total: _show(bar, done, total),
        )


def _refuse_benchmarks(recipe: DatasetRecipe | TableRecipe, names: set[str]) -> None:
    if f"repository.{BENCHMARKS}" in names:
        raise RecipeError(f"{recipe.at}: the select reads benchmarks", allowed="what a model may be trained on")


def _drawn(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith(DRAWN) and name != f"repository.{STATEMENTS}"}


def read_by(recipe: DatasetRecipe | TableRecipe) -> set[str]:
    """The models, tables and feature sets that the select of a data set of rows or conversations names."""
    path, _, line = recipe.at.rpartition(":")
    return tables_read(Path(path), recipe.select, int(line))


def _below(con: Connection, names: set[str]) -> set[str]:
    """The models and tables that these names lead to through the published models, themselves included."""
    rows = fetch_all(con, "SELECT name, depends_on, reads FROM meta.models")
    below, found, waiting = {name: {*above, *tables} for name, above, tables in rows}, set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += below.get(name, ())
    return found


def _stored(repository: Repository, made: FeatureSet) -> Snapshot:
    found = stored_rows(repository, made)
    if found is None:
        raise NotFound(f"features {made.name} have no rows yet", do=f"run 'warehouse run features/{made.name}'")
    return found


def _defined(con: Connection, made: FeatureSet, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Show a feature set as ``features.<name>``; its definition and SELECT, as files of the release."""
    compiled = features.compiled_on(con, made)
    features.show(con, made, snapshot, mark=features.fingerprint(compiled, upstream(con, made)))
    yield f"features.{made.name}.yaml", made.path.read_text("utf-8")
    yield f"features.{made.name}.sql", features.printed(compiled)


def _show(bar: "tqdm[NoReturn]", done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)


def table_dataset_asset(project: Project, recipe: TableRecipe, known: Mapping[str, FeatureSet]) -> dg.AssetsDefinition:
    """The asset ``datasets/<name>`` of a data set of rows, after the feature sets that its select reads."""
    read = features_of(recipe, known)

    @dg.asset(
        key=dg.AssetKey(["datasets", recipe.name]),
        deps=[PUBLISHED, *(feature_key(made.name) for made in read)],
        group_name="datasets",
        description=recipe.description or f"Releases of the data set {recipe.name}.",
        kinds={"numpy", "duckdb"},
        owners=OWNERS,
    )
    def _release(context: dg.AssetExecutionContext, config: ExportConfig) -> dg.MaterializeResult[None]:
        with metered(project, f"datasets/{recipe.name}", context.run.run_id) as meter:
            release = export_table(project, recipe, read, env=config.env, run_id=context.run.run_id)
            meter.rows = release.manifest.samples
        return dg.MaterializeResult(
            metadata={**_table_metadata(release), **meter.cost()}, data_version=dg.DataVersion(release.manifest.id)
        )

    return _release


def features_of(recipe: TableRecipe, known: Mapping[str, FeatureSet]) -> list[FeatureSet]:
    """The feature sets that a data set of rows reads. Raises RecipeError for one that is not known."""
    names = sorted(name.removeprefix(CATALOG) for name in read_by(recipe) if name.startswith(CATALOG))
    return [_known(known, recipe, name) for name in names]


def _known(known: Mapping[str, FeatureSet], recipe: TableRecipe, name: str) -> FeatureSet:
    if name not in known:
        raise RecipeError(f"{recipe.at}: no feature set is called {name!r}", allowed=", ".join(known) or "none yet")
    return known[name]


def _table_metadata(release: Release[TableManifest]) -> Metadata:
    return {
        "dagster/row_count": release.manifest.samples,
        "release": f"{release.name}@{release.version}",
        "id": release.manifest.id,
        "shards": sum(len(split.shards) for split in release.manifest.splits.values()),
        "rows": release.manifest.samples,
        "columns": len(release.manifest.columns),
        "path": dg.MetadataValue.path(release.path),
    }


def dataset_asset(project: Project, recipe: DatasetRecipe) -> dg.AssetsDefinition:
    """The asset ``datasets/<name>``: a new release, or the existing one when nothing would differ."""

    @dg.asset(
        key=dg.AssetKey(["datasets", recipe.name]),
        deps=[PUBLISHED],
        group_name="datasets",
        description=recipe.description or f"Releases of the data set {recipe.name}.",
        kinds={"numpy", "duckdb"},
        owners=OWNERS,
    )
    def _release(context: dg.AssetExecutionContext, config: ExportConfig) -> dg.MaterializeResult[None]:
        with metered(project, f"datasets/{recipe.name}", context.run.run_id) as meter:
            release = _exported(project, recipe, config, context.run.run_id)
            meter.rows = release.manifest.documents
        return dg.MaterializeResult(
            metadata={**_metadata(release), **meter.cost()}, data_version=dg.DataVersion(release.manifest.id)
        )

    return _release


def _exported(project: Project, recipe: DatasetRecipe, config: ExportConfig, run_id: str) -> Release[Manifest]:
    made = partial(export_chat, chat=recipe.chat) if recipe.chat else export
    return made(project, recipe, env=config.env, processes=config.processes, run_id=run_id)


def _conversations(chat: Mapping[str, Any]) -> Metadata:
    """What of conversations is learnt and left out; nothing of documents."""
    if not chat:
        return {}
    return {"learnt_tokens": chat["learnt"], **{f"left_out_{why}": count for why, count in chat["left_out"].items()}}


def _metadata(release: Release[Manifest]) -> Metadata:
    splits = release.manifest.splits.values()
    ran_out = [name for name, group in release.manifest.mixture.get("groups", {}).items() if group["ran_out"]]
    return {
        "dagster/row_count": release.manifest.documents,
        "release": f"{release.name}@{release.version}",
        "id": release.manifest.id,
        "shards": sum(len(split.shards) for split in splits),
        "samples": sum(split.samples for split in splits),
        "tokens": sum(split.tokens for split in splits),
        **{f"masked_{kind}": count for kind, count in release.manifest.pii.get("masked", {}).items()},
        **{
            f"{word}_{reason}": count
            for word in ("dropped", "left_out")
            for reason, count in release.manifest.lines.get(word, {}).items()
        },
        **({"ran_out": ", ".join(ran_out)} if ran_out else {}),
        **{f"contaminated_{word}": release.manifest.contamination.get(word, 0) for word in ("documents", "items")},
        **_conversations(release.manifest.chat),
        **({"warnings": release.run["warnings"]} if release.run.get("warnings") else {}),
        "path": dg.MetadataValue.path(release.path),
    }
