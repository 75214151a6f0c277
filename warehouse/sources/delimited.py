"""CSV and TSV: documents and typed rows from columns of text (``csv_rows`` has the rows, ``dialects`` what is found).

Won, of three parsers tried: ragged rows, unclosed quotes, broken UTF-8 and endless fields are single Rejects and the
rows after them are read. Lost: speed, 40 MB a CPU second with types found, 25 with a quoted column (10 and 16 by
Python's csv module alone); pyarrow.csv does 155 to 690 and DuckDB 240 to 270, but pyarrow.csv ends the object at a row
beyond its block and swallows an unclosed quote to the end, DuckDB cannot be stopped between records.

Empty text (``""``) is null in every column but one of text.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import TIMESTAMP, Dropped, Readings, Reject
from warehouse.sources.columns import PATTERNS, cast_text, commented, found_type, named, possible_types, record_names
from warehouse.sources.containers import Member
from warehouse.sources.csv_rows import Cells, blank_as_null, header, rows
from warehouse.sources.recipe import Column, Source
from warehouse.sources.records import Documents

__all__ = ["header", "inferred", "known_at", "read_documents", "read_table"]

Item = Cells | Dropped | Reject
KEPT_BYTES = 32 << 20  # of text: a member of more whose types are not declared is parsed twice


def read_documents(member: Member, documents: Documents) -> Readings:
    """Documents of the member: the fields that the source maps, as columns of text."""
    for cells in rows(member, documents.source):
        if not isinstance(cells, Cells):
            yield cells
            continue
        found = dict(zip(cells.header, cells.columns, strict=True))
        empty = pa.nulls(len(cells.numbers), pa.string())
        yield from documents.batch(
            cells.numbers, {name: found.get(key, empty) for name, key in documents.names.items()}
        )


Taken = Callable[[Member, Source], Iterator[Item]]


def read_table(member: Member, source: Source, taken: Taken = rows) -> Readings:
    """Rows of a typed table. Types that are not declared are found over the whole member first.

    taken: how its rows are taken from the member, as text.
    """
    items = taken(member, source)
    kept = list(_first(items, KEPT_BYTES))
    rest = next(items, None)
    names = next((cells.header for cells in kept if isinstance(cells, Cells)), ())
    if rest is None or all(name in source.columns for name in names):
        kinds = inferred(kept, source)
        again: Iterator[Item] = itertools.chain(kept, [rest] if rest else [], items)
    else:
        kinds = inferred(itertools.chain(kept, [rest], items), source)
        again = taken(member, source)
    for cells in again:
        if not isinstance(cells, Cells):
            yield cells
        else:
            yield from _typed(cells, member, source, kinds)


def _first(items: Iterator[Item], size: int) -> Iterator[Item]:
    """The items until their text took ``size`` bytes."""
    for item in items:
        yield item
        size -= sum(array.nbytes for array in item.columns) if isinstance(item, Cells) else 200
        if size <= 0:
            return


def inferred(items: Iterable[Item], source: Source) -> dict[int, Column]:
    """Index of a column -> its type: declared, else the first of columns.PATTERNS that fits, else string."""
    kinds: dict[int, Column] = {}
    possible: dict[int, list[str]] = {}
    shown: set[int] = set()
    for cells in items:
        if not isinstance(cells, Cells):
            continue
        for at, (name, texts) in enumerate(zip(cells.header, cells.columns, strict=True)):
            values = blank_as_null(texts) if cells.quoted else texts
            if name in source.columns:
                kinds[at] = source.columns[name]
            elif values.null_count < len(values):
                shown.add(at)
                possible[at] = possible_types(values, possible.get(at, list(PATTERNS)))
            else:
                possible.setdefault(at, list(PATTERNS))
    for at, left in possible.items():
        kinds[at] = Column(found_type(left) if at in shown else "string")
    return kinds


def _typed(cells: Cells, member: Member, source: Source, kinds: dict[int, Column]) -> Iterator[pa.RecordBatch | Reject]:
    filled = [blank_as_null(values) if cells.quoted else values for values in cells.columns]
    texts = [
        given if kinds[at].type == "string" else values
        for at, (given, values) in enumerate(zip(cells.columns, filled, strict=True))
    ]
    typed = [cast_text(values, kinds[at]) for at, values in enumerate(texts)]
    known, stated = known_at(cells, source)
    pairs = [*zip(typed, texts, cells.header, strict=True), (known, stated, "known_at")]
    bad: dict[int, str] = {}
    for new, old, name in pairs:
        if new.null_count > old.null_count:
            lost = pc.indices_nonzero(pc.and_(pc.is_null(new), pc.is_valid(old))).to_pylist()
            bad |= {at: f"column {name!r} has {old[at].as_py()[:80]!r}" for at in lost if at not in bad}
    for at in sorted(bad):
        first = _line(cells, at)
        yield Reject(member.uri, str(cells.numbers[at]), "type_mismatch", bad[at], cells.numbers[at], None, first)
    good = pa.array([at not in bad for at in range(len(cells.numbers))])
    if len(bad) < len(cells.numbers):
        yield _batch(cells, typed, known, member.prefix, source).filter(good)


def _batch(cells: Cells, typed: list[pa.Array], known: pa.Array, prefix: str, source: Source) -> pa.RecordBatch:
    names = named(cells.header, source.columns)
    fields = [commented(name, array.type, was) for name, array, was in zip(names, typed, cells.header, strict=True)]
    fields += [pa.field("_record", pa.string()), pa.field("_known_at", TIMESTAMP)]
    record = record_names(prefix, cells.numbers)
    return pa.RecordBatch.from_arrays([*typed, record, known], schema=pa.schema(fields))


def known_at(cells: Cells, source: Source) -> tuple[pa.Array, pa.Array]:
    """Knowledge time of each row by the source's column, and that column's text; nulls where no column is named."""
    name = source.known_at.column
    if name is None or name not in cells.header:
        return pa.nulls(len(cells.numbers), TIMESTAMP), pa.nulls(len(cells.numbers), pa.string())
    text = blank_as_null(cells.columns[cells.header.index(name)])
    column = source.columns.get(name, Column("timestamp"))
    return cast_text(text, Column("timestamp", column.format)), text


def _line(cells: Cells, at: int) -> bytes:
    return ",".join(array[at].as_py() or "" for array in cells.columns).encode()[:200]
