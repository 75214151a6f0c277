"""Documents compared with the benchmarks that they were not compared with yet: one asset, committed part by part."""

from collections.abc import Iterator, Sequence
from itertools import chain

import dagster as dg
import pyarrow as pa

from pipelines.costs import metered
from pipelines.gates import audit, check_specs, table_metadata
from pipelines.ingest import OWNERS
from warehouse import curation
from warehouse.contracts import Snapshot
from warehouse.gate import Suite
from warehouse.project import Project
from warehouse.query import attach_repository, connect
from warehouse.repository import Repository
from warehouse.sources import BENCHMARKS

KEY = dg.AssetKey(["repository", "contamination"])
NONE = Snapshot("contamination", -1, (), curation.CONTAMINATION, rows=0, bytes=0)
EMPTY = curation.Compared(pa.RecordBatch.from_pylist([], curation.CONTAMINATION), documents=0, bytes=0)


def compare(
    repository: Repository, *, run_id: str, memory_limit: str | None = None, commit_bytes: int = curation.COMMIT_BYTES
) -> tuple[int, int, int]:
    """Append what the documents meet of benchmarks that they were not compared with: rows, documents, bytes of text.

    Every part is a commit; a run killed between two is finished by the next. Raises Busy where another run has compared
    meanwhile.
    """
    held = repository.snapshot("contamination") if "contamination" in repository.tables() else NONE
    at, rows, documents, size = held.version, 0, 0, 0
    with connect(memory_limit=memory_limit) as con:
        parts: Iterator[curation.Compared] = iter(())
        if BENCHMARKS in repository.tables():
            attach_repository(con, [*map(repository.snapshot, ("documents", BENCHMARKS)), held])
            parts = curation.overlaps(con, commit_bytes=commit_bytes)
        for found in chain(parts, [EMPTY]):  # the empty end makes the table where nothing was compared
            receipt = repository.append(
                "contamination",
                [found.rows],
                schema=curation.CONTAMINATION,
                source="curation",
                run_id=run_id,
                after=at,
            )
            at = max(at, receipt.version)
            rows, documents, size = rows + receipt.rows_out, documents + found.documents, size + found.bytes
    return rows, documents, size


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
    def _compared(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        repository, limit = Repository(project.root), project.memory_limit
        with metered(project, "repository/contamination", context.run.run_id) as meter:
            meter.rows, documents, meter.bytes_read = compare(repository, run_id=context.run.run_id, memory_limit=limit)
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
