"""A sentence read back: which values its text states, found from the final text alone, and whether rows say the same.

The inverse of a template, not its rendering run again: the places become groups of a regular expression, numbers are
read digit by digit into fractions, dates by their month's name. A number agrees if the row's exact value lies within
half a unit of its last digit, everything else if it is equal. A text value that makes the sentence ambiguous ("A and B
and C") is read otherwise than it was meant, and that is a disagreement too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from typing import Any

from warehouse.synthetic.templates import PLACE

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DATE = rf"(?:[1-9]|[12]\d|3[01]) (?:{'|'.join(MONTHS)}) \d{{1,4}}"
_QUARTER = r"Q[1-4] \d{1,4}"


def read(template: str, sentence: str) -> dict[str, str] | None:
    """What a sentence says at each place of its template, by column; None where it is no such sentence.

    A column that stands twice must say the same twice, else None.
    """
    found = re.fullmatch(_pattern(template), sentence, re.DOTALL)
    if not found:
        return None
    said: dict[str, str] = {}
    for place, value in zip(PLACE.finditer(template), found.groups(), strict=True):
        column = f"{place[1]}:{place[2] or ''}"
        if said.setdefault(column, value) != value:
            return None
    return said


def _pattern(template: str) -> str:
    parts, at = list[str](), 0
    for place in PLACE.finditer(template):
        parts += [re.escape(template[at : place.start()]), f"({_shape(place[2] or '')})"]
        at = place.end()
    return "".join([*parts, re.escape(template[at:])])


def _shape(form: str) -> str:
    if form in ("", "date", "quarter"):
        return {"": ".+?", "date": _DATE, "quarter": _QUARTER}[form]
    whole = r"\d{1,3}(?:,\d{3})*" if form.startswith(",") else r"\d+"
    decimals = int(form.partition(".")[2][:1] or 0)
    point = rf"\.\d{{{decimals}}}" if decimals else ""
    return f"-?{whole}{point}{'%' if form.endswith('%') else ''}"


def disagreement(template: str, sentence: str, row: Mapping[str, Any]) -> str | None:
    """The first thing in which a sentence does not say what the row says, in words; None where it says just that.

    row: values by column, as JSON has them (dates and decimals as text).
    """
    said = read(template, sentence)
    if said is None:
        return "the text does not read as the sentence it was made by"
    for place, value in said.items():
        column, _, form = place.partition(":")
        if column not in row:
            return f"{column} is {value!r} in the text, and no value of the row"
        if not _agrees(form, value, row[column]):
            return f"{column} is {value!r} in the text, {row[column]!r} in the row"
    return None


def _agrees(form: str, said: str, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return False
    if form == "":
        return said == str(value)
    if form in ("date", "quarter"):
        return _day(form, said) == date.fromisoformat(str(value))
    digits = said.rstrip("%").replace(",", "")
    scale = Fraction(1, 100) if form.endswith("%") else Fraction(1)
    unit = Fraction(1, 10 ** len(digits.partition(".")[2])) * scale
    exact = form == ","
    apart = abs(Fraction(digits) * scale - Fraction(value))
    return apart == 0 if exact else apart <= unit / 2


def _day(form: str, said: str) -> date | None:
    first, *rest = said.split()
    try:
        if form == "quarter":
            return date(int(rest[0]), 3 * int(first[1:]) - 2, 1)
        return date(int(rest[1]), MONTHS.index(rest[0]) + 1, int(first))
    except ValueError:
        return None
