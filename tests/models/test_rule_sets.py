"""A rule set that cannot decide is refused with its own file, before anything is decided by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse import query
from warehouse.errors import RecipeError
from warehouse.models import build, load_models

HEADER = "/* model\ndescription: d\nkind: view\ngrain: [doc_id]\nowner: team:x\n{more}*/\n"
BUILT_IN = "SELECT doc_id, [{'reason': 'short', 'value': 1.0, 'threshold': 2.0, 'failed': words < 2}] AS rules"
FILES = {
    "staging/current_documents": "SELECT doc_id, 's' AS source, 0 AS keep_rank FROM repository.t",
    "staging/current_signals": "SELECT doc_id, words FROM repository.t WHERE words IS NOT NULL",
    "curation/house": f"{BUILT_IN} FROM staging.current_signals",
    "curation/rules": """
        SELECT doc_id, source, keep_rank, 'house' AS rule_set, rules,
               list_filter(rules, lambda rule: rule.failed)[1] AS failure
        FROM staging.current_documents JOIN curation.house USING (doc_id)""",
}
RULE = {"reason": "'few'", "value": "words", "threshold": "2.5", "failed": "words < 3"}


@pytest.fixture
def con() -> Iterator[query.Connection]:
    with query.connect() as con:
        con.execute("ATTACH ':memory:' AS repository")
        con.execute("CREATE TABLE repository.words AS SELECT 'd' || range AS doc_id, range AS words FROM range(5)")
        con.execute("CREATE VIEW repository.t AS FROM repository.words UNION ALL SELECT 'new', NULL")
        yield con


def built(con: query.Connection, folder: Path, **files: str) -> None:
    """The models of FILES and these, ``<schema>__<name>``; a SELECT that ends in a set's name is that rule set."""
    given = FILES | {name.replace("__", "/"): sql for name, sql in files.items()}
    for name, sql in given.items():
        path = folder / f"{name}.sql"
        path.parent.mkdir(exist_ok=True, parents=True)
        select, _, rule_set = sql.partition(" AS SET ")
        path.write_text(HEADER.format(more=f"rule_set: {rule_set}\n" if rule_set else "") + select)
    list(build(con, load_models(folder.rglob("*.sql"))))


def mine(columns: str, where: str = "") -> str:
    return f"SELECT doc_id, {columns} FROM staging.current_signals {where} AS SET mine"


def one(**fields: str) -> str:
    """A list of one rule, with these fields in place of its own; "" leaves one out."""
    given = {name: value for name, value in (RULE | fields).items() if value}
    return f"[{{{', '.join(f'{name!r}: {value}' for name, value in given.items())}}}] AS rules"


REFUSED = {
    "no column": (mine("words"), 8, "no column 'rules'"),
    "no document": ("SELECT 1 AS doc, [] AS rules AS SET mine", 4, "no column 'doc_id'"),
    "no list": (mine("words AS rules"), 8, "rules is int64, no list of structs"),
    "a list of numbers": (mine("[words] AS rules"), 8, "no list of structs"),
    "a field too few": (mine(one(failed="")), 8, "have the fields reason, value, threshold"),
    "a field too many": (mine(one(note="1")), 8, "threshold, failed, note"),
    "text for a value": (mine(one(value="'much'")), 8, "value in rules is string"),
    "a number for a reason": (mine(one(reason="3")), 8, "reason in rules is int32"),
    "a number for a verdict": (mine(one(failed="1")), 8, "failed in rules is int32"),
    "documents left out": (mine(one(), "WHERE words > 1"), 8, "no row for 2 documents, such as d0"),
    "no rules for some": (mine(f"CASE WHEN words > 0 THEN {one().removesuffix(' AS rules')} END AS rules"), 8,
                          "rules is NULL for document d0"),
    "an unknown verdict": (mine(one(failed="nullif(words, 4) > 9")), 8, "few: failed is NULL for document d4"),
    "an unknown reason": (mine(one(reason="nullif('few', 'few')")), 8, "reason in rules is NULL for 5 documents"),
    "a reason of two words": (mine(one(reason="'Few words'")), 8, "the reason 'Few words' for 5 documents"),
    "a drop without a value": (mine(one(value="nullif(words, 1)")), 8, "its value is NULL for document d1"),
    "a drop without a limit": (mine(one(threshold="nullif(words, 0)")), 8, "its threshold is NULL for document d0"),
    "what DuckDB refuses": (mine(one(value="CAST('x' || words AS INT)")), 8, "Could not convert string"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_rule_set_that_cannot_decide_is_refused_with_its_file(con: query.Connection, tmp_path: Path, case: str):
    sql, line, said = REFUSED[case]
    with pytest.raises(RecipeError) as refused:
        built(con, tmp_path, curation__mine=sql)
    assert str(refused.value).startswith(f"{tmp_path}/curation/mine.sql:{line}: "), str(refused.value)
    assert said in str(refused.value)


def test_one_that_can_decides_and_a_document_that_is_not_measured_is_unmeasured(con: query.Connection, tmp_path: Path):
    built(con, tmp_path, curation__mine=mine(one(failed="coalesce(nullif(words, 4) < 3, true)")))
    sql = "SELECT doc_id, failure.reason FROM curation.rules WHERE rule_set = 'mine' ORDER BY doc_id"
    few = {"d0": "few", "d1": "few", "d2": "few", "d3": None, "d4": "few"}
    assert dict(query.fetch_all(con, sql)) == few | {"new": "unmeasured"}


def test_a_built_in_set_that_a_project_replaces_is_held_to_the_same(con: query.Connection, tmp_path: Path):
    with pytest.raises(RecipeError, match=r"curation/house\.sql:7: no row for 3 documents, such as d0"):
        built(con, tmp_path, curation__house=f"{BUILT_IN} FROM staging.current_signals WHERE words > 2")


@pytest.mark.parametrize("name", ["house", "gopher", "c4", "fineweb"])
def test_a_name_that_is_built_in_is_refused(con: query.Connection, tmp_path: Path, name: str):
    with pytest.raises(RecipeError, match=rf"mine\.sql:6: the rule set '{name}' is built in"):
        built(con, tmp_path, curation__mine=mine(one()).replace("SET mine", f"SET {name}"))


def test_two_files_of_one_name_are_refused_with_both(con: query.Connection, tmp_path: Path):
    with pytest.raises(RecipeError, match=r"yours\.sql:6: the rule set 'mine' is also .*mine\.sql"):
        built(con, tmp_path, curation__mine=mine(one()), curation__yours=mine(one()))
