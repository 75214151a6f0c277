"""CSV and TSV through Python's csv module, of three parsers tried the one that tells for every row what is wrong.

Won: ragged rows, unclosed quotes, broken UTF-8 and endless fields are single Rejects and the rows after them are
read. Lost: speed, 36 to 70 MB per CPU second to columns of text (15 to 26 with types found) where pyarrow.csv does
155 to 690 and DuckDB 240 to 270; pyarrow.csv ends the object at a row beyond its block and swallows an unclosed quote
to the end, DuckDB cannot be stopped between records.

Rules: the declared encoding, or UTF-16 with a byte order mark, or UTF-8, or what its first MiB looks like
(``charset``). The delimiter is the one of , ; tab | that stands most often in the first line outside quotes (.tsv:
tab). The first row that is not blank is the header. A blank line is no record, a blank cell is null. A row with
another number of fields is ``wrong_field_count``.
"""

from __future__ import annotations

import csv
import gc
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import TIMESTAMP, Reject
from warehouse.sources.columns import PATTERNS, cast_text, commented, named, possible_types
from warehouse.sources.containers import Member
from warehouse.sources.recipe import Column, Dialect, Source
from warehouse.sources.records import Documents
from warehouse.sources.text_lines import END, Lines

if TYPE_CHECKING:
    from _csv import Reader

KEPT_BYTES = 32 << 20  # of text: a member of more whose types are not declared is parsed twice
CHUNK_CHARS = 2 << 20
ROWS_AT_ONCE = 32  # bounds a chunk of endless rows to as many records of the largest size
DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Cells:
    """Consecutive rows: their numbers, and for each column of the header an array of text; blank cells are null."""

    header: tuple[str, ...]
    numbers: Sequence[int]
    columns: list[pa.Array]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows after ``line`` lines: as ``columns`` where all are as wide as the header, else as ``rows``."""

    line: int
    rows: list[list[str]]
    columns: list[tuple[str, ...]]
    rejects: list[Reject]


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
    """Rows of a typed table. Types that are not declared are found over the whole member first."""
    items = rows(member, source)
    kept = list(_first(items, KEPT_BYTES))
    rest = next(items, None)
    header = next((cells.header for cells in kept if isinstance(cells, Cells)), ())
    if rest is None or all(name in source.columns for name in header):
        kinds = inferred(kept, source)
        again: Iterator[Cells | Reject] = itertools.chain(kept, [rest] if rest else [], items)
    else:
        kinds = inferred(itertools.chain(kept, [rest], items), source)
        again = rows(member, source)
    for cells in again:
        if isinstance(cells, Reject):
            yield cells
        else:
            yield from _typed(cells, member, source, kinds)


def _first(items: Iterator[Cells | Reject], size: int) -> Iterator[Cells | Reject]:
    """The items until their text took ``size`` bytes."""
    for item in items:
        yield item
        size -= 200 if isinstance(item, Reject) else sum(array.nbytes for array in item.columns)
        if size <= 0:
            return


def inferred(items: Iterable[Cells | Reject], source: Source) -> dict[int, Column]:
    """Index of a column -> its type: declared, else the first of columns.PATTERNS that fits, else string."""
    kinds: dict[int, Column] = {}
    possible: dict[int, list[str]] = {}
    shown: set[int] = set()
    for cells in items:
        if isinstance(cells, Reject):
            continue
        for at, (name, values) in enumerate(zip(cells.header, cells.columns, strict=True)):
            if name in source.columns:
                kinds[at] = source.columns[name]
            elif values.null_count < len(values):
                shown.add(at)
                possible[at] = possible_types(values, possible.get(at, list(PATTERNS)))
            else:
                possible.setdefault(at, list(PATTERNS))
    for at, left in possible.items():
        kinds[at] = Column(left[0] if left and at in shown else "string")
    return kinds


def _typed(cells: Cells, member: Member, source: Source, kinds: dict[int, Column]) -> Iterator[pa.RecordBatch | Reject]:
    typed = [cast_text(values, kinds[at]) for at, values in enumerate(cells.columns)]
    known, stated = known_at(cells, source)
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


def known_at(cells: Cells, source: Source) -> tuple[pa.Array, pa.Array]:
    """Knowledge time of each row by the source's column, and that column's text; nulls where no column is named."""
    name = source.known_at.column
    if name is None or name not in cells.header:
        return pa.nulls(len(cells.numbers), TIMESTAMP), pa.nulls(len(cells.numbers), pa.string())
    text = cells.columns[cells.header.index(name)]
    column = source.columns.get(name, Column("timestamp"))
    return cast_text(text, Column("timestamp", column.format)), text


def _line(cells: Cells, at: int) -> bytes:
    return ",".join(array[at].as_py() or "" for array in cells.columns).encode()[:200]


def header(member: Member, source: Source) -> tuple[str, ...]:
    """The names of the member's columns."""
    csv.field_size_limit(source.limits.max_record_bytes)
    with closing(member.open()) as stream:
        return _headed(_reader(_lines(stream, member, source), _dialect(member, source.dialect)), source.dialect)[0]


def _headed(reader: Reader, dialect: Dialect) -> tuple[tuple[str, ...], list[list[str]]]:
    """The names of the columns, and the first row where it is none of names; no names where there is no row."""
    first = next((row for row in reader if row), [END])
    if first == [END]:
        return (), []
    names = first if dialect.header else [f"column_{at}" for at in range(1, len(first) + 1)]
    shown = tuple(name.encode("utf-8", "replace").decode() for name in names)
    return shown, [] if dialect.header else [first]


def _lines(stream: BinaryIO, member: Member, source: Source) -> Lines:
    return Lines(stream, member.uri, source.dialect.encoding, source.limits.max_record_bytes)


def rows(member: Member, source: Source) -> Iterator[Cells | Reject]:
    """The member's rows in batches of about 2 million characters, and a Reject for each that is none."""
    csv.field_size_limit(source.limits.max_record_bytes)
    with closing(member.open()) as stream:
        lines = _lines(stream, member, source)
        reader = _reader(lines, _dialect(member, source.dialect))
        names, first = _headed(reader, source.dialect)
        if not names:
            yield from lines.taken()
            return
        yield from _sorted(names, lines, _chunks(first, reader, lines, len(names)))


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


def _sorted(header: tuple[str, ...], lines: Lines, chunks: Iterator[Chunk]) -> Iterator[Cells | Reject]:
    """Chunks of good rows as cells; the others one by one, every row with its number."""
    number = 0
    for chunk in chunks:
        if chunk.columns:
            met = len(chunk.columns[0])
            yield from _cells(header, range(number, number + met), chunk.columns, lines.uri)
        else:
            met = sum(map(bool, chunk.rows))
            yield from _ragged(header, number, chunk, lines.uri)
        number += met
        for reject in [*chunk.rejects, *lines.taken()]:
            yield replace(reject, record=str(number)) if reject.record else reject
            number += bool(reject.record)


def _chunks(first: list[list[str]], reader: Reader, lines: Lines, width: int) -> Iterator[Chunk]:
    """The rows in chunks of CHUNK_CHARS. Lists of text have no cycles: no garbage is looked for while they are many."""
    rows = itertools.chain(first, reader)
    collecting, met = gc.isenabled(), True
    while met:
        gc.disable()
        try:
            chunk, met = _chunk(rows, reader, lines, width)
        finally:
            if collecting:
                gc.enable()
        yield chunk


def _chunk(rows: Iterator[list[str]], reader: Reader, lines: Lines, width: int) -> tuple[Chunk, bool]:
    """The next chunk, and whether there may be more."""
    line, lines.chars = reader.line_num, 0
    found: list[list[str]] = []
    size, rejects = -1, []
    try:
        while lines.chars < CHUNK_CHARS and len(found) > size:
            size = len(found)
            found.extend(itertools.islice(rows, ROWS_AT_ONCE))
    except csv.Error as error:
        reason = "record_too_large" if "limit" in str(error) else "invalid_csv"
        rejects.append(Reject(lines.uri, "?", reason, str(error), reader.line_num, type(error).__name__))
    more = bool(found or rejects)
    last = found.pop() if found and found[-1] and found[-1][-1].endswith(END) else [END]
    if last != [END]:
        message = "a quote is open at the end of the object"
        rejects.append(Reject(lines.uri, "?", "unclosed_quote", message, reader.line_num, None, _raw(last)))
    if set(map(len, found)) == {width}:
        return Chunk(line, [], list(zip(*found, strict=True)), rejects), more
    return Chunk(line, found, [], rejects), more


def _ragged(header: tuple[str, ...], number: int, chunk: Chunk, uri: str) -> Iterator[Cells | Reject]:
    """A chunk with blank lines, or rows of another width."""
    numbers, good, line = [], [], chunk.line
    for row in chunk.rows:
        line += _lines_of(row)
        if len(row) == len(header):
            numbers.append(number)
            good.append(row)
        elif row:
            message = f"{len(row)} fields, the header has {len(header)}"
            yield Reject(uri, str(number), "wrong_field_count", message, line, None, _raw(row))
        number += bool(row)
    if good:
        yield from _cells(header, numbers, list(zip(*good, strict=True)), uri)


def _lines_of(row: list[str]) -> int:
    return 1 + sum(cell.count("\n") for cell in row)


def _raw(row: Sequence[str]) -> bytes:
    return ",".join(row).removesuffix(END).encode("utf-8", "surrogateescape")[:200]


def _cells(
    header: tuple[str, ...], numbers: Sequence[int], columns: list[tuple[str, ...]], uri: str
) -> Iterator[Cells | Reject]:
    try:
        arrays = [_blank_as_null(pa.array(column, pa.string())) for column in columns]
    except UnicodeEncodeError:
        rows = list(zip(*columns, strict=True))
        good = [at for at, row in enumerate(rows) if _is_utf8(row)]
        for at in sorted(set(range(len(rows))) - set(good)):
            yield Reject(uri, str(numbers[at]), "invalid_utf8", "the row is not UTF-8", -1, None, _raw(rows[at]))
        if good:
            kept = list(zip(*(rows[at] for at in good), strict=True))
            yield from _cells(header, [numbers[at] for at in good], kept, uri)
        return
    yield Cells(header, numbers, arrays)


def _blank_as_null(values: pa.Array) -> pa.Array:
    blank = pc.equal(pc.binary_length(values), 0)
    return pc.if_else(blank, pa.scalar(None, pa.string()), values) if pc.any(blank).as_py() else values


def _is_utf8(row: Sequence[str]) -> bool:
    try:
        return "".join(row).encode("utf-8") is not None
    except UnicodeEncodeError:
        return False
