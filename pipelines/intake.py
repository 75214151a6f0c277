"""What is new of a source, read into its table: objects fetched, archived, compared with the current ones, and read.

An object's bytes go to the archive first; an object that is still the current one of its uri under the same reader is
skipped; of one that grew the rest is read (``growing``), every other is read again whole. ``known_at`` is the source's
own, else what the caller says. What a network or a server fails at is kept as a reject ``not_fetched`` after all else
is committed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from pipelines.cutters import cutter
from pipelines.growing import read_on, read_rest_again
from pipelines.tables import Part, table_parts
from warehouse.contracts import RESOLVED_REJECTS, SCHEMA_CHANGES, ObjectFact, Receipt, digest
from warehouse.errors import InputError, NetworkError, WarehouseError
from warehouse.project import Project
from warehouse.query import attach_repository, fetch_all, shared
from warehouse.repository import Ingestion, Reading, Repository
from warehouse.sources import (
    Located,
    Names,
    Readers,
    Source,
    answered,
    closing_parser,
    fetched,
    locate,
    not_fetched,
    partition_of,
    plan_known_at,
    read,
    read_batches,
    reader_id,
    recipe_digest,
    stored,
)

AHEAD_BYTES = 1 << 20
"""Smaller objects are read by this process whatever others do: to start one takes 0.4 CPU s."""
READ_FAST = ("jsonl", "parquet", "arrow", "link")
"""Read faster than written: eight files of 20 MB of JSON Lines took 1.4 CPU s here and 2.9 through two processes."""
COUNTS = ("rows_in", "rows_out", "unchanged", "rejected", "dropped")


@dataclass(frozen=True, slots=True)
class Ingested:
    """What one ingestion did: its receipts (one a commit), and the objects that had not changed.

    bytes_read: of files, and what came over a network; partitions: key -> objects met, of a source that has them;
    unmatched: a sentence for each name of the recipe that no object read has; failed: one for each object that could
    not be fetched; changes: rows of ``schema_changes``; resolved: rejects of before that were read now.
    """

    receipts: tuple[Receipt, ...]
    objects: int
    unchanged_objects: int
    bytes_read: int
    partitions: Mapping[str, int] = field(default_factory=dict)
    unmatched: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    changes: tuple[Mapping[str, Any], ...] = ()
    resolved: int = 0

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


@dataclass(frozen=True, slots=True)
class Arrived:
    """An object's bytes in the archive; moved: bytes that were read for it, 0 where a server said it had not changed.

    known_at: as the source states it, else None; version: what the server calls the bytes; part: of a Delta table,
    whose rows are not the archived bytes.
    """

    located: Located
    sha256: str
    size: int
    moved: int
    known_at: datetime | None
    version: str | None = None
    partition: str | None = None
    part: Part | None = None


def ingest(
    project: Project,
    source: Source,
    *,
    run_id: str,
    known_at: datetime,
    reread: bool = False,
    partitions: Collection[str] | None = None,
    retries_left: int = 0,
) -> Ingested:
    """Read what is new of a source, of some of its partitions or all, into its table; bad records become rejects, and
    the counts add up, those of earlier tries of a run with them.

    Raises NetworkError, after the commit of all else, where a network failed and retries are left.
    """
    repository = Repository(project.root)
    if refused := _refused_table(repository, source, run_id=run_id, known_at=known_at):
        return refused
    objects = _objects(project, source, now=known_at, partitions=partitions, reread=reread)
    with closing_parser():
        intake = _Intake(
            repository,
            source,
            objects,
            known_at=known_at,
            reread=reread,
            partitions=partitions,
            folder=project.folder,
            processes=project.threads,
        )
        done = intake.taken(run_id)
    _settle(
        repository,
        source,
        intake.failed,
        objects=len(objects),
        run_id=run_id,
        known_at=known_at,
        retries_left=retries_left,
    )
    return _with_earlier_tries(repository, source, done, run_id) if source.network else done


def _with_earlier_tries(repository: Repository, source: Source, done: Ingested, run_id: str) -> Ingested:
    """What all tries of a run did: an earlier one may have read what is unchanged by now."""
    receipts = tuple(each for each in own_receipts(repository, source) if each.run_id == run_id)
    before = sum(len(each.objects) for each in receipts) - sum(len(each.objects) for each in done.receipts)
    return replace(done, receipts=receipts, unchanged_objects=done.unchanged_objects - before)


def _settle(
    repository: Repository,
    source: Source,
    failed: Mapping[str, WarehouseError],
    *,
    objects: int,
    run_id: str,
    known_at: datetime,
    retries_left: int,
) -> None:
    """Keep what could not be fetched as rejects. Raises NetworkError where it is to be tried again, and the first
    error where too many failed.
    """
    passing = [error for error in failed.values() if isinstance(error, NetworkError)]
    if passing and retries_left:
        raise max(passing, key=lambda error: error.asked_wait_s)
    if not failed:
        return
    rejects = [not_fetched(uri, error) for uri, error in failed.items()]
    repository.refuse(rejects, source=source.name, run_id=run_id, known_at=known_at)
    first = next(iter(failed.values()))
    if objects == 1:
        raise first
    if len(failed) == objects or len(failed) > source.max_reject_share * objects:
        raise InputError(
            f"source {source.name}: {len(failed)} of {objects} objects could not be fetched, the others were read:"
            f" {first.came}",
            allowed=f"a share of {source.max_reject_share:.1%} (max_reject_share)",
            do=f"look at them with 'warehouse rejects {source.name}', then mend uri, or allow the share",
        )


def retry(project: Project, source: Source, *, run_id: str, known_at: datetime) -> Ingested:
    """Read the objects again that had rejects, as they are read today; rejects that are read now are marked so."""
    repository = Repository(project.root)
    waiting = unresolved(repository, source.name, memory_limit=project.memory_limit)
    with closing_parser():
        intake = _Intake(repository, source, [], known_at=known_at, reread=True, partitions=None, folder=project.folder)
        done, refused, read_again = intake.read_again({sha256 for _, sha256, _, _ in waiting}, run_id)
    read = [
        reject_id
        for reject_id, sha256, uri, record in waiting
        if sha256 in read_again and (sha256, uri, record) not in refused
    ]
    rows = [{"reject_id": each, "source": source.name, "known_at": known_at} for each in read]
    repository.append(
        "resolved_rejects",
        [pa.RecordBatch.from_pylist(rows, schema=RESOLVED_REJECTS)],
        schema=RESOLVED_REJECTS,
        source=source.name,
        run_id=run_id,
        keys=("reject_id",),
    )
    return replace(done, resolved=len(read))


def unresolved(repository: Repository, source: str, *, memory_limit: str) -> list[tuple[str, str, str, str]]:
    """The rejects of a source that were not read since: reject_id, object_sha256, uri, record."""
    tables = [name for name in ("rejects", "resolved_rejects") if name in repository.tables()]
    if "rejects" not in tables:
        return []
    con = shared(memory_limit)
    attach_repository(con, [repository.snapshot(name) for name in tables])
    left = "ANTI JOIN repository.resolved_rejects USING (reject_id)" if len(tables) > 1 else ""
    sql = f"SELECT reject_id, object_sha256, uri, record FROM repository.rejects {left} WHERE source = ?"
    return [(row[0], row[1], row[2], row[3]) for row in fetch_all(con, sql, [source])]


def _refused_table(repository: Repository, source: Source, *, run_id: str, known_at: datetime) -> Ingested | None:
    """What the contract says of a table that is not there: nothing, or that nothing is read. Raises InputError."""
    answer = source.contract.tables
    if answer == "evolve" or source.table in repository.tables():
        return None
    if answer == "freeze":
        raise InputError(
            f"source {source.name}: table {source.table} is not there, and its contract freezes tables",
            allowed="a table that another source made, or contract: {tables: evolve}",
        )
    row = {
        "change_id": digest(source.name, source.table, "", "discarded", "", "", run_id),
        "source": source.name,
        "table_name": source.table,
        "change": "discarded",
        "known_at": known_at,
    }
    rows = [pa.RecordBatch.from_pylist([row], schema=SCHEMA_CHANGES)]
    repository.append("schema_changes", rows, schema=SCHEMA_CHANGES, source=source.name, run_id=run_id)
    return Ingested((), 0, 0, 0, changes=(row,))


@dataclass(slots=True)
class _Intake:
    """One run of a source over its objects, each with its partition."""

    repository: Repository
    source: Source
    objects: Sequence[tuple[Located, str | None]]
    known_at: datetime
    reread: bool
    partitions: Collection[str] | None
    folder: Path
    names: Names = field(default_factory=Names)
    unchanged: int = 0
    bytes_read: int = 0
    failed: dict[str, WarehouseError] = field(default_factory=dict)
    ingestion: Ingestion | None = None
    processes: int = 1

    def taken(self, run_id: str) -> Ingested:
        """What came of the objects."""
        with closing(Readers(self.source)) as readers, self._ingestion(run_id) as ingestion:
            keyed = self.source.keyed
            if keyed and self.reread and (facts := ingestion.facts()):
                ingestion.read_again(min(facts, key=lambda fact: fact.known_at))
            arrivals = self._arrivals(ingestion)
            if keyed and keyed.whole:
                self._take_vintages(ingestion, list(arrivals))
            else:
                found = sorted(arrivals, key=lambda each: each.known_at or self.known_at) if keyed else arrivals
                for arrived, reading in self._ahead(ingestion, found, readers):
                    self._take(ingestion, arrived, reading)
            return self._done(ingestion)

    def read_again(self, hashes: Collection[str], run_id: str) -> tuple[Ingested, set[tuple[str, str, str]], set[str]]:
        """What came of reading the objects of these hashes again; what was refused; the hashes that the table has."""
        with self._ingestion(run_id) as ingestion:
            self.ingestion = ingestion
            held = (fact for fact in ingestion.facts() if fact.sha256 in hashes)
            facts = [fact for fact in held if not self.repository.is_closed(fact.sha256)]
            first = sorted(facts, key=lambda fact: fact.known_at)[: 1 if self.source.keyed else None]
            for fact in first:
                ingestion.read_again(fact)
            return self._done(ingestion), ingestion.refused, {fact.sha256 for fact in facts}

    def _ingestion(self, run_id: str) -> AbstractContextManager[Ingestion]:
        source = self.source
        return self.repository.ingestion(
            table=source.table,
            source=source.name,
            run_id=run_id,
            licence=source.licence,
            max_reject_share=source.max_reject_share,
            contract=source.contract,
            keyed=source.keyed,
            reopen=self._reopened,
            cutting=partial(cutter, source),
        )

    def _done(self, ingestion: Ingestion) -> Ingested:
        receipts = tuple(ingestion.finish())
        met = Counter(partition for _, partition in self.objects if partition is not None)
        unmatched = tuple(self.names.unmatched(self.source))
        count, changes = len(self.objects), tuple(ingestion.changes)
        failed = tuple(error.came for error in self.failed.values())
        return Ingested(receipts, count, self.unchanged, self.bytes_read, met, unmatched, failed, changes)

    def _arrivals(self, ingestion: Ingestion) -> Iterator[Arrived]:
        """The objects, their bytes in the archive; to be read again also those that are only there."""
        for located, partition in tqdm(self.objects, desc=self.source.name, unit="object", disable=None, delay=2):
            held = ingestion.current(located.uri)
            if located.table:
                yield from self._parts(located, held, partition)
                continue
            try:
                arrived = _arrived(self.repository, self.source, located, held, reread=self.reread, folder=self.folder)
            except (NetworkError, InputError) as error:
                if located.url is None:
                    raise
                self.failed[located.uri] = error
                continue
            self.bytes_read += arrived.moved
            yield replace(arrived, partition=partition)
        there = {located.uri for located, _ in self.objects}
        for uri, fact in ingestion.current_facts().items() if self.reread and not self.source.keyed else ():
            if (
                uri not in there
                and not _of_delta(fact)
                and (self.partitions is None or fact.partition in self.partitions)
            ):
                stated = fact.known_at if states_times(self.source) else None
                yield Arrived(
                    _archived(self.repository, fact), fact.sha256, fact.size, 0, stated, fact.version, fact.partition
                )

    def _parts(self, located: Located, held: ObjectFact | None, partition: str | None) -> Iterator[Arrived]:
        """What is to be read of a Delta table; what it is, is archived in place of bytes."""
        if self.source.keyed:
            raise InputError(
                f"source {self.source.name}: {located.uri} is a Delta table, in mode {self.source.mode}",
                allowed="mode: append",
                do="leave mode and keys out",
            )
        found = table_parts(self.source, located, held, reread=self.reread)
        self.unchanged += not found
        for part in found:
            self.bytes_read += part.size
            sha256, size = self.repository.archive_chunks([part.state], name=located.uri)
            stated = plan_known_at(self.source, located)
            yield Arrived(located, sha256, size, part.size, stated, part.version, partition, part)

    def _ahead(
        self, ingestion: Ingestion, found: Iterable[Arrived], readers: Readers
    ) -> Iterator[tuple[Arrived, Reading]]:
        """The objects in order, of which as many are read at once as there are processes; one alone is read here."""
        waiting: list[tuple[Arrived, Reading]] = []
        long: list[int] = []  # places of those in waiting that a process is to read, and none does
        at_work = False
        for arrived in found:
            reading = self._reading(arrived)
            if any(reading.uri == each.uri for _, each in waiting):
                yield from waiting
                waiting, long, at_work = [], [], False
            waiting.append((arrived, reading))
            if self.processes > 1 and self._is_long(ingestion, arrived, reading):
                long.append(len(waiting) - 1)
            for at in long if len(long) > 1 or at_work else ():
                one, given = waiting[at]
                path = self.repository.object_path(given.sha256)
                waiting[at] = (one, replace(given, records=readers.begin(one.located, path, self.names)))
                at_work = True
            if at_work:
                long = []
            if len(waiting) >= self.processes:
                yield waiting.pop(0)
                long = [at - 1 for at in long if at]
        yield from waiting

    def _is_long(self, ingestion: Ingestion, arrived: Arrived, reading: Reading) -> bool:
        """Whether an object is to be read and worth a process."""
        fast = reading.reader.partition("/")[0] in READ_FAST
        if fast or arrived.part is not None or arrived.size < AHEAD_BYTES:
            return False
        current = ingestion.is_current(reading.uri, reading.sha256, reading.reader, known_at=arrived.known_at)
        return self.reread or not current

    def _take(self, ingestion: Ingestion, arrived: Arrived, reading: Reading) -> None:
        uri, sha256 = reading.uri, reading.sha256
        known = ingestion.is_current(uri, sha256, reading.reader, known_at=arrived.known_at)
        if reading.closed or (known and not self.reread):
            self.unchanged += 1
            return
        known_at = arrived.known_at or self.known_at
        if not self.reread:
            reading = read_on(
                ingestion, self.repository, self.source, arrived.located, reading, known_at=known_at, names=self.names
            )
        ingestion.add(
            uri,
            sha256,
            reading.size,
            known_at,
            reading.reader,
            reading.records,
            version=reading.version,
            partition=reading.partition,
            headers=reading.headers,
            recipe=reading.recipe,
            grown=reading.grown,
        )

    def _take_vintages(self, ingestion: Ingestion, arrivals: Sequence[Arrived]) -> None:
        """The objects of each time that states one as a vintage; else all that there are, if one of them changed."""
        times = sorted({arrived.known_at or self.known_at for arrived in arrivals})
        for known_at in times:
            vintage = [each for each in arrivals if (each.known_at or self.known_at) == known_at]
            readings = [self._reading(each) for each in vintage]
            same = [
                ingestion.is_current(r.uri, r.sha256, r.reader, known_at=a.known_at)
                for r, a in zip(readings, vintage, strict=True)
            ]
            others = [] if vintage[0].known_at else self._others(ingestion, readings)
            gone = (
                [] if vintage[0].known_at else ingestion.current_facts().keys() - {r.uri for r in (*readings, *others)}
            )
            if all(same) and not gone:
                self.unchanged += len(vintage)
            else:
                ingestion.add_vintage(known_at, [*readings, *others])

    def _others(self, ingestion: Ingestion, readings: Sequence[Reading]) -> list[Reading]:
        """The objects as they were last of the partitions that were not asked for, and that could not be fetched."""
        asked, there = self.partitions, {reading.uri for reading in readings}
        facts = [fact for fact in ingestion.current_facts().values() if fact.uri not in there]
        left = [
            each for each in facts if each.uri in self.failed or (asked is not None and each.partition not in asked)
        ]
        return [self._reopened(fact) for fact in left]

    def _reading(self, arrived: Arrived) -> Reading:
        if arrived.part is not None:
            part, located = arrived.part, arrived.located
            records = read_batches(self.source, located, part.batches(), self.names, reader="delta")
            return Reading(
                located.uri, arrived.sha256, arrived.size, part.reader, records, part.version, arrived.partition
            )
        path = self.repository.object_path(arrived.sha256)
        reader = reader_id(self.source, arrived.located, path)
        records = read(self.source, arrived.located, path, self.names)
        return Reading(
            arrived.located.uri,
            arrived.sha256,
            arrived.size,
            reader,
            records,
            arrived.version,
            arrived.partition,
            arrived.located.headers,
            closed=self.repository.is_closed(arrived.sha256),
            recipe=recipe_digest(self.source, arrived.located, reader),
        )

    def _reopened(self, fact: ObjectFact) -> Reading:
        if _of_delta(fact):
            raise InputError(
                f"{fact.uri} is a Delta table, of which no bytes are kept",
                do=f"read it again with 'warehouse run sources/{self.source.name} --reread'",
            )
        located = _archived(self.repository, fact)
        arrived = Arrived(located, fact.sha256, fact.size, 0, fact.known_at, fact.version, fact.partition)
        reading = self._reading(arrived)
        if self.ingestion is None or fact.grown_from is None:
            return reading
        return read_rest_again(self.ingestion, self.repository, self.source, fact, reading, names=self.names)


def _of_delta(fact: ObjectFact) -> bool:
    """Whether an object is a Delta table, whose rows are not in the archive."""
    return fact.reader.startswith("delta/")


def states_times(source: Source) -> bool:
    """Whether the source states the time of an object."""
    return bool(source.known_at.path or source.known_at.header)


def _archived(repository: Repository, fact: ObjectFact) -> Located:
    """An object of before, in the archive."""
    return Located(fact.uri, repository.object_path(fact.sha256), fact.size, headers=fact.headers)


def _objects(
    project: Project, source: Source, *, now: datetime, partitions: Collection[str] | None, reread: bool
) -> list[tuple[Located, str | None]]:
    """The objects to look at, each with its partition; none may be left where those of before are read again.

    Raises InputError for one that has no partition, whatever is asked.
    """
    try:
        located = list(locate(source, project.folder))
    except (InputError, NetworkError):
        if not (reread and Repository(project.root).current_objects(source.table, source.name)):
            raise
        return []
    found = [(each, partition_of(source, each, now=now)) for each in located]
    return [each for each in found if partitions is None or each[1] in partitions]


def _arrived(
    repository: Repository, source: Source, located: Located, held: ObjectFact | None, *, reread: bool, folder: Path
) -> Arrived:
    """The object's bytes, copied or fetched into the archive; of a link that is not followed where it leads; what is
    read again is not fetched.
    """
    if located.link is not None:
        sha256, size = repository.archive_chunks([os.fsencode(located.link)], name=located.uri)
        return Arrived(located, sha256, size, size, plan_known_at(source, located))
    if located.database:
        return _answered(repository, source, located, None if reread else held, folder)
    if located.url is None:
        sha256, size = repository.archive(located.path)
        return Arrived(located, sha256, size, size, plan_known_at(source, located))
    if reread and held:
        return _held_by_archive(source, located, held)
    opened = stored if located.entry else fetched
    with opened(source, located, version=held.version if held else None) as answer:
        if answer is None and held:
            return _held_by_archive(source, located, held)
        if answer is None:
            raise NetworkError(f"{located.uri} answers 304 to a request without a condition", do="run it again later")
        known_at = plan_known_at(source, located, modified=answer.modified)
        sha256, size = repository.archive_chunks(answer.chunks, name=located.uri)
        return Arrived(replace(located, headers=answer.headers), sha256, size, size, known_at, answer.version)


def _held_by_archive(source: Source, located: Located, held: ObjectFact) -> Arrived:
    stated = held.known_at if source.known_at.header else plan_known_at(source, located)
    return Arrived(replace(located, headers=held.headers), held.sha256, held.size, 0, stated, held.version)


def _answered(
    repository: Repository, source: Source, located: Located, held: ObjectFact | None, folder: Path
) -> Arrived:
    """What a database answers, in the archive."""
    with answered(source, located, held, folder=folder) as answer:
        if answer is None and held:
            return Arrived(located, held.sha256, held.size, 0, plan_known_at(source, located), held.version)
        chunks, version = (answer.chunks, answer.version) if answer else (iter(()), None)
        sha256, size = repository.archive_chunks(chunks, name=located.uri)
    return Arrived(located, sha256, size, size, plan_known_at(source, located), version)


def own_receipts(repository: Repository, source: Source) -> list[Receipt]:
    """The receipts of the source in its table, in order."""
    receipts = repository.receipts(source.table) if source.table in repository.tables() else []
    return [receipt for receipt in receipts if receipt.source == source.name]
