"""Sources into the repository: one asset a source, and one a table that audits what all its sources wrote.

An object's bytes go to the archive first; an object that is still the current one of its uri under the same reader is
skipped; every other is read again whole. ``known_at`` is the source's own, else the moment the run was planned, so a
retried or re-executed run repeats it. Only what a network or a server fails at is tried again.
"""

import os
import sys
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from tqdm import tqdm

from pipelines.costs import metered
from pipelines.gates import Result, audit, check_specs, table_metadata
from pipelines.partitions import add_dynamic, asked_for, definition
from pipelines.tables import Part, table_parts
from warehouse.contracts import Freshness, ObjectFact, Receipt, digest
from warehouse.errors import NetworkError
from warehouse.gate import Suite
from warehouse.project import Project, prepare
from warehouse.repository import Ingestion, Repository
from warehouse.sources import (
    Located,
    Names,
    Source,
    answered,
    closing_parser,
    fetched,
    locate,
    partition_of,
    plan_known_at,
    read,
    read_batches,
    reader_id,
)

OWNERS = ["team:data-platform"]
COUNTS = ("rows_in", "rows_out", "unchanged", "rejected", "dropped")
RETRIES, LONGEST_WAIT_S = 4, 300


class IngestConfig(dg.Config):
    """reread: read every object again from the archive, also those that did not change."""

    reread: bool = False


@dataclass(frozen=True, slots=True)
class Ingested:
    """What one ingestion did: its receipts (one a commit), and the objects that had not changed.

    bytes_read: of files, and what came over a network; partitions: key -> objects met, of a source that has them;
    unmatched: a sentence for each name of the recipe that no object read has.
    """

    receipts: tuple[Receipt, ...]
    objects: int
    unchanged_objects: int
    bytes_read: int
    partitions: Mapping[str, int] = field(default_factory=dict)
    unmatched: tuple[str, ...] = ()

    def total(self, count: str) -> int:
        """Sum of one of the receipts' counts: rows_in, rows_out, unchanged, rejected or dropped."""
        return sum(getattr(receipt, count) for receipt in self.receipts)

    def of(self, partition: str) -> dict[str, int]:
        """The same counts of one partition, and its objects."""
        facts = [fact for receipt in self.receipts for fact in receipt.objects if fact.partition == partition]
        met = self.partitions.get(partition, 0)
        counts = {count: sum(getattr(fact, count) for fact in facts) for count in COUNTS}
        return {**counts, "objects": met, "objects_unchanged": met - len(facts)}

    def drops(self) -> dict[str, int]:
        """What was dropped, by reason, the most frequent first."""
        return dict(sum((Counter(receipt.drops) for receipt in self.receipts), Counter()).most_common())


def planned_at(context: dg.AssetExecutionContext) -> datetime:
    """When this run, or the first run it re-executes, was created: the knowledge time of what states none."""
    record = context.instance.get_run_record_by_id(context.run.root_run_id or context.run.run_id)
    return record.create_timestamp.astimezone(UTC) if record else datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Arrived:
    """An object's bytes in the archive; moved: bytes that were read for it, 0 where a server said it had not changed.

    known_at: as the source states it, else None; version: what the server calls the bytes.
    """

    sha256: str
    size: int
    moved: int
    known_at: datetime | None
    version: str | None = None


def ingest(
    project: Project,
    source: Source,
    *,
    run_id: str,
    known_at: datetime,
    reread: bool = False,
    partitions: Collection[str] | None = None,
) -> Ingested:
    """Read what is new of a source, of some of its partitions or all, into its table; bad records become rejects, and
    the counts add up.
    """
    repository = Repository(project.root)
    objects = _objects(project, source, now=known_at, partitions=partitions)
    unchanged = size_read = 0
    names = Names()
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
        for located, partition in tqdm(objects, desc=source.name, unit="object", disable=None, delay=2):
            if located.table:
                found = table_parts(source, located, ingestion.current(located.uri), reread=reread)
                unchanged += not found
                for part in found:
                    size_read += part.size
                    _add_part(
                        ingestion,
                        part,
                        repository=repository,
                        source=source,
                        located=located,
                        names=names,
                        known_at=known_at,
                        partition=partition,
                    )
                continue
            held = None if reread and located.database else ingestion.current(located.uri)
            arrived = _arrived(repository, source, located, held, folder=project.folder)
            sha256, size_read = arrived.sha256, size_read + arrived.moved
            reader = reader_id(source, located, repository.object_path(sha256))
            if not reread and ingestion.is_current(located.uri, sha256, reader, known_at=arrived.known_at):
                unchanged += 1
                continue
            readings = read(source, located, repository.object_path(sha256), names)
            ingestion.add(
                located.uri,
                sha256,
                arrived.size,
                arrived.known_at or known_at,
                reader,
                readings,
                version=arrived.version,
                partition=partition,
            )
        receipts = tuple(ingestion.finish())
    met = Counter(partition for _, partition in objects if partition is not None)
    return Ingested(receipts, len(objects), unchanged, size_read, met, tuple(names.unmatched(source)))


def _add_part(
    ingestion: Ingestion,
    part: Part,
    *,
    repository: Repository,
    source: Source,
    located: Located,
    names: Names,
    known_at: datetime,
    partition: str | None,
) -> None:
    """Read one part of a table; what it is, is archived in place of bytes."""
    sha256, size = repository.archive_chunks([part.state], name=located.uri)
    ingestion.add(
        located.uri,
        sha256,
        size,
        plan_known_at(source, located) or known_at,
        part.reader,
        read_batches(source, located, part.batches(), names, reader=part.reader.partition("/")[0]),
        version=part.version,
        partition=partition,
    )


def _objects(
    project: Project, source: Source, *, now: datetime, partitions: Collection[str] | None
) -> list[tuple[Located, str | None]]:
    """The objects to look at, each with its partition. Raises InputError for one that has none, whatever is asked."""
    found = [(each, partition_of(source, each, now=now)) for each in locate(source, project.folder)]
    return [each for each in found if partitions is None or each[1] in partitions]


def _arrived(
    repository: Repository, source: Source, located: Located, held: ObjectFact | None, *, folder: Path
) -> Arrived:
    """The object's bytes, copied or fetched into the archive; of a link that is not followed where it leads."""
    if located.link is not None:
        sha256, size = repository.archive_chunks([os.fsencode(located.link)], name=located.uri)
        return Arrived(sha256, size, size, plan_known_at(source, located))
    if located.database:
        return _answered(repository, source, located, held, folder)
    if located.url is None:
        sha256, size = repository.archive(located.path)
        return Arrived(sha256, size, size, plan_known_at(source, located))
    with fetched(source, located, version=held.version if held else None) as answer:
        if answer is None and held:
            stated = held.known_at if source.known_at.header else plan_known_at(source, located)
            return Arrived(held.sha256, held.size, 0, stated, held.version)
        if answer is None:
            raise NetworkError(f"{located.uri} answers 304 to a request without a condition", do="run it again later")
        known_at = plan_known_at(source, located, modified=answer.modified)
        sha256, size = repository.archive_chunks(answer.chunks, name=located.uri)
        return Arrived(sha256, size, size, known_at, answer.version)


def _answered(
    repository: Repository, source: Source, located: Located, held: ObjectFact | None, folder: Path
) -> Arrived:
    """What a database answers, in the archive."""
    with answered(source, located, held, folder=folder) as answer:
        if answer is None and held:
            return Arrived(held.sha256, held.size, 0, plan_known_at(source, located), held.version)
        chunks, version = (answer.chunks, answer.version) if answer else (iter(()), None)
        sha256, size = repository.archive_chunks(chunks, name=located.uri)
    return Arrived(sha256, size, size, plan_known_at(source, located), version)


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
                done = ingest(
                    project,
                    source,
                    run_id=context.run.run_id,
                    known_at=planned_at(context),
                    reread=config.reread,
                    partitions=asked,
                )
                meter.rows, meter.bytes_read = done.total("rows_out"), done.bytes_read
            for said in done.unmatched:
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
        wait = max(2**context.retry_number * (1 - share / 2), float(error.values.get("retry_after_s") or 0))  # type: ignore[arg-type] # a number where it stands
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
    for receipt in _receipts(repository, source):
        for fact in receipt.objects:
            if fact.partition is not None:
                held[fact.partition] += fact.rows_out
    return held


def _receipts(repository: Repository, source: Source) -> list[Receipt]:
    receipts = repository.receipts(source.table) if source.table in repository.tables() else []
    return [receipt for receipt in receipts if receipt.source == source.name]


def _held(repository: Repository, source: Source) -> dict[str, int]:
    """Rows that the table holds of a source over all its runs, and the version that added the last of them."""
    own = _receipts(repository, source)
    held = {"dagster/row_count": sum(receipt.rows_out for receipt in own)}
    return {**held, "delta_version": own[-1].version} if own else held


def _metadata(done: Ingested) -> dict[str, int]:
    return {
        **{count: done.total(count) for count in COUNTS},
        "objects": done.objects,
        "objects_unchanged": done.unchanged_objects,
        "bytes_read": done.bytes_read,
        **({"names_unmatched": len(done.unmatched)} if done.unmatched else {}),
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
