"""Pieces of SQL with their bound values: columns without NaN, constants of a column's type, and row conditions.

A row condition is either what Great Expectations 1.24 writes (a tree of ``comparison``, ``nullity``, ``and``,
``or``), or SQL text whose ``condition_parser`` is ``duckdb``, or ``spark``: the one parser of Great Expectations whose
text is SQL, so that such a suite still loads there. Comparisons have SQL's meaning: a null is never unequal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from warehouse import query

SQL_PARSERS = ("duckdb", "spark")
_OPERATORS = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "IN": "IN", "NOT_IN": "NOT IN"}
_CONDITIONS = "SQL text with condition_parser duckdb or spark, or {type: comparison, nullity, and, or}"
_NUMBERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
)
_FLOATS = ("FLOAT", "DOUBLE")


class Unmeasurable(ValueError):
    """An expectation that the table as it is cannot answer: a missing column, or a constant of another type."""


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL and the values bound to its question marks, in order."""

    text: str
    values: tuple[Any, ...] = ()

    def __add__(self, other: Sql | str) -> Sql:
        other = Sql(other) if isinstance(other, str) else other
        return Sql(self.text + other.text, self.values + other.values)

    def __radd__(self, other: str) -> Sql:
        return Sql(other) + self


TRUE = Sql("true")


def join(parts: Sequence[Sql], between: str) -> Sql:
    """The parts with ``between`` between them."""
    return Sql(between.join(part.text for part in parts), tuple(value for part in parts for value in part.values))


def family(columns: Mapping[str, str], name: str) -> str:
    """``number``, ``text``, ``time``, ``boolean`` or ``other``: what a column may be compared with."""
    kind = _type(columns, name)
    if kind in _NUMBERS + _FLOATS or kind.startswith("DECIMAL"):
        return "number"
    if kind == "VARCHAR" or kind.startswith("ENUM"):
        return "text"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return "time"
    return "boolean" if kind == "BOOLEAN" else "other"


def _type(columns: Mapping[str, str], name: str) -> str:
    if name not in columns:
        raise Unmeasurable(f"no column {name!r}")
    return columns[name]


def value(columns: Mapping[str, str], name: str) -> Sql:
    """A column as Great Expectations on pandas sees it: NaN is missing."""
    column = query.quoted(name)
    return Sql(f"nullif({column}, 'NaN'::{columns[name]})" if _type(columns, name) in _FLOATS else column)


def constant(columns: Mapping[str, str], name: str, given: Any) -> Sql:
    """A bound constant that the column can be compared with; a time is given in ISO 8601, UTC where it has no zone."""
    if family(columns, name) not in _families(given):
        raise Unmeasurable(f"column {name!r} is {columns[name]} and cannot be compared with {given!r}")
    if family(columns, name) == "time":
        return Sql(f"CAST(? AS {columns[name]})", (_iso(given),))
    return Sql("?", (given,))


def _families(given: Any) -> tuple[str, ...]:
    """The families of columns that a constant can be compared with."""
    if isinstance(given, bool):
        return ("boolean",)
    return ("text", "time") if isinstance(given, str) else ("number",)


def _iso(given: str) -> str:
    try:
        datetime.fromisoformat(given)
    except ValueError:
        raise Unmeasurable(f"{given!r} is no time in ISO 8601") from None
    return given


def bounds(subject: Sql, columns: Mapping[str, str], name: str, kwargs: Mapping[str, Any]) -> Sql:
    """Whether ``subject``, which compares like the column ``name``, lies between min_value and max_value."""
    parts = []
    for key, strict, open_, closed in (
        ("min_value", "strict_min", ">", ">="),
        ("max_value", "strict_max", "<", "<="),
    ):
        if key in kwargs:
            operator = open_ if kwargs.get(strict) else closed
            parts.append(subject + f" {operator} " + constant(columns, name, kwargs[key]))
    return join(parts, " AND ")


def members(subject: Sql, columns: Mapping[str, str], name: str, values: Sequence[Any]) -> Sql:
    """Whether ``subject`` is one of ``values``; those of another type than the column's never are."""
    found = []
    for given in values:
        try:
            found.append(constant(columns, name, given))
        except Unmeasurable:
            continue
    return subject + " IN (" + join(found, ", ") + ")" if found else Sql("false")


def condition_error(condition: Any, parser: Any) -> tuple[str, str] | None:
    """What is wrong with a row condition, and what is allowed; None if nothing is."""
    if condition is None:
        return None
    if isinstance(condition, str):
        return _text_error(condition, parser)
    if parser is not None:
        return f"condition_parser {parser!r} with a condition that is no text", "no condition_parser"
    return _tree_error(condition)


def _text_error(condition: str, parser: Any) -> tuple[str, str] | None:
    if parser not in SQL_PARSERS:
        return f"row_condition {condition!r} with condition_parser {parser!r}", _CONDITIONS
    tree = query.syntax_tree(f"SELECT 1 FROM t WHERE (\n{condition}\n)")
    if tree["error"] or len(tree["statements"]) != 1:
        return (
            f"row_condition {condition!r}: {tree.get('error_message', 'more than one statement')}",
            "a condition in SQL",
        )
    return None


def _tree_error(condition: Mapping[str, Any]) -> tuple[str, str] | None:
    kind = condition.get("type")
    if kind in ("and", "or") and condition.get("conditions"):
        return next((wrong for part in condition["conditions"] if (wrong := _tree_error(part))), None)
    named = isinstance(condition.get("column"), dict) and isinstance(condition["column"].get("name"), str)
    if kind == "nullity" and named and isinstance(condition.get("is_null"), bool):
        return None
    if kind == "comparison" and named and condition.get("operator") in _OPERATORS and "parameter" in condition:
        many = condition["operator"] in ("IN", "NOT_IN")
        if isinstance(condition["parameter"], list) is many:
            return None
    return f"row_condition {condition!r}", _CONDITIONS


def row_condition(columns: Mapping[str, str], condition: Any) -> Sql:
    """A checked row condition as SQL."""
    if condition is None:
        return TRUE
    if isinstance(condition, str):
        return Sql(f"(\n{condition}\n)")
    if condition["type"] in ("and", "or"):
        parts = [row_condition(columns, part) for part in condition["conditions"]]
        return "(" + join(parts, f" {condition['type'].upper()} ") + ")"
    name = condition["column"]["name"]
    if condition["type"] == "nullity":
        return value(columns, name) + (" IS NULL" if condition["is_null"] else " IS NOT NULL")
    return _comparison(columns, name, condition["operator"], condition["parameter"])


def _comparison(columns: Mapping[str, str], name: str, operator: str, parameter: Any) -> Sql:
    subject = value(columns, name)
    if operator == "IN":
        return members(subject, columns, name, parameter)
    if operator == "NOT_IN":
        return "(NOT " + members(subject, columns, name, parameter) + ")"
    return subject + f" {_OPERATORS[operator]} " + constant(columns, name, parameter)
