"""The first failure told by CASE is the first of the list that failed, whatever the rules are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse import query
from warehouse.models.failures import without_lists

FIRST = "SELECT doc_id, rules, list_filter(rules, lambda rule: rule.failed)[1] AS failure FROM curation.v"
RULE = "{'reason': 'one', 'value': a, 'threshold': 2, 'failed': a > 2}"
OTHER = "{'reason': 'two', 'value': b, 'threshold': NULL, 'failed': b < 2.5}"
READ = {
    "a list": f"SELECT doc_id, [{RULE}, {OTHER}] AS rules FROM staging.t",
    "list_value": f"SELECT doc_id, list_value({OTHER}, {RULE}) AS rules FROM staging.t",
    "a condition": f"SELECT doc_id, [{RULE}] AS rules FROM staging.t WHERE a < 4",
    "an alias": f"SELECT doc_id, a + b AS c, [{RULE.replace('a > 2', 'c > 3')}] AS rules FROM staging.t",
}
LEFT = {
    "all columns": f"WITH m AS (SELECT doc_id, 3 * a AS a, b FROM staging.t) SELECT *, [{OTHER}] AS rules FROM m",
    "another function": f"SELECT doc_id, list_reverse([{RULE}, {OTHER}]) AS rules FROM staging.t",
    "a list of a table": f"SELECT doc_id, rules FROM (SELECT doc_id, [{RULE}, {OTHER}] AS rules FROM staging.t)",
    "no rule": "SELECT doc_id, [{'failed': true}][2:] AS rules FROM staging.t",
    "other fields": f"SELECT doc_id, [{RULE}, {{'failed': b < 2, 'reason': 'two'}}] AS rules FROM staging.t",
    "groups": f"SELECT any_value(doc_id) AS doc_id, [{RULE}] AS rules FROM staging.t GROUP BY ALL",
    "no two alike": f"SELECT DISTINCT doc_id, [{RULE}] AS rules FROM staging.t",
    "the first two": f"SELECT doc_id, [{RULE}] AS rules FROM staging.t ORDER BY rules LIMIT 2",
    "a union": f"SELECT doc_id, [{RULE}] AS rules FROM staging.t UNION SELECT doc_id, [{OTHER}] FROM staging.t",
}


@pytest.fixture(scope="module")
def con() -> Iterator[query.Connection]:
    with query.connect() as con:
        con.execute("CREATE SCHEMA staging; CREATE SCHEMA curation")
        con.execute("CREATE TABLE staging.given (doc_id VARCHAR, a INTEGER, b DOUBLE)")
        con.execute(
            "INSERT INTO staging.given VALUES ('1', 1, 1), ('2', 3, 2), ('3', 5, 3), ('4', NULL, 2), ('5', 3, NULL)"
        )
        con.execute("CREATE VIEW staging.t AS FROM staging.given")
        yield con


def both(con: query.Connection, view: str, sql: str = FIRST) -> tuple[str, Sequence[object], Sequence[object]]:
    """The SELECT without lists, its rows, and those with them."""
    con.execute(f"CREATE OR REPLACE VIEW curation.v AS {view}")
    short = without_lists(sql, {"curation.v": view, "staging.t": "FROM staging.given"})
    types = [query.fetch_all(con, f"DESCRIBE {each}") for each in (sql, short)]
    assert types[0] == types[1]
    return (
        short,
        query.fetch_all(con, f"FROM ({short}) ORDER BY ALL"),
        query.fetch_all(con, f"FROM ({sql}) ORDER BY ALL"),
    )


@pytest.mark.parametrize("case", READ)
def test_a_list_that_is_written_out_is_not_made(con: query.Connection, case: str) -> None:
    short, found, expected = both(con, READ[case])
    assert ("list_filter" in short, found) == (False, expected)
    assert any(failure for *_, failure in expected)


@pytest.mark.parametrize("case", LEFT)
def test_any_other_is_read_as_before(con: query.Connection, case: str) -> None:
    short, found, expected = both(con, LEFT[case])
    assert ("list_filter" in short, found) == (True, expected)


@pytest.mark.parametrize(
    "sql", [f"{FIRST} AS v", FIRST.replace("lambda rule: rule", "lambda rule: NOT rule"), f"{FIRST} LIMIT 1"]
)
def test_any_other_question_keeps_its_answer(con: query.Connection, sql: str) -> None:
    short, found, expected = both(con, READ["a list"], sql)
    assert ("list_filter" in short, found) == (not sql.endswith(" v"), expected)


FAILED = st.sampled_from(["true", "false", "NULL", "a > 2", "a < b", "b IS NULL", "CAST(a AS BOOLEAN)", "NOT (a = 3)"])
VALUE = st.sampled_from(["1", "NULL", "a", "b", "0.25", "a / b", "CAST(2 AS FLOAT)"])


@given(rules=st.lists(st.tuples(VALUE, VALUE, FAILED), min_size=1, max_size=6), aliased=st.booleans())
def test_the_first_failure_is_the_lists(
    con: query.Connection, rules: list[tuple[str, str, str]], aliased: bool
) -> None:
    structs = [
        f"{{'reason': 'r{number}', 'value': {value}, 'threshold': {threshold}, 'failed': {failed}}}"
        for number, (value, threshold, failed) in enumerate(rules)
    ]
    view = f"SELECT t.doc_id, [{', '.join(structs)}] AS rules FROM staging.t AS t"
    short, found, expected = both(con, view, f"{FIRST} AS own" if aliased else FIRST)
    assert ("list_filter" in short, found) == (False, expected)
