"""A table of documents made before it had its last columns: read as it is, and appended to."""

from __future__ import annotations

from pathlib import Path

import orjson
import pyarrow as pa
import pytest
from scenes import day, documents, ingest, stored

from warehouse.contracts import DOCUMENTS, RECORDS
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository, receipts
from warehouse.repository import documents as shape

NEW = "stated_language"
LATER = [name for name in DOCUMENTS.names[DOCUMENTS.get_field_index(NEW) :] if name in RECORDS.names]


def without(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field for field in schema if field.name not in LATER])


def older(root: Path) -> Repository:
    """A table as the earlier version of the library wrote it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shape, "DOCUMENTS", without(DOCUMENTS))
        patch.setattr(shape, "RECORDS", without(RECORDS))
        batch = documents(["first", "second"]).drop_columns(LATER)
        ingest(Repository(root), [("u", "s", day(1), [batch])])
    assert not set(LATER) & set(Repository(root).snapshot("documents").schema.names)
    return Repository(root)


def told(repository: Repository) -> list[tuple[str, str | None]]:
    con = connect()
    attach_repository(con, [repository.snapshot("documents")])
    return fetch_all(con, f"SELECT text, {NEW} FROM repository.documents ORDER BY ALL NULLS LAST")


def test_an_older_table_is_appended_to_its_rows_have_null_and_its_identities_stay(tmp_path: Path) -> None:
    repository = older(tmp_path)
    before = {row["text"]: row["doc_id"] for row in stored(repository, "documents")}
    batch = documents(["second", "third"])
    batch = batch.set_column(RECORDS.get_field_index(NEW), RECORDS.field(NEW), pa.array(["de", "fr"]))
    ingest(repository, [("u", "t", day(2), [batch])])
    assert told(repository) == [("first", None), ("second", "de"), ("second", None), ("third", "fr")]
    assert sorted(repository.snapshot("documents").schema.names) == sorted(DOCUMENTS.names)
    after = [row for row in stored(repository, "documents") if row["text"] == "first"]
    assert [row["doc_id"] for row in after] == [before["first"]]
    assert [receipt.rows_out for receipt in repository.receipts("documents")] == [2, 2]


def test_an_older_receipt_without_drops_is_read(tmp_path: Path) -> None:
    receipt = ingest(Repository(tmp_path), [("u", "s", day(1), [documents(["a"])])])[0]
    text = orjson.loads(receipts.encode(receipt))
    del text["drops"]
    assert receipts.decode(orjson.dumps(text).decode(), receipt.version) == receipt
