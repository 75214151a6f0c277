"""Arrow IPC, file and stream (Feather 2 is the file), in batches of about 16 MB: types and Rejects as for Parquet.

Every batch is validated whole before a value of it is touched: offsets that point outside would end the process. 3,000
files with flipped bytes gave Rejects or rows, never a crash. A compressed buffer is unpacked as a whole before it can
be measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, BinaryIO

import pyarrow as pa

from warehouse.contracts import BATCH_BYTES, Readings
from warehouse.sources import parquet
from warehouse.sources.containers import Member, seekable
from warehouse.sources.recipe import Limits, Source
from warehouse.sources.records import Documents
from warehouse.sources.unpacking import check_ratio

MAGIC, CONTINUATION = b"ARROW1", b"\xff\xff\xff\xff"


def begins(head: bytes) -> bool:
    """Whether these are the first bytes of a file, or of a stream: a continuation mark and a schema of less than 16
    MB.
    """
    size = int.from_bytes(head[4:8], "little")
    return head.startswith(MAGIC) or (head.startswith(CONTINUATION) and 8 <= size < 1 << 24 and size % 8 == 0)


def read_documents(member: Member, documents: Documents) -> Readings:
    """Documents of the member."""
    for start, batch in _batches(member, documents.source.limits):
        yield from parquet.documents_of(batch, start, documents)


def read_table(member: Member, source: Source) -> Readings:
    """Rows of a typed table."""
    for start, batch in _batches(member, source.limits):
        yield from parquet.rows_of(batch, start, member, source)


def header(member: Member, source: Source) -> tuple[str, ...]:
    """The names of the member's columns."""
    with closing(seekable(member)) as file:
        return tuple(_reader(file).schema.names)


def _batches(member: Member, limits: Limits) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Row number of the first row, and the rows."""
    start = unpacked = 0
    with closing(seekable(member)) as file:
        size = file.seek(0, 2)
        reader = _reader(file)
        stream = isinstance(reader, pa.RecordBatchReader)
        for batch in reader if stream else map(reader.get_batch, range(reader.num_record_batches)):
            batch.validate(full=True)
            unpacked += max(batch.nbytes, batch.num_rows)  # rows of nulls take no bytes at all
            check_ratio(unpacked, size, limits)
            for piece in _pieces(batch):
                yield start, piece
                start += piece.num_rows


def _reader(file: BinaryIO) -> Any:
    """pyarrow's reader of a file or of a stream."""
    file.seek(0)
    is_file = file.read(len(MAGIC)) == MAGIC
    file.seek(0)
    return pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    rows = min(parquet.MAX_ROWS, max(1, batch.num_rows * BATCH_BYTES // max(BATCH_BYTES, batch.nbytes)))
    return (batch.slice(at, rows) for at in range(0, batch.num_rows, rows))
