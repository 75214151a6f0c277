"""A model's file: what is refused, with its line; the order, lineage and fingerprint of what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from warehouse.errors import RecipeError
from warehouse.models import Model, load_models

HEADER = "/* model\ndescription: d\nkind: view\ngrain: [a]\nowner: team:x\n*/\n"


def write(folder: Path, **models: str) -> list[Path]:
    """Files ``<schema>__<name>``, each with a good header unless it brings its own."""
    paths = []
    for name, sql in models.items():
        path = folder / (name.replace("__", "/") + ".sql")
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(sql if sql.startswith("/*") else HEADER + sql)
        paths.append(path)
    return paths


def load(folder: Path, **models: str) -> dict[str, Model]:
    return {model.name: model for model in load_models(write(folder, **models))}


REFUSED = {
    "no header": ("/* a comment */ SELECT 1 AS a", 1, "no header block"),
    "not closed": ("/* model\nkind: view\nSELECT 1", 1, "no header block"),
    "unknown key": (HEADER.replace("owner", "ownr") + "SELECT 1 AS a", 5, "unknown key 'ownr'"),
    "missing key": (HEADER.replace("owner: team:x\n", "") + "SELECT 1 AS a", 2, "no 'owner'"),
    "wrong kind": (HEADER.replace("view", "incremental") + "SELECT 1 AS a", 3, "table, view"),
    "grain is no list": (HEADER.replace("[a]", "a") + "SELECT 1 AS a", 4, "grain is 'a'"),
    "header is no YAML": (HEADER.replace("[a]", "[a") + "SELECT 1 AS a", 5, "expected"),
    "header is a list": ("/* model\n- a\n*/\nSELECT 1", 2, "not a mapping"),
    "a range in words": (HEADER.replace("owner", "ranges: {m: few}\nowner") + "SELECT 1 AS a", 5, "0.5 to 1"),
    "nothing": (HEADER + "-- nothing\n", 7, "0 statements"),
    "two statements": (HEADER + "SELECT 1 AS a;\n\nSELECT 2 AS a", 9, "2 statements"),
    "not a SELECT": (HEADER + "CREATE TABLE t AS SELECT 1 AS a", 7, "CREATE is not a SELECT"),
    "a write in WITH": (HEADER + "WITH x AS (COPY (SELECT 1) TO 'f') SELECT 1 AS a", 7, "COPY inside the query"),
    "syntax": (HEADER + "SELECT 'é€' AS a,\n  b c d", 8, "syntax error"),
    "unknown model": (HEADER + "SELECT a\nFROM staging.bb", 8, "write staging.b"),
    "no schema": (HEADER + "SELECT a\nFROM b", 8, "write staging.b"),
    "another's file": (HEADER + "SELECT a FROM 'sql/staging/b.sql'", 7, "write staging.b"),
    "a file": (HEADER + "SELECT a\nFROM read_csv('f.csv')", 8, "reads read_csv(...)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_model_is_refused_with_file_and_line(tmp_path: Path, case: str) -> None:
    text, line, said = REFUSED[case]
    paths = write(tmp_path, staging__b="SELECT 1 AS a", marts__wrong=text)
    with pytest.raises(RecipeError) as refused:
        load_models(paths)
    assert str(refused.value).startswith(f"{tmp_path}/marts/wrong.sql:{line}: "), str(refused.value)
    assert said in str(refused.value)


def test_a_cycle_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"marts\.a reads marts\.b reads marts\.c reads marts\.a"):
        load(
            tmp_path,
            marts__a="SELECT * FROM marts.b",
            marts__b="SELECT * FROM marts.c",
            marts__c="SELECT * FROM marts.a",
            marts__d="SELECT * FROM marts.a",
        )


def test_a_file_that_is_no_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="snake_case"):
        load_models(write(tmp_path, staging__Chips="SELECT 1 AS a"))


def test_order_follows_what_the_sql_reads_and_ties_are_by_name(tmp_path: Path) -> None:
    models = load(
        tmp_path,
        marts__z="SELECT * FROM staging.a JOIN staging.b USING (k), repository.t",
        marts__a="SELECT * FROM marts.z WHERE EXISTS (SELECT 1 FROM repository.u)",
        staging__b="SELECT 1 AS k",
        staging__a="SELECT * FROM repository.t UNION ALL FROM repository.v",
    )
    assert list(models) == ["staging.a", "staging.b", "marts.z", "marts.a"]
    assert models["marts.z"].depends_on == ("staging.a", "staging.b")
    assert models["marts.z"].reads == ("repository.t",)
    assert models["marts.a"].reads == ("repository.u",)
    assert models["staging.a"].reads == ("repository.t", "repository.v")


def test_a_common_table_expression_is_no_table_and_hides_none(tmp_path: Path) -> None:
    sql = """
        WITH RECURSIVE b AS (SELECT * FROM staging.b), r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3)
        SELECT * FROM B, r, (WITH c AS (SELECT 1) SELECT * FROM c, unnest([1]) AS u)
    """
    assert load(tmp_path, staging__b="SELECT 1 AS a", marts__m=sql)["marts.m"].depends_on == ("staging.b",)


def fingerprint(folder: Path, sql: str, *, kind: str = "view", upstream: str = "SELECT 1 AS a") -> str:
    text = HEADER.replace("view", kind) + sql
    return load(folder, staging__b=upstream, marts__m=text)["marts.m"].fingerprint


def test_a_fingerprint_ignores_layout_and_comments_and_nothing_else(tmp_path: Path) -> None:
    sql = "SELECT a + 1 AS a FROM staging.b WHERE a > coalesce(getvariable('x'), 2)"
    same = "-- why\nselect a+1 /* plus */ as a\nfrom staging.b\n\nwhere a > COALESCE(getvariable('x'), 2);"
    first = fingerprint(tmp_path, sql)
    assert fingerprint(tmp_path, same) == first
    others = {
        fingerprint(tmp_path, sql.replace("2)", "3)")),
        fingerprint(tmp_path, sql, kind="table"),
        fingerprint(tmp_path, sql, upstream="SELECT 2 AS a"),
        fingerprint(tmp_path, sql.replace("AS a", "AS c")),
    }
    assert len(others | {first}) == 5
