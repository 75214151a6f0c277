"""The vocabulary that stages share: values that travel between them, and the schemas of the tables they meet at.

A stage never imports another stage; it takes and returns the values of this module. ``pipelines`` composes the writes,
``answers`` the reads. Arrow is the only bulk type: a ``Batches`` is an iterator of record batches of one schema, of
some 16 MB each, so that no stage ever needs a whole table in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

Batches = Iterator[pa.RecordBatch]

TIMESTAMP = pa.timestamp("us", tz="UTC")
BATCH_BYTES = 16 << 20
"""Target size of a record batch and of a Parquet row group, in bytes of Arrow memory."""

# What a document reader yields; the repository adds identity and time.
RECORDS = pa.schema(
    [
        ("uri", pa.string()),  # of the document: the object's own, or the one its record states
        ("record", pa.string()),  # locates the record within its uri; unique with uri inside one object
        ("title", pa.string()),
        ("text", pa.large_string()),
        ("licence", pa.string()),  # SPDX identifier where known
        ("published_at", TIMESTAMP),  # the document's own time
        ("known_at", TIMESTAMP),  # when we knew it, if the record says so; else null
    ]
)

DOCUMENTS = pa.schema(
    [
        ("doc_id", pa.string()),  # doc_id(): 32 hexadecimal digits
        ("source", pa.string()),
        ("uri", pa.string()),
        ("record", pa.string()),
        ("object_sha256", pa.string()),
        ("known_at", TIMESTAMP),
        ("published_at", TIMESTAMP),
        ("licence", pa.string()),
        ("title", pa.string()),
        ("text", pa.large_string()),
        ("content_hash", pa.string()),  # content_hash(): 32 hexadecimal digits
        ("synthetic", pa.bool_()),
        ("generation", pa.int32()),  # 0 for real data, 1 for synthetic from real; never more than 1
        ("receipt_id", pa.string()),
    ]
)

REJECTS = pa.schema(
    [
        ("reject_id", pa.string()),  # blake2b-128(source, uri, record, object_sha256, reason)
        ("source", pa.string()),
        ("uri", pa.string()),
        ("record", pa.string()),
        ("object_sha256", pa.string()),
        ("position", pa.int64()),  # byte offset or line number in the object, -1 where neither is known
        ("reason", pa.string()),  # stable snake_case word
        ("exception", pa.string()),  # class of the parser's exception, null if none
        ("message", pa.string()),
        ("first_bytes", pa.binary()),  # at most 200 bytes of the record
        ("known_at", TIMESTAMP),
        ("receipt_id", pa.string()),
    ]
)

RUNS = pa.schema(
    [
        ("asset", pa.string()),
        ("run_id", pa.string()),
        ("started_at", TIMESTAMP),
        ("wall_s", pa.float64()),
        ("cpu_s", pa.float64()),  # user + system, all threads and waited-for children
        ("peak_rss", pa.int64()),  # bytes
        ("rows", pa.int64()),
        ("bytes_read", pa.int64()),
        ("bytes_written", pa.int64()),
    ]
)


def digest(*parts: str) -> str:
    """blake2b-128 of the parts, each with its length before it so that no two lists collide: 32 hexadecimal digits."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        state.update(len(raw).to_bytes(8, "little"))
        state.update(raw)
    return state.hexdigest()


def content_hash(text: str) -> str:
    """blake2b-128 of a document's UTF-8 text: 32 hexadecimal digits."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def doc_id(source: str, uri: str, record: str, content: str) -> str:
    """Identity of a document: never its object, its batch or the clock (``content`` is its content_hash)."""
    return digest(source, uri, record, content)


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not be read: why, and enough of it to find it again."""

    uri: str
    record: str
    reason: str
    message: str
    position: int = -1
    exception: str | None = None
    first_bytes: bytes = b""


@dataclass(frozen=True, slots=True)
class ObjectFact:
    """That ``uri`` held the bytes ``sha256`` at ``known_at``, as read by ``reader`` (name and version).

    rows_in counts the records met; rows_in = rows_out + unchanged + rejected + dropped.
    """

    uri: str
    sha256: str
    size: int
    known_at: datetime
    reader: str
    rows_in: int = 0
    rows_out: int = 0
    unchanged: int = 0
    rejected: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one commit to one table did. It travels in that commit's own metadata, so it can never disagree with it."""

    receipt_id: str
    table: str
    source: str
    run_id: str
    committed_at: datetime
    rows_in: int
    rows_out: int
    unchanged: int = 0
    rejected: int = 0
    dropped: int = 0
    objects: tuple[ObjectFact, ...] = ()
    version: int = -1  # Delta version of the commit; known only when read back

    @property
    def balanced(self) -> bool:
        """Whether every row that came in is accounted for."""
        return self.rows_in == self.rows_out + self.unchanged + self.rejected + self.dropped

    def as_json(self) -> dict[str, Any]:
        """The receipt as JSON types; times in ISO 8601."""
        return {key: _plain(value) for key, value in asdict(self).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A table at one version: what a reader needs, without the log. Only ``repository`` makes one.

    A table that is still to come is one of version -1 without files.
    ``files`` are absolute paths of live Parquet files; ``schema`` is the table's, which a file may lack columns of.
    """

    table: str
    version: int
    files: tuple[str, ...]
    schema: pa.Schema
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Check:
    """Outcome of one expectation of a suite (names as in Great Expectations)."""

    suite: str
    table: str
    expectation: str
    column: str | None
    kwargs: Mapping[str, Any]
    success: bool
    element_count: int
    unexpected_count: int
    observed: Any = None
    samples: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step used. cpu_s counts user and system time of this process and of the children it waited for."""

    wall_s: float
    cpu_s: float
    peak_rss: int
    bytes_read: int = 0
    bytes_written: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)
