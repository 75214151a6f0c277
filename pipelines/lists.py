"""Documents searched by the lists in recipes/lists that they were not searched by yet: one asset, committed part by
part; none where there is no recipe.
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from pipelines.costs import metered
from pipelines.gates import Result, audit, check_specs, table_metadata
from pipelines.ingest import OWNERS
from pipelines.parts import append_parts, held
from warehouse import curation
from warehouse.curation import ListRecipe
from warehouse.gate import Suite
from warehouse.project import Project
from warehouse.query import attach_repository, connect
from warehouse.repository import Repository
from warehouse.sources import LISTED_HERE

(LISTS,) = LISTED_HERE
KEY = dg.AssetKey(["repository", LISTS])


def search(
    repository: Repository,
    recipes: Sequence[ListRecipe],
    *,
    run_id: str,
    memory_limit: str | None = None,
    commit_bytes: int = curation.COMMIT_BYTES,
    threads: int = 1,
) -> tuple[int, int, int]:
    """Append what the documents meet of lists that they were not searched by: rows, documents, bytes of text.

    Every part is a commit; a run killed between two is finished by the next. Raises RecipeError for a file that cannot
    be read or has a line that is no entry, Busy where another run has searched meanwhile.
    """
    before = held(repository, LISTS, curation.LISTS)
    signals = held(repository, "signals", curation.SIGNALS)
    with connect(memory_limit=memory_limit) as con:
        attach_repository(con, [repository.snapshot("documents"), signals, before])
        found = curation.listed(con, recipes, commit_bytes=commit_bytes, threads=threads)
        return append_parts(repository, before, found, run_id=run_id)


def list_assets(
    project: Project, recipes: Sequence[ListRecipe], suites: Mapping[str, Sequence[Suite]]
) -> Iterator[dg.AssetsDefinition]:
    """The asset ``repository/lists``, audited by its suite; none where there is no recipe."""
    if recipes:
        yield lists_asset(project, recipes, suites[f"repository.{LISTS}"])


def lists_asset(project: Project, recipes: Sequence[ListRecipe], suites: Sequence[Suite]) -> dg.AssetsDefinition:
    """The asset ``repository/lists``."""
    measured = ["documents", *["signals"] * any(recipe.kind == "words" for recipe in recipes)]

    @dg.asset(
        key=KEY,
        deps=[dg.AssetKey(["repository", table]) for table in measured],
        group_name="curation",
        description="How often entries of each list in recipes/lists stand in each document, or in its URL.",
        kinds={"deltalake", "numba"},
        owners=OWNERS,
        check_specs=check_specs(KEY, suites),
    )
    def _searched(context: dg.AssetExecutionContext) -> Result:
        repository, run_id, limit = Repository(project.root), context.run.run_id, project.memory_limit
        with metered(project, f"repository/{LISTS}", run_id) as meter:
            meter.rows, documents, meter.bytes_read = search(
                repository, recipes, run_id=run_id, memory_limit=limit, threads=project.threads
            )
            results = audit(KEY, suites, repository, memory_limit=limit)
        snapshot = repository.snapshot(LISTS)
        return dg.MaterializeResult(
            metadata={
                **table_metadata(snapshot),
                "new_rows": meter.rows,
                "documents_searched": documents,
                "lists": ", ".join(recipe.name for recipe in recipes),
                **meter.cost(),
            },
            data_version=dg.DataVersion(str(snapshot.version)),
            check_results=results,
        )

    return _searched
