"""Sources into the repository: one asset a source, and one a table that audits what all its sources wrote.

An object's bytes go to the archive first; an object that is still the current one of its uri under the same reader is
skipped; every other is read again whole. ``known_at`` is the source's own, else the moment the run was planned, so a
retried or re-executed run repeats it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
from tqdm import tqdm

from pipelines.costs import metered
from pipelines.gates import audit, check_specs, table_metadata
from warehouse.contracts import Receipt
from warehouse.gate import Suite
from warehouse.project import Project, prepare
from warehouse.repository import Repository
from warehouse.sources import Source, closing_parser, locate, plan_known_at, read, reader_id

OWNERS = ["team:data-platform"]


class IngestConfig(dg.Config):
    """reread: read every object again from the archive, also those that did not change."""

    reread: bool = False


@dataclass(frozen=True, slots=True)
class Ingested:
    """What one ingestion did: its receipts (one a commit), and the objects that had not changed."""

    receipts: tuple[Receipt, ...]
    objects: int
    unchanged_objects: int
    bytes_read: int

    def total(self, count: str) -> int:
        """Sum of one of the receipts' counts: rows_in, rows_out, unchanged, rejected or dropped."""
        return sum(getattr(receipt, count) for receipt in self.receipts)

    def drops(self) -> dict[str, int]:
        """What was dropped, by reason, the most frequent first."""
        return dict(sum((Counter(receipt.drops) for receipt in self.receipts), Counter()).most_common())


def planned_at(context: dg.AssetExecutionContext) -> datetime:
    """When this run, or the first run it re-executes, was created: the knowledge time of what states none."""
    record = context.instance.get_run_record_by_id(context.run.root_run_id or context.run.run_id)
    return record.create_timestamp.astimezone(UTC) if record else datetime.now(UTC)


def ingest(project: Project, source: Source, *, run_id: str, known_at: datetime, reread: bool = False) -> Ingested:
    """Read what is new of a source into its table; bad records become rejects, and the counts add up."""
    repository = Repository(project.root)
    objects = unchanged = size_read = 0
    with (
        closing_parser(),
        repository.ingestion(
            table=source.table,
            source=source.name,
            run_id=run_id,
            licence=source.licence,
            max_reject_share=source.max_reject_share,
        ) as ingestion,
    ):
        for located in tqdm(
            list(locate(source, project.folder)), desc=source.name, unit="object", disable=None, delay=2
        ):
            sha256, size = repository.archive(located.path)
            reader = reader_id(source, located)
            objects, size_read = objects + 1, size_read + size
            stated = plan_known_at(source, located)
            if not reread and ingestion.is_current(located.uri, sha256, reader, known_at=stated):
                unchanged += 1
                continue
            readings = read(source, located, repository.object_path(sha256))
            ingestion.add(located.uri, sha256, size, stated or known_at, reader, readings)
        receipts = tuple(ingestion.finish())
    return Ingested(receipts, objects, unchanged, size_read)


def source_asset(project: Project, source: Source) -> dg.AssetsDefinition:
    """The asset ``sources/<name>``: its description, licence and reader, and a check that its counts add up."""
    key = dg.AssetKey(["sources", source.name])

    @dg.asset(
        key=key,
        group_name="sources",
        description=source.description or f"Objects of {', '.join(source.uri) or source.reader} into {source.table}.",
        kinds={"deltalake", source.reader or "file"},
        owners=OWNERS,
        metadata={
            "table": source.table,
            "licence": source.licence or "not stated",
            "origin": source.origin or "not stated",
        },
        check_specs=[dg.AssetCheckSpec("rows_are_conserved", asset=key, blocking=True)],
    )
    def _source(context: dg.AssetExecutionContext, config: IngestConfig) -> dg.MaterializeResult:  # type: ignore[type-arg]
        prepare(project)
        repository = Repository(project.root)
        with metered(repository, f"sources/{source.name}", context.run.run_id) as meter:
            done = ingest(
                project, source, run_id=context.run.run_id, known_at=planned_at(context), reread=config.reread
            )
            meter.rows, meter.bytes_read = done.total("rows_out"), done.bytes_read
        facts = {**_held(repository, source), **_metadata(done), **meter.cost()}
        return dg.MaterializeResult(metadata=facts, check_results=[_conserved(done)])

    return _source


def _held(repository: Repository, source: Source) -> dict[str, int]:
    """Rows that the table holds of a source over all its runs, and the version that added the last of them."""
    receipts = repository.receipts(source.table) if source.table in repository.tables() else []
    own = [receipt for receipt in receipts if receipt.source == source.name]
    held = {"dagster/row_count": sum(receipt.rows_out for receipt in own)}
    return {**held, "delta_version": own[-1].version} if own else held


def _metadata(done: Ingested) -> dict[str, int]:
    counts = ("rows_in", "rows_out", "unchanged", "rejected", "dropped")
    return {
        **{count: done.total(count) for count in counts},
        "objects": done.objects,
        "objects_unchanged": done.unchanged_objects,
        "bytes_read": done.bytes_read,
        **{f"dropped/{reason}": count for reason, count in done.drops().items()},
    }


def _conserved(done: Ingested) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="rows_are_conserved",
        passed=all(receipt.balanced for receipt in done.receipts),
        metadata={"rows_in": done.total("rows_in"), "rows_out": done.total("rows_out")},
    )


def table_asset(
    project: Project, table: str, sources: Sequence[dg.AssetKey], suites: Sequence[Suite]
) -> dg.AssetsDefinition:
    """The asset ``repository/<table>``: the table's new version, audited by its suite before anything reads it."""
    key = dg.AssetKey(["repository", table])

    @dg.asset(
        key=key,
        deps=list(sources),
        group_name="repository",
        description=f"Delta table {table}: what its sources wrote, audited before anything reads it.",
        kinds={"deltalake", "parquet"},
        owners=OWNERS,
        check_specs=check_specs(key, suites),
    )
    def _table(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        repository = Repository(project.root)
        with metered(repository, f"repository/{table}", context.run.run_id) as meter:
            snapshot = repository.snapshot(table)
            meter.rows = snapshot.rows
            results = audit(key, suites, repository, memory_limit=project.memory_limit)
        return dg.MaterializeResult(
            metadata={**table_metadata(snapshot), **meter.cost()},
            data_version=dg.DataVersion(str(snapshot.version)),
            check_results=results,
        )

    return _table
