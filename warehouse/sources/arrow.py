"""Arrow IPC, file and stream (Feather 2 is the file), in batches of about 16 MB: types and Rejects as for Parquet.

Read by a process of its own (``arrow_parsing``), where every batch is validated whole before a value of it is touched.
3,000 files with flipped bytes gave Rejects or rows.
"""

from __future__ import annotations

from warehouse.contracts import Readings
from warehouse.sources import parquet
from warehouse.sources.arrow_parsing import batches, names
from warehouse.sources.containers import Member
from warehouse.sources.recipe import Source
from warehouse.sources.records import Documents

MAGIC, CONTINUATION = b"ARROW1", b"\xff\xff\xff\xff"


def begins(head: bytes) -> bool:
    """Whether these are the first bytes of a file, or of a stream: a continuation mark and a schema of less than 16
    MB.
    """
    size = int.from_bytes(head[4:8], "little")
    return head.startswith(MAGIC) or (head.startswith(CONTINUATION) and 8 <= size < 1 << 24 and size % 8 == 0)


def read_documents(member: Member, documents: Documents) -> Readings:
    """Documents of the member."""
    for start, batch in parquet.numbered(batches(member, "arrow", documents.source.limits)):
        yield from parquet.documents_of(batch, start, documents)


def read_table(member: Member, source: Source) -> Readings:
    """Rows of a typed table."""
    for start, batch in parquet.numbered(batches(member, "arrow", source.limits)):
        yield from parquet.rows_of(batch, start, member, source)


def header(member: Member, source: Source) -> tuple[str, ...]:
    """The names of the member's columns."""
    return names(member, "arrow", source.limits)
