"""Tables for people: numbers to the right, NULL shown, no wider than the terminal, no control character let through.

Cells are cut, with an ellipsis, only to fit; csv, jsonl, parquet and arrow are for programs and never cut.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

MAX_CELL = 200  # columns of a cell where the output is not a terminal
MIN_CELL = 6  # narrower than this, columns are left out instead
GAP = "  "
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
QUANTITY = re.compile(r"-?[\d,]+(\.\d+)?( ?(B|[kMGT]B|s|%))?")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the columns of a table stand: how wide each is, where a cell is cut, and which are set to the right."""

    names: tuple[str, ...]
    widths: tuple[int, ...]
    right: tuple[bool, ...]
    max_cell: int | None  # None: at the width of the column
    left_out: int  # columns that found no room

    def head(self) -> Iterator[str]:
        """The header and the rule below it."""
        yield self._line(self.names)
        yield GAP.join("─" * width for width in self.widths)

    def row(self, values: Sequence[Any]) -> str:
        """A row as one line."""
        return self._line([cell(value) for value in values[: len(self.widths)]])

    def _line(self, texts: Sequence[str]) -> str:
        columns = zip(texts, self.widths, self.right, strict=False)
        return GAP.join(pad(cut(text, self.max_cell or width), width, end) for text, width, end in columns).rstrip()


def layout(names: Sequence[str], rows: Sequence[Sequence[Any]], *, width: int | None) -> Layout:
    """The layout that these rows need; ``width``: columns of the terminal, None where there is none."""
    heads = tuple(cell(name) for name in names)
    needed = [max([columns_of(head), *(columns_of(cell(row[at])) for row in rows)]) for at, head in enumerate(heads)]
    widths = fitted(needed, width) if width else [min(item, MAX_CELL) for item in needed]
    right = tuple(_to_the_right(row[at] for row in rows) for at in range(len(widths)))
    return Layout(heads[: len(widths)], tuple(widths), right, None if width else MAX_CELL, len(heads) - len(widths))


def lines(names: Sequence[str], rows: Iterable[Sequence[Any]], *, width: int | None = None) -> Iterator[str]:
    """The lines of a small table: header, rule, one line a row."""
    held = [tuple(row) for row in rows]
    placed = layout(names, held, width=width)
    yield from placed.head()
    yield from (placed.row(row) for row in held)


def terminal_width() -> int | None:
    """Columns of the terminal, or None where stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def fitted(needed: Sequence[int], total: int) -> list[int]:
    """Widths that fit in ``total``: the widest columns give way first, then the last columns are left out."""
    widths = list(needed)
    while len(widths) > 1 and sum(min(width, MIN_CELL) for width in widths) + len(GAP) * (len(widths) - 1) > total:
        widths.pop()
    room = max(total - len(GAP) * (len(widths) - 1), 1)
    while sum(widths) > room:
        widest = max(widths)
        widths[widths.index(widest)] = widest - 1
    return widths


def columns_of(text: str) -> int:
    """Terminal columns that ``text`` takes: 2 for wide characters, 0 for combining ones."""
    return len(text) if text.isascii() else sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cell(value: Any) -> str:
    """A value as one line of text; None is NULL."""
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "true", False: "false"}[value]
    if isinstance(value, datetime):
        return value.isoformat(" ").removesuffix("+00:00")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, dict)):
        return CONTROL.sub(_visible, json.dumps(value, ensure_ascii=False, default=str))
    return CONTROL.sub(_visible, value if isinstance(value, str) else str(value))


def _visible(match: re.Match[str]) -> str:
    char = match.group()
    return SHORT.get(char) or (f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}")


def _to_the_right(values: Iterable[Any]) -> bool:
    present = [value for value in values if value is not None and value != ""]
    return bool(present) and all(_is_quantity(value) for value in present)


def _is_quantity(value: Any) -> bool:
    if isinstance(value, str):
        return QUANTITY.fullmatch(value) is not None
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def cut(text: str, width: int) -> str:
    """``text`` in at most ``width`` terminal columns, with an ellipsis where something is left out."""
    if columns_of(text) <= width:
        return text
    used, kept = 0, 0
    for char in text:
        used += _columns(char)
        if used > width - 1:
            break
        kept += 1
    return text[:kept] + "…"


def pad(text: str, width: int, right: bool) -> str:
    """``text`` filled with spaces to ``width`` terminal columns, on its left where ``right``."""
    space = " " * (width - columns_of(text))
    return space + text if right else text + space


def count(number: int) -> str:
    """A whole number with its thousands set apart: 1,234,567."""
    return f"{number:,}"


def size(number: int) -> str:
    """Bytes in the largest decimal unit that leaves at least 1: 12.3 MB."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(amount) < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def small(number: float | None) -> str:
    """A number with two digits that count or more, never in powers of ten: 0.000011, 0.054, 12.30; None is empty."""
    if number is None:
        return ""
    return f"{number:.{max(2, 1 - math.floor(math.log10(abs(number))))}f}" if number else "0"


def moment(value: Any) -> str:
    """A time to the second, in UTC."""
    return value.strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, datetime) else cell(value)
