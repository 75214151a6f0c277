"""Suites in Great Expectations' JSON format, refused with file and expectation number where they are wrong.

The table a suite holds for comes from its file: ``expectations/<schema>.<table>.json``. Every expectation blocks but
one whose ``severity`` is warning or info, which alarms. A suite whose ``meta`` says ``"optional": true`` passes where
its table is absent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.errors import RecipeError
from warehouse.gate.conditions import condition_error


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation: its type and keyword arguments as in Great Expectations, and its 1-based number in the suite.

    warns: it alarms where it fails, and blocks nothing.
    """

    type: str
    kwargs: Mapping[str, Any]
    number: int
    meta: Mapping[str, Any] = field(default_factory=dict)
    warns: bool = False


@dataclass(frozen=True, slots=True)
class Suite:
    """The expectations of one table (``schema.table``)."""

    name: str
    table: str
    expectations: tuple[Expectation, ...]
    path: Path | None = None
    optional: bool = False


GRAIN = "grain_is_unique"
"""The expectation of ``grain_suite``; no type of Great Expectations, which has two for it."""


def load_suites(paths: Iterable[Path]) -> list[Suite]:
    """The suites of ``paths`` in order of table. Raises RecipeError with file and expectation number."""
    return sorted((_load(path) for path in paths), key=lambda suite: (suite.table, suite.name))


def grain_suite(table: str, grain: Sequence[str]) -> Suite:
    """The one check that every model has: no row with a null in its grain, no two rows with the same."""
    kwargs = {"column_list": list(grain)}
    return Suite(f"{table} grain", table, (Expectation(GRAIN, kwargs, 1),))


def _load(path: Path) -> Suite:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}:{getattr(error, 'lineno', 1)}: {error}", allowed="JSON in UTF-8") from None
    if path.stem.count(".") != 1:
        raise RecipeError(f"{path}:1: no table called {path.stem!r}", allowed="expectations/<schema>.<table>.json")
    if not isinstance(values, dict) or not isinstance(values.get("expectations"), list):
        raise RecipeError(f"{path}:1: no suite", allowed='{"name": ..., "expectations": [...], "meta": {...}}')
    _keys(f"{path}:1:", values, _SUITE_KEYS)
    meta = values.get("meta") or {}
    return Suite(
        name=str(values.get("name", path.stem)),
        table=path.stem,
        expectations=tuple(_expectation(path, n, value) for n, value in enumerate(values["expectations"], 1)),
        path=path,
        optional=meta.get("optional") is True,
    )


def _expectation(path: Path, number: int, value: Any) -> Expectation:
    where = f"{path}:{_line(path, number)}: expectation {number}:"
    if not isinstance(value, dict):
        raise RecipeError(f"{where} is {value!r}", allowed='{"type": ..., "kwargs": {...}, "meta": {...}}')
    _keys(where, value, _EXPECTATION_KEYS)
    kind, kwargs = value.get("type"), value.get("kwargs") or {}
    if kind not in KWARGS:
        raise RecipeError(f"{where} no compiled type {kind!r}", allowed=", ".join(KWARGS))
    required, optional = KWARGS[kind]
    _keys(f"{where} {kind}:", kwargs, required + optional)
    for key in required:
        if kwargs.get(key) is None:
            raise RecipeError(f"{where} {kind} has no {key!r}", allowed=_VALUES[key][1])
    for key, given in kwargs.items():
        if given is not None and not _VALUES[key][0](given):
            raise RecipeError(f"{where} {kind}: {key} is {given!r}", allowed=_VALUES[key][1])
    _agree(f"{where} {kind}:", kind, kwargs)
    severity = value.get("severity", "critical")
    if severity not in ("critical", *_WARNINGS):
        raise RecipeError(f"{where} severity is {severity!r}", allowed=", ".join(("critical", *_WARNINGS)))
    given = {key: each for key, each in kwargs.items() if each is not None}
    return Expectation(kind, given, number, value.get("meta") or {}, warns=severity in _WARNINGS)


def _line(path: Path, number: int) -> int:
    """The line of the ``number``-th expectation, found by decoding the list item by item; 1 where it cannot be."""
    text, decoder = path.read_text("utf-8"), json.JSONDecoder()
    at = text.find("[", text.find('"expectations"')) + 1
    for _ in range(number):
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,"))
        start, at = at, decoder.raw_decode(text, at)[1]
    return text.count("\n", 0, start) + 1


def _keys(where: str, values: Mapping[str, Any], allowed: Sequence[str]) -> None:
    for key in values:
        if key not in allowed:
            raise RecipeError(f"{where} unknown key {key!r}", allowed=", ".join(allowed))


def _agree(where: str, kind: str, kwargs: Mapping[str, Any]) -> None:
    """What no single value shows: bounds missing or crossed, a regex RE2 refuses, a condition in another dialect."""
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if "_between" in kind and low is None and high is None:
        raise RecipeError(f"{where} neither min_value nor max_value", allowed="one of them or both")
    if low is not None and high is not None and (type(low) is str) != (type(high) is str):
        raise RecipeError(f"{where} min_value {low!r}, max_value {high!r}", allowed="two numbers, or two texts")
    if low is not None and high is not None and low > high:
        raise RecipeError(f"{where} min_value {low!r} is above max_value {high!r}", allowed="min_value <= max_value")
    ignored, allowed = kwargs.get("ignore_row_if"), _PAIR if "column_A" in kwargs else _MANY
    if ignored is not None and ignored not in allowed:
        raise RecipeError(f"{where} ignore_row_if is {ignored!r}", allowed=", ".join(allowed))
    if "regex" in kwargs:
        _compile_regex(where, kwargs["regex"])
    wrong = condition_error(kwargs.get("row_condition"), kwargs.get("condition_parser"))
    if wrong:
        raise RecipeError(f"{where} {wrong[0]}", allowed=wrong[1])


def _compile_regex(where: str, regex: str) -> None:
    try:
        pc.match_substring_regex(pa.scalar(""), regex)
    except pa.ArrowInvalid as error:
        raise RecipeError(
            f"{where} regex {regex!r}: {error}", allowed="RE2: no look-around, no back-reference"
        ) from None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _is_scalars(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, (str, bool)) or v is None or _is_number(v) for v in value)


_Rule = tuple[Callable[[Any], bool], str]
_PAIR = ("both_values_are_missing", "either_value_is_missing", "neither")
_MANY = ("all_values_are_missing", "any_value_is_missing", "never")
_flag: _Rule = (lambda value: isinstance(value, bool), "true, false")
_text: _Rule = (_is_text, "a text")
_bound: _Rule = (lambda value: _is_number(value) or isinstance(value, str), "a number, a text or an ISO 8601 time")

_VALUES: dict[str, _Rule] = {
    "column": _text,
    "column_A": _text,
    "column_B": _text,
    "column_list": (_is_names, "a list of columns"),
    "column_set": (_is_names, "a list of columns"),
    "column_index": (_is_count, "a whole number from 0"),
    "exact_match": _flag,
    "value": (_is_count, "a whole number from 0"),
    "min_value": _bound,
    "max_value": _bound,
    "strict_min": _flag,
    "strict_max": _flag,
    "value_set": (_is_scalars, "a list of numbers, texts, true, false"),
    "regex": (lambda value: isinstance(value, str), "a regular expression of RE2"),
    "or_equal": _flag,
    "ignore_row_if": (lambda value: value in _PAIR + _MANY, ", ".join(_PAIR + _MANY)),
    "mostly": (lambda value: _is_number(value) and 0 <= value <= 1, "a number from 0 to 1"),
    "row_condition": (
        lambda value: isinstance(value, (str, dict)),
        "SQL text, or a condition as Great Expectations writes it",
    ),
    "condition_parser": _text,
}

_WARNINGS = ("warning", "info")
_SUITE_KEYS = ("name", "expectations", "meta", "id", "notes", "suite_parameters")
_EXPECTATION_KEYS = (
    "type",
    "kwargs",
    "meta",
    "id",
    "notes",
    "description",
    "severity",
    "rendered_content",
    "success_on_last_run",
    "expectation_context",
)
_WHERE = ("row_condition", "condition_parser")
_MAP = ("mostly", *_WHERE)
_BETWEEN = ("min_value", "max_value", "strict_min", "strict_max")
_COLUMN = ("column",)
_NONE: tuple[str, ...] = ()

KWARGS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "expect_table_row_count_to_be_between": (_NONE, (*_BETWEEN, *_WHERE)),
    "expect_table_row_count_to_equal": (("value",), _WHERE),
    "expect_table_columns_to_match_set": (("column_set",), ("exact_match",)),
    "expect_column_to_exist": (_COLUMN, ("column_index",)),
    "expect_column_values_to_not_be_null": (_COLUMN, _MAP),
    "expect_column_values_to_be_null": (_COLUMN, _MAP),
    "expect_column_values_to_be_unique": (_COLUMN, _MAP),
    "expect_column_values_to_be_between": (_COLUMN, (*_BETWEEN, *_MAP)),
    "expect_column_values_to_be_in_set": (("column", "value_set"), _MAP),
    "expect_column_values_to_not_be_in_set": (("column", "value_set"), _MAP),
    "expect_column_values_to_match_regex": (("column", "regex"), _MAP),
    "expect_column_values_to_not_match_regex": (("column", "regex"), _MAP),
    "expect_column_value_lengths_to_be_between": (_COLUMN, (*_BETWEEN, *_MAP)),
    "expect_column_mean_to_be_between": (_COLUMN, (*_BETWEEN, *_WHERE)),
    "expect_column_median_to_be_between": (_COLUMN, (*_BETWEEN, *_WHERE)),
    "expect_column_sum_to_be_between": (_COLUMN, (*_BETWEEN, *_WHERE)),
    "expect_column_min_to_be_between": (_COLUMN, (*_BETWEEN, *_WHERE)),
    "expect_column_max_to_be_between": (_COLUMN, (*_BETWEEN, *_WHERE)),
    "expect_column_unique_value_count_to_be_between": (_COLUMN, (*_BETWEEN, *_WHERE)),
    "expect_column_distinct_values_to_be_in_set": (("column", "value_set"), _WHERE),
    "expect_compound_columns_to_be_unique": (("column_list",), ("ignore_row_if", *_MAP)),
    "expect_column_pair_values_a_to_be_greater_than_b": (
        ("column_A", "column_B"),
        ("or_equal", "ignore_row_if", *_MAP),
    ),
    "expect_column_pair_values_to_be_equal": (("column_A", "column_B"), ("ignore_row_if", *_MAP)),
}
"""Every compiled type: the keyword arguments it needs, and those it may have."""
