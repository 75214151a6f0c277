"""Objects of a source become rows of a table: identity, time, rejects, receipts, in commits of about 256 MB.

Order of each commit: rejects, then the table with its receipt (the archive came before); a kill between them leaves
rejects that the next run finds again under the same reject_id. The table's lock is held from the first question
(``is_current``) to the last commit, so two runs of one source cannot both decide that an object is new.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse.contracts import (
    EVOLVE,
    REJECTS,
    SCHEMA_CHANGES,
    Contract,
    Cutter,
    Dropped,
    Keyed,
    ObjectFact,
    Receipt,
    Reject,
    Wanted,
    digest,
)
from warehouse.errors import InputError, UsageError
from warehouse.repository import delta, receipts, redaction, takedown
from warehouse.repository.changes import CHANGES_TABLE, Changes
from warehouse.repository.columns import Unstorable
from warehouse.repository.documents import GRAIN, TAKEN_DOWN, Documents, Taken
from warehouse.repository.keyed import COLUMNS, KeyedTable, refuse_other_kind
from warehouse.repository.origin import Origin, Shaped
from warehouse.repository.parts import Stage
from warehouse.repository.stored import StoredKeys, stated_uris
from warehouse.repository.typed import Typed, records_of
from warehouse.repository.writing import abandon, append, folder_of, land, settled

COMMIT_BYTES = 256 << 20
COMMIT_OBJECTS = 5_000
REJECTS_HELD = 50_000
FIRST_BYTES = 200
DOCUMENTS_TABLE = "documents"
REJECTS_TABLE = "rejects"
ROW = ("_uri", "_record")


@dataclass(frozen=True, slots=True)
class Intake:
    """What is said once for all objects of an ingestion."""

    table: str
    source: str
    run_id: str
    licence: str | None = None
    max_reject_share: float = 0.05
    synthetic: bool = False
    generation: int = 0
    contract: Contract = EVOLVE
    keyed: Keyed | None = None


Readings = Iterable[pa.RecordBatch | Reject | Dropped]


@dataclass(frozen=True, slots=True)
class Grown:
    """That an object begins with an earlier one, ``base``, and is read from byte ``start``, record ``start_record``."""

    base: ObjectFact
    start: int
    start_record: int

    @property
    def since(self) -> datetime:
        """The known_at of the object that was read from its beginning."""
        return self.base.grown_since or self.base.known_at

    def counted(self, fact: ObjectFact) -> ObjectFact:
        """The fact with what is known of the records before: those that are rows are unchanged. A last line that is
        read again was one reject.
        """
        base, torn = self.base, int(self.start < self.base.size)
        return replace(
            fact,
            rows_in=base.rows_in - torn,
            unchanged=base.rows_out + base.unchanged,
            rejected=base.rejected - torn,
            grown_from=base.sha256,
            start=self.start,
            start_record=self.start_record,
            grown_since=self.since,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """An object to be read: its bytes' hash and size, the reader's name and version, its records.

    recipe: of ObjectFact; grown: where ``records`` are those of its rest alone.
    """

    uri: str
    sha256: str
    size: int
    reader: str
    records: Readings
    version: str | None = None
    partition: str | None = None
    headers: str | None = None
    closed: bool = False
    """Whether it is not to be read, for what was cut out of it: its rows are in the table, or gone."""
    recipe: str | None = None
    grown: Grown | None = None


Reopen = Callable[[ObjectFact], Reading]
"""An object of before, to be read again from the archive."""
Cuts = Callable[[ObjectFact, Wanted], Cutter]
"""How what is wanted is cut out of an object."""


class Ingestion:
    """Objects in, commits out, for one source and one table whose lock the maker holds."""

    def __init__(
        self,
        root: Path,
        folder: Path,
        intake: Intake,
        *,
        wait_s: float,
        reopen: Reopen | None = None,
        cutting: Cuts | None = None,
    ) -> None:
        self._root, self._folder, self._intake, self._wait_s = root, folder, intake, wait_s
        self._reopen, self._cutting = reopen, cutting
        self._bars = takedown.bars(root)
        self._receipts: list[Receipt] = []
        self._recorded: dict[tuple[str, str, str, datetime], ObjectFact] = {}
        self._by_bytes: dict[tuple[str, str | None], ObjectFact] = {}
        self._current: dict[str, ObjectFact] = {}
        self._over = False
        self._barred: dict[str, set[Taken]] = {}
        self._whole: set[str] = set()
        """Objects whose uri is barred: all of them goes."""
        self._reasons: Counter[str] = Counter()
        self._changes = Changes(intake.table)
        self.changes: list[dict[str, Any]] = []
        """Rows of ``schema_changes`` so far."""
        self.refused: set[tuple[str, str, str]] = set()
        """Rejects of objects that were read again: sha256 of the object, uri and record."""
        self._again_now = False
        brought: dict[str, None] = {}
        for receipt in delta.history(folder) if delta.exists(folder) else ():
            if receipt.source == intake.source:
                self._remember(receipt.objects)
                brought |= dict.fromkeys(receipt.columns)
        self._begin()
        self._shape = self._shaper(brought)

    def current(self, uri: str) -> ObjectFact | None:
        """What the table knows of ``uri``: the fact known last."""
        return self._current.get(uri)

    def is_current(self, uri: str, sha256: str, reader: str, *, known_at: datetime | None = None) -> bool:
        """Whether these bytes, read by this reader, are what the table knows of ``uri``.

        With ``known_at`` (a source that states its vintages) also whether it has them as known at that very time,
        though a later vintage came before.
        """
        held = self._current.get(uri)
        if known_at is not None and (uri, sha256, reader, known_at) in self._recorded:
            return True
        return held is not None and (held.sha256, held.reader) == (sha256, reader)

    def add(  # noqa: PLR0917 - an object is these six, in this order, everywhere
        self,
        uri: str,
        sha256: str,
        size: int,
        known_at: datetime,
        reader: str,
        readings: Iterable[pa.RecordBatch | Reject | Dropped],
        *,
        version: str | None = None,
        partition: str | None = None,
        headers: str | None = None,
        recipe: str | None = None,
        grown: Grown | None = None,
    ) -> ObjectFact:
        """Read one object to its end; commits when enough is pending. The fact of the object, counted.

        An object that the table has as known at ``known_at`` already is not read again. Raises InputError, StorageFull,
        ConservationError; whatever is raised, nothing uncommitted becomes visible.
        """
        if known_at.tzinfo is None:
            raise UsageError(f"known_at {known_at.isoformat()} of {uri} has no time zone", allowed="an aware datetime")
        recorded = self._recorded.get((uri, sha256, reader, known_at))
        if recorded:
            return recorded
        given = Reading(uri, sha256, size, reader, readings, version, partition, headers, recipe=recipe, grown=grown)
        with self._all_or_nothing():
            fact = self._read_in_time(known_at, given)
            self._commit_if_full()
        return fact

    def add_vintage(self, known_at: datetime, readings: Sequence[Reading]) -> list[ObjectFact]:
        """Read all objects of a whole vintage, and those of the same time that came before; their facts, counted.

        Keys of before that are in none of them are deleted from then on. The vintage after it, where there is one, is
        read again, in the same commit. Raises as ``add``.
        """
        there = {reading.uri for reading in readings}
        with self._all_or_nothing():
            again = [self._again(fact) for fact in self._of(known_at) if fact.uri not in there]
            facts = self._vintage(known_at, [*readings, *again])
            later = [fact.known_at for fact in self._recorded.values() if fact.known_at > known_at]
            if later and self._stored:
                self._vintage(min(later), [self._again(fact) for fact in self._of(min(later))])
            self._commit_if_full()
        return facts

    def read_again(self, fact: ObjectFact) -> None:
        """Read an object of before as it is read today, at its own time; rows that the table has are unchanged.

        Of a keyed table all objects of later times are read again too, each in its order. Raises as ``add``.
        """
        with self._all_or_nothing():
            self._again_now = True
            if isinstance(self._shape, KeyedTable):
                later = sorted({each.known_at for each in self._recorded.values() if each.known_at >= fact.known_at})
                for known_at in later:
                    self._vintage(known_at, [self._again(each) for each in self._of(known_at)])
            else:
                self._read_record_by_record(fact)
            self._again_now = False
            self._commit_if_full()

    def _read_record_by_record(self, fact: ObjectFact) -> None:
        """The object's records, of which those that the table has are unchanged."""
        if not isinstance(self._shape, Typed):
            self._vintage(fact.known_at, [self._again(fact)])
            return
        self._commit()
        self._shape.had = records_of((file.path for file in delta.files(self._folder)), fact)
        self._vintage(fact.known_at, [self._again(fact)])
        self._shape.had = frozenset()

    def facts(self) -> list[ObjectFact]:
        """Every object of the source that the table has, at each of its times, as it was read last."""
        return list({(each.uri, each.known_at): each for each in self._recorded.values()}.values())

    def grown_from(self, fact: ObjectFact) -> ObjectFact | None:
        """The object that one which grew begins with, as it was read last."""
        return self._by_bytes.get((fact.uri, fact.grown_from))

    def stated_uris(self, fact: ObjectFact) -> Counter[str] | None:
        """How often the records of an object stated each uri but its own; None where not all of them are in the table
        as rows of it and of the objects that it grew from.
        """
        chain: ObjectFact | None = fact
        objects = set()
        while chain is not None and chain.sha256 not in objects:
            objects.add(chain.sha256)
            chain = self.grown_from(chain)
        found, rows = stated_uris(delta.files(self._folder), self._intake.source, objects)
        found.pop(fact.uri, None)
        return found if rows == fact.rows_out + fact.unchanged else None

    @property
    def types(self) -> dict[str, pa.DataType]:
        """Of a typed table: the types of its columns by the name as it came."""
        return self._typed.types if self._typed else {}

    def current_facts(self) -> dict[str, ObjectFact]:
        """By uri, the object known last."""
        return dict(self._current)

    def finish(self) -> list[Receipt]:
        """Commit what remains; the receipts of every commit of this ingestion, in order."""
        if not self._over:
            try:
                self._commit()
            except BaseException:
                self.discard()
                raise
            self._over = True
        return list(self._receipts)

    def discard(self) -> None:
        """Drop what is not committed; the ingestion is over."""
        self._over = True
        abandon(self._stage)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """A block whose error ends the ingestion, without what is not committed."""
        if self._over:
            raise UsageError("this ingestion has ended", do="open another one")
        try:
            yield
        except BaseException:
            self.discard()
            raise

    def _vintage(self, known_at: datetime, readings: Sequence[Reading]) -> list[ObjectFact]:
        """Read objects of one time; of a keyed table they stand beside each other, and absence may be deletion, unless
        one of them is closed or barred: its keys cannot be told.
        """
        first, self._stored = len(self._facts), 0
        keyed = self._shape if isinstance(self._shape, KeyedTable) else None
        whole, readings = len(readings), [reading for reading in readings if not reading.closed]
        for reading in readings:
            if keyed and (reading is readings[0] or not keyed.keyed.whole):
                keyed.begin(self._sequence + len(self._facts))
            self._read(reading, known_at)
        if keyed and keyed.keyed.whole and readings and len(readings) == whole and not self._whole:
            self._delete_absent(keyed, self._origins[first])
        self._stored = keyed.stored if keyed else 0
        self._remember(self._facts[first:])
        return self._facts[first:]

    def _read_in_time(self, known_at: datetime, reading: Reading) -> ObjectFact:
        """Read an object; of a keyed table then those of later times again, whose unchanged rows may not be so any
        more: all of a time, in the order in which they came, until no key is another than it was.
        """
        keyed = self._shape
        if not isinstance(keyed, KeyedTable) or keyed.keyed.row_times:
            return self._vintage(known_at, [reading])[0]
        later = sorted({each.known_at for each in self.facts() if each.known_at > known_at and each.unchanged})
        keyed.follow(bool(later))
        (fact,) = self._vintage(known_at, [reading])
        for time in later:
            if keyed.unsettled:
                self._vintage(time, [self._again(each) for each in self._of(time)])
        keyed.follow(False)
        return fact

    def _delete_absent(self, keyed: KeyedTable, origin: Origin) -> None:
        rows = keyed.absent(origin)
        self._stage.write(rows)
        fact = self._facts[origin.ordinal]
        self._facts[origin.ordinal] = replace(fact, deleted=fact.deleted + rows.num_rows)

    def _of(self, known_at: datetime) -> list[ObjectFact]:
        """Of each uri the object that was read last as known at a time."""
        return list({f.uri: f for f in self._recorded.values() if f.known_at == known_at}.values())

    def _again(self, fact: ObjectFact) -> Reading:
        if self._reopen is None:
            raise UsageError(f"{fact.uri} is to be read again", allowed="an ingestion that can reopen objects")
        return self._reopen(fact)

    def _begin(self) -> None:
        """Start the next commit."""
        base = self._receipts[-1].version if self._receipts else delta.version(self._folder)
        self._stage = Stage(self._folder, uuid.uuid4().hex, base=base)
        self._facts: list[ObjectFact] = []
        self._origins: list[Origin] = []
        self._rejects: list[dict[str, Any]] = []
        self._drops: Counter[str] = Counter()
        self._sequence = (delta.version(self._folder) + 1) << 20 if self._intake.keyed else 0

    def _shaper(self, brought: Iterable[str]) -> Documents | Typed | KeyedTable:
        intake = self._intake
        if intake.table == DOCUMENTS_TABLE:
            keys = StoredKeys(delta.files(self._folder), GRAIN, source=intake.source)
            return Documents(keys, intake.licence, intake.synthetic, intake.generation, self._bars, self._barred)
        held = delta.schema(self._folder)
        refuse_other_kind(intake.table, held, intake.keyed)
        if intake.keyed is None:
            return Typed(intake.table, held, intake.contract, self._changes, brought, barred=self._without_barred)
        typed = Typed(
            intake.table,
            held,
            intake.contract,
            self._changes,
            brought,
            system=COLUMNS,
            barred=self._without_barred,
        )
        files = [file.path for file in delta.files(self._folder)]
        return KeyedTable(typed, intake.keyed, intake.source, files)

    @property
    def _typed(self) -> Typed | None:
        """The shape's own columns; None of documents."""
        shape = self._shape.typed if isinstance(self._shape, KeyedTable) else self._shape
        return shape if isinstance(shape, Typed) else None

    def _read(self, reading: Reading, known_at: datetime) -> None:
        at = len(self._facts)
        fact = ObjectFact(
            reading.uri,
            reading.sha256,
            reading.size,
            known_at,
            reading.reader,
            version=reading.version,
            partition=reading.partition,
            headers=reading.headers,
            recipe=reading.recipe,
        )
        if reading.grown:
            fact = reading.grown.counted(fact)
        origin = Origin(
            self._intake.source, fact.uri, fact.sha256, known_at, self._stage.receipt_id, at, fact.grown_since
        )
        self._facts.append(fact)
        self._origins.append(origin)
        if self._bars is not None and self._bars.uris([fact.uri]).any():
            self._whole.add(fact.sha256)
            self._take(Reject(fact.uri, "", TAKEN_DOWN, "this was taken down"), origin)
            return
        try:
            for record in reading.records:
                self._take(record, origin)
        except Unstorable as refusal:
            self._take(Reject(fact.uri, "", "unsupported", str(refusal), exception=type(refusal).__name__), origin)
        if self._typed:
            self._typed.ended(origin)

    def _commit_if_full(self) -> None:
        if self._stage.bytes >= COMMIT_BYTES or len(self._facts) >= COMMIT_OBJECTS:
            self._commit()

    def _take(self, reading: pa.RecordBatch | Reject | Dropped, origin: Origin) -> None:
        if isinstance(reading, Dropped):
            self._count(origin, rows_in=1, dropped=1)
            self._drops[reading.reason] += 1
            return
        if isinstance(reading, Reject):
            self._count(origin, rows_in=1)
            self._refuse([reading], origin)
            return
        met = self._facts[origin.ordinal].rows_in
        shaped = self._shape.shape(reading, origin, met)
        self._count(origin, rows_in=reading.num_rows)
        self._keep(shaped, origin)

    def _keep(self, shaped: Shaped, origin: Origin) -> None:
        self._stage.write(shaped.rows)
        self._count(origin, rows_out=shaped.rows.num_rows, unchanged=shaped.unchanged)
        self._refuse(shaped.rejects, origin)

    def _refuse(self, rejects: list[Reject], origin: Origin) -> None:
        if rejects:
            self._count(origin, rejected=len(rejects))
            if not all(reject.record for reject in rejects):  # the object's own: it was not read to its end
                self._facts[origin.ordinal] = replace(self._facts[origin.ordinal], recipe=None)
            self._reasons.update(reject.reason for reject in rejects)
            self._rejects.extend(rejected_row(reject, origin) for reject in rejects)
            if self._again_now:
                self.refused.update((origin.sha256, reject.uri, reject.record) for reject in rejects)
            if len(self._rejects) >= REJECTS_HELD:
                self._flush_rejects()

    def _count(
        self,
        origin: Origin,
        *,
        rows_in: int = 0,
        rows_out: int = 0,
        unchanged: int = 0,
        rejected: int = 0,
        dropped: int = 0,
    ) -> None:
        fact = self._facts[origin.ordinal]
        self._facts[origin.ordinal] = replace(
            fact,
            rows_in=fact.rows_in + rows_in,
            rows_out=fact.rows_out + rows_out,
            unchanged=fact.unchanged + unchanged,
            rejected=fact.rejected + rejected,
            dropped=fact.dropped + dropped,
        )

    def _remember(self, facts: Iterable[ObjectFact]) -> None:
        for fact in facts:
            receipts.put_current(self._current, fact)
            self._recorded[(fact.uri, fact.sha256, fact.reader, fact.known_at)] = fact
            self._by_bytes[fact.uri, fact.sha256] = fact

    def _commit(self) -> None:
        if not self._facts:
            return
        self._flush_rejects()
        self._judge()
        self._redact()
        columns, files = settled(self._stage, self._shape.columns)
        if self._typed:
            self._typed.settled(columns, self._origins[-1])
        self._flush_changes()
        receipt = Receipt(
            receipt_id=self._stage.receipt_id,
            table=self._intake.table,
            source=self._intake.source,
            run_id=self._intake.run_id,
            committed_at=datetime.now(UTC),
            objects=tuple(self._facts),
            drops=dict(self._drops),
            columns=self._typed.first_brought if self._typed else (),
            **receipts.totals(self._facts),
        )
        self._receipts.append(land(self._stage, columns, files, receipt))
        if self._typed and (landed := delta.schema(self._folder)) is not None:
            self._typed.landed(landed)
        self._begin()

    def _without_barred(self, shaped: Shaped, origin: Origin) -> Shaped:
        """Rows of a typed table without those that were taken down, which are rejects."""
        if self._bars is None or not shaped.rows.num_rows:
            return shaped
        mask = self._bars.rows(shaped.rows, self._intake.table)
        if not mask.any():
            return shaped
        barred = shaped.rows.filter(pa.array(mask))
        taken = [("", *named) for named in zip(*(barred[name].to_pylist() for name in ROW), strict=True)]
        self._barred.setdefault(origin.sha256, set()).update(taken)
        rejects = [Reject(uri, record, TAKEN_DOWN, "this was taken down") for _, uri, record in taken]
        return replace(shaped, rows=shaped.rows.filter(pa.array(~mask)), rejects=[*shaped.rejects, *rejects])

    def _redact(self) -> None:
        """Cut what was taken down out of the objects that brought it again, before their facts are committed."""
        for fact in self._facts:
            taken = self._barred.pop(fact.sha256, set())
            whole = fact.sha256 in self._whole or self._cutting is None
            if not taken and fact.sha256 not in self._whole:
                continue
            contents = frozenset(content for content, _, _ in taken if content)
            records = frozenset((uri, record) for _, uri, record in taken)
            wanted = Wanted(contents, frozenset(uri for _, uri, _ in taken), records)
            cutter = None if whole or self._cutting is None else self._cutting(fact, wanted)
            redaction.redact(
                self._root, fact.sha256, cutter, takedown_id="", run_id=self._intake.run_id, wait_s=self._wait_s
            )
            self._whole.discard(fact.sha256)

    def _flush_changes(self) -> None:
        """Commit how the objects differed from the table's columns, if they did."""
        if rows := self._changes.taken():
            self.changes += rows
            append(
                self._root,
                CHANGES_TABLE,
                [pa.RecordBatch.from_pylist(rows, schema=SCHEMA_CHANGES)],
                schema=SCHEMA_CHANGES,
                source=self._intake.source,
                run_id=self._intake.run_id,
                keys=("change_id",),
                wait_s=self._wait_s,
            )

    def _flush_rejects(self) -> None:
        """Commit the rejects so far, and the table that holds them if there is none yet."""
        if self._rejects or not delta.exists(folder_of(self._root, REJECTS_TABLE)):
            append(
                self._root,
                REJECTS_TABLE,
                [pa.RecordBatch.from_pylist(self._rejects, schema=REJECTS)],
                schema=REJECTS,
                source=self._intake.source,
                run_id=self._intake.run_id,
                keys=("reject_id",),
                wait_s=self._wait_s,
            )
        self._rejects = []

    def _judge(self) -> None:
        """Raise InputError when too large a share of the records of this run, without the dropped, was refused."""
        counts = receipts.totals([*(fact for one in self._receipts for fact in one.objects), *self._facts])
        limit, source = self._intake.max_reject_share, self._intake.source
        counts["rejected"] -= self._reasons[TAKEN_DOWN]
        judged = counts["rows_in"] - counts["dropped"]
        if counts["rejected"] > limit * judged:
            share = counts["rejected"] / judged
            reasons = [each for each, _ in self._reasons.most_common() if each != TAKEN_DOWN]
            most = f", most as {reasons[0]}" if reasons else ""
            raise InputError(
                f"source {source}: {counts['rejected']:,} of {judged:,} records were rejected ({share:.1%}){most}",
                allowed=f"a share of {limit:.1%} (max_reject_share)",
                do=f"look at them with 'warehouse rejects {source}', then mend the input or the source's YAML",
                **counts,
            )


def rejected_row(reject: Reject, origin: Origin) -> dict[str, Any]:
    """A reject as a row of the table; the commit fills in its receipt_id."""
    return {
        "reject_id": digest(origin.source, reject.uri, reject.record, origin.sha256, reject.reason),
        "source": origin.source,
        "uri": reject.uri,
        "record": reject.record,
        "object_sha256": origin.sha256,
        "position": reject.position,
        "reason": reject.reason,
        "exception": reject.exception,
        "message": reject.message,
        "first_bytes": reject.first_bytes[:FIRST_BYTES],
        "known_at": origin.known_at,
    }
