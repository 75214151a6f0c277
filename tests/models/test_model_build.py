"""Models built into a database file: rows, comments, what is skipped, and errors at the file's line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse import query
from warehouse.errors import RecipeError
from warehouse.models import Built, build, load_models

HEADER = "/* model\ndescription: what it's about\nkind: {kind}\ngrain: [a]\nowner: team:x\n{more}*/\n"


@pytest.fixture
def con() -> Iterator[query.Connection]:
    with query.connect() as con:
        con.execute("ATTACH ':memory:' AS repository")
        con.execute("CREATE VIEW repository.t AS SELECT range AS a FROM range(10)")
        yield con


def built(con: query.Connection, folder: Path, **models: tuple[str, str, str]) -> dict[str, Built]:
    for name, (kind, more, sql) in models.items():
        path = folder / (name.replace("__", "/") + ".sql")
        path.parent.mkdir(exist_ok=True)
        path.write_text(HEADER.format(kind=kind, more=more) + sql)
    return {each.model.name: each for each in build(con, load_models(folder.rglob("*.sql")))}


def test_a_view_and_a_table_are_made_with_their_comments(con: query.Connection, tmp_path: Path) -> None:
    view = (
        "view",
        'columns: {a: "the a\'s \\"name\\""}\n',
        "SELECT a FROM repository.t WHERE a > coalesce(getvariable('m'), 6);",
    )
    table = ("table", "", "SELECT a, a * 2 AS b FROM staging.v")
    made = built(con, tmp_path, staging__v=view, marts__m=table)
    assert (made["staging.v"].rows, made["marts.m"].rows) == (None, 3)
    assert made["staging.v"].columns == (("a", "BIGINT", 'the a\'s "name"'),)
    comments = "SELECT comment FROM duckdb_columns() WHERE table_name = 'v' AND column_name = 'a'"
    assert query.fetch_one(con, comments) == ('the a\'s "name"',)
    assert query.fetch_one(con, "SELECT comment FROM duckdb_tables() WHERE table_name = 'm'") == ("what it's about",)
    con.execute("SET VARIABLE m = 8")
    assert query.fetch_one(con, "SELECT count(*) FROM staging.v") == (1,)
    assert query.fetch_one(con, "SELECT count(*) FROM marts.m") == (3,)


def test_what_needs_a_table_not_ingested_is_skipped_with_the_reason_and_nothing_else(
    con: query.Connection, tmp_path: Path
) -> None:
    made = built(
        con,
        tmp_path,
        staging__a=("view", "", "SELECT 1 AS a FROM repository.tt"),
        marts__b=("table", "", "SELECT a FROM staging.a"),
        marts__c=("table", "", "SELECT a FROM repository.t"),
    )
    assert made["staging.a"].skipped == "repository.tt has not been ingested (did you mean repository.t?)"
    assert made["marts.b"].skipped == made["staging.a"].skipped
    assert made["marts.c"].skipped is None


REFUSED = [
    ("", "SELECT a,\n  nope\nFROM repository.t", 8, "nope"),
    ("", "SELECT 1 AS b", 4, "no column 'a'"),
    ("columns:\n  a: the a\n  c: the c\n", "SELECT 1 AS a", 8, "no column 'c'"),
    ("", "SELECT 1 AS a,\n\n  CAST('x' AS INT) AS b", 9, "Could not convert"),
]


@pytest.mark.parametrize("case", REFUSED)
def test_what_duckdb_refuses_is_told_at_the_files_own_line(
    con: query.Connection, tmp_path: Path, case: tuple[str, str, int, str]
) -> None:
    more, sql, line, said = case
    with pytest.raises(RecipeError, match=said) as refused:
        built(con, tmp_path, marts__m=("table", more, sql))
    assert str(refused.value).startswith(f"{tmp_path}/marts/m.sql:{line}: ")
