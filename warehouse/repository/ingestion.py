"""Objects of a source become rows of a table: identity, time, rejects, receipts, in commits of about 256 MB.

Order of each commit: rejects, then the table with its receipt (the archive came before); a kill between them leaves
rejects that the next run finds again under the same reject_id. The table's lock is held from the first question
(``is_current``) to the last commit, so two runs of one source cannot both decide that an object is new.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse.contracts import REJECTS, Dropped, ObjectFact, Receipt, Reject, digest
from warehouse.errors import InputError, UsageError
from warehouse.repository import delta, receipts, redaction, takedown
from warehouse.repository.columns import Unstorable
from warehouse.repository.documents import GRAIN, TAKEN_DOWN, Documents
from warehouse.repository.origin import Origin, Shape, Shaped
from warehouse.repository.parts import Stage
from warehouse.repository.stored import StoredKeys
from warehouse.repository.typed import Typed
from warehouse.repository.writing import abandon, append, folder_of, land

COMMIT_BYTES = 256 << 20
COMMIT_OBJECTS = 5_000
REJECTS_HELD = 50_000
FIRST_BYTES = 200
DOCUMENTS_TABLE = "documents"
REJECTS_TABLE = "rejects"


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


class Ingestion:
    """Objects in, commits out, for one source and one table whose lock the maker holds."""

    def __init__(self, root: Path, folder: Path, intake: Intake, *, wait_s: float) -> None:
        self._root, self._folder, self._intake, self._wait_s = root, folder, intake, wait_s
        self._receipts: list[Receipt] = []
        self._recorded: dict[tuple[str, str, str, datetime], ObjectFact] = {}
        self._current: dict[str, ObjectFact] = {}
        self._over = False
        self._barred: dict[str, set[tuple[str, str]]] = {}
        self._reasons: Counter[str] = Counter()
        for receipt in delta.history(folder) if delta.exists(folder) else ():
            if receipt.source == intake.source:
                self._remember(receipt.objects)
        self._begin()
        self._shape = self._shaper()

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
    ) -> ObjectFact:
        """Read one object to its end; commits when enough is pending. The fact of the object, counted.

        An object that the table has as known at ``known_at`` already is not read again. Counts of an object in the
        first commit of a typed table are final in its receipt: its types are decided there. Raises InputError,
        StorageFull, ConservationError; whatever is raised, nothing uncommitted becomes visible.
        """
        if self._over:
            raise UsageError("this ingestion has ended", do="open another one")
        if known_at.tzinfo is None:
            raise UsageError(f"known_at {known_at.isoformat()} of {uri} has no time zone", allowed="an aware datetime")
        recorded = self._recorded.get((uri, sha256, reader, known_at))
        if recorded:
            return recorded
        try:
            fact = ObjectFact(uri, sha256, size, known_at, reader, version=version, partition=partition)
            return self._add(fact, readings)
        except BaseException:
            self.discard()
            raise

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

    def _begin(self) -> None:
        """Start the next commit."""
        self._stage = Stage(self._folder, uuid.uuid4().hex)
        self._facts: list[ObjectFact] = []
        self._origins: list[Origin] = []
        self._rejects: list[dict[str, Any]] = []
        self._drops: Counter[str] = Counter()

    def _shaper(self) -> Shape:
        intake = self._intake
        if intake.table == DOCUMENTS_TABLE:
            held = StoredKeys(delta.files(self._folder), GRAIN, source=intake.source)
            bars = takedown.bars(self._root)
            return Documents(held, intake.licence, intake.synthetic, intake.generation, bars, self._barred)
        spool = self._folder / "_staging" / self._stage.receipt_id
        return Typed(intake.table, delta.schema(self._folder), spool)

    def _add(self, fact: ObjectFact, readings: Iterable[pa.RecordBatch | Reject | Dropped]) -> ObjectFact:
        at = len(self._facts)
        origin = Origin(self._intake.source, fact.uri, fact.sha256, fact.known_at, self._stage.receipt_id, at)
        self._facts.append(fact)
        self._origins.append(origin)
        try:
            for reading in readings:
                self._take(reading, origin)
        except Unstorable as refusal:
            self._take(Reject(fact.uri, "", "unsupported", str(refusal), exception=type(refusal).__name__), origin)
        fact = self._facts[at]
        self._remember((fact,))
        if self._stage.bytes + self._shape.waiting >= COMMIT_BYTES or len(self._facts) >= COMMIT_OBJECTS:
            self._commit()
        return fact

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
            self._reasons.update(reject.reason for reject in rejects)
            self._rejects.extend(rejected_row(reject, origin) for reject in rejects)
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

    def _commit(self) -> None:
        if not self._facts:
            return
        for ordinal, shaped in self._shape.deferred():
            self._keep(shaped, self._origins[ordinal])
        self._flush_rejects()
        self._judge()
        self._redact()
        receipt = Receipt(
            receipt_id=self._stage.receipt_id,
            table=self._intake.table,
            source=self._intake.source,
            run_id=self._intake.run_id,
            committed_at=datetime.now(UTC),
            objects=tuple(self._facts),
            drops=dict(self._drops),
            **receipts.totals(self._facts),
        )
        self._receipts.append(land(self._stage, self._shape.columns, receipt))
        self._begin()

    def _redact(self) -> None:
        """Cut what was taken down out of the objects that brought it again, before their facts are committed."""
        for fact in self._facts:
            if taken := self._barred.pop(fact.sha256, None):
                redaction.redact(
                    self._root,
                    fact.sha256,
                    taken,
                    kind=redaction.kind_of(fact.uri, fact.reader),
                    takedown_id="",
                    run_id=self._intake.run_id,
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
            reason = next(each for each, _ in self._reasons.most_common() if each != TAKEN_DOWN)
            raise InputError(
                f"source {source}: {counts['rejected']:,} of {judged:,} records were rejected "
                f"({share:.1%}), most as {reason}",
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
