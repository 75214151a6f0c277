"""Parquet through pyarrow, in batches of about 16 MB: documents read only the columns that they map.

Types that a Delta table has not are widened as warehouse.sources.arrays says; a value that does not survive that is a
Reject of its row. A file that is broken, encrypted, of an unknown type or not as its page checksums say is one Reject
after the batches that were readable; a file that makes the decoder itself crash would take the process.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.contracts import BATCH_BYTES, TIMESTAMP, Reject
from warehouse.sources.arrays import decoded, simple
from warehouse.sources.columns import ARROW, cast_text, cast_where_possible, commented, named, shown
from warehouse.sources.containers import Member, seekable
from warehouse.sources.recipe import Column, Limits, Source
from warehouse.sources.records import Documents, moments
from warehouse.sources.unpacking import check_ratio

MAX_ROWS = 65_536


def read_documents(member: Member, documents: Documents) -> Iterator[pa.RecordBatch | Reject]:
    """Documents of the member."""
    for start, batch in _batches(member, list(documents.names.values()), documents.source.limits):
        yield from documents_of(batch, start, documents)


def read_table(member: Member, source: Source) -> Iterator[pa.RecordBatch | Reject]:
    """Rows of a typed table."""
    for start, batch in _batches(member, None, source.limits):
        yield from rows_of(batch, start, member, source)


def _batches(member: Member, columns: list[str] | None, limits: Limits) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Row number of the first row, and the rows."""
    with seekable(member) as file, pq.ParquetFile(file, page_checksum_verification=True) as parquet:
        check_ratio(_unpacked(parquet.metadata), file.seek(0, 2), limits)
        wanted = None if columns is None else [name for name in columns if name in parquet.schema_arrow.names]
        start = 0
        for batch in parquet.iter_batches(batch_size=_rows_a_batch(parquet.metadata), columns=wanted):
            yield start, batch
            start += batch.num_rows
        if start < parquet.metadata.num_rows:
            raise pa.ArrowInvalid(f"the file states {parquet.metadata.num_rows:,} rows and holds {start:,}")


def _unpacked(metadata: pq.FileMetaData) -> int:
    """Bytes of the column chunks before compression."""
    return sum(metadata.row_group(at).total_byte_size for at in range(metadata.num_row_groups))


def _rows_a_batch(metadata: pq.FileMetaData) -> int:
    a_row = max(1, _unpacked(metadata) // max(1, metadata.num_rows))
    return int(min(MAX_ROWS, max(64, BATCH_BYTES // a_row)))


def documents_of(batch: pa.RecordBatch, start: int, documents: Documents) -> Iterator[pa.RecordBatch | Reject]:
    """Documents of Arrow rows, of which the first is row ``start``."""
    numbers = range(start, start + batch.num_rows)
    missing = pa.nulls(batch.num_rows, pa.string())
    values = {name: batch[key] if key in batch.schema.names else missing for name, key in documents.names.items()}
    yield from documents.batch(numbers, {name: _whole(decoded(array)) for name, array in values.items()})


def _whole(array: pa.Array) -> pa.Array:
    """The array in its simple type if every value survives that, else as it is: its reader tells what is lost."""
    made = simple(array)
    return made if made.null_count == array.null_count else array


def rows_of(batch: pa.RecordBatch, start: int, member: Member, source: Source) -> Iterator[pa.RecordBatch | Reject]:
    """Rows of a typed table from Arrow rows, of which the first is row ``start``."""
    names = batch.schema.names
    olds = [decoded(column) for column in batch.columns]
    new = [_column(old, source.columns.get(name)) for old, name in zip(olds, names, strict=True)]
    known, stated = _known_at(batch, source)
    bad: dict[int, str] = {}
    for array, old, name in [*zip(new, olds, names, strict=True), (known, stated, "known_at")]:
        if array.null_count > old.null_count:
            lost = pc.indices_nonzero(pc.and_(pc.is_null(array), pc.is_valid(old))).to_pylist()
            bad |= {at: f"column {name!r} has {str(shown(old[at]))[:80]}" for at in lost if at not in bad}
    for at in sorted(bad):
        yield Reject(member.uri, str(start + at), "type_mismatch", bad[at], start + at)
    if len(bad) < batch.num_rows:
        record = pa.array([f"{member.prefix}{start + at}" for at in range(batch.num_rows)], pa.string())
        fields = [
            commented(name, array.type, was)
            for name, array, was in zip(named(names, source.columns), new, names, strict=True)
        ]
        fields += [pa.field("_record", pa.string()), pa.field("_known_at", TIMESTAMP)]
        rows = pa.RecordBatch.from_arrays([*new, record, known], schema=pa.schema(fields))
        yield rows.filter(pa.array([at not in bad for at in range(batch.num_rows)])) if bad else rows


def _column(array: pa.Array, declared: Column | None) -> pa.Array:
    """The array in its declared type, else in the one nearest to its own that a Delta table has."""
    plain = simple(array)
    if declared is None:
        return plain
    if pa.types.is_string(plain.type):
        return cast_text(plain, declared)
    if declared.type == "timestamp":
        return moments(plain)
    return cast_where_possible(plain, lambda values: pc.cast(values, ARROW[declared.type]))


def _known_at(batch: pa.RecordBatch, source: Source) -> tuple[pa.Array, pa.Array]:
    name = source.known_at.column
    if name is None or name not in batch.schema.names:
        return pa.nulls(batch.num_rows, TIMESTAMP), pa.nulls(batch.num_rows, TIMESTAMP)
    stated = decoded(batch[name])
    return moments(_whole(stated)), stated
