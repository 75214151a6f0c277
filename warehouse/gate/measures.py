"""What each type of expectation asks of a table, as pieces of SQL; one small function for each family of types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from warehouse import query
from warehouse.gate.conditions import TRUE, Sql, Unmeasurable, bounds, family, join, members, row_condition, value
from warehouse.gate.suite import Expectation

Columns = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Measure:
    """What one expectation asks of a table.

    figures: aggregates by name: ``elements`` (rows of the condition), ``judged`` (those that count for ``mostly``) and
    ``unexpected``; or ``observed`` and ``holds``. unexpected: selects the failing rows; shown: what to show of them.
    problem: why the table cannot answer, and then the expectation fails.
    """

    expectation: Expectation
    figures: Mapping[str, Sql] = field(default_factory=dict)
    unexpected: Sql | None = None
    shown: Sql | None = None
    problem: str | None = None


def measure(table: str, expectation: Expectation, columns: Columns) -> Measure:
    """The measure of one expectation of a table with these columns (name to DuckDB type)."""
    try:
        domain = row_condition(columns, expectation.kwargs.get("row_condition"))
        return _FAMILIES[expectation.type](table, expectation, columns, domain)
    except Unmeasurable as error:
        return Measure(expectation, problem=str(error))


def table_sql(table: str) -> str:
    """``schema.table`` as quoted identifiers."""
    return ".".join(map(query.quoted, table.split(".")))


def _where(aggregate: Sql | str, condition: Sql) -> Sql:
    return Sql("") + aggregate + ("" if condition == TRUE else " FILTER (WHERE " + condition + ")")


def _count(condition: Sql) -> Sql:
    return _where("count(*)", condition)


def _all(*conditions: Sql) -> Sql:
    said = [condition for condition in conditions if condition != TRUE]
    return join(["(" + condition + ")" for condition in said], " AND ") if said else TRUE


def _judged(expectation: Expectation, domain: Sql, judged: Sql, bad: Sql, shown: Sql) -> Measure:
    """Of the rows in ``domain``, those in ``judged`` are looked at and the ``bad`` ones counted."""
    unexpected = _all(domain, judged, bad)
    figures = {"elements": _count(domain), "judged": _count(_all(domain, judged)), "unexpected": _count(unexpected)}
    return Measure(expectation, figures, unexpected, shown)


def _nulls(table: str, expectation: Expectation, columns: Columns, domain: Sql) -> Measure:
    subject = value(columns, expectation.kwargs["column"])
    bad = " IS NULL" if expectation.type.endswith("not_be_null") else " IS NOT NULL"
    return _judged(expectation, domain, TRUE, subject + bad, subject)


def _values(table: str, expectation: Expectation, columns: Columns, domain: Sql) -> Measure:
    name = expectation.kwargs["column"]
    subject = value(columns, name)
    good = _GOOD[expectation.type](subject, columns, name, expectation.kwargs)
    return _judged(expectation, domain, subject + " IS NOT NULL", "NOT coalesce(" + good + ", false)", subject)


def _as_text(subject: Sql) -> Sql:
    return "CAST(" + subject + " AS VARCHAR)"


def _matches(subject: Sql, kwargs: Mapping[str, Any]) -> Sql:
    return "regexp_matches(" + _as_text(subject) + ", " + Sql("?", (kwargs["regex"],)) + ")"


def _length(subject: Sql, kwargs: Mapping[str, Any]) -> Sql:
    return bounds("length(" + _as_text(subject) + ")", {"length": "BIGINT"}, "length", kwargs)


_Good = Callable[[Sql, Columns, str, Mapping[str, Any]], Sql]
_GOOD: dict[str, _Good] = {
    "expect_column_values_to_be_between": bounds,
    "expect_column_values_to_be_in_set": lambda s, c, n, k: members(s, c, n, k["value_set"]),
    "expect_column_values_to_not_be_in_set": lambda s, c, n, k: "NOT (" + members(s, c, n, k["value_set"]) + ")",
    "expect_column_values_to_match_regex": lambda s, c, n, k: _matches(s, k),
    "expect_column_values_to_not_match_regex": lambda s, c, n, k: "NOT " + _matches(s, k),
    "expect_column_value_lengths_to_be_between": lambda s, c, n, k: _length(s, k),
}


def _present(parts: Sequence[Sql], ignored: str) -> Sql:
    """The rows that ``ignore_row_if`` leaves."""
    if ignored in ("never", "neither"):
        return TRUE
    between = " AND " if ignored in ("any_value_is_missing", "either_value_is_missing") else " OR "
    return join([part + " IS NOT NULL" for part in parts], between)


def _repeated(table: str, names: Sequence[str], parts: Sequence[Sql], where: Sql) -> tuple[Sql, Sql]:
    """How many rows share their key with another one (all of a group count, as on pandas), and whether a row does."""
    key = join(parts, ", ")
    groups = f"FROM {table_sql(table)} WHERE " + where + " GROUP BY " + key + " HAVING count(*) > 1)"
    rows = "(SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n " + groups + ")"
    one = _shown(names, parts)
    return rows, one + " IN (SELECT " + one + " " + groups


def _unique(table: str, expectation: Expectation, columns: Columns, domain: Sql) -> Measure:
    kwargs = expectation.kwargs
    names = kwargs.get("column_list") or [kwargs["column"]]
    parts = [value(columns, name) for name in names]
    judged = _all(domain, _present(parts, kwargs.get("ignore_row_if", "all_values_are_missing")))
    rows, repeated = _repeated(table, names, parts, judged)
    figures = {"elements": _count(domain), "judged": _count(judged), "unexpected": rows}
    return Measure(expectation, figures, _all(judged, repeated), _shown(names, parts))


def _grain(table: str, expectation: Expectation, columns: Columns, domain: Sql) -> Measure:
    """As compound uniqueness, but a row with a null in its grain is unexpected too."""
    names = expectation.kwargs["column_list"]
    parts = [value(columns, name) for name in names]
    whole = _present(parts, "any_value_is_missing")
    rows, repeated = _repeated(table, names, parts, whole)
    figures = {
        "elements": _count(TRUE),
        "judged": _count(TRUE),
        "unexpected": _count("NOT (" + whole + ")") + " + " + rows,
    }
    return Measure(expectation, figures, "NOT (" + whole + ") OR " + repeated, _shown(names, parts))


def _shown(names: Sequence[str], parts: Sequence[Sql]) -> Sql:
    """One value for a key, equal where the keys are, nulls included."""
    named = [f"{query.literal(name)}: " + part for name, part in zip(names, parts, strict=True)]
    return parts[0] if len(parts) == 1 else "{" + join(named, ", ") + "}"


def _pair(table: str, expectation: Expectation, columns: Columns, domain: Sql) -> Measure:
    kwargs = expectation.kwargs
    names = (kwargs["column_A"], kwargs["column_B"])
    a, b = parts = [value(columns, name) for name in names]
    if family(columns, names[0]) != family(columns, names[1]):
        said = " and ".join(f"{name!r} is {columns[name]}" for name in names)
        raise Unmeasurable(f"columns of different kinds: {said}")
    equal = expectation.type.endswith("to_be_equal")
    operator = " = " if equal else " >= " if kwargs.get("or_equal") else " > "
    judged = _present(parts, kwargs.get("ignore_row_if", "both_values_are_missing"))
    return _judged(expectation, domain, judged, "NOT coalesce(" + a + operator + b + ", false)", _shown(names, parts))


_Aggregate = tuple[str, tuple[str, ...], str]
_AGGREGATES: dict[str, _Aggregate] = {
    "expect_column_mean_to_be_between": ("avg(CAST({} AS DOUBLE))", ("number",), "DOUBLE"),
    "expect_column_median_to_be_between": ("median(CAST({} AS DOUBLE))", ("number",), "DOUBLE"),
    "expect_column_sum_to_be_between": ("sum({})", ("number",), "DOUBLE"),
    "expect_column_min_to_be_between": ("min({})", ("number", "text", "time"), ""),
    "expect_column_max_to_be_between": ("max({})", ("number", "text", "time"), ""),
    "expect_column_unique_value_count_to_be_between": ("count(DISTINCT {})", (), "BIGINT"),
}


def _aggregate(table: str, expectation: Expectation, columns: Columns, domain: Sql) -> Measure:
    name = expectation.kwargs["column"]
    template, families, kind = _AGGREGATES[expectation.type]
    if families and family(columns, name) not in families:
        raise Unmeasurable(f"column {name!r} is {columns[name]}, not a {' or a '.join(families)}")
    before, after = template.split("{}")
    observed = _where(before + value(columns, name) + after, domain)
    if "sum(" in template:
        observed = "coalesce(" + observed + ", 0)"
    holds = bounds(observed, {name: kind or columns[name]}, name, expectation.kwargs)
    return Measure(expectation, {"elements": _count(domain), "observed": observed, "holds": holds})


def _distinct_in_set(table: str, expectation: Expectation, columns: Columns, domain: Sql) -> Measure:
    """Counts distinct values, not rows, as Great Expectations does."""
    name = expectation.kwargs["column"]
    subject = value(columns, name)
    outside = _all(
        domain, subject + " IS NOT NULL", "NOT " + members(subject, columns, name, expectation.kwargs["value_set"])
    )
    foreign = _where("count(DISTINCT " + subject + ")", outside)
    figures = {"elements": _count(domain), "unexpected": foreign, "holds": foreign + " = 0"}
    return Measure(expectation, figures, outside, subject)


def _row_count(table: str, expectation: Expectation, columns: Columns, domain: Sql) -> Measure:
    rows, kwargs = _count(domain), expectation.kwargs
    if "value" in kwargs:
        kwargs = {"min_value": kwargs["value"], "max_value": kwargs["value"]}
    return Measure(expectation, {"observed": rows, "holds": bounds(rows, {"rows": "BIGINT"}, "rows", kwargs)})


def _columns(table: str, expectation: Expectation, columns: Columns, domain: Sql) -> Measure:
    """Answered by the table's columns alone; the query only carries the answer."""
    kwargs, names = expectation.kwargs, list(columns)
    if "column" in kwargs:
        index = kwargs.get("column_index")
        holds = kwargs["column"] in names if index is None else names[index : index + 1] == [kwargs["column"]]
    else:
        wanted = set(kwargs["column_set"])
        holds = wanted == set(names) if kwargs.get("exact_match", True) else wanted <= set(names)
    return Measure(expectation, {"observed": Sql("?", (", ".join(names),)), "holds": Sql("true" if holds else "false")})


_Family = Callable[[str, Expectation, Columns, Sql], Measure]
_FAMILIES: dict[str, _Family] = {
    "expect_table_row_count_to_be_between": _row_count,
    "expect_table_row_count_to_equal": _row_count,
    "expect_table_columns_to_match_set": _columns,
    "expect_column_to_exist": _columns,
    "expect_column_values_to_not_be_null": _nulls,
    "expect_column_values_to_be_null": _nulls,
    "expect_column_values_to_be_unique": _unique,
    "expect_compound_columns_to_be_unique": _unique,
    "expect_column_distinct_values_to_be_in_set": _distinct_in_set,
    "expect_column_pair_values_a_to_be_greater_than_b": _pair,
    "expect_column_pair_values_to_be_equal": _pair,
    "grain_is_unique": _grain,
    **dict.fromkeys(_GOOD, _values),
    **dict.fromkeys(_AGGREGATES, _aggregate),
}
