"""A sentence with places for values: ``{column}`` or ``{column:format}``, and how each format is written.

    format   of             writes
    (none)   text, whole    as it is
    ,        whole          1,234,567
    .1f ,.2f whole, double  so many decimals, the nearest value (half to even)
    .1%      whole, double  a share as per cent
    date     date           1 April 2024
    quarter  date           Q2 2024; the date must be the quarter's first day

Numbers are written from their exact value (decimal arithmetic), so the digits are within half a unit of the last one.
What reads a sentence back is another module (``readback``), which shares nothing but the places with this one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa

from warehouse.errors import UsageError

PLACE = re.compile(r"\{([a-z_][a-z0-9_]*)(?::([^{}]+))?\}")
FORMAT = re.compile(r",?(?:\.\d(?:f|%))?|date|quarter")
NAMES = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
FORMATS = "{column}, {column:,} {column:.1f} {column:,.1f} {column:.1%} {column:date} {column:quarter}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands in a template."""

    column: str
    format: str


def places(template: str) -> tuple[Place, ...]:
    """The places of a template. Raises UsageError for a brace that is none, for a format that is unknown, for none."""
    found = tuple(Place(each[1], each[2] or "") for each in PLACE.finditer(template))
    rest = PLACE.sub("", template)
    wrong = [each.format for each in found if not FORMAT.fullmatch(each.format)]
    if "{" in rest or "}" in rest or wrong or not found:
        came = f"format {wrong[0]!r}" if wrong else "a sentence without a value" if not found else "a brace alone"
        raise UsageError(f"{came} in {template!r}", allowed=FORMATS)
    return found


def refuse_types(template: str, schema: pa.Schema) -> None:
    """Raise UsageError for a place whose column the rows lack, or have in a type that its format does not write."""
    for place in places(template):
        if place.column not in schema.names:
            raise UsageError(f"{{{place.column}}}: no such column", allowed=", ".join(schema.names))
        kind = schema.field(place.column).type
        if place.format not in _formats(kind, place.format):
            raise UsageError(
                f"{{{place.column}}} is {kind}, written as {place.format or 'text'!r}",
                allowed=FORMATS,
                do="CAST it in the SELECT",
            )


def _formats(kind: pa.DataType, stated: str) -> tuple[str, ...]:
    t = pa.types
    if t.is_date32(kind):
        return ("date", "quarter")
    if t.is_string(kind) or t.is_large_string(kind):
        return ("",)
    decimals = (stated,) if "." in stated else ()
    if t.is_integer(kind) or (t.is_decimal128(kind) and kind.scale == 0):
        return ("", ",", *decimals)
    return decimals if t.is_floating(kind) or t.is_decimal128(kind) else ()


def rendered(template: str, row: Mapping[str, Any]) -> str:
    """The sentence: the template with the row's values in their formats."""
    return PLACE.sub(lambda found: _written(row[found[1]], found[2] or ""), template)


def _written(value: Any, form: str) -> str:
    if form == "date":
        return f"{value.day} {NAMES[value.month - 1]} {value.year}"
    if form == "quarter":
        return f"Q{(value.month + 2) // 3} {value.year}"
    return format(Decimal(value), form) if form else str(value)


def plain(value: Any) -> Any:
    """A value as JSON has it: dates and decimals as text, which ``exact`` reads again."""
    return value.isoformat() if isinstance(value, date) else str(value) if isinstance(value, Decimal) else value
