"""The vocabulary that stages share: values that travel between them, and the schemas of the tables they meet at.

A stage never imports another stage; it takes and returns the values of this module. ``pipelines`` composes the writes,
``answers`` the reads. Arrow is the only bulk type: a ``Batches`` is an iterator of record batches of one schema, of
some 16 MB each, so that no stage ever needs a whole table in memory.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

Batches = Iterator[pa.RecordBatch]

TIMESTAMP = pa.timestamp("us", tz="UTC")
PII_KINDS = ("email", "phone", "ip", "private_ip", "card", "iban", "ssn", "secret")
"""Kinds of personal data that are looked for in texts, and that a release may mask."""
MAX_SYNTHETIC_SHARE = 0.30
"""Of what a model is trained on, at most: more of it is refused, whatever a recipe says."""
MAX_GENERATION = 1
"""How far from real text at most: 0 real, 1 made of real. What is made of synthetic text goes into no release."""
Words = Literal["spacy_en", "unicode", "whitespace"]
"""How a text is cut into words (warehouse.kernels.words)."""
BATCH_BYTES = 16 << 20
"""Target size of a record batch and of a Parquet row group, in bytes of Arrow memory."""
TEXT_ROWS = 512
"""Documents that are read at a time for each thread that measures them."""
MAX_NESTING = 32
"""Structs, lists and maps in each other in a table's column: delta-rs reads 40 structs back and not 45, Arrow IPC
writes 63.
"""

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
        ("stated_language", pa.string()),  # language tag that the record states of itself
        ("canonical", pa.string()),  # address that a page states as its own
        ("robots", pa.string()),  # what a page and its headers tell robots: noindex, noai...
        ("tdm_reservation", pa.bool_()),  # whether they reserve the rights to text and data mining (TDMRep)
        ("tdm_policy", pa.string()),  # address of their policy of it
        ("programming_language", pa.string()),  # of source code
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
        # From here on columns that came later: a table made before gets them at its end.
        ("stated_language", pa.string()),
        ("canonical", pa.string()),
        ("robots", pa.string()),
        ("tdm_reservation", pa.bool_()),
        ("tdm_policy", pa.string()),
        ("programming_language", pa.string()),
        # Of a record that an object grew by: documents of its uri that were known from then on are current beside it.
        ("grown_since", TIMESTAMP),
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

RESOLVED_REJECTS = pa.schema(
    [
        ("reject_id", pa.string()),  # a row of rejects whose record was read since
        ("source", pa.string()),
        ("known_at", TIMESTAMP),  # when the run that read it was planned
        ("receipt_id", pa.string()),
    ]
)

SCHEMA_CHANGES = pa.schema(
    [
        ("change_id", pa.string()),  # blake2b-128(source, table, column, change, was, became, object_sha256)
        ("source", pa.string()),
        ("table_name", pa.string()),
        ("column_name", pa.string()),
        ("change", pa.string()),  # one of CHANGES
        ("was", pa.string()),  # type, or name as it came, before; null where there was none
        ("became", pa.string()),
        ("rows", pa.int64()),  # refused, or whose value was left out
        ("objects", pa.int64()),  # of the commit
        ("uri", pa.string()),  # of the first of them
        ("object_sha256", pa.string()),
        ("known_at", TIMESTAMP),
        ("receipt_id", pa.string()),
    ]
)
CHANGES = {
    "added": "a column that the table had not",
    "widened": "the column's type holds more from now on, all its values were written again",
    "renamed": "the column came under another name",
    "missing": "an object lacks a column that the source had before",
    "empty": "a column without any value: it is in the table from the first value on",
    "refused": "a new column under columns: freeze, its rows are rejects",
    "discarded": "a new column under columns: discard, or the table under tables: discard",
    "misfit": "values that do not fit: rejects under types: freeze, null under types: discard",
}
"""Words of ``schema_changes.change``."""
Answer = Literal["evolve", "freeze", "discard"]


@dataclass(frozen=True, slots=True)
class Contract:
    """What becomes of an object that differs from its table: evolve takes the difference up, freeze makes rejects of
    the rows, discard leaves the values out. columns: new ones; types: other ones; tables: a table that is not there.
    """

    columns: Answer = "evolve"
    types: Answer = "evolve"
    tables: Answer = "evolve"


EVOLVE = Contract()
"""Every difference is taken up."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """That rows of a typed table with the same ``keys`` are one thing at several times.

    mode: of upsert an object brings rows that are new or changed; of snapshot and scd2 the objects of one known_at are
    a whole vintage, in which a key that is absent has been deleted. row_times: whether each row states its known_at.
    """

    mode: Literal["upsert", "snapshot", "scd2"]
    keys: tuple[str, ...]
    row_times: bool = False

    @property
    def whole(self) -> bool:
        """Whether absence is deletion."""
        return self.mode != "upsert"


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
        ("watt_hours", pa.float64()),  # of cpu_s, by power_model; null where it was not counted yet
        ("grams_co2e", pa.float64()),  # of watt_hours, on grid
        ("power_model", pa.string()),
        ("grid", pa.string()),
    ]
)


SPAN = re.compile(r"([1-9]\d{0,6})([smhd])")


def seconds(span: str) -> int | None:
    """Seconds of a length of time such as ``90s``, ``5m``, ``36h`` or ``7d``; None for anything else."""
    found = SPAN.fullmatch(span)
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]] if found else None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long after its last run an asset is overdue (fail_s), and when that is near (warn_s). Seconds."""

    fail_s: int
    warn_s: int | None = None

    @classmethod
    def stated(cls, fail: str, warn: str | None = None) -> Freshness | None:
        """Of spans as they are written; None unless they are spans of a minute or more, the warning before the end."""
        fail_s, warn_s = seconds(fail), seconds(warn) if warn is not None else None
        if not fail_s or fail_s < 60 or (warn is not None and (not warn_s or not 60 <= warn_s < fail_s)):
            return None
        return cls(fail_s, warn_s)


def digest(*parts: str) -> str:
    """blake2b-128 of the parts, each with its length before it so that no two lists collide: 32 hexadecimal digits."""
    return hashlib.blake2b(b"".join(map(sized, parts)), digest_size=16).hexdigest()


def sized(part: str) -> bytes:
    """The UTF-8 bytes of a part, after their number in 8 bytes, the lowest first."""
    raw = part.encode("utf-8", "surrogatepass")
    return len(raw).to_bytes(8, "little") + raw


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


def misshapen(kind: pa.DataType) -> str | None:
    """Why no table's column has this type: levels beyond MAX_NESTING, or names of one struct that differ in case
    only. None for any other type.
    """
    level = [kind]
    for _ in range(MAX_NESTING + 1):
        for each in filter(pa.types.is_struct, level):
            met = Counter(each.field(at).name.casefold() for at in range(each.num_fields))
            if twice := next((name for name, count in met.items() if count > 1), None):
                return f"has fields whose names differ in case only, or not at all: {twice!r}"
        level = [each.field(at).type for each in level for at in range(each.num_fields)]
        if not level:
            return None
    return f"is nested in more than {MAX_NESTING} levels"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A record that was read and is rightly no document: a redirect, an image in a crawl, an attachment.

    ``reason`` is a stable snake_case word; it is counted in the receipt of the commit.
    """

    uri: str
    record: str
    reason: str


Readings = Iterator[pa.RecordBatch | Reject | Dropped]
"""What a reader yields of one object: every record that it meets is in one of the three."""


@dataclass(frozen=True, slots=True)
class ObjectFact:
    """That ``uri`` held the bytes ``sha256`` at ``known_at``, as read by ``reader`` (name and version).

    rows_in counts the records met; rows_in = rows_out + unchanged + rejected + dropped. version: what a server calls
    these bytes (ETag, else Last-Modified); partition: of the source, where it has partitions; deleted: keys that the
    whole vintage, of which it is the first object, lacks: a row each, in none of the other counts. headers: lines of
    the response that brought it which say what may be done with it (``x-robots-tag: noai``).
    recipe: digest of how the source's YAML has it read, of what can be read on where it grows. Of an object that grew,
    counts are of the whole, and what was not read again is among ``unchanged``: grown_from is the sha256 of the object
    that it begins with, start the byte from which it was read, start_record the number of the record there,
    grown_since the known_at of the object that was read from its beginning.
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
    version: str | None = None
    partition: str | None = None
    deleted: int = 0
    headers: str | None = None
    recipe: str | None = None
    grown_from: str | None = None
    start: int = 0
    start_record: int = 0
    grown_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be cut out of an object. contents: content hashes of texts; uris: that its records state of
    themselves; records: uri and record of documents without a uri of their own, and of rows (``_uri``, ``_record``).
    """

    contents: frozenset[str]
    uris: frozenset[str] = frozenset()
    records: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Cut:
    """Bytes that were cut out of an object: offset and length in it, or in the member of it, unpacked.

    member: path in the archive that the object is, ``!/`` between two in each other; empty for the object itself.
    """

    member: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Cutting:
    """What is left of an object: a file, or None where all of it goes, and what was cut out.

    renumbered: whether records that are left have other numbers than before; reason: ``cut``, or why all goes.
    """

    path: Path | None
    cuts: tuple[Cut, ...]
    reason: str
    renumbered: bool = False


Cutter = Callable[[Path, Path], Cutting]
"""Cuts what is wanted out of the object at a path; what is left goes into the folder, which is there and empty."""


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
    drops: Mapping[str, int] = field(default_factory=dict)  # of ``dropped``, by reason
    columns: tuple[str, ...] = ()  # of a typed table, those that the source brought for the first time
    deleted: int = 0  # rows that say that a key is gone, besides rows_out
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
    """What a step used. cpu_s counts user and system time of this process and of the children it waited for.

    watt_hours and grams_co2e are those of cpu_s, as power_model and grid say.
    """

    wall_s: float
    cpu_s: float
    peak_rss: int
    bytes_read: int = 0
    bytes_written: int = 0
    watt_hours: float = 0.0
    grams_co2e: float = 0.0
    power_model: str = ""
    grid: str = ""
