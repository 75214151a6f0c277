"""A recipe that is not as it should be is refused with its file and line, and what is allowed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from warehouse.datasets import DatasetRecipe, Given, Mixture, Train, load_recipe
from warehouse.datasets.recipe import resolved
from warehouse.errors import RecipeError

GOOD = """\
select: SELECT doc_id FROM repository.documents
splits: {train: 0.95, validation: 0.05}
tokenizer:
  train: {vocab_size: 512, max_bytes: 1000}
sequence_length: 128
"""
MIXED = GOOD + "mixture:\n  tokens: 9000\n  "
BY_TIME = GOOD + "split_by: time\ntime: known_at\n"
UNTIL = BY_TIME.replace("splits: {train: 0.95, validation: 0.05}\n", "description: By date.\n") + "until: "


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, "utf-8")
    return path


def test_defaults_are_filled_in_and_the_name_is_the_files(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD))
    assert (recipe.name, recipe.packing, recipe.shards, recipe.max_synthetic_share) == ("mine", "best_fit", 1, 0.30)
    assert recipe.splits == (("train", 0.95), ("validation", 0.05))
    assert recipe.tokenizer == Train(512, 1000)
    assert recipe.at.endswith("mine.yaml:1")


def test_a_resolved_recipe_is_the_same_recipe(tmp_path: Path, recipe: DatasetRecipe) -> None:
    odd = replace(recipe, select="SELECT doc_id -- ünï\nFROM t WHERE x = 'a: b'", rule_set="house", cluster="md5(text)")
    given = replace(odd, packing="concatenate", tokenizer=Given(tmp_path / "tokenizer.json", eos="</s>"))
    by_time = replace(odd, split_by="time", time="published_at")
    ends = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, 12, 30, tzinfo=UTC))
    dated = replace(by_time, splits=(("train", 0.0), ("test", 0.0)), until=ends)
    mixed = replace(odd, mixture=Mixture(10**9, weights=(("web: a", 0.25), ("no", 0.75)), epochs=(("no", 3),)))
    tempered = replace(odd, mixture=Mixture(5, by="topic", temperature=2.5, epochs=4))
    for one in (odd, given, replace(odd, targets=("jsonl", "mds")), by_time, dated, mixed, tempered):
        assert load_recipe(write(tmp_path, resolved(one))) == one


def test_the_recipes_of_the_project_load(checkout: Path) -> None:
    found = [load_recipe(path) for path in sorted((checkout / "recipes" / "datasets").glob("*.yaml"))]
    assert "demo_corpus" in [recipe.name for recipe in found]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "sequence_lenght: 4\n", r"mine.yaml:6: unknown key 'sequence_lenght'.*did you mean 'sequence_length'"),
        (GOOD.replace("vocab_size", "vocabsize"), r"mine.yaml:4: unknown key 'vocabsize'.*did you mean 'vocab_size'"),
        (GOOD.replace("0.05", "0.06"), r"mine.yaml:2: shares that add up to 1.01"),
        (GOOD.replace("0.05", "yes"), r"mine.yaml:2: validation is True"),
        (GOOD.replace("{train: 0.95, validation: 0.05}", "[train]"), r"mine.yaml:2: splits is \['train'\]"),
        (GOOD.replace("128", "one"), r"mine.yaml:5: sequence_length is 'one'.*whole number from 2"),
        (GOOD.replace("128", "1.5"), r"mine.yaml:5: sequence_length is 1.5"),
        (GOOD + "seed: -1\n", r"mine.yaml:6: seed is -1"),
        (GOOD + "packing: tetris\n", r"mine.yaml:6: packing is 'tetris'.*best_fit, concatenate"),
        (GOOD + "shards: 0\n", r"mine.yaml:6: shards is 0"),
        (GOOD + "targets: mds\n", r"mine.yaml:6: targets is 'mds'.*a list of mds, litdata, webdataset, parquet, jsonl"),
        (GOOD + "targets: [mds, tfrecord]\n", r"mine.yaml:6: targets is \['mds', 'tfrecord'\]"),
        (GOOD + "targets: [mds, [jsonl]]\n", r"mine.yaml:6: targets is \['mds', \['jsonl'\]\]"),
        (GOOD + "targets: [mds, mds]\n", r"mine.yaml:6: targets is \['mds', 'mds'\].*each once"),
        (GOOD + "name: ../up\n", r"mine.yaml:6: name '../up'"),
        (GOOD + "max_synthetic_share: 0.31\n", r"mine.yaml:6: max_synthetic_share is 0.31.*a share from 0 to 0.3"),
        (MIXED + "weights: {a: 0.5, b: 0.6}\n", r"mine.yaml:8: shares that add up to 1.1"),
        (MIXED + "weights:\n    a: 2\n", r"mine.yaml:9: a is 2.*a share from 0 to 1"),
        (MIXED + "weights: {no: 1}\n", r"mine.yaml:8: group False.*texts.*quotes"),
        (MIXED + "weights: 1\n", r"mine.yaml:8: weights is 1"),
        (MIXED + "temperature: 0.5\n", r"mine.yaml:8: temperature is 0.5"),
        (MIXED + "temperature: 2\n  weights: {a: 1}\n", r"mine.yaml:6: mixture with weights and temperature.*one of"),
        (MIXED + "epochs: 2\n", r"mine.yaml:6: mixture with neither"),
        (MIXED + "temperature: 2\n  epochs: 0\n", r"mine.yaml:9: epochs is 0.*from 1 to 1,000"),
        (MIXED + "temperature: 2\n  epochs: {a: 1.5}\n", r"mine.yaml:9: a is 1.5"),
        (MIXED + "temperature: 2\n  by: ''\n", r"mine.yaml:9: by is ''"),
        (MIXED.replace("9000", "50M") + "temperature: 2\n", r"mine.yaml:7: tokens is '50M'.*a whole number"),
        (MIXED + "temprature: 2\n", r"mine.yaml:8: unknown key 'temprature'.*'temperature'"),
        (GOOD + "mixture: {temperature: 1}\n", r"mine.yaml:6: no tokens"),
        (GOOD + "mixture: natural\n", r"mine.yaml:6: mixture is 'natural'"),
        (GOOD + "max_generation: 2\n", r"mine.yaml:6: max_generation is 2.*a whole number from 0 to 1"),
        (GOOD + "split_by: entity\n", r"mine.yaml:6: split_by is 'entity'.*cluster, time"),
        (GOOD + "split_by: time\n", r"mine.yaml:6: split_by time without time"),
        (GOOD + "time: known_at\n", r"mine.yaml:6: time without split_by"),
        (GOOD + "until: {train: 2026-01-01}\n", r"mine.yaml:6: until without split_by"),
        (BY_TIME + "until: {train: 2026-01-01}\n", r"mine.yaml:8: until beside splits.*remove one"),
        (UNTIL + "{train: soon}\n", r"mine.yaml:8: train is 'soon'.*2026-01-01"),
        (UNTIL + "[2026-01-01]\n", r"mine.yaml:8: until is \[datetime"),
        (UNTIL + "{Train: 2026-01-01}\n", r"mine.yaml:8: split 'Train'"),
        (
            UNTIL + "\n  a: 2026-01-02\n  test: 2026-01-01\n",
            r"mine.yaml:10: test ends 2026-01-01T.*after 2026",
        ),
        (UNTIL + "{train: 2026-13-01}\n", r"mine.yaml:1: cannot be read: month must be in 1..12"),
        (GOOD + "seed: 1\nseed: 2\n", r"mine.yaml:7: key 'seed' again"),
        (GOOD + "tokenizer: {}\n", r"mine.yaml:6: key 'tokenizer' again"),
        ("splits: {train: 1}\n", r"mine.yaml:1: no select"),
        ("select: SELECT 1\ntokenizer: {file: a, train: {}}\n", r"mine.yaml:2: unknown key 'file'"),
        ("select: SELECT 1\ntokenizer: {eos: a}\n", r"mine.yaml:2: a tokenizer without train or file"),
        ("select: ''\n", r"mine.yaml:1: select is ''"),
        ("- 1\n", r"mine.yaml:1: not a mapping"),
        ("", r"mine.yaml:1: not a mapping"),
        ("a: [1\nb: 2\n", r"mine.yaml:2: "),
        ("select: 1: 2\n", r"mine.yaml:1: "),
        ("? {a: b}\n: 1\n", r"mine.yaml:1: "),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none.yaml:1: cannot be read"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match=r"mine.yaml:1: cannot be read"):
        load_recipe(tmp_path / "mine.yaml")
