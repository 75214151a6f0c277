"""One statement's result to where it was asked for: a table on the terminal, or another format anywhere.

Only statements that read are run. A result streams: 2 million rows to csv keep the process at 120 MB.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse import query
from warehouse.cli import formats, table
from warehouse.cli.failures import one_line
from warehouse.errors import UsageError
from warehouse.publish import only_reads

FIRST_ROWS = 100  # rows of a table unless all are asked for
PLAN = ["explain_key", "explain_value"]  # the columns of EXPLAIN, which draws its own picture


def result(con: query.Connection, sql: str) -> pa.RecordBatchReader:
    """What a reading statement gives. Raises UsageError, with DuckDB's own first sentence, for SQL that it refuses."""
    only_reads(sql)
    try:
        return query.stream(con, sql)
    except query.Error as error:
        raise refused_sql(error) from None


def parsed(text: str) -> list[str]:
    """The statements of a text. Raises UsageError where it is not SQL."""
    try:
        return [statement.sql for statement in query.statements(text)]
    except query.Error as error:
        raise refused_sql(error) from None


def refused_sql(error: Exception) -> UsageError:
    """DuckDB's message in one line: what is wrong, what it suggests, and the place it points at."""
    said, _, pointed = str(error).partition("\n\nLINE ")
    came, _, near = one_line(said).partition(" Did you mean ")
    line, _, text = pointed.splitlines()[0].partition(":") if pointed else ("", "", "")
    advice = [f"try {near.rstrip('?')}"] if near else []
    advice += [f"look at line {line}: {text.strip()[:120]}"] if line else []
    return UsageError(came.rstrip("!"), do=", ".join(advice))


def print_table(reader: pa.RecordBatchReader, *, every: bool) -> None:
    """The first rows, or every row, as a table with its number of rows."""
    rows = _values(reader)
    if reader.schema.names == PLAN:
        return print(*(row[1] for row in rows), sep="\n")
    first = list(itertools.islice(rows, FIRST_ROWS))
    placed = table.layout(reader.schema.names, first, width=table.terminal_width())
    print(*placed.head(), sep="\n")
    for row in first:
        print(placed.row(row))
    print(_footer(placed, *_rest(placed, rows, len(first), every=every)))
    reader.close()
    return None


def _rest(placed: table.Layout, rows: Iterator[tuple[Any, ...]], shown: int, *, every: bool) -> tuple[int, bool]:
    """Rows shown in all, and whether there are more."""
    if not every:
        return shown, next(rows, None) is not None
    for row in rows:
        print(placed.row(row))
        shown += 1
    return shown, False


def _footer(placed: table.Layout, shown: int, more: bool) -> str:
    said = f"{shown:,} row{'' if shown == 1 else 's'}"
    if more:
        said = f"first {said}; --limit-less shows every row, --format csv streams them"
    return f"({said}{f'; {placed.left_out} columns found no room' if placed.left_out else ''})"


def _values(reader: pa.RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    for batch in _batches(reader):
        yield from zip(*(column.to_pylist(maps_as_pydicts="lossy") for column in batch.columns), strict=True)


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches; an error of the running query (a bad cast in row 1,000) is wrong use like any other."""
    try:
        yield from reader
    except (query.Error, pa.ArrowException, OSError) as error:  # Arrow gives DuckDB's error as an OSError without errno
        if getattr(error, "errno", None) is not None:
            raise
        raise refused_sql(error) from None


def write_result(reader: pa.RecordBatchReader, form: formats.Format, out: Path | None) -> None:
    """The result to the file ``out``, which appears whole or not at all, or to stdout."""
    whole = pa.RecordBatchReader.from_batches(reader.schema, _batches(reader))
    if out is None:
        formats.write(whole, form, sys.stdout.buffer, seekable=False)
        return
    with formats.replaced(out) as sink:
        rows = formats.write(whole, form, sink, seekable=True)
    print(f"{rows:,} rows, {table.size(out.stat().st_size)} in {out}", file=sys.stderr)


def print_json(reader: pa.RecordBatchReader) -> None:
    """The rows as one JSON array, streamed."""
    separator = "["
    for batch in _batches(reader):
        for row in formats.rows_of(batch):
            print(separator, json.dumps(row, ensure_ascii=False), sep="\n ", end="")
            separator = ","
    print("[]" if separator == "[" else "\n]")
