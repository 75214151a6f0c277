"""Documents compared with the benchmarks that they were not compared with yet: one asset, committed part by part."""

from collections.abc import Sequence

import dagster as dg

from pipelines.costs import metered
from pipelines.gates import Result, audit, check_specs, table_metadata
from pipelines.ingest import OWNERS
from pipelines.parts import append_parts, held
from warehouse import curation
from warehouse.gate import Suite
from warehouse.project import Project
from warehouse.query import attach_repository, connect
from warehouse.repository import Repository
from warehouse.sources import BENCHMARKS

KEY = dg.AssetKey(["repository", "contamination"])


def compare(
    repository: Repository,
    *,
    run_id: str,
    memory_limit: str | None = None,
    commit_bytes: int = curation.COMMIT_BYTES,
    threads: int = 1,
) -> tuple[int, int, int]:
    """Append what the documents meet of benchmarks that they were not compared with: rows, documents, bytes of text.

    Every part is a commit; a run killed between two is finished by the next. Raises Busy where another run has compared
    meanwhile.
    """
    before = held(repository, "contamination", curation.CONTAMINATION)
    if BENCHMARKS not in repository.tables():
        return append_parts(repository, before, (), run_id=run_id)
    with connect(memory_limit=memory_limit) as con:
        attach_repository(con, [*map(repository.snapshot, ("documents", BENCHMARKS)), before])
        found = curation.overlaps(con, commit_bytes=commit_bytes, threads=threads)
        return append_parts(repository, before, found, run_id=run_id)


def contamination_asset(project: Project, suites: Sequence[Suite], *, registered: bool) -> dg.AssetsDefinition:
    """The asset ``repository/contamination``, audited by its suite; registered: whether a source is a benchmark."""

    @dg.asset(
        key=KEY,
        deps=[dg.AssetKey(["repository", table]) for table in ("documents", *[BENCHMARKS] * registered)],
        group_name="curation",
        description="Runs of words in documents whose 13-grams a registered benchmark holds.",
        kinds={"deltalake", "numba"},
        owners=OWNERS,
        code_version=str(curation.CONTAMINATION_VERSION),
        check_specs=check_specs(KEY, suites),
    )
    def _compared(context: dg.AssetExecutionContext) -> Result:
        repository, limit = Repository(project.root), project.memory_limit
        with metered(project, "repository/contamination", context.run.run_id) as meter:
            meter.rows, documents, meter.bytes_read = compare(
                repository, run_id=context.run.run_id, memory_limit=limit, threads=project.threads
            )
            results = audit(KEY, suites, repository, memory_limit=limit)
        snapshot = repository.snapshot("contamination")
        return dg.MaterializeResult(
            metadata={
                **table_metadata(snapshot),
                "new_rows": meter.rows,
                "documents_compared": documents,
                "benchmarks": "registered" if BENCHMARKS in repository.tables() else "none is registered",
                **meter.cost(),
            },
            data_version=dg.DataVersion(str(snapshot.version)),
            check_results=results,
        )

    return _compared
