"""CSV and TSV through Python's csv module, of three parsers tried the one that tells for every row what is wrong.

Won: ragged rows, unclosed quotes, broken UTF-8 and endless fields are single Rejects and the rows after them are
read. Lost: speed, about 55 MB per CPU second to columns of text where pyarrow.csv does 155 and DuckDB 237;
pyarrow.csv ends the object at a row beyond its block and swallows an unclosed quote to the end, DuckDB cannot be
stopped between records.

Rules: UTF-8, or UTF-16 with a byte order mark, or the declared encoding. The delimiter is the one of , ; tab | that
stands most often in the first line outside quotes (.tsv: tab). The first row that is not blank is the header. A blank
line is no record, a blank cell is null. A row with another number of fields is ``wrong_field_count``.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import TIMESTAMP, Reject
from warehouse.sources.columns import PATTERNS, cast_text, commented, named, possible_types
from warehouse.sources.containers import Member
from warehouse.sources.guard import guarded
from warehouse.sources.recipe import Column, Dialect, Source
from warehouse.sources.records import Documents
from warehouse.sources.text_lines import Lines

if TYPE_CHECKING:
    from _csv import Reader

BATCH_CHARS = 8 << 20
DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Cells:
    """Consecutive rows: their numbers, and for each column of the header an array of text; blank cells are null."""

    header: tuple[str, ...]
    numbers: list[int]
    columns: list[pa.Array]


def read_documents(member: Member, documents: Documents) -> Iterator[pa.RecordBatch | Reject]:
    """Documents of the member: the fields that the source maps, as columns of text."""
    for cells in rows(member, documents.source):
        if isinstance(cells, Reject):
            yield cells
            continue
        found = dict(zip(cells.header, cells.columns, strict=True))
        empty = pa.nulls(len(cells.numbers), pa.string())
        yield from documents.batch(
            cells.numbers, {name: found.get(key, empty) for name, key in documents.names.items()}
        )


def read_table(member: Member, source: Source) -> Iterator[pa.RecordBatch | Reject]:
    """Rows of a typed table. Types that are not declared are found in a pass over the whole member before."""
    kinds = inferred(member, source)
    for cells in rows(member, source):
        if isinstance(cells, Reject):
            yield cells
        else:
            yield from _typed(cells, member, source, kinds)


def inferred(member: Member, source: Source) -> dict[int, Column]:
    """Index of a column -> its type: declared, else the first of columns.PATTERNS that fits, else string."""
    declared: dict[int, Column] = {}
    possible: dict[int, list[str]] = {}
    shown: set[int] = set()
    for cells in rows(member, source):
        if isinstance(cells, Reject):
            continue
        if not possible and not declared:
            declared = {at: source.columns[name] for at, name in enumerate(cells.header) if name in source.columns}
            possible = {at: list(PATTERNS) for at in range(len(cells.header)) if at not in declared}
        if not possible:
            break
        for at, kinds in possible.items():
            possible[at] = possible_types(cells.columns[at], kinds)
            if cells.columns[at].null_count < len(cells.numbers):
                shown.add(at)
    guessed = {at: Column(kinds[0] if kinds and at in shown else "string") for at, kinds in possible.items()}
    return declared | guessed


def _typed(cells: Cells, member: Member, source: Source, kinds: dict[int, Column]) -> Iterator[pa.RecordBatch | Reject]:
    typed = [cast_text(values, kinds[at]) for at, values in enumerate(cells.columns)]
    known, stated = _known_at(cells, source)
    pairs = [*zip(typed, cells.columns, cells.header, strict=True), (known, stated, "known_at")]
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
    record = pa.array([f"{prefix}{number}" for number in cells.numbers], pa.string())
    return pa.RecordBatch.from_arrays([*typed, record, known], schema=pa.schema(fields))


def _known_at(cells: Cells, source: Source) -> tuple[pa.Array, pa.Array]:
    """Knowledge time of each row by the source's column, and that column's text; nulls where no column is named."""
    name = source.known_at.column
    if name is None or name not in cells.header:
        return pa.nulls(len(cells.numbers), TIMESTAMP), pa.nulls(len(cells.numbers), pa.string())
    text = cells.columns[cells.header.index(name)]
    column = source.columns.get(name, Column("timestamp"))
    return cast_text(text, Column("timestamp", column.format)), text


def _line(cells: Cells, at: int) -> bytes:
    return ",".join(array[at].as_py() or "" for array in cells.columns).encode()[:200]


def rows(member: Member, source: Source) -> Iterator[Cells | Reject]:
    """The member's rows in batches of about 8 million characters, and a Reject for each that is none."""
    csv.field_size_limit(source.limits.max_record_bytes)
    with closing(member.open()) as stream:
        lines = Lines(stream, member.uri, source.dialect.encoding, source.limits.max_record_bytes)
        reader = _reader(lines, _dialect(member, source.dialect))
        header = next((row for row in reader if row), None)
        if header is None:
            yield from _long_lines(lines, 0)
            return
        first = [] if source.dialect.header else [header]
        names = header if source.dialect.header else [f"column_{at}" for at in range(1, len(header) + 1)]
        shown = tuple(name.encode("utf-8", "replace").decode() for name in names)
        checked = guarded(_checked(reader, lines, first, len(header)), uri=member.uri, reason="not_csv")
        yield from _batches(shown, checked, lines)


def sniff_delimiter(line: str, quote: str = '"') -> str:
    """The one of , ; tab | that stands most often in the line outside quotes; a comma where none does."""
    outside = "".join(line.split(quote)[::2])
    return max(DELIMITERS, key=outside.count)


def _dialect(member: Member, dialect: Dialect) -> Dialect:
    tabs = member.name.lower().endswith((".tsv", ".tab"))
    return replace(dialect, delimiter="\t") if tabs and dialect.delimiter is None else dialect


def _reader(lines: Lines, dialect: Dialect) -> Reader:
    texts = iter(lines)
    first = next((line for line in texts if line.strip()), "")
    delimiter = dialect.delimiter or sniff_delimiter(first, dialect.quote)
    return csv.reader(itertools.chain([first], texts), delimiter=delimiter, quotechar=dialect.quote)


def _checked(
    reader: Reader, lines: Lines, first: list[list[str]], width: int
) -> Iterator[tuple[int, list[str]] | Reject]:
    """Every row that is not blank with its number, or why it is none."""
    number = 0
    rows = itertools.chain(first, reader)
    while True:
        try:
            for row in rows:
                if len(row) == width and not lines.ended and not lines.rejects:
                    yield number, row
                elif row or lines.rejects:
                    for item in _doubtful(row, number, width, lines, reader.line_num):
                        yield item
                        number += 1
                    continue
                else:
                    continue
                number += 1
        except csv.Error as error:
            reason = "record_too_large" if "limit" in str(error) else "invalid_csv"
            yield Reject(lines.uri, str(number), reason, str(error), reader.line_num, type(error).__name__)
            number += 1
            continue
        break
    yield from _long_lines(lines, number)


def _doubtful(
    row: list[str], number: int, width: int, lines: Lines, line: int
) -> Iterator[tuple[int, list[str]] | Reject]:
    """A row of another width, one that the end of the object cut, or one that follows a line too long to read."""
    for reject in _long_lines(lines, number):
        yield reject
        number += 1
    first = ",".join(row).encode("utf-8", "replace")[:200]
    if lines.ended:
        message = "a quote is still open at the end of the object"
        yield Reject(lines.uri, str(number), "unclosed_quote", message, line, None, first)
    elif row and len(row) != width:
        message = f"{len(row)} fields, the header has {width}"
        yield Reject(lines.uri, str(number), "wrong_field_count", message, line, None, first)
    elif row:
        yield number, row


def _long_lines(lines: Lines, number: int) -> Iterator[Reject]:
    while lines.rejects:
        yield replace(lines.rejects.pop(0), record=str(number))
        number += 1


def _batches(
    header: tuple[str, ...], items: Iterator[tuple[int, list[str]] | Reject], lines: Lines
) -> Iterator[Cells | Reject]:
    numbers: list[int] = []
    batch: list[list[str]] = []
    for item in items:
        if isinstance(item, Reject):
            yield item
            continue
        numbers.append(item[0])
        batch.append(item[1])
        if lines.chars >= BATCH_CHARS:
            lines.chars = 0
            yield from _cells(header, numbers, batch, lines.uri)
            numbers, batch = [], []
    if batch:
        yield from _cells(header, numbers, batch, lines.uri)


def _cells(header: tuple[str, ...], numbers: list[int], batch: list[list[str]], uri: str) -> Iterator[Cells | Reject]:
    try:
        columns = [pa.array([cell or None for cell in column], pa.string()) for column in zip(*batch, strict=True)]
    except UnicodeEncodeError:
        good = [at for at, row in enumerate(batch) if _is_utf8(row)]
        for at in sorted(set(range(len(batch))) - set(good)):
            first = ",".join(batch[at]).encode("utf-8", "surrogateescape")[:200]
            yield Reject(uri, str(numbers[at]), "invalid_utf8", "the row is not UTF-8", -1, None, first)
        if good:
            yield from _cells(header, [numbers[at] for at in good], [batch[at] for at in good], uri)
        return
    yield Cells(header, numbers, columns)


def _is_utf8(row: list[str]) -> bool:
    try:
        return "".join(row).encode("utf-8") is not None
    except UnicodeEncodeError:
        return False
