"""Documents that were not compared yet, compared with all: one asset, committed part by part."""

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

KEY = dg.AssetKey(["repository", "pairs"])
READS = ("documents", "signals", "minhash")


def pair(
    repository: Repository, *, run_id: str, memory_limit: str | None = None, read_bytes: int = curation.READ_BYTES
) -> tuple[int, int, int]:
    """Append what the documents that were not compared yet add to ``pairs``: rows, candidates, bytes of text read.

    Every part is a commit; a run killed between two is finished by the next. Raises Busy where another run has compared
    meanwhile.
    """
    before = held(repository, "pairs", curation.PAIRS)
    with connect(memory_limit=memory_limit) as con:
        attach_repository(con, [*map(repository.snapshot, READS), before])
        parts = ({"pairs": [found]} for found in curation.pairs(con, read_bytes=read_bytes))
        added = append_parts(repository, [before], parts, run_id=run_id)["pairs"]
    return added.rows, added.compared, added.bytes


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
    def _paired(context: dg.AssetExecutionContext) -> Result:
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
