"""Rows of a CSV as columns of text, and a Reject for each row that is none.

Arrow reads a MiB of them at once where every quote opens or closes a field, no carriage return stands alone and all
rows have the header's number of fields; else Python's csv module reads them one by one.

Rules: the declared encoding, or UTF-16, or UTF-8, or what the first MiB looks like (``charset``); how it is written, as
stated or as ``dialects`` finds. A blank line is no record. A blank cell is null, a quoted empty one (``""``) empty
text. A row with another number of fields than the header is ``wrong_field_count``; text after a closing quote and a
carriage return inside a row are ``invalid_csv``.

A quote that is not closed takes the lines after it into its row, until another quote ends it wrongly or the object
ends. Where nine in ten of those lines have the header's number of fields on their own (the first 1,000 count), the
quote costs its own line (``unclosed_quote``) and reading goes on with the next; else they are text of one field, and
one Reject says how many they are. Lines of at most REREAD_CHARS are read again, so that no object takes quadratic time.
"""

from __future__ import annotations

import csv
import gc
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from warehouse.contracts import Dropped, Reject
from warehouse.sources.containers import Member
from warehouse.sources.dialects import SAMPLE_CHARS, Written, found
from warehouse.sources.recipe import Dialect, Source
from warehouse.sources.text_lines import Lines

CHUNK_CHARS = 2 << 20
ROWS_AT_ONCE = 32  # bounds a chunk of endless rows to as many records of the largest size
REREAD_CHARS = 64 << 20
LINES_TRIED = 1000


class QuotedEmpty(str):
    """The empty text of a cell that was written as two quotes."""

    __slots__ = ()


EMPTY = QuotedEmpty()


@dataclass(frozen=True, slots=True)
class Cells:
    """Consecutive rows: their numbers, and for each column of the header an array of text; blank cells are null.

    quoted: whether some are empty text.
    """

    header: tuple[str, ...]
    numbers: Sequence[int]
    columns: list[pa.Array]
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows from ``line`` on, and the Rejects after them; quoted: whether some cells are EMPTY."""

    line: int
    rows: list[list[str]]
    rejects: list[Reject]
    quoted: bool


def header(member: Member, source: Source) -> tuple[str, ...]:
    """The names of the member's columns; none where it has no row."""
    with closing(member.open()) as stream:
        return next((names for names in _Rows.of(stream, member, source).names()), ())


def rows(member: Member, source: Source) -> Iterator[Cells | Reject | Dropped]:
    """The member's rows in batches of about 2 million characters, and a Reject for each that is none."""
    with closing(member.open()) as stream:
        yield from _Rows.of(stream, member, source).cells()


def stated_names(source: Source) -> set[str]:
    """The names of columns that the recipe states."""
    fields = () if source.typed else source.fields.values()
    return {*source.columns, *fields, *filter(None, [source.known_at.column])}


class _Rows:
    """The rows of one object: where reading stands, and what it has cost."""

    def __init__(self, lines: Lines, written: Written) -> None:
        self._lines, self._written = lines, written
        self._base = 0  # lines that were given before this reader began
        self._reader = written.reader(iter(lines))
        self._width, self._reread = written.width, 0
        self._odd = -1  # the line at which a block begins that Arrow did not read
        quotes = written.quote * 2
        self._empties = [f"{written.delimiter}{quotes}", f"\n{quotes}", f"{written.delimiter} {quotes}"]
        self._field, self._quoted = _field(written), _quoted(written)

    @classmethod
    def of(cls, stream: Any, member: Member, source: Source) -> _Rows:
        csv.field_size_limit(source.limits.max_record_bytes)
        lines = Lines(stream, member.uri, source.dialect.encoding, source.limits.max_record_bytes)
        tabs = member.name.lower().endswith((".tsv", ".tab")) and source.dialect.delimiter is None
        dialect: Dialect = replace(source.dialect, delimiter="\t") if tabs else source.dialect
        written = found(lines.sample(SAMPLE_CHARS), dialect, stated_names(source))
        lines.change(written.doubled)
        return cls(lines, written)

    def names(self) -> Iterator[tuple[str, ...]]:
        """The names of the columns, nothing where there is no row. Raises csv.Error for a header that is none."""
        if not self._written.header:
            yield tuple(f"column_{at}" for at in range(1, self._width + 1))
            return
        names: list[str] = next((row for row in self._reader if row), [])
        self._width = len(names)
        if names:
            yield tuple(name.encode("utf-8", "replace").decode() for name in names)

    def cells(self) -> Iterator[Cells | Reject | Dropped]:
        """Chunks of good rows as cells; the others one by one, every row with its number. One of no row is dropped."""
        try:
            names = next(self.names(), ())
        except csv.Error as error:
            yield Reject(self._lines.uri, "", _reason(error), f"the header: {error}", 0, type(error).__name__)
            return
        number = 0
        for chunk in self._chunks(names) if names else ():
            if isinstance(chunk, Cells):
                yield replace(chunk, numbers=[number + at for at in chunk.numbers])
                number += len(chunk.numbers)
                continue
            met = sum(map(bool, chunk.rows))
            yield from _sorted(names, number, chunk, self._lines.uri)
            number += met
            refused = [*chunk.rejects, *self._lines.taken()]
            yield from _numbered(refused, number)
            number += sum(bool(reject.record) for reject in refused)
        refused = self._lines.taken()
        yield from _numbered(refused, number)
        if not names and not refused:
            yield Dropped(self._lines.uri, "", "empty_object")

    def _chunks(self, names: tuple[str, ...]) -> Iterator[Chunk | Cells]:
        """The rows in chunks. Lists of text have no cycles: no garbage is looked for while they are many."""
        collecting, met = gc.isenabled(), True
        while met:
            while self._at_plain_text():
                yield from self._plain_rows(names)
            gc.disable()
            try:
                chunk = self._chunk()
            finally:
                if collecting:
                    gc.enable()
            met = bool(chunk.rows or chunk.rejects)
            yield chunk

    def _chunk(self) -> Chunk:
        line, self._lines.chars = self._base + self._reader.line_num, 0
        self._lines.settled(line)
        rows: list[list[str]] = []
        size, rejects = -1, []
        try:
            while self._lines.chars < CHUNK_CHARS and len(rows) > size and not self._at_plain_text():
                size = len(rows)
                rows.extend(itertools.islice(self._reader, min(ROWS_AT_ONCE, self._left() or ROWS_AT_ONCE)))
            stop = self._base + self._reader.line_num
        except csv.Error as error:
            stop = line + sum(map(_lines_of, rows))
            rejects.append(self._refused(error, stop))
        maybe = self._lines.holds(self._empties, first=self._written.quote * 2)
        quoted = maybe and self._mark(rows, self._lines.between(line, stop))
        return Chunk(line, rows, rejects, quoted)

    def _left(self) -> int:
        """Lines that are to come of the text that is being read."""
        return self._lines.line - self._base - int(self._reader.line_num)

    def _at_plain_text(self) -> bool:
        """Whether the next row begins a block of lines whose quotes and line ends all stand where they should."""
        if self._left() or self._written.blanks or self._lines.line == self._odd:
            return False
        text = self._lines.next_text()
        bare = self._quoted.sub("", text) if self._written.quote in text else text
        odd = self._written.quote in bare or ("\r" in bare and bare.count("\r") != bare.count("\r\n"))
        return bool(text) and not odd

    def _plain_rows(self, names: tuple[str, ...]) -> Iterator[Cells]:
        """The rows of such a block at once, by Arrow; none where one has another number of fields, or is no UTF-8."""
        try:
            cells = _plain_cells(self._lines.next_text(), self._written, names)
        except (pa.ArrowInvalid, UnicodeEncodeError):
            self._odd = self._lines.line
            return
        before = self._lines.line
        self._lines.skip_text()
        self._base += self._lines.line - before
        yield cells

    def _mark(self, rows: list[list[str]], lines: list[str]) -> bool:
        """Put EMPTY for the cells that were written as two quotes; whether there are any."""
        quotes, at, marked = self._written.quote * 2, 0, False
        for row in rows:
            size = 1 if len(lines) == len(rows) else _lines_of(row)
            if "" in row:
                text = lines[at] if size == 1 else "\n".join(lines[at : at + size])
                if quotes in text:
                    row[:] = self._marked(row, text.removesuffix("\r"))
                    marked = True
            at += size
        return marked

    def _marked(self, row: list[str], text: str) -> list[str]:
        """The row that the text is, with EMPTY for two quotes."""
        delimiter, quotes = self._written.delimiter, self._written.quote * 2
        blanks = self._written.blanks or text.startswith(delimiter) or text.endswith(delimiter)
        if not blanks and delimiter * 2 not in text:
            return [cell or EMPTY for cell in row]
        fields = self._field.findall(text)
        return [EMPTY if not cell and field == quotes else cell for cell, field in zip(row, fields, strict=False)]

    def _refused(self, error: csv.Error, start: int) -> Reject:
        """The Reject of the row that begins at line ``start``; reading goes on after it, or after its first line."""
        stop = self._base + self._reader.line_num
        lines = self._lines.between(start, stop)
        first = lines[0].encode("utf-8", "surrogateescape")[:200] if lines else b""
        reason, message = _reason(error), str(error)
        if len(lines) > 1:
            size = sum(map(len, lines)) + len(lines)
            if self._reread + size <= REREAD_CHARS and self._are_rows(lines[1:]):
                self._reread += size
                self._lines.again_from(start + 1, stop)
                self._base, self._reader = start + 1, self._written.reader(iter(self._lines))
                reason, message = "unclosed_quote", f"a quote opens in this line and is not closed ({error})"
            else:
                message = f"{error}, in a row of {len(lines):,} lines"
        return Reject(self._lines.uri, "?", reason, message, start + 1, type(error).__name__, first)

    def _are_rows(self, lines: list[str]) -> bool:
        """Whether nine in ten of the lines have the header's number of fields on their own."""
        tried = [line for line in lines[:LINES_TRIED] if line.strip()]
        good = sum(map(self._is_row, tried))
        return good * 10 >= len(tried) * 9 and good > 0

    def _is_row(self, line: str) -> bool:
        try:
            return len(next(self._written.reader(iter([line]), strict=False))) == self._width
        except csv.Error:
            return False


def _numbered(rejects: Sequence[Reject], number: int) -> Iterator[Reject]:
    """The Rejects, those of a record with its number, of which the first is ``number``."""
    for reject in rejects:
        yield replace(reject, record=str(number)) if reject.record else reject
        number += bool(reject.record)


def _plain_cells(text: str, written: Written, header: tuple[str, ...]) -> Cells:
    """Rows as columns of text, by Arrow. Raises ArrowInvalid for any other width, UnicodeEncodeError."""
    raw, names = text.encode(), [str(at) for at in range(len(header))]
    quote = written.quote in text and written.quote
    table = pyarrow.csv.read_csv(
        pa.py_buffer(raw),
        pyarrow.csv.ReadOptions(use_threads=False, block_size=len(raw) + 1, column_names=names),
        pyarrow.csv.ParseOptions(delimiter=written.delimiter, quote_char=quote, newlines_in_values=bool(quote)),
        pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    columns = [column.combine_chunks() for column in table.columns]
    return Cells(header, range(table.num_rows), columns, quoted=written.quote * 2 in text)


def _reason(error: csv.Error) -> str:
    said = str(error)
    return "record_too_large" if "limit" in said else "unclosed_quote" if "end of data" in said else "invalid_csv"


def _field(written: Written) -> re.Pattern[str]:
    """One field of a row and what ends it; its group is the field with its quotes."""
    quote, delimiter = re.escape(written.quote), re.escape(written.delimiter)
    blanks = " *" if written.blanks else ""
    return re.compile(rf"{blanks}({quote}(?:[^{quote}]|{quote}{quote})*+{quote}|[^{delimiter}]*)(?:{delimiter}|\Z)")


def _quoted(written: Written) -> re.Pattern[str]:
    """A whole field in quotes."""
    quote, delimiter = re.escape(written.quote), re.escape(written.delimiter)
    inside = rf"[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+"
    return re.compile(rf"(?<![^{delimiter}\n]){quote}{inside}{quote}(?![^{delimiter}\r\n])")


def _lines_of(row: list[str]) -> int:
    return 1 + sum(cell.count("\n") for cell in row)


def _sorted(header: tuple[str, ...], number: int, chunk: Chunk, uri: str) -> Iterator[Cells | Reject]:
    """The rows of a chunk as cells, and a Reject for each of another width; blank lines are neither."""
    if set(map(len, chunk.rows)) == {len(header)}:
        columns = list(zip(*chunk.rows, strict=True))
        yield from _cells(header, range(number, number + len(chunk.rows)), columns, uri, quoted=chunk.quoted)
        return
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
        yield from _cells(header, numbers, list(zip(*good, strict=True)), uri, quoted=chunk.quoted)


def _raw(row: Sequence[str]) -> bytes:
    return ",".join(row).encode("utf-8", "surrogateescape")[:200]


def _cells(
    header: tuple[str, ...], numbers: Sequence[int], columns: list[tuple[str, ...]], uri: str, *, quoted: bool
) -> Iterator[Cells | Reject]:
    try:
        arrays = [pa.array(column, pa.string()) for column in columns]
    except UnicodeEncodeError:
        rows = list(zip(*columns, strict=True))
        good = [at for at, row in enumerate(rows) if _is_utf8(row)]
        for at in sorted(set(range(len(rows))) - set(good)):
            yield Reject(uri, str(numbers[at]), "invalid_utf8", "the row is not UTF-8", -1, None, _raw(rows[at]))
        if good:
            kept = list(zip(*(rows[at] for at in good), strict=True))
            yield from _cells(header, [numbers[at] for at in good], kept, uri, quoted=quoted)
        return
    if quoted:
        arrays = [_unquoted_as_null(array, column) for array, column in zip(arrays, columns, strict=True)]
    else:
        arrays = [blank_as_null(array) for array in arrays]
    yield Cells(header, numbers, arrays, quoted)


def blank_as_null(values: pa.Array) -> pa.Array:
    """Text with null for what is empty."""
    blank = pc.equal(pc.binary_length(values), 0)
    return pc.if_else(blank, pa.scalar(None, pa.string()), values) if pc.any(blank).as_py() else values


def _unquoted_as_null(values: pa.Array, column: Sequence[str]) -> pa.Array:
    """Text with null for what is empty and was not in quotes."""
    blank = pa.array([cell == "" and cell is not EMPTY for cell in column], pa.bool_())
    return pc.if_else(blank, pa.scalar(None, pa.string()), values)


def _is_utf8(row: Sequence[str]) -> bool:
    try:
        return "".join(row).encode("utf-8") is not None
    except UnicodeEncodeError:
        return False
