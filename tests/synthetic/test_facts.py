"""Sentences say their rows and nothing else: rendered one way, read back another, every change of a digit found."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from warehouse.contracts import Reject
from warehouse.errors import RecipeError, UsageError
from warehouse.synthetic import Composed, FactsRecipe, compose, disagreement, load_synthetic, statement_rows
from warehouse.synthetic.readback import read
from warehouse.synthetic.templates import places, plain, rendered

NUMBER = st.one_of(
    st.integers(-(10**15), 10**15),
    st.floats(-1e12, 1e12, allow_nan=False),
    st.decimals(-(10**9), 10**9, allow_nan=False, places=3),
)
FORMS = ["{v:.1f}", "{v:,.2f}", "{v:.0f}", "{v:.1%}", "{v:,.0%}"]


@given(NUMBER, st.sampled_from(FORMS))
def test_every_written_number_reads_back_within_half_a_unit_of_its_last_digit(value: Any, form: str) -> None:
    sentence = rendered(f"It is {form} there.", {"v": value})
    assert disagreement(f"It is {form} there.", sentence, {"v": plain(value)}) is None


@given(st.integers(-(10**18), 10**18), st.dates(), st.sampled_from(["", ":,"]))
def test_whole_numbers_and_dates_read_back_exactly(value: int, day: date, form: str) -> None:
    template = "On {d:date}, {v" + form + "}."
    sentence = rendered(template, {"v": value, "d": day})
    assert disagreement(template, sentence, {"v": value, "d": day.isoformat()}) is None
    assert disagreement(template, sentence, {"v": value + 1, "d": day.isoformat()}) is not None


@given(st.floats(1, 1e9, allow_nan=False), st.integers(0, 30), st.integers(1, 9))
def test_any_changed_digit_is_found(value: float, at: int, step: int) -> None:
    template = "A total of {v:,.2f} units."
    sentence = rendered(template, {"v": value})
    digits = [place for place, sign in enumerate(sentence) if sign.isdigit()]
    place = digits[at % len(digits)]
    other = str((int(sentence[place]) + step) % 10)
    changed = sentence[:place] + other + sentence[place + 1 :]
    assume(abs(float(changed.split()[3].replace(",", "")) - value) > 0.006)
    assert disagreement(template, changed, {"v": value}) is not None


@pytest.mark.parametrize(
    ("value", "form", "written"),
    [
        (0.125, ".0%", "12%"),
        (0.375, ".0%", "38%"),
        (Decimal("0.125"), ".1%", "12.5%"),
        (1234567, ",", "1,234,567"),
        (-0.25, ".1f", "-0.2"),
        (2.675, ".2f", "2.67"),  # the double is a little less
    ],
)
def test_numbers_are_written_from_their_exact_value_half_to_even(value: Any, form: str, written: str) -> None:
    assert rendered(f"{{v:{form}}}", {"v": value}) == written


def test_a_quarter_is_named_only_by_its_first_day() -> None:
    template = "In {q:quarter}, {n} came."
    assert rendered(template, {"q": date(2025, 10, 1), "n": 3}) == "In Q4 2025, 3 came."
    assert disagreement(template, "In Q4 2025, 3 came.", {"q": "2025-10-01", "n": 3}) is None
    assert "q is 'Q4 2025'" in str(disagreement(template, "In Q4 2025, 3 came.", {"q": "2025-11-01", "n": 3}))


def test_what_is_no_such_sentence_is_not_read() -> None:
    assert read("{n:,} chips", "1,234 chips.") is None
    assert read("{n:,} chips", "12,34 chips") is None
    assert read("{d:date}", "31 February 2024") == {"d:date": "31 February 2024"}
    assert disagreement("{d:date}", "31 February 2024", {"d": "2024-02-29"}) is not None
    assert read("{n} is {n}", "1 is 2") is None
    assert disagreement("{n} chips", "5 chips", {}) is not None
    assert disagreement("{n:,} chips", "5 chips", {"n": None}) is not None


@pytest.mark.parametrize("template", ["no value", "{a", "{a:x}", "{A}", "{a:.1f} }", "{a:{b}}", "{}"])
def test_a_template_that_is_none_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="Allowed"):
        places(template)


RECIPE = """\
kind: facts
licence: CC0-1.0
document: [owner]
title: Chips of {owner}
max_reject_share: 0.5
facts:
  units:
    select: SELECT 1
    key: [owner, day]
    sentences: ["{owner} has {units:,} chips on {day:date}.", "On {day:date}, {owner} counted {units:,} chips."]
  power:
    select: SELECT 2
    key: [owner]
    sentences: ["They draw {mw:.1f} megawatts.", "The chips of {owner} draw {mw:.2f} megawatts."]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> FactsRecipe:
    (tmp_path / "chips.yaml").write_text(RECIPE)
    made = load_synthetic(tmp_path / "chips.yaml")
    assert isinstance(made, FactsRecipe)
    return made


def rows(owners: str = "AB", units: int = 1200) -> dict[str, pa.Table]:
    days = [date(2024, 1, 1), date(2024, 4, 1), date(2024, 7, 1)]
    named = [(owner, day) for owner in owners for day in days]
    counts = [units + at for at in range(len(named))]
    return {
        "units": pa.table({"owner": [o for o, _ in named], "day": [day for _, day in named], "units": counts}),
        "power": pa.table({"owner": list(owners), "mw": [math.pi * (at + 1) for at in range(len(owners))]}),
    }


def sentences(made: Composed) -> list[str]:
    return [made.text[each.start : each.stop] for each in made.statements]


def test_every_character_is_in_a_statement_or_between_two_and_every_row_is_stated(recipe: FactsRecipe) -> None:
    made = compose(recipe, rows())
    assert [each.uri for each in made] == ["synthetic/chips/A", "synthetic/chips/B"]
    for each in made:
        units, power = sentences(each)[:3], sentences(each)[3:]
        assert each.text == " ".join(units) + "\n\n" + " ".join(power) and len(power) == 1
        keys = [json.dumps(said.key) for said in each.statements]
        assert keys == [*sorted(keys[:3]), json.dumps({"owner": each.uri[-1]})]
        assert len({s.template for s in each.statements[:3]}) == 2  # wordings alternate
        assert not each.rejects and each.title == f"Chips of {each.uri[-1]}"
        for said in each.statements:
            assert disagreement(said.template, each.text[said.start : said.stop], said.values) is None


def test_a_document_hangs_on_its_own_facts_alone(recipe: FactsRecipe) -> None:
    alone = {name: table.filter(pa.compute.equal(table["owner"], "B")) for name, table in rows().items()}
    shuffled = {name: table.take(list(range(table.num_rows))[::-1]) for name, table in rows().items()}
    assert compose(recipe, rows()) == compose(recipe, shuffled)
    assert compose(recipe, alone) == compose(recipe, rows())[1:]
    changed = compose(recipe, rows(units=7))
    assert [a.facts != b.facts and a.text != b.text for a, b in zip(changed, compose(recipe, rows()), strict=True)] == [
        True
    ] * 2


def test_a_name_that_makes_a_sentence_ambiguous_is_a_reject_and_not_in_the_text(recipe: FactsRecipe) -> None:
    fact = replace(recipe.facts[1], sentences=("{owner} and {friend} draw {mw:.1f} megawatts.",))
    table = pa.table({"owner": ["A and B", "C"], "friend": ["D", "E"], "mw": [1.0, 2.0]})
    first, second = compose(replace(recipe, facts=(fact,)), {"power": table})
    assert (first.text, second.text) == ("", "C and E draw 2.0 megawatts.")
    (reject,) = first.readings()
    assert isinstance(reject, Reject) and reject.reason == "not_read_back" and "'A' in the text" in reject.message
    assert reject.first_bytes == b"A and B and D draw 1.0 megawatts."


def test_a_null_takes_another_wording_or_is_a_reject(recipe: FactsRecipe) -> None:
    fact = replace(recipe.facts[1], sentences=("{owner}: {mw:.1f} megawatts.", "{owner} of {land} is there."))
    table = pa.table({"owner": ["A", "B", "C"], "mw": [1.0, None, None], "land": ["X", "Y", None]})
    made = compose(replace(recipe, facts=(fact,)), {"power": table})
    assert [each.text for each in made][1:] == ["B of Y is there.", ""]
    assert [reject.reason for reject in made[2].rejects] == ["no_sentence_fits"]


def test_of_equal_texts_one_is_kept_and_the_others_are_rejects(recipe: FactsRecipe) -> None:
    fact = replace(recipe.facts[1], sentences=("They draw {mw:.1f} megawatts.",))
    made = compose(replace(recipe, facts=(fact,)), {"power": pa.table({"owner": ["A", "B"], "mw": [1.01, 1.04]})})
    assert [(len(each.statements), [reject.reason for reject in each.rejects]) for each in made] == [
        (1, []),
        (0, ["duplicate_text"]),
    ]


@pytest.mark.parametrize(
    ("power", "message"),
    [
        ({"owner": ["A"], "mw": ["x"]}, r"chips\.yaml:12: \{mw\} is string"),
        ({"owner": ["A"], "kw": [1.0]}, r"\{mw\}: no such column"),
        ({"owner": ["A", "A"], "mw": [1.0, 2.0]}, r"2 rows but 1 of owner"),
        ({"owner": ["A", None], "mw": [1.0, 2.0]}, r"owner is null in 1 rows"),
        ({"mw": [1.0]}, r"no column 'owner'"),
    ],
)
def test_rows_that_cannot_be_said_are_refused_with_the_line(
    recipe: FactsRecipe, power: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        compose(recipe, {**rows(), "power": pa.table(power)})


def test_a_statement_row_leads_to_its_row_and_versions(recipe: FactsRecipe) -> None:
    made = compose(recipe, rows())[0]
    reads = {"units": "marts.units", "power": "marts.power"}
    listed = statement_rows("chips", "d", "s", made, reads=reads, inputs={"b": 2, "a": 1})
    assert [row["ordinal"] for row in listed] == [0, 1, 2, 3]
    assert json.loads(listed[3]["row_key"]) == {"owner": "A"} and listed[3]["reads"] == "marts.power"
    assert listed[0]["inputs"] == '{"a":1,"b":2}'
