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

from pipelines.automation import IMPLICIT_JOB, inbox, maintenance, nightly
from pipelines.build import DUCKDB_WRITER, Suites, snapshot_asset
from pipelines.export import dataset_asset, read_by, table_dataset_asset
from pipelines.features import features_asset, refuse_unfed
from pipelines.ingest import source_asset, table_asset
from pipelines.measures import measured_tables, measures_asset
from pipelines.operate import maintenance_asset
from pipelines.pairs import pairs_asset
from pipelines.partitions import definition
from pipelines.report import report_asset
from pipelines.runway import READS, corpus_asset, world_asset
from pipelines.scores import bind_score, score_assets
from pipelines.synthesise import Bound, bind, synthetic_asset
from pipelines.takedown import takedown_assets
from warehouse.answers.features import reads
from warehouse.curation import ListRecipe, ScoreRecipe, load_list, load_score
from warehouse.datasets import TableRecipe, load_recipe
from warehouse.energy import rate
from warehouse.errors import RecipeError
from warehouse.features import load_features
from warehouse.gate import Suite, load_suites
from warehouse.models import Model, load_models
from warehouse.project import Project, builtin_folder, find
from warehouse.query import AS_OF, DERIVED
from warehouse.sources import BENCHMARKS, LISTED_HERE, SCORED_HERE, WRITTEN_HERE, Source, load_source
from warehouse.synthetic import TABLE as STATEMENTS
from warehouse.synthetic import FactsRecipe, RowsRecipe, load_synthetic

MADE_HERE = ("documents", *WRITTEN_HERE)
"""Repository tables that a project has whatever its sources are."""


def build_definitions(project: Project, *, pool: str | None = DUCKDB_WRITER) -> dg.Definitions:
    """Assets, checks, jobs and what starts them, of ``project``; pool: of the step that builds the DuckDB file.

    Raises RecipeError, with file and line, for a file that is refused.
    """
    rate(project)
    sources = [load_source(path) for path in project.files("recipes/sources", "*.yaml")]
    suites: dict[str, list[Suite]] = defaultdict(list)
    for suite in load_suites(project.files("expectations", "*.json")):
        suites[suite.table].append(suite)
    loaded = load_models(project.files("sql", "*.sql"))
    synthesising = [load_synthetic(path) for path in project.files("recipes/synthetic", "*.yaml")]
    _refuse_taken(sources, synthesising)
    scoring = [load_score(path) for path in project.files("recipes/scores", "*.yaml")]
    listing = [load_list(path, project.folder) for path in project.files("recipes/lists", "*.yaml")]
    derived = _derived(sources)
    written = _written(sources, synthesising, scoring, listing) | derived.keys()
    models = _fed(loaded, written)
    _refuse_unfed(project, loaded, models, written)
    _refuse_unmet(project, suites, loaded, written)
    bound = [bind(recipe, models, _typed(sources)) for recipe in synthesising]
    scored = [bind_score(recipe, models, written) for recipe in scoring]
    recipes = [load_recipe(path) for path in project.files("recipes/datasets", "*.yaml")]
    ingesting = [*(source_asset(project, source) for source in sources), *_tables(project, sources, bound, suites)]
    made = [load_features(path) for path in project.files("recipes/features", "*.yaml")]
    for each in made:
        refuse_unfed(each, {model.name for model in models} | written)
    pins = {name for each in made for name in reads(each) if name.startswith("repository.")}
    pins |= {f"repository.{table}" for each in bound for table in each.writes}
    of_rows = [each for each in recipes if isinstance(each, TableRecipe) or each.chat]
    pins |= written & {name for each in of_rows for name in read_by(each)}
    snapshot = snapshot_asset(project, models, suites, pins=sorted(pins), derived=derived, pool=pool)
    measured = measured_tables(project.words, listing, registered=any(each.benchmark for each in sources))
    measuring = [measures_asset(project, suites, measured), pairs_asset(project, suites["repository.pairs"])]
    building = [*measuring, *score_assets(project, scored, suites), snapshot]
    lasting = [world_asset(project, suites["repository.runway"])]
    if set(READS) <= {model.name for model in models}:
        lasting.append(corpus_asset(project, suites["repository.runway"]))
    featured = [features_asset(project, each, suites[f"repository.{each.table}"]) for each in made]
    known = {each.name: each for each in made}
    exporting = [
        table_dataset_asset(project, recipe, known)
        if isinstance(recipe, TableRecipe)
        else dataset_asset(project, recipe)
        for recipe in recipes
    ]
    synthetic = [synthetic_asset(project, each) for each in bound]
    assets = [*ingesting, *synthetic, *building, *lasting, *featured, *exporting]
    assets += [maintenance_asset(project), *takedown_assets(project)]
    jobs = _jobs(sources, bool(recipes))
    target = next((job.name for job in jobs if job.name == "run"), IMPLICIT_JOB)
    return dg.Definitions(
        assets=[*assets, report_asset(project, (key for asset in assets for key in asset.check_keys))],
        jobs=jobs,
        schedules=[nightly(project, target), maintenance(project)],
        sensors=[inbox(project, sources)] if sources else [],
        executor=dg.in_process_executor,
    )


def _tables(
    project: Project, sources: Sequence[Source], bound: Sequence[Bound], suites: Suites
) -> list[dg.AssetsDefinition]:
    writers: dict[str, list[dg.AssetKey]] = defaultdict(list)
    writers["documents"] = []
    for source in sources:
        writers[source.table].append(dg.AssetKey(["sources", source.name]))
    for each in bound:
        for table in each.writes:
            writers[table].append(each.key)
    return [table_asset(project, table, keys, suites[f"repository.{table}"]) for table, keys in writers.items()]


def _typed(sources: Sequence[Source]) -> set[str]:
    """Tables that sources write, but for documents and benchmarks: what something synthetic may be made of."""
    return {source.table for source in sources} - {*MADE_HERE, BENCHMARKS}


def _refuse_taken(sources: Sequence[Source], synthesising: Sequence[FactsRecipe | RowsRecipe]) -> None:
    """Raise RecipeError for a recipe named as a source, whose documents it would share, or as a source's table."""
    names, tables = {source.name for source in sources}, {source.table for source in sources}
    for recipe in synthesising:
        taken = {recipe.name} & names or ({recipe.table} & tables if isinstance(recipe, RowsRecipe) else set())
        if taken:
            came = f"{recipe.path}:1: {taken.pop()} is a source here, or its table"
            raise RecipeError(came, allowed="a name of its own", do="rename the file")


def _fed(models: Sequence[Model], tables: set[str]) -> list[Model]:
    """The models that something of this project feeds: a built-in mart of figures that no source brings is left out,
    unless it says what it is otherwise.
    """
    fed: dict[str, Model] = {}
    for model in models:
        if set(model.reads) <= tables and set(model.depends_on) <= fed.keys():
            fed[model.name] = model
        elif instead := model.standing_in():
            fed[model.name] = instead
    return list(fed.values())


def _written(
    sources: Sequence[Source],
    synthesising: Sequence[FactsRecipe | RowsRecipe],
    scoring: Sequence[ScoreRecipe],
    listing: Sequence[ListRecipe],
) -> set[str]:
    """The repository tables that a run of this project writes."""
    drawn = (recipe.table if isinstance(recipe, RowsRecipe) else STATEMENTS for recipe in synthesising)
    stored = (
        *MADE_HERE,
        *(source.table for source in sources),
        *drawn,
        *(SCORED_HERE if scoring else ()),
        *(LISTED_HERE if listing else ()),
    )
    return {f"repository.{table}" for table in stored}


def _derived(sources: Sequence[Source]) -> dict[str, str]:
    """Views beside a keyed table, and what was known at a moment -> the table."""
    tables = {source.table for source in sources if source.keyed}
    return {f"repository.{table}{end}": f"repository.{table}" for table in tables for end in (*DERIVED, AS_OF)}


def _refuse_unfed(project: Project, loaded: Sequence[Model], fed: Sequence[Model], written: set[str]) -> None:
    """Raise RecipeError for a model of the project's own that reads what nothing writes: it would vanish in silence."""
    names = {model.name for model in fed}
    for model in (model for model in loaded if model.name not in names and _is_own(project, model.path)):
        missing = sorted({*model.reads, *model.depends_on} - names - written)
        raise RecipeError(
            f"{model.path}:{model.sql_line}: {model.name} reads {' and '.join(missing)}, which nothing here writes",
            do="mend the name, or write the recipe of a source with that table",
        )


def _refuse_unmet(project: Project, suites: Suites, loaded: Sequence[Model], written: set[str]) -> None:
    """Raise RecipeError for a suite of the project's own whose table does not exist: it would pass unasked."""
    known = {model.name for model in loaded} | written
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
    ingested = dg.AssetSelection.groups("sources", "synthetic", "repository")
    exported = dg.AssetSelection.groups("datasets")
    reported = dg.AssetSelection.groups("report")
    kept = dg.AssetSelection.groups("maintenance")
    everything = dg.AssetSelection.all() - reported - kept - dg.AssetSelection.groups("takedown")
    jobs = [
        dg.define_asset_job("report", reported, description="The page of pictures and verdicts."),
        dg.define_asset_job("maintain", kept, description="Small files put together, files of old versions removed."),
    ]
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
