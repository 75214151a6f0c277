"""Rows of tables that another system holds, as Arrow batches: a Delta table's, a database's answer.

What opens the table is not here; its batches come in as values. Each has what its records begin with, and its number
in that follows: files of a Delta table keep their places between versions, an answer has the order it came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from warehouse.contracts import Readings, Reject
from warehouse.sources import parquet
from warehouse.sources.columns import clashing
from warehouse.sources.containers import Member
from warehouse.sources.guard import guarded
from warehouse.sources.locate import Located
from warehouse.sources.names import Names, shown
from warehouse.sources.recipe import Source, hint
from warehouse.sources.records import Documents

VERSIONS = {"delta": 1}
"""Reader -> its version; see reading.Reader."""


def read_batches(
    source: Source, located: Located, batches: Iterable[tuple[str, pa.RecordBatch]], names: Names, *, reader: str
) -> Readings:
    """Documents, or rows of a typed table, of batches in order; equal beginnings follow one another.

    Bad values are Rejects of their row, what fails among the batches is one of the object. names: takes up what the
    columns are called.
    """
    yield from guarded(_read(source, located, batches, names), uri=located.uri, reason=f"not_{reader}")


def _read(source: Source, located: Located, batches: Iterable[tuple[str, pa.RecordBatch]], names: Names) -> Readings:
    begun, start = None, 0
    for prefix, batch in batches:
        if begun is None and (refusal := _refused(source, located.uri, tuple(batch.schema.names), names)):
            yield refusal
            return
        begun, start = (prefix, start) if prefix == begun else (prefix, 0)
        yield from _rows(source, located, prefix, start, batch)
        start += batch.num_rows


def _rows(
    source: Source, located: Located, prefix: str, start: int, batch: pa.RecordBatch
) -> Iterator[pa.RecordBatch | Reject]:
    member = Member(located.uri, located.uri, lambda: located.path.open("rb"), prefix)
    if source.typed:
        yield from parquet.rows_of(batch, start, member, source)
        return
    documents = Documents(source, f"{located.uri}#{prefix.rstrip('!.')}")
    yield from parquet.documents_of(batch, start, documents)


def _refused(source: Source, uri: str, there: tuple[str, ...], names: Names) -> Reject | None:
    names.objects += 1
    names.met |= dict.fromkeys(there)
    name = source.known_at.column or (None if source.typed else source.fields.get("known_at"))
    if name is not None and name not in there:
        message = f"no column {name!r}{hint(name, there)}, which is known_at; there are {shown(there)}"
        return Reject(uri, "", "unknown_column", message)
    clash = clashing(there, source.columns)
    return Reject(uri, "", "column_clash", clash) if clash else None
