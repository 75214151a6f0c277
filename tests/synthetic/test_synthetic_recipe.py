"""What is wrong in a synthetic recipe is refused with its line; what is made from synthetic rows, with its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from warehouse.errors import RecipeError
from warehouse.synthetic import FactsRecipe, Fineness, RowsRecipe, inputs_of, load_synthetic

FACTS = """\
kind: facts
licence: MIT
document: [a]
title: "{a}"
facts:
  one:
    select: SELECT 1 AS a
    key: [a]
    sentences: ["{a} is one."]
"""
TABLE = "kind: table\nselect: SELECT 1 AS a\nrows: 5\n"


def loaded(folder: Path, text: str, name: str = "mine") -> FactsRecipe | RowsRecipe:
    path = folder / f"{name}.yaml"
    path.write_text(text, "utf-8")
    return load_synthetic(path)


def test_both_kinds_are_read_with_their_defaults(tmp_path: Path) -> None:
    facts, table = loaded(tmp_path, FACTS), loaded(tmp_path, TABLE + "columns: {a: [0, 1]}\nbins: 8\n")
    assert isinstance(facts, FactsRecipe) and isinstance(table, RowsRecipe)
    assert (facts.name, facts.facts[0].at[-6:], facts.max_reject_share) == ("mine", "yaml:7", 0.05)
    assert (table.table, table.max_parents, table.holdout, table.fineness) == (
        "synthetic_mine",
        3,
        0.2,
        Fineness(bins=8),
    )
    assert table.columns == {"a": (0, 1)} and table.selects == ((table.select, table.at),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FACTS.replace("facts\n", "fact\n", 1), r"mine\.yaml:1: kind is 'fact'. Allowed: facts, table"),
        (FACTS.replace("licence: MIT\n", ""), r"mine\.yaml:1: no licence"),
        (FACTS.replace('"{a}"', '"{b}"'), r"mine\.yaml:4: \{b\} in the title. Allowed: \{a\}"),
        (FACTS.replace("{a} is one", "{a} is {one"), r"mine\.yaml:9: a brace alone"),
        (FACTS.replace("{a} is one", "a is one"), r"mine\.yaml:9: a sentence without a value"),
        (FACTS.replace("{a} is one", "{a:>9} is one"), r"mine\.yaml:9: format '>9'"),
        (FACTS.replace("    key: [a]\n", ""), r"mine\.yaml:6: no key"),
        (FACTS + "rows: 3\n", r"mine\.yaml:10: unknown key 'rows'"),
        (TABLE.replace("5", "0"), r"mine\.yaml:3: rows is 0"),
        (TABLE + "max_parents: 4\n", r"mine\.yaml:4: max_parents is 4. Allowed: a whole number from 0 to 3"),
        (TABLE + "columns: {a: [3, 1]}\n", r"mine\.yaml:4: a is \[3, 1\]"),
        (TABLE + "columns: {a: [true]}\n", r"mine\.yaml:4: a is \[True\]"),
        (TABLE + "columns: {a: [x, x]}\n", r"mine\.yaml:4: a is \['x', 'x'\]"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        loaded(tmp_path, text)


def test_a_name_that_no_table_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="name 'Mine'"):
        loaded(tmp_path, TABLE, "Mine")


MODELS = {
    "marts.good": ["staging.chips", "repository.grids"],
    "staging.chips": ["repository.chips"],
    "marts.bad": ["marts.good", "marts.worse"],
    "marts.worse": ["repository.synthetic_trace"],
    "marts.texts": ["repository.documents"],
}


def test_what_is_read_is_followed_to_its_tables() -> None:
    selects = [("r.yaml:3", ["marts.good"]), ("r.yaml:9", ["repository.trace"])]
    assert inputs_of(selects, MODELS, {"chips", "grids", "trace"}) == (
        ["marts.good", "staging.chips"],
        ["chips", "grids", "trace"],
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "marts.bad",
            r"r\.yaml:3: reads marts\.bad, which reads marts\.worse, which reads repository\.synthetic_trace",
        ),
        ("marts.texts", r"reads marts\.texts, which reads repository\.documents: it holds synthetic text"),
        ("repository.features_x", r"reads repository\.features_x: it may hold synthetic rows"),
        ("repository.nothing", r"no typed table that a source here writes.*Allowed: .*chips, grids"),
        ("marts.nothing", r"no model of this project"),
    ],
)
def test_what_is_or_may_be_synthetic_is_refused_with_the_path_of_names(name: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        inputs_of([("r.yaml:3", [name])], MODELS, {"chips", "grids"})
