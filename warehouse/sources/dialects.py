"""How a CSV is written, found from its first 128,000 characters where the recipe does not say.

- **Delimiter**: the one of , ; tab | that stands most often in the first line outside quotes.
- **Quotes inside quotes** are doubled, or written with a backslash where the sample has ``\\"`` and fewer rows fail
  that way; then ``\\"`` is a quote, ``\\\\`` a backslash, and a backslash before anything else stays.
- **Blanks after a delimiter** belong to the field, unless in the sample more quotes stand after a delimiter and blanks
  than right after one.
- **Header**: the first row is one of names where it has a name that the recipe states. Else cells are counted: text
  over numbers, dates, times or truth values is a name, such a value is data (but a year over other numbers, and a date
  or time over what is none, say nothing). It is a header where more are names than data, or neither is met, unless
  then one of its texts stands in its own column again.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from warehouse.sources.recipe import Dialect

SAMPLE_CHARS = 128_000
DELIMITERS = ",;\t|"
BACKSLASH = "\\"
VALUES = {
    "number": re.compile(r"[+-]?((\d+|\d{1,3}(,\d{3})+|\d+,\d+)(\.\d*)?|\.\d+)([eE][+-]?\d+)?%?"),
    "date": re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T].*)?"),
    "time": re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?"),
    "truth": re.compile(r"true|false", re.IGNORECASE),
}
"""What a cell is that is hardly a name; wider than the types of columns (columns.PATTERNS)."""
YEAR = re.compile(r"1[5-9]\d\d|20\d\d|2100")
NOTHING = re.compile(r"\s*|n/?a|nan|null|none|unknown|[-?.*]+", re.IGNORECASE)
"""Cells that say nothing of a header."""
_HELD = "\ud800"  # no decoder gives it


@dataclass(frozen=True, slots=True)
class Written:
    """How the rows are written. backslash: quotes inside quotes; blanks: whether those after a delimiter are none of
    the field's; header: whether the first row is one of names; width: fields of the first row.
    """

    delimiter: str
    quote: str
    backslash: bool
    blanks: bool
    header: bool = True
    width: int = 0

    def reader(self, lines: Iterator[str], *, strict: bool = True) -> Any:
        """Python's csv reader of the lines; ``strict`` ones raise csv.Error for text after a closing quote."""
        return csv.reader(
            lines, delimiter=self.delimiter, quotechar=self.quote, skipinitialspace=self.blanks, strict=strict
        )

    def doubled(self, text: str) -> str:
        """The text with its quotes inside quotes doubled."""
        if not self.backslash or BACKSLASH not in text:
            return text
        held = text.replace(BACKSLASH * 2, _HELD).replace(BACKSLASH + self.quote, self.quote * 2)
        return held.replace(_HELD, BACKSLASH)


def found(sample: str, stated: Dialect, names: Collection[str]) -> Written:
    """How the object that begins with ``sample`` is written; ``names`` are those that its recipe states."""
    first = next((line for line in sample.split("\n") if line.strip()), "")
    delimiter = stated.delimiter or sniff_delimiter(first, stated.quote)
    spoken = {"backslash": [True], "doubled": [False]}.get(stated.escape or "", [False, True])
    blanks = _blanks(sample, delimiter, stated.quote)
    ways = [Written(delimiter, stated.quote, way, blanks) for way in spoken]
    if BACKSLASH + stated.quote not in sample:
        ways = ways[:1]
    tried = [(way, *_rows(way, sample)) for way in ways]
    way, rows, _ = min(tried, key=lambda each: each[2])
    header = is_header(rows, names) if stated.header is None else stated.header
    return Written(delimiter, stated.quote, way.backslash, blanks, header, len(rows[0]) if rows else 0)


def sniff_delimiter(line: str, quote: str = '"') -> str:
    """The one of , ; tab | that stands most often in the line outside quotes; a comma where none does."""
    outside = "".join(line.split(quote)[::2])
    return max(DELIMITERS, key=outside.count)


def _blanks(sample: str, delimiter: str, quote: str) -> bool:
    if f"{delimiter} " not in sample or delimiter == " ":
        return False
    after = len(re.findall(rf"{re.escape(delimiter)} +{re.escape(quote)}", sample))
    return after > sample.count(delimiter + quote)


def _rows(way: Written, sample: str) -> tuple[list[list[str]], int]:
    """The sample's rows that are not blank, and how many fail or have another number of fields than the first."""
    reader = way.reader(iter(io.StringIO(way.doubled(sample), newline="\n")))
    rows: list[list[str]] = []
    failed = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error:
            failed += 1
            continue
        if row:
            rows.append(row)
    return rows, failed + sum(len(row) != len(rows[0]) for row in rows)


def is_header(rows: Sequence[Sequence[str]], names: Collection[str] = ()) -> bool:
    """Whether the first of the rows, all not blank, is one of names, as the head of this module says."""
    if not rows or set(rows[0]) & set(names):
        return True
    first = rows[0]
    below = [row for row in rows[1:] if len(row) == len(first) and row != first]
    said = Counter(_said(cell, [row[at] for row in below]) for at, cell in enumerate(first))
    if said["name"] or said["value"]:
        return said["name"] > said["value"]
    return not said["again"]


def _said(cell: str, below: list[str]) -> str:
    """What a cell of the first row is by those of its column below it: name, value, a text met again, or nothing."""
    filled = [other for other in below if not NOTHING.fullmatch(other)]
    kind = _kind([cell])
    if not kind and not NOTHING.fullmatch(cell):
        return "name" if filled and _kind(filled) else "again" if cell in below else ""
    if kind == "number" and filled and YEAR.fullmatch(cell):
        return "value" if all(map(YEAR.fullmatch, filled)) else ""
    if kind in ("date", "time") and filled:
        return "value" if _kind([cell, *filled]) == kind else ""
    return "value" if kind else ""


def _kind(cells: Sequence[str]) -> str:
    """The first of VALUES that all the cells are, blanks around them aside; empty where none is."""
    return next(
        (name for name, pattern in VALUES.items() if all(pattern.fullmatch(cell.strip()) for cell in cells)), ""
    )
