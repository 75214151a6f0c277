"""Parquet through pyarrow, in batches of about 16 MB: documents read only the columns that they map.

Types that a Delta table has not are widened: unsigned to int64, half floats to float, times of day to text, durations
to int64 in their unit, large and view types to plain ones, dictionaries decoded, timestamps to microseconds in UTC
(UTC where they name no zone; nanoseconds are cut off). A value that does not survive that is a Reject of its row. A
file that is broken, encrypted, of an unknown type or not as its page checksums say is one Reject after the batches
that were readable; a file that makes the decoder itself crash would take the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.contracts import BATCH_BYTES, TIMESTAMP, Reject
from warehouse.sources.columns import ARROW, cast_text, cast_where_possible, commented, named, shown, within_years
from warehouse.sources.containers import Member, check_ratio, seekable
from warehouse.sources.recipe import Column, Limits, Source
from warehouse.sources.records import Documents, moments

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
    yield from documents.batch(numbers, {name: _simple(array) for name, array in values.items()})


def rows_of(batch: pa.RecordBatch, start: int, member: Member, source: Source) -> Iterator[pa.RecordBatch | Reject]:
    """Rows of a typed table from Arrow rows, of which the first is row ``start``."""
    names = batch.schema.names
    new = [_column(batch[at], source.columns.get(name)) for at, name in enumerate(names)]
    known, stated = _known_at(batch, source)
    bad: dict[int, str] = {}
    for array, old, name in [*zip(new, batch.columns, names, strict=True), (known, stated, "known_at")]:
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
    plain = within_years(_simple(array))
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
    return moments(_simple(batch[name])), batch[name]


def _simple(array: pa.Array) -> pa.Array:
    kind = simple_type(array.type)
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if array.type == kind:
        return array
    safe = not _has_timestamp(array.type)
    return cast_where_possible(array, lambda values: pc.cast(values, kind, safe=safe))


def _has_timestamp(kind: pa.DataType) -> bool:
    inner = [kind.field(at).type for at in range(kind.num_fields)]
    return pa.types.is_timestamp(kind) or any(map(_has_timestamp, inner))


def simple_type(kind: pa.DataType) -> pa.DataType:
    """The type of a Delta table that holds the values of ``kind``."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType) or types.is_dictionary(kind):
        return simple_type(kind.value_type if types.is_dictionary(kind) else kind.storage_type)
    if types.is_struct(kind):
        return pa.struct([pa.field(item.name, simple_type(item.type)) for item in kind])
    if types.is_map(kind):
        return pa.map_(simple_type(kind.key_type), simple_type(kind.item_type))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pa.list_(simple_type(kind.value_type))
    return next((wide for test, wide in WIDENED if test(kind)), kind)


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    odd: tuple[Any, ...] = (types.is_large_string, types.is_string_view, types.is_time)
    return any(test(kind) for test in odd)


def _is_bytes(kind: pa.DataType) -> bool:
    return any(
        test(kind) for test in (pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    )


WIDENED: tuple[tuple[Any, pa.DataType], ...] = (
    (pa.types.is_unsigned_integer, pa.int64()),
    (pa.types.is_duration, pa.int64()),
    (pa.types.is_timestamp, TIMESTAMP),
    (pa.types.is_float16, pa.float32()),
    (pa.types.is_date64, pa.date32()),
    (pa.types.is_null, pa.string()),
    (pa.types.is_decimal256, pa.string()),
    (_is_text, pa.string()),
    (_is_bytes, pa.binary()),
)
