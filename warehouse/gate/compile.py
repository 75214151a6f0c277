"""One DuckDB aggregate query for all expectations of a suite, with quoted names and bound values.

Won: the table is scanned once (a uniqueness check adds a grouped scan of its own columns, which can spill; a histogram
in the same scan cannot). Meanings are those of Great Expectations 1.24 on pandas, held by a golden test: NaN is
missing, missing values are not judged (but by not_null and null), ``mostly`` is a share of the rows judged, an empty
table passes map expectations, the sum of nothing is 0. Lost: regular expressions are RE2's, not Python's: no
look-around or back-reference, ``$`` is the end of the text only, ``\\d \\w \\s`` are ASCII; other types than text
are matched and measured as DuckDB prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from warehouse.gate.conditions import Sql, join
from warehouse.gate.measures import Measure, measure, table_sql
from warehouse.gate.suite import Suite

AUDITED = "audited"
"""What a query calls the relation that it keeps."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A suite's query; ``places`` gives, for each measure, the position of each figure in the one row that returns;
    ``first`` is what a query of a view begins with.
    """

    suite: Suite
    sql: str
    values: tuple[Any, ...]
    measures: tuple[Measure, ...]
    places: tuple[Mapping[str, int], ...]
    first: str = ""

    def __str__(self) -> str:
        bound = "".join(f"\n-- ?{n} = {value!r}" for n, value in enumerate(self.values, 1))
        return f"-- {self.suite.table}: {self.suite.name}\n{self.sql}{bound}"


def compile_suite(suite: Suite, columns: Mapping[str, str], *, view: bool = False) -> Compiled:
    """The query of a suite for a table with these columns (name to DuckDB type, as DESCRIBE gives them).

    view: the relation is computed at each mention, so the columns asked of it are kept, once, for the whole query.
    """
    table = AUDITED if view else suite.table
    measures = tuple(measure(table, expectation, columns) for expectation in suite.expectations)
    figures: dict[Sql, int] = {}
    places = tuple({name: _place(figures, figure) for name, figure in found.figures.items()} for found in measures)
    listed = [figure + f" AS c{n}" for figure, n in figures.items()] or [Sql("count(*) AS c0")]
    first = f"WITH {AUDITED} AS MATERIALIZED (FROM {table_sql(suite.table)})\n" if view else ""
    whole = first + "SELECT\n  " + join(listed, ",\n  ") + f"\nFROM {table_sql(table)}"
    return Compiled(suite, whole.text, whole.values, measures, places, first)


def _place(figures: dict[Sql, int], figure: Sql) -> int:
    """The position of a figure; equal ones are asked once."""
    return figures.setdefault(figure, len(figures))


def samples(compiled: Compiled, found: Measure, limit: int) -> Sql:
    """The query for up to ``limit`` different values that an expectation refused, in order."""
    shown, unexpected = found.shown or Sql("NULL"), found.unexpected or Sql("false")
    table = AUDITED if compiled.first else compiled.suite.table
    chosen = compiled.first + "SELECT DISTINCT " + shown + f" AS shown FROM {table_sql(table)} WHERE " + unexpected
    return chosen + f" ORDER BY ALL LIMIT {limit}"
