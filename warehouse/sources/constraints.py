"""Which rows of text break a constraint of Table Schema 1.0, and how, in words.

Of one column: required, enum, minimum, maximum, minLength, maxLength, pattern. Of a file: columns of which no two rows
have the same values, and columns whose values stand in another one. The latter two compare values as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from warehouse.sources.columns import cast_text
from warehouse.sources.recipe import Column, Source

BOUNDS = {"minimum": (pc.less, "less than"), "maximum": (pc.greater, "more than")}
LENGTHS = {"minLength": (pc.less, "shorter than"), "maxLength": (pc.greater, "longer than")}
Texts = Mapping[str, pa.Array]
"""Columns of text by name, null where there is no value."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What rows of a file are held to, batch after batch.

    limits: column -> its constraints; unique: columns of which no two rows have the same values; foreign: columns, what
    holds their values, and those values (``numbers``).
    """

    limits: Mapping[str, Mapping[str, Any]]
    unique: Sequence[tuple[str, ...]]
    foreign: Sequence[tuple[tuple[str, ...], str, set[int]]]
    met: dict[tuple[str, ...], set[int]] = field(default_factory=dict)

    def broken(self, rows: Texts, source: Source) -> dict[int, str]:
        """Index of each row that breaks a rule, with the first that it breaks; the others are held from now on."""
        bad: dict[int, str] = {}
        for name, values in rows.items():
            for at, message in _limited(name, values, self.limits.get(name, {}), source):
                bad.setdefault(at, message)
        for names, where, held in self.foreign:
            for at, number in enumerate(numbers(rows, names)):
                if number is not None and number not in held:
                    bad.setdefault(at, f"{_shown(rows, names, at)} is not in {where}")
        for names in self.unique:
            bad |= self._again(rows, names, bad)
        return bad

    def _again(self, rows: Texts, names: tuple[str, ...], bad: Mapping[int, str]) -> dict[int, str]:
        """Rows whose values a row before has."""
        before, twice = self.met.setdefault(names, set()), {}
        for at, number in enumerate(numbers(rows, names)):
            if number in before and at not in bad:
                twice[at] = f"{_shown(rows, names, at)} stands in a row before"
            elif number is not None and at not in bad:
                before.add(number)
        return twice


def numbers(rows: Texts, names: Sequence[str]) -> Iterator[int | None]:
    """128 bits of each row's values of some columns; None where one is null, nothing where a column is not there."""
    if all(name in rows for name in names):
        for values in zip(*(rows[name].to_pylist() for name in names), strict=True):
            yield None if None in values else xxhash.xxh3_128_intdigest(repr(values).encode("utf-8", "surrogatepass"))


def _shown(rows: Texts, names: Sequence[str], at: int) -> str:
    return ", ".join(f"{name!r} {rows[name][at].as_py()!r}" for name in names)


def _limited(name: str, values: pa.Array, limits: Mapping[str, Any], source: Source) -> Iterator[tuple[int, str]]:
    """Index and message of each value that breaks a constraint; a null breaks ``required`` alone."""
    if limits.get("required") is True:
        yield from _said(pc.is_null(values), values, f"{name!r} is required")
    if isinstance(enum := limits.get("enum"), list):
        allowed = pa.array([_text(each) for each in enum], pa.string())
        wrong = pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, allowed)))
        yield from _said(wrong, values, f"{name!r} is none of {', '.join(map(str, enum))[:200]}")
    if isinstance(pattern := limits.get("pattern"), str):
        expression = re.compile(pattern)
        wrong = [text is not None and not expression.fullmatch(text) for text in values.to_pylist()]
        yield from _said(pa.array(wrong, pa.bool_()), values, f"{name!r} does not match {pattern}")
    column = source.columns.get(name, Column("double"))
    for key, (beyond, words) in BOUNDS.items():
        if key in limits:
            bound = cast_text(pa.array([_text(limits[key])], pa.string()), column)[0]
            yield from _said(beyond(cast_text(values, column), bound), values, f"{name!r} is {words} {limits[key]}")
    for key, (beyond, words) in LENGTHS.items():
        if isinstance(limits.get(key), int):
            yield from _said(beyond(pc.utf8_length(values), limits[key]), values, f"{name!r} is {words} {limits[key]}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _said(wrong: pa.Array, values: pa.Array, message: str) -> Iterator[tuple[int, str]]:
    for at in pc.indices_nonzero(pc.fill_null(wrong, False)).to_pylist():
        yield at, f"{message}: {values[at].as_py()!r}"
