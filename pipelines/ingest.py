"""Sources into the repository: one asset a source, and one a table that audits what all its sources wrote.

``intake`` has what is done of a source; ``known_at`` is the source's own, else the moment the run was planned, so a
retried or re-executed run repeats it. Only what a network or a server fails at is tried again, after what could be
fetched is committed; a source fails only where more than ``max_reject_share`` of its objects are rejects, or all.
"""

import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from tqdm import tqdm

from pipelines.costs import metered
from pipelines.gates import Metadata, Result, audit, check_specs, skipped_results, table_metadata
from pipelines.intake import COUNTS, Ingested, ingest, own_receipts, retry
from pipelines.partitions import add_dynamic, asked_for, definition
from warehouse.contracts import Freshness, digest
from warehouse.errors import NetworkError
from warehouse.gate import Suite
from warehouse.project import Project, prepare
from warehouse.repository import Repository
from warehouse.sources import (
    Source,
)

OWNERS = ["team:data-platform"]
RETRIES, LONGEST_WAIT_S = 4, 300
SHOWN = 50
"""Schema changes in a step's metadata."""


class IngestConfig(dg.Config):
    """reread: read every object again from the archive, also those that did not change or are gone; retry: those alone
    that had rejects.
    """

    reread: bool = False
    retry: bool = False


def planned_at(context: dg.AssetExecutionContext) -> datetime:
    """When this run, or the first run it re-executes, was created: the knowledge time of what states none."""
    record = context.instance.get_run_record_by_id(context.run.root_run_id or context.run.run_id)
    return record.create_timestamp.astimezone(UTC) if record else datetime.now(UTC)


def source_asset(project: Project, source: Source) -> dg.AssetsDefinition:
    """The asset ``sources/<name>``: its description, licence and reader, and a check that its counts add up."""
    key = dg.AssetKey(["sources", source.name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # of backfill_policy

        @dg.asset(
            key=key,
            group_name="sources",
            description=_described(source),
            kinds={"deltalake", source.reader or "file"},
            owners=OWNERS,
            metadata=_stated(source),
            partitions_def=definition(source),
            backfill_policy=dg.BackfillPolicy.single_run() if source.partitions else None,
            freshness_policy=freshness(source.fresh_within),
            check_specs=[dg.AssetCheckSpec("rows_are_conserved", asset=key, blocking=True)],
        )
        def _source(context: dg.AssetExecutionContext, config: IngestConfig) -> Result:
            prepare(project)
            repository = Repository(project.root)
            asked = asked_for(context, source)
            with metered(project, f"sources/{source.name}", context.run.run_id) as meter, retried(context):
                run_id, planned = context.run.run_id, planned_at(context)
                if config.retry:
                    done = retry(project, source, run_id=run_id, known_at=planned)
                else:
                    done = ingest(
                        project,
                        source,
                        run_id=run_id,
                        known_at=planned,
                        reread=config.reread,
                        partitions=asked,
                        retries_left=RETRIES - context.retry_number,
                    )
                meter.rows, meter.bytes_read = done.total("rows_out"), done.bytes_read
            for said in (*done.unmatched, *done.failed):
                context.log.warning(said)
                tqdm.write(said, file=sys.stderr)
            if source.partitions:
                _note_partitions(context, repository, source, done, asked)
            facts = {**_held(repository, source), **_metadata(done), **meter.cost()}
            if source.network:
                facts["network_retries"] = context.retry_number
            return dg.MaterializeResult(metadata=facts, check_results=[_conserved(done)])

    return _source


def _described(source: Source) -> str:
    places = [*source.uri, *([f"{source.inbox_folder}/"] if source.inbox else [])]
    return source.description or f"Objects of {', '.join(places) or source.reader} into {source.table}."


def _stated(source: Source) -> dict[str, str]:
    """What the source's YAML says, as the asset's metadata."""
    return {
        "table": source.table,
        "licence": source.licence or "not stated",
        "origin": source.origin or "not stated",
        "inbox": f"{source.inbox_folder}/" if source.inbox_folder else "none",
        "retries": f"{RETRIES}, of network errors only" if source.network else "none",
    }


def freshness(stated: Freshness | None) -> dg.FreshnessPolicy | None:
    """Dagster's policy: an asset that no run has made for so long is overdue."""
    if stated is None:
        return None
    warn = timedelta(seconds=stated.warn_s) if stated.warn_s else None
    return dg.FreshnessPolicy.time_window(timedelta(seconds=stated.fail_s), warn)


@contextmanager
def retried(context: dg.AssetExecutionContext) -> Iterator[None]:
    """A block whose NetworkError makes Dagster run the step again, RETRIES times at most; any other error ends it.

    The wait doubles from 1 s, less up to half of it by a hash of run and attempt, so that steps of many runs do not
    come back together; a server's Retry-After is kept to, up to LONGEST_WAIT_S.
    """
    try:
        yield
    except NetworkError as error:
        if context.retry_number >= RETRIES:
            raise
        share = int(digest(context.run.run_id, str(context.retry_number))[:8], 16) / 2**32
        wait = max(2**context.retry_number * (1 - share / 2), error.asked_wait_s)
        wait_s = min(wait, LONGEST_WAIT_S)
        context.log.warning(f"{error} Again in {wait_s:.1f} s.")
        tqdm.write(f"{error.came}; again in {wait_s:.0f} s", file=sys.stderr)
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=wait_s) from error


def _note_partitions(
    context: dg.AssetExecutionContext,
    repository: Repository,
    source: Source,
    done: Ingested,
    asked: Sequence[str] | None,
) -> None:
    """Each partition's own counts: of those asked for, else of all that were read or that Dagster does not know."""
    add_dynamic(context.instance, source, list(done.partitions))
    held = _held_by_partition(repository, source)
    for key in asked or ():
        context.add_asset_metadata({**_row_count(held[key]), **done.of(key)}, partition_key=key)
    if asked is None:
        read_now = {fact.partition for receipt in done.receipts for fact in receipt.objects}
        known = context.instance.get_materialized_partitions(context.asset_key)
        for key in sorted(done.partitions):
            if key in read_now or key not in known:
                facts = {**_row_count(held[key]), **done.of(key)}
                context.log_event(dg.AssetMaterialization(context.asset_key, partition=key, metadata=facts))


def _row_count(rows: int) -> dict[str, int]:
    return {"dagster/row_count": rows}


def _held_by_partition(repository: Repository, source: Source) -> Counter[str]:
    """Rows that the table holds of each partition of a source, over all its runs."""
    held: Counter[str] = Counter()
    for receipt in own_receipts(repository, source):
        for fact in receipt.objects:
            if fact.partition is not None:
                held[fact.partition] += fact.rows_out
    return held


def _held(repository: Repository, source: Source) -> dict[str, int]:
    """Rows that the table holds of a source over all its runs, and the version that added the last of them."""
    own = own_receipts(repository, source)
    held = {"dagster/row_count": sum(receipt.rows_out + receipt.deleted for receipt in own)}
    return {**held, "delta_version": own[-1].version} if own else held


def _schema_changes(changes: Sequence[Mapping[str, Any]]) -> Metadata:
    """How many differences from the table there were, and a table of them."""
    if not changes:
        return {}
    names = ("column_name", "change", "was", "became", "rows", "objects", "uri")
    rows = [" | ".join(str(row.get(name) or "").replace("|", "\\|") for name in names) for row in changes[:SHOWN]]
    lines = [" | ".join(names), " | ".join("---" for _ in names), *rows]
    shown = "\n".join(f"| {line} |" for line in lines)
    return {"schema_changes": len(changes), "schema_changes_shown": dg.MetadataValue.md(shown)}


def _metadata(done: Ingested) -> Metadata:
    return {
        **{count: done.total(count) for count in COUNTS},
        "objects": done.objects,
        "objects_unchanged": done.unchanged_objects,
        "bytes_read": done.bytes_read,
        **({"names_unmatched": len(done.unmatched)} if done.unmatched else {}),
        **({"objects_failed": len(done.failed)} if done.failed else {}),
        **({"deleted": done.total("deleted")} if done.total("deleted") else {}),
        **({"rejects_read_now": done.resolved} if done.resolved else {}),
        **_schema_changes(done.changes),
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
    def _table(context: dg.AssetExecutionContext) -> Result:
        repository = Repository(project.root)
        if table not in repository.tables():
            absent = f"repository.{table} is not there: no source made it"
            return dg.MaterializeResult(
                metadata={"dagster/row_count": 0}, check_results=list(skipped_results(key, suites, absent))
            )
        with metered(project, f"repository/{table}", context.run.run_id) as meter:
            snapshot = repository.snapshot(table)
            meter.rows = snapshot.rows
            results = audit(key, suites, repository, memory_limit=project.memory_limit)
        return dg.MaterializeResult(
            metadata={**table_metadata(snapshot), **meter.cost()},
            data_version=dg.DataVersion(str(snapshot.version)),
            check_results=results,
        )

    return _table
