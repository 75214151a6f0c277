"""Small inputs of the repository's tests: documents, typed rows, objects; and what must be on disk afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from warehouse import mirror
from warehouse.contracts import RECORDS, Dropped, ObjectFact, Receipt, Reject
from warehouse.errors import NotFound
from warehouse.repository import Repository

Readings = list["pa.RecordBatch | Reject | Dropped"]


def day(number: int) -> datetime:
    return datetime(2024, 1, number, tzinfo=UTC)


def documents(texts: Iterable[str | None], *, uri: str = "doc", known_at: datetime | None = None) -> pa.RecordBatch:
    rows = [{"uri": uri, "record": str(at), "text": text, "known_at": known_at} for at, text in enumerate(texts)]
    return pa.RecordBatch.from_pylist([dict.fromkeys(RECORDS.names) | row for row in rows], schema=RECORDS)


def rows(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def reject(record: str, uri: str = "doc") -> Reject:
    return Reject(uri, record, "bad_line", "cannot be parsed", position=7, first_bytes=b"x" * 300)


def ingest(
    repository: Repository,
    objects: Iterable[tuple[str, str, datetime, Readings]],
    *,
    table: str = "documents",
    source: str = "src",
    share: float = 1.0,
    **options: Any,
) -> list[Receipt]:
    """One run of a source over (uri, sha256, known_at, readings), as the pipeline does it."""
    options |= {"table": table, "source": source, "max_reject_share": share}
    with repository.ingestion(run_id="run", **options) as ingestion:
        for uri, sha256, known_at, readings in objects:
            if not ingestion.is_current(uri, sha256, "reader@1"):
                ingestion.add(uri, sha256, 10, known_at, "reader@1", readings)
        return ingestion.finish()


def stored(repository: Repository, table: str) -> list[dict[str, Any]]:
    """The rows of a table but for their receipts, in a fixed order, as Polars reads them."""
    frame = pl.read_delta(str(repository.root / "repository" / table))
    return sorted(frame.drop("receipt_id", "_receipt_id", strict=False).to_dicts(), key=repr)


def leftovers(root: Path) -> list[str]:
    """Files under a root that belong to no object, table file of a version that is kept, log entry or lock."""
    repository = Repository(root)
    live: set[Path] = set()
    for table in repository.tables():
        for version in range(repository.snapshot(table).version + 1):
            with suppress(NotFound):
                live |= set(map(Path, repository.snapshot(table, version=version).files))
    found = []
    bucket = mirror.of(root)
    held = [bucket.root / entry.key for entry in bucket.store.list(bucket.key(root))] if bucket else []
    for path in {*(path for path in root.rglob("*") if path.is_file() and path.name != mirror.MARKER), *held}:
        place = path.relative_to(root).parts
        named = place[0] == "locks" or (place[0] == "archive" and len(place) == 3 and len(place[2]) == 64)
        logged = "_delta_log" in place and (path.suffix in {".json", ".parquet"} or path.name == "_last_checkpoint")
        if not (named or logged or path in live):
            found.append(str(path.relative_to(root)))
    return found


def facts(repository: Repository, table: str) -> list[ObjectFact]:
    return [fact for receipt in repository.receipts(table) for fact in receipt.objects]
