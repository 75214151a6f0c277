"""A web archive as rows of a typed table: one row a record of any type, what its headers say, and no page parsed.

The index of a crawl (what a CDX file has, and more): which page was seen when, with which answer, under which digest;
of a revisit whose bytes it had; of a metadata record, WAT among them, the text, which in WAT is JSON. 50 us a
record, its inflating with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from warehouse.contracts import TIMESTAMP, Dropped, Readings, Reject
from warehouse.sources.containers import Member
from warehouse.sources.guard import guarded
from warehouse.sources.parquet import rows_of
from warehouse.sources.recipe import Source
from warehouse.sources.records import moments
from warehouse.sources.warc import numbered
from warehouse.sources.warc_records import Record, http_message, last_moment, records, target_uri

HELD_ROWS, HELD_CHARS = 10_000, 4 << 20
TEXTS = ("application/json", "application/warc-fields", "text/plain")
COLUMNS = pa.schema(
    [
        ("record_id", pa.string()),
        ("record_type", pa.string()),  # in lower case: response, revisit, metadata...
        ("target_uri", pa.string()),
        ("date", TIMESTAMP),  # as known_at of documents: the last second that WARC-Date may mean
        ("offset", pa.int64()),  # byte of the unpacked archive
        ("length", pa.int64()),  # bytes of the block
        ("content_type", pa.string()),  # of the block
        ("http_status", pa.int64()),
        ("http_content_type", pa.string()),
        ("payload_digest", pa.string()),
        ("refers_to_target_uri", pa.string()),  # of a revisit: the page whose bytes it had
        ("refers_to_date", TIMESTAMP),
        ("language", pa.string()),  # WARC-Identified-Content-Language
        ("truncated", pa.string()),  # why the block is not whole: length, time, disconnect
        ("text", pa.string()),  # of warcinfo and metadata records that are JSON, fields or plain text
    ]
)
FIELDS = {
    "record_id": "warc-record-id",
    "content_type": "content-type",
    "payload_digest": "warc-payload-digest",
    "refers_to_target_uri": "warc-refers-to-target-uri",
    "refers_to_date": "warc-refers-to-date",
    "language": "warc-identified-content-language",
    "truncated": "warc-truncated",
}


def read_table(member: Member, source: Source) -> Readings:
    """Rows of a typed table with the columns COLUMNS, and a Reject for each stretch of bytes that is no record."""
    held: list[dict[str, Any]] = []
    start = chars = 0
    read = records(member, max_bytes=source.limits.max_record_bytes)
    number = -1
    for number, item in enumerate(guarded(read, uri=member.uri, reason="not_warc")):
        if isinstance(item, Reject):
            yield from _rows(held, start, member, source)
            yield numbered(item, number)
            held, start, chars = [], number + 1, 0
            continue
        held.append(_row(item))
        chars += len(held[-1]["text"] or "")
        if len(held) >= HELD_ROWS or chars >= HELD_CHARS:
            yield from _rows(held, start, member, source)
            held, start, chars = [], number + 1, 0
    yield from _rows(held, start, member, source)
    if number < 0:
        yield Dropped(member.uri, "", "empty_object")


def _rows(held: list[dict[str, Any]], start: int, member: Member, source: Source) -> Iterator[pa.RecordBatch | Reject]:
    if held:
        columns = {field.name: [row[field.name] for row in held] for field in COLUMNS}
        arrays = [
            moments(pa.array(columns[field.name], pa.string()))
            if field.type == TIMESTAMP
            else pa.array(columns[field.name], field.type)
            for field in COLUMNS
        ]
        yield from rows_of(pa.RecordBatch.from_arrays(arrays, schema=COLUMNS), start, member, source)


def _row(record: Record) -> dict[str, Any]:
    fields = record.fields
    kind = fields.get("warc-type", "").lower() or None
    row: dict[str, Any] = {name: fields.get(field) or None for name, field in FIELDS.items()}
    row |= {
        "record_type": kind,
        "target_uri": target_uri(fields),
        "date": last_moment(fields.get("warc-date", "")),
        "refers_to_date": last_moment(row["refers_to_date"] or ""),
        "offset": record.offset,
        "length": len(record.block),
        "http_status": None,
        "http_content_type": None,
        "text": None,
    }
    if record.block.startswith(b"HTTP/") and kind in ("response", "revisit"):
        status, headers, _ = http_message(record.block)
        row["http_status"] = int(status) if status.isascii() and status.isdigit() and len(status) <= 9 else None
        row["http_content_type"] = headers.get("content-type")
    if kind in ("metadata", "warcinfo") and (row["content_type"] or "").partition(";")[0].strip() in TEXTS:
        row["text"] = record.block.decode("utf-8", "replace").strip()
    return row
