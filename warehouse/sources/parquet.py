"""Parquet through pyarrow, in batches of about 16 MB: documents read only the columns that they map.

Types that a Delta table has not are widened as warehouse.sources.arrays says; a value that does not survive that is a
Reject of its row. A file that is broken, encrypted, of an unknown type or not as its page checksums say is one Reject
after the batches that were readable, and so is one that makes the decoder crash (``arrow_parsing``).
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import TIMESTAMP, Reject
from warehouse.sources.arrays import decoded, simple
from warehouse.sources.arrow_parsing import batches, names
from warehouse.sources.columns import ARROW, cast_text, cast_where_possible, commented, named, record_names, shown
from warehouse.sources.containers import Member
from warehouse.sources.recipe import Column, Source
from warehouse.sources.records import Documents, moments


def read_documents(member: Member, documents: Documents) -> Iterator[pa.RecordBatch | Reject]:
    """Documents of the member."""
    found = batches(member, "parquet", documents.source.limits, columns=list(documents.names.values()))
    for start, batch in numbered(found):
        yield from documents_of(batch, start, documents)


def read_table(member: Member, source: Source) -> Iterator[pa.RecordBatch | Reject]:
    """Rows of a typed table."""
    for start, batch in numbered(batches(member, "parquet", source.limits)):
        yield from rows_of(batch, start, member, source)


def header(member: Member, source: Source) -> tuple[str, ...]:
    """The names of the member's columns."""
    return names(member, "parquet", source.limits)


def numbered(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Each batch with the row number of its first row."""
    start = 0
    for batch in batches:
        yield start, batch
        start += batch.num_rows


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
    originals = batch.schema.names
    olds = [decoded(column) for column in batch.columns]
    new = [_column(old, source.columns.get(name)) for old, name in zip(olds, originals, strict=True)]
    known, stated = _known_at(batch, source)
    bad: dict[int, str] = {}
    for array, old, name in [*zip(new, olds, originals, strict=True), (known, stated, "known_at")]:
        if array.null_count > old.null_count:
            lost = pc.indices_nonzero(pc.and_(pc.is_null(array), pc.is_valid(old))).to_pylist()
            bad |= {at: f"column {name!r} has {str(shown(old[at]))[:80]}" for at in lost if at not in bad}
    for at in sorted(bad):
        yield Reject(member.uri, str(start + at), "type_mismatch", bad[at], start + at)
    if len(bad) < batch.num_rows:
        record = record_names(member.prefix, range(start, start + batch.num_rows))
        fields = [
            commented(name, array.type, was)
            for name, array, was in zip(named(originals, source.columns), new, originals, strict=True)
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
