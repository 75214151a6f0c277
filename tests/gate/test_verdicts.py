"""What a suite says of a table: verdicts, samples, absence, and the grain that every model has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import query
from warehouse.errors import RecipeError
from warehouse.gate import Expectation, Suite, grain_suite, run_suite, run_suites


@pytest.fixture
def con() -> Iterator[query.Connection]:
    with query.connect() as con:
        con.execute("CREATE SCHEMA m")
        yield con


def suite(*expectations: tuple[str, dict[str, Any]], optional: bool = False) -> Suite:
    listed = tuple(Expectation(kind, kwargs, n) for n, (kind, kwargs) in enumerate(expectations, 1))
    return Suite("s", "m.t", listed, optional=optional)


def test_a_failing_expectation_shows_at_most_five_values_in_order(con: query.Connection) -> None:
    con.execute("CREATE TABLE m.t AS SELECT (9 - range) AS a FROM range(10)")
    (check,) = run_suite(con, suite(("expect_column_values_to_be_between", {"column": "a", "min_value": 8})))
    assert (check.success, check.element_count, check.unexpected_count) == (False, 10, 8)
    assert check.samples == (0, 1, 2, 3, 4)


def test_passing_suites_of_a_table_ask_one_query(con: query.Connection) -> None:
    con.execute("CREATE TABLE m.t AS SELECT range AS a FROM range(10)")
    asked = list[str]()

    class Counting:
        def execute(self, sql: str, parameters: Any = None) -> Any:
            asked.append(sql.split(maxsplit=1)[0])
            return con.execute(sql, parameters)

    expectations = [("expect_column_values_to_be_unique", {"column": "a"})] * 3
    checks = run_suites(Counting(), [grain_suite("m.t", ["a"]), suite(*expectations)])
    assert [(check.suite, check.success) for check in checks] == [("m.t grain", True), *[("s", True)] * 3]
    assert asked == ["DESCRIBE", "SELECT"]


def test_a_view_is_computed_once_whatever_is_asked_of_it(con: query.Connection) -> None:
    con.execute("CREATE SEQUENCE m.counted; CREATE VIEW m.v AS SELECT nextval('m.counted') AS a, 1 AS b FROM range(9)")
    asked = [grain_suite("m.v", ["a"]), grain_suite("m.v", ["b"])]
    checks = run_suites(con, asked, {"a": "BIGINT", "b": "INTEGER"}, view=True)
    assert [check.success for check in checks] == [True, False]
    assert query.fetch_all(con, "SELECT nextval('m.counted')") == [(9 + 1,)]


def test_of_suites_read_together_the_one_with_a_wrong_condition_is_named(con: query.Connection) -> None:
    con.execute("CREATE TABLE m.t AS SELECT 1 AS a")
    wrong = suite(("expect_column_values_to_be_null", {"column": "a", "row_condition": "nope = 0"}))
    with pytest.raises(RecipeError, match=r"^s:1: .*nope"):
        run_suites(con, [grain_suite("m.t", ["a"]), wrong])


def test_an_absent_table_fails_every_expectation_unless_the_suite_is_optional(con: query.Connection) -> None:
    asked = [("expect_column_to_exist", {"column": "a"}), ("expect_table_row_count_to_equal", {"value": 0})]
    assert [check.success for check in run_suite(con, suite(*asked))] == [False, False]
    assert [check.success for check in run_suite(con, suite(*asked, optional=True))] == [True, True]


def test_a_missing_column_or_another_type_fails_alone_and_says_why(con: query.Connection) -> None:
    con.execute("CREATE TABLE m.t AS SELECT 1 AS a, 'x' AS s, [1] AS l")
    checks = run_suite(
        con,
        suite(
            ("expect_column_values_to_be_unique", {"column": "b"}),
            ("expect_column_values_to_be_between", {"column": "s", "min_value": 1}),
            ("expect_column_mean_to_be_between", {"column": "s", "min_value": 1}),
            ("expect_column_values_to_be_between", {"column": "l", "min_value": 1}),
            ("expect_column_pair_values_to_be_equal", {"column_A": "a", "column_B": "s"}),
            ("expect_column_values_to_be_unique", {"column": "a"}),
        ),
    )
    assert [check.success for check in checks] == [False] * 5 + [True]
    assert checks[0].observed == "no column 'b'"
    assert "VARCHAR" in checks[1].observed


def test_a_condition_in_sql_selects_rows_and_an_unknown_name_in_it_is_a_clear_error(con: query.Connection) -> None:
    con.execute("CREATE TABLE m.t AS SELECT range AS a, range % 2 AS odd FROM range(10)")
    asked = {"column": "a", "max_value": 8, "row_condition": "odd = 0 -- even ones", "condition_parser": "spark"}
    (check,) = run_suite(con, suite(("expect_column_values_to_be_between", asked)))
    assert (check.success, check.element_count) == (True, 5)
    with pytest.raises(RecipeError, match="nope"):
        run_suite(con, suite(("expect_column_values_to_be_between", {**asked, "row_condition": "nope = 0"})))


def test_dates_are_compared_as_times(con: query.Connection) -> None:
    con.execute("CREATE TABLE m.t AS SELECT DATE '2026-01-01' + range::INT AS d FROM range(10)")
    (check,) = run_suite(con, suite(("expect_column_values_to_be_between", {"column": "d", "max_value": "2026-01-08"})))
    assert (check.success, check.unexpected_count) == (False, 2)
    (check,) = run_suite(con, suite(("expect_column_values_to_be_between", {"column": "d", "max_value": "soon"})))
    assert check.observed == "'soon' is no time in ISO 8601"


Rows = st.lists(st.tuples(st.none() | st.integers(0, 2), st.none() | st.sampled_from("ab")), max_size=8)


@settings(max_examples=25, deadline=None)
@given(Rows)
def test_a_grain_holds_exactly_where_no_row_has_a_null_or_a_twin(rows: list[tuple[int | None, str | None]]) -> None:
    whole = [row for row in rows if None not in row]
    expected = len(rows) - len(whole) + sum(whole.count(row) > 1 for row in whole)
    with query.connect() as con:
        con.execute("CREATE SCHEMA m; CREATE TABLE m.t (a INT, b VARCHAR)")
        for row in rows:
            con.execute("INSERT INTO m.t VALUES (?, ?)", row)
        (check,) = run_suite(con, grain_suite("m.t", ["a", "b"]))
    assert (check.unexpected_count, check.success) == (expected, expected == 0)
    assert bool(check.samples) is (expected > 0)
