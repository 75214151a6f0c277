"""Verdicts: a suite's query run on a connection, one Check for each expectation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from warehouse import query
from warehouse.contracts import Check
from warehouse.errors import RecipeError
from warehouse.gate.compile import Compiled, compile_suite, samples
from warehouse.gate.measures import Measure, table_sql
from warehouse.gate.suite import Expectation, Suite

SAMPLES = 5


def run_suite(con: query.Connection, suite: Suite) -> list[Check]:
    """One Check for each expectation, in order; a second query for each failing one shows up to five values.

    Where there is no such table every check fails, or passes if the suite is optional. Raises RecipeError where DuckDB
    refuses the query (a row condition in SQL that names no column, for one).
    """
    return run_suites(con, [suite])


def run_suites(
    con: query.Connection, suites: Sequence[Suite], columns: Mapping[str, str] | None = None, *, view: bool = False
) -> list[Check]:
    """The checks of suites of one table, which is read once for all of them; columns: its types, where known; view:
    see ``compile_suite``.
    """
    asked = [(suite, expectation) for suite in suites for expectation in suite.expectations]
    columns = columns or (table_columns(con, suites[0].table) if suites else None)
    if columns is None:
        return [_absent(*each) for each in asked]
    whole = Suite(suites[0].name, suites[0].table, tuple(expectation for _, expectation in asked))
    compiled = compile_suite(whole, columns, view=view)
    try:
        row = query.fetch_all(con, compiled.sql, compiled.values)[0]
        return [_check(con, suite, compiled, n, row) for n, (suite, _) in enumerate(asked)]
    except query.Error as error:
        if len(suites) > 1:
            return [check for suite in suites for check in run_suites(con, [suite], columns, view=view)]
        said = " ".join(str(error).partition("\n\n")[0].split())
        blamed = suites[0].path or suites[0].name
        raise RecipeError(f"{blamed}:1: {said}", do="mend the suite's row conditions") from None


def table_columns(con: query.Connection, table: str) -> dict[str, str] | None:
    """The columns of ``schema.table`` and their DuckDB types; None where there is no such table."""
    try:
        return {row[0]: row[1] for row in query.fetch_all(con, f"DESCRIBE {table_sql(table)}")}
    except query.CatalogError:
        return None


def _absent(suite: Suite, expectation: Expectation) -> Check:
    said = "no such table; the suite is optional" if suite.optional else "no such table"
    about = (expectation.type, _column(expectation.kwargs), expectation.kwargs)
    return Check(suite.name, suite.table, *about, suite.optional, 0, 0, observed=said)


def _check(con: query.Connection, suite: Suite, compiled: Compiled, n: int, row: tuple[Any, ...]) -> Check:
    found = compiled.measures[n]
    figures = {name: row[place] for name, place in compiled.places[n].items()}
    success = _holds(found, figures)
    unexpected = int(figures.get("unexpected") or 0)
    return Check(
        suite=suite.name,
        table=suite.table,
        expectation=found.expectation.type,
        column=_column(found.expectation.kwargs),
        kwargs=found.expectation.kwargs,
        success=success,
        element_count=int(figures.get("elements") or 0),
        unexpected_count=unexpected,
        observed=found.problem or figures.get("observed"),
        samples=_samples(con, compiled, found) if unexpected and not success else (),
    )


def _holds(found: Measure, figures: Mapping[str, Any]) -> bool:
    """As Great Expectations: nothing judged passes, else the share of them that is as expected reaches mostly."""
    if found.problem:
        return False
    if "holds" in figures:
        return figures["holds"] is True
    judged, unexpected = figures["judged"], figures["unexpected"]
    mostly = float(found.expectation.kwargs.get("mostly", 1))
    return judged == 0 or (float(judged) - float(unexpected)) / float(judged) >= mostly


def _column(kwargs: Mapping[str, Any]) -> str | None:
    if "column_A" in kwargs:
        return f"{kwargs['column_A']}, {kwargs['column_B']}"
    return kwargs.get("column") or ", ".join(kwargs.get("column_list", ())) or None


def _samples(con: query.Connection, compiled: Compiled, found: Measure) -> tuple[Any, ...]:
    asked = samples(compiled, found, SAMPLES)
    return tuple(row[0] for row in query.fetch_all(con, asked.text, asked.values))
