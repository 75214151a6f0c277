"""What Dagster loads: every asset, check and job of the project it is started in.

Assets come from the project's files: one for each recipe of a source, each table that sources write, each SQL model and
each recipe of a data set. So adding a file adds an asset, and this module never changes for it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import dagster as dg

from pipelines.automation import IMPLICIT_JOB, inbox, nightly
from pipelines.build import DUCKDB_WRITER, Suites, curation_assets, snapshot_asset
from pipelines.export import dataset_asset, table_dataset_asset
from pipelines.features import features_asset, reads, refuse_unfed
from pipelines.ingest import source_asset, table_asset
from pipelines.partitions import definition
from warehouse.datasets import TableRecipe, load_recipe
from warehouse.errors import RecipeError
from warehouse.features import load_features
from warehouse.gate import Suite, load_suites
from warehouse.models import Model, load_models
from warehouse.project import Project, builtin_folder, find
from warehouse.sources import Source, load_source

MADE_HERE = ("documents", "signals", "paragraphs", "rejects", "runs")
"""Repository tables that a project has whatever its sources are."""


def build_definitions(project: Project, *, pool: str | None = DUCKDB_WRITER) -> dg.Definitions:
    """Assets, checks, jobs and what starts them, of ``project``; pool: of the step that builds the DuckDB file.

    Raises RecipeError, with file and line, for a file that is refused.
    """
    sources = [load_source(path) for path in project.files("recipes/sources", "*.yaml")]
    suites: dict[str, list[Suite]] = defaultdict(list)
    for suite in load_suites(project.files("expectations", "*.json")):
        suites[suite.table].append(suite)
    loaded = load_models(project.files("sql", "*.sql"))
    models = _fed(loaded, sources)
    _refuse_unfed(project, loaded, models, _written(sources))
    _refuse_unmet(project, suites, loaded, sources)
    recipes = [load_recipe(path) for path in project.files("recipes/datasets", "*.yaml")]
    ingesting = [*(source_asset(project, source) for source in sources), *_tables(project, sources, suites)]
    made = [load_features(path) for path in project.files("recipes/features", "*.yaml")]
    for each in made:
        refuse_unfed(each, {model.name for model in models} | _written(sources))
    pins = sorted({name for each in made for name in reads(each) if name.startswith("repository.")})
    building = [*curation_assets(project, suites), snapshot_asset(project, models, suites, pins=pins, pool=pool)]
    featured = [features_asset(project, each, suites[f"repository.{each.table}"]) for each in made]
    known = {each.name: each for each in made}
    exporting = [
        table_dataset_asset(project, recipe, known)
        if isinstance(recipe, TableRecipe)
        else dataset_asset(project, recipe)
        for recipe in recipes
    ]
    jobs = _jobs(sources, bool(recipes))
    target = next((job.name for job in jobs if job.name == "run"), IMPLICIT_JOB)
    return dg.Definitions(
        assets=[*ingesting, *building, *featured, *exporting],
        jobs=jobs,
        schedules=[nightly(project, target)],
        sensors=[inbox(project, sources)] if sources else [],
        executor=dg.in_process_executor,
    )


def _tables(project: Project, sources: Sequence[Source], suites: Suites) -> list[dg.AssetsDefinition]:
    writers: dict[str, list[dg.AssetKey]] = defaultdict(list)
    writers["documents"] = []
    for source in sources:
        writers[source.table].append(dg.AssetKey(["sources", source.name]))
    return [table_asset(project, table, keys, suites[f"repository.{table}"]) for table, keys in writers.items()]


def _fed(models: Sequence[Model], sources: Sequence[Source]) -> list[Model]:
    """The models that something of this project feeds: a built-in mart of figures that no source brings is left out."""
    tables = _written(sources)
    fed: dict[str, Model] = {}
    for model in models:
        if set(model.reads) <= tables and set(model.depends_on) <= fed.keys():
            fed[model.name] = model
    return list(fed.values())


def _written(sources: Sequence[Source]) -> set[str]:
    """The repository tables that a run of this project writes."""
    return {f"repository.{table}" for table in (*MADE_HERE, *(source.table for source in sources))}


def _refuse_unfed(project: Project, loaded: Sequence[Model], fed: Sequence[Model], written: set[str]) -> None:
    """Raise RecipeError for a model of the project's own that reads what nothing writes: it would vanish in silence."""
    names = {model.name for model in fed}
    for model in (model for model in loaded if model.name not in names and _is_own(project, model.path)):
        missing = sorted({*model.reads, *model.depends_on} - names - written)
        raise RecipeError(
            f"{model.path}:{model.sql_line}: {model.name} reads {' and '.join(missing)}, which nothing here writes",
            do="mend the name, or write the recipe of a source with that table",
        )


def _refuse_unmet(project: Project, suites: Suites, loaded: Sequence[Model], sources: Sequence[Source]) -> None:
    """Raise RecipeError for a suite of the project's own whose table does not exist: it would pass unasked."""
    known = {model.name for model in loaded} | _written(sources)
    known |= {f"repository.features_{path.stem}" for path in project.files("recipes/features", "*.yaml")}
    for table in sorted(set(suites) - known):
        for suite in suites[table]:
            if suite.path and _is_own(project, suite.path):
                near = get_close_matches(table, known, 1)
                raise RecipeError(
                    f"{suite.path}:1: no model or table is called {table}",
                    allowed="expectations/<schema>.<table>.json",
                    do=f"rename it to {near[0]}.json" if near else "name the file after a table",
                )


def _is_own(project: Project, path: Path) -> bool:
    """Whether a file is of the project itself; in the checkout, which is a project, all are built in."""
    built_in = [builtin_folder() / kind for kind in ("sql", "expectations")]
    return path.is_relative_to(project.folder) and not any(map(path.is_relative_to, built_in))


def _jobs(sources: Sequence[Source], exports: bool) -> list[dg.UnresolvedAssetJobDefinition]:
    """One job for each writing verb of the command line.

    Dagster allows a job one set of partitions: where two sources have different ones, there is no job of all sources.
    """
    ingested = dg.AssetSelection.groups("sources", "repository")
    exported = dg.AssetSelection.groups("datasets")
    everything = dg.AssetSelection.all()
    jobs = []
    one_set = len({found for source in sources if (found := definition(source))}) <= 1
    if one_set:
        jobs.append(
            dg.define_asset_job(
                "run", everything - exported if exports else everything, description="Sources to published snapshot."
            )
        )
    if sources and one_set:
        jobs.append(dg.define_asset_job("ingest", ingested, description="Read what is new into the repository."))
    if exports:
        jobs.append(dg.define_asset_job("export", exported, description="A new release of every data set."))
    return jobs


@dg.definitions
def defs() -> dg.Definitions:
    """The project named by WAREHOUSE_PROJECT, else the one that the working directory lies in."""
    named = os.environ.get("WAREHOUSE_PROJECT")
    return build_definitions(find(Path(named) if named else None))
