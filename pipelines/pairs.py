"""Documents that were not compared yet, compared with all: one asset, committed part by part."""

from collections.abc import Sequence
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

KEY = dg.AssetKey(["repository", "pairs"])
READS = ("documents", "signals", "minhash")
NONE = Snapshot("pairs", -1, (), curation.PAIRS, rows=0, bytes=0)
EMPTY = curation.Found(pa.RecordBatch.from_pylist([], curation.PAIRS), candidates=0, bytes=0)


def pair(
    repository: Repository, *, run_id: str, memory_limit: str | None = None, read_bytes: int = curation.READ_BYTES
) -> tuple[int, int, int]:
    """Append what the documents that were not compared yet add to ``pairs``: rows, candidates, bytes of text read.

    Every part is a commit; a run killed between two is finished by the next. Raises Busy where another run has compared
    meanwhile.
    """
    held = repository.snapshot("pairs") if "pairs" in repository.tables() else NONE
    at, rows, candidates, size = held.version, 0, 0, 0
    with connect(memory_limit=memory_limit) as con:
        attach_repository(con, [*map(repository.snapshot, READS), held])
        parts = curation.pairs(con, read_bytes=read_bytes)
        for found in chain(parts, [EMPTY]):  # the empty end makes the table where nothing was compared
            receipt = repository.append(
                "pairs", [found.rows], schema=curation.PAIRS, source="curation", run_id=run_id, after=at
            )
            at = max(at, receipt.version)
            rows, candidates, size = rows + receipt.rows_out, candidates + found.candidates, size + found.bytes
    return rows, candidates, size


def pairs_asset(project: Project, suites: Sequence[Suite]) -> dg.AssetsDefinition:
    """The asset ``repository/pairs``, audited by its suite."""

    @dg.asset(
        key=KEY,
        deps=[dg.AssetKey(["repository", table]) for table in READS],
        group_name="curation",
        description="Pairs of near duplicates: candidates that share a MinHash band, verified by true Jaccard.",
        kinds={"deltalake", "duckdb", "numba"},
        owners=OWNERS,
        code_version=str(curation.MINHASH_VERSION),
        check_specs=check_specs(KEY, suites),
    )
    def _paired(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        repository, limit = Repository(project.root), project.memory_limit
        with metered(project, "repository/pairs", context.run.run_id) as meter:
            meter.rows, candidates, meter.bytes_read = pair(repository, run_id=context.run.run_id, memory_limit=limit)
            results = audit(KEY, suites, repository, memory_limit=limit)
        snapshot = repository.snapshot("pairs")
        return dg.MaterializeResult(
            metadata={
                **table_metadata(snapshot),
                "new_rows": meter.rows,
                "candidates_verified": candidates,
                **meter.cost(),
            },
            data_version=dg.DataVersion(str(snapshot.version)),
            check_results=results,
        )

    return _paired
