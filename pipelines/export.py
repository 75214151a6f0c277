"""Releases of data sets: one asset a recipe, made from the published snapshot and the versions it pins."""

from datetime import UTC, datetime
from typing import NoReturn

import dagster as dg
from tqdm import tqdm

from pipelines.build import PUBLISHED
from pipelines.costs import metered
from pipelines.gates import Metadata
from pipelines.ingest import OWNERS
from warehouse import datasets, publish
from warehouse.datasets import DatasetRecipe, Release
from warehouse.project import Project
from warehouse.query import fetch_all
from warehouse.repository import Repository


class ExportConfig(dg.Config):
    """env: the published environment to select from; processes: workers that render shards."""

    env: str = "prod"
    processes: int = 1


def export(project: Project, recipe: DatasetRecipe, *, env: str, processes: int, run_id: str) -> Release:
    """A release of ``recipe`` from what the environment's snapshot pins: its models, and the documents' version."""
    with publish.connect_current(project.published, env) as con:
        inputs = fetch_all(con, "SELECT table_name, version FROM meta.inputs ORDER BY table_name")
        prints = dict(fetch_all(con, "SELECT name, fingerprint FROM meta.models WHERE skipped IS NULL"))
        documents = Repository(project.root).snapshot("documents", version=dict(inputs)["documents"])
        with tqdm(desc=recipe.name, unit="shard", disable=None, delay=2) as bar:
            return datasets.export(
                recipe,
                con=con,
                snapshot_documents=documents,
                inputs=inputs,
                datasets=project.datasets,
                created_at=datetime.now(UTC),
                run_id=run_id,
                checks=publish.checks(con),
                processes=processes,
                model_fingerprints=prints,
                progress=lambda _, done, total: _show(bar, done, total),
            )


def _show(bar: "tqdm[NoReturn]", done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)


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
        with metered(Repository(project.root), f"datasets/{recipe.name}", context.run.run_id) as meter:
            release = export(project, recipe, env=config.env, processes=config.processes, run_id=context.run.run_id)
            meter.rows = release.manifest.documents
        return dg.MaterializeResult(
            metadata={**_metadata(release), **meter.cost()}, data_version=dg.DataVersion(release.manifest.id)
        )

    return _release


def _metadata(release: Release) -> Metadata:
    splits = release.manifest.splits.values()
    return {
        "dagster/row_count": release.manifest.documents,
        "release": f"{release.name}@{release.version}",
        "id": release.manifest.id,
        "shards": sum(len(split.shards) for split in splits),
        "samples": sum(split.samples for split in splits),
        "tokens": sum(split.tokens for split in splits),
        "path": dg.MetadataValue.path(release.path),
    }
