"""The repository: raw bytes in ``archive/``, typed records in Delta tables under ``repository/``; the one door to both.

Every commit is append-only and carries a receipt: which objects, how many rows in, out, unchanged and rejected. A run
killed at any instant leaves the last commit readable, and the next write to the table removes what it left behind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from warehouse import mirror
from warehouse.contracts import REJECTS, Contract, Cutter, Keyed, ObjectFact, Receipt, Reject, Snapshot
from warehouse.errors import NotFound
from warehouse.repository import archive, delta, receipts, redaction, takedown, upkeep, writing
from warehouse.repository.foreign import read as read_delta
from warehouse.repository.ingestion import REJECTS_TABLE, Cuts, Grown, Ingestion, Intake, Reading, Reopen, rejected_row
from warehouse.repository.origin import Origin
from warehouse.repository.redaction import Redacted
from warehouse.repository.takedown import (
    REDACTIONS,
    TAKEDOWNS,
    Barred,
    Bars,
    Erased,
    Gone,
    Origins,
    as_texts,
    is_long,
    keyed_hash,
    nested_texts,
    row_names,
    text_columns,
)
from warehouse.repository.upkeep import Compacted, Statistics, Vacuumed
from warehouse.repository.versions import ToRead, is_table, to_read

__all__ = [
    "REDACTIONS",
    "TAKEDOWNS",
    "Barred",
    "Bars",
    "Compacted",
    "Erased",
    "Gone",
    "Grown",
    "Ingestion",
    "Origins",
    "Reading",
    "Redacted",
    "Repository",
    "Statistics",
    "ToRead",
    "Vacuumed",
    "as_texts",
    "is_long",
    "is_table",
    "keyed_hash",
    "nested_texts",
    "read_delta",
    "row_names",
    "text_columns",
    "to_read",
]


@dataclass(frozen=True, slots=True)
class Repository:
    """The tables and the archive under ``root``; a writer waits ``wait_s`` seconds for a table that another one
    holds.
    """

    root: Path
    wait_s: float = 600.0

    def archive(self, path: Path) -> tuple[str, int]:
        """Copy the bytes of a file in: (sha256, size). Raises NotFound, InputError, StorageFull."""
        return archive.store(self.root, path)

    def archive_chunks(self, chunks: Iterable[bytes], *, name: str) -> tuple[str, int]:
        """Take bytes in as they come: (sha256, size). What they raise leaves nothing behind. Raises StorageFull."""
        return archive.store_chunks(self.root, chunks, name=name)

    def object_path(self, sha256: str) -> Path:
        """Where an archived object lies. Raises NotFound."""
        return archive.object_path(self.root, sha256)

    def is_cut(self, sha256: str) -> bool:
        """Whether a record was cut out of an archived object."""
        return archive.is_cut(self.root, sha256)

    def tables(self) -> list[str]:
        """Names of the tables that have a commit, sorted."""
        folder = self.root / "repository"
        return [name for name in mirror.names(folder) if delta.exists(folder / name)]

    def snapshot(self, table: str, *, version: int | None = None) -> Snapshot:
        """A table at one version, the last by default. Raises NotFound, FormatError for Delta features beyond the
        plain ones.
        """
        return delta.snapshot(self._folder(table), version)

    def receipts(self, table: str) -> list[Receipt]:
        """What each commit to a table did, oldest first. Raises NotFound."""
        return list(delta.history(self._folder(table)))

    def statistics(self, table: str) -> Statistics:
        """How a table lies on the disk: rows, bytes, files and how many of them are small. Raises NotFound."""
        return upkeep.statistics(self.root, table)

    def compact(self, table: str) -> Compacted:
        """Small files of a table put together, without a change of any row. Raises NotFound, Busy, StorageFull."""
        return upkeep.compact(self.root, table, wait_s=self.wait_s)

    def vacuum(self, table: str, *, pins: Collection[int], since: datetime) -> Vacuumed:
        """Remove files that only versions need which are not in ``pins`` and were replaced before ``since``.

        Raises NotFound, Busy, FormatError where the log is not whole.
        """
        return upkeep.vacuum(self.root, table, pins=pins, since=since, wait_s=self.wait_s)

    def takedown_key(self) -> bytes:
        """The key that contents which were taken down are known by; made on first use."""
        return takedown.key(self.root)

    def erase(self, table: str, gone: Gone) -> Erased:
        """Cut rows out of a table, of its last version and of all before. Raises Busy, StorageFull, FormatError."""
        return takedown.erase(self.root, table, gone, wait_s=self.wait_s)

    def matching(self, table: str, gone: Gone, *, columns: Collection[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a table that go, of all its versions, each as often as files hold it."""
        return takedown.matching(self.root, table, gone, columns=columns)

    def redact(self, sha256: str, cutter: Cutter | None, *, takedown_id: str, run_id: str) -> Redacted:
        """What is in the place of an archived object since a cutter, without one all of it, was cut out.

        Raises NotFound, Busy, StorageFull.
        """
        return redaction.redact(self.root, sha256, cutter, takedown_id=takedown_id, run_id=run_id, wait_s=self.wait_s)

    def is_closed(self, sha256: str) -> bool:
        """Whether an archived object is not to be read again, for of what was cut out of it."""
        return archive.is_closed(self.root, sha256)

    def current_objects(self, table: str, source: str) -> dict[str, ObjectFact]:
        """By uri, what the table holds of a source: the fact known last; of equal ones, the one committed last."""
        folder = writing.folder_of(self.root, table)
        return receipts.current(delta.history(folder), source) if delta.exists(folder) else {}

    def append(
        self,
        table: str,
        batches: Iterable[pa.RecordBatch],
        *,
        schema: pa.Schema,
        source: str,
        run_id: str,
        keys: tuple[str, ...] = (),
        after: int | None = None,
    ) -> Receipt:
        """The receipt of one commit that adds rows; those whose ``keys`` are in the table, or earlier in this call,
        are unchanged.

        Makes the table if there is none, even with no row; else no new row means no commit (version -1). after: the
        version (-1: no table) that the rows were made for, where that takes the place of keys. Raises Busy, also where
        the table is at another version than ``after``, StorageFull, InputError, FormatError.
        """
        return writing.append(
            self.root,
            table,
            batches,
            schema=schema,
            source=source,
            run_id=run_id,
            keys=keys,
            after=after,
            wait_s=self.wait_s,
        )

    def refuse(self, rejects: Iterable[Reject], *, source: str, run_id: str, known_at: datetime) -> None:
        """Keep Rejects of objects of which no bytes came: once for each uri and reason. Raises Busy, StorageFull."""
        rows = [rejected_row(each, Origin(source, each.uri, "", known_at, "", 0)) for each in rejects]
        batch = pa.RecordBatch.from_pylist(rows, schema=REJECTS)
        self.append(REJECTS_TABLE, [batch], schema=REJECTS, source=source, run_id=run_id, keys=("reject_id",))

    @contextmanager
    def ingestion(
        self,
        *,
        table: str,
        source: str,
        run_id: str,
        licence: str | None = None,
        max_reject_share: float = 0.05,
        synthetic: bool = False,
        generation: int = 0,
        contract: Contract | None = None,
        keyed: Keyed | None = None,
        reopen: Reopen | None = None,
        cutting: Cuts | None = None,
    ) -> Iterator[Ingestion]:
        """Take in objects of one source; committed at the end of the block, or not at all when it raises.

        keyed: that rows have keys, which they then must have in every run; reopen: how an object of before is read
        again from the archive; cutting: how records that are barred are cut out of an object, else all of it goes.
        Raises Busy, InputError for a table of the other kind.
        """
        archive.sweep(self.root)
        writing.tidy(self.root, REJECTS_TABLE)
        intake = Intake(
            table=table,
            source=source,
            run_id=run_id,
            licence=licence,
            max_reject_share=max_reject_share,
            synthetic=synthetic,
            generation=generation,
            contract=contract or Contract(),
            keyed=keyed,
        )
        with writing.opened(self.root, table, wait_s=self.wait_s) as folder:
            ingestion = Ingestion(self.root, folder, intake, wait_s=self.wait_s, reopen=reopen, cutting=cutting)
            try:
                yield ingestion
            except BaseException:
                ingestion.discard()
                raise
            ingestion.finish()

    def _folder(self, table: str) -> Path:
        folder = writing.folder_of(self.root, table)
        if not delta.exists(folder):
            raise NotFound(
                f"no table {table!r} in the repository",
                allowed=", ".join(self.tables()) or "none yet",
                do="run the source or the step that makes it",
                table=table,
            )
        return folder
