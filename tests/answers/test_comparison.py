"""What diff says of two releases is what was planted, with the reasons of their snapshots, and it adds up."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from decided_project import decided_project, more_documents, published_again, row

from pipelines.export import export
from warehouse.answers.absence import Why
from warehouse.answers.comparison import Comparison, compare
from warehouse.datasets import DatasetRecipe, Given, Mixture, Release, Train
from warehouse.errors import NotFound
from warehouse.project import Project
from warehouse.repository import TAKEDOWNS, Repository, keyed_hash

RECIPE = DatasetRecipe(
    name="made",
    select="SELECT doc_id FROM curation.decisions WHERE rule_set = 'house' AND kept AND source <> 'late'",
    rule_set="house",
    splits=(("train", 0.7), ("validation", 0.3)),
    tokenizer=Train(vocab_size=300),
    sequence_length=32,
    shards=4,
)
LATER = datetime(2026, 2, 1, tzinfo=UTC)


WORDS = (
    "the of and to that with have be people water house morning small river walk slowly garden "
    "because winter long road mother letter write about never again old tree under stone bridge "
    "market where bread was sold every day children sing before school window open light evening "
    "quiet after dinner father reading his paper while snow fell over town"
)


def prose(name: str, count: int = 90) -> str:
    """Words that the house keeps; no two names share many runs of them."""
    chance, words = random.Random(name), WORDS.split()
    return " ".join(chance.choice(words) for _ in range(count)) + f" {name}."


def document(name: str, text: str | None = None, **values: Any) -> dict[str, Any]:
    return row(name, text or prose(name), source=values.pop("source", "one"), licence="MIT") | values


FIRST = {name: document(name) for name in ("stays", "again", "edited", "gone", "licensed", "other")} | {
    "short": document("short", prose("short", 56)),
    "copied": document("copied", licence=None),
    "mail": document("mail", prose("mail") + " Write to ann.smith@firmwide.com. " + prose("liam")),
    "late": document("late", source="late"),
    "unwanted": document("unwanted", source="two"),
}
SECOND = {
    "edited": document("edited", prose("edited") + " And a word more.", known_at=LATER),
    "page": document("gone", prose("page"), record="1", known_at=LATER),
    "licensed": FIRST["licensed"] | {"licence": "CC0-1.0", "known_at": LATER},
    "copy": document("copy", FIRST["copied"]["text"], known_at=LATER),
    "new": document("new", known_at=LATER),
}


def released(project: Project, recipe: DatasetRecipe) -> Release[Any]:
    return export(project, recipe, env="prod", processes=1, run_id="run")


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Release[Any], Release[Any]]:
    """Two versions between which all of it happened; the second takes the tokenizer of the first."""
    project = decided_project(tmp_path_factory.mktemp("diff") / "project", list(FIRST.values()))
    one = released(project, RECIPE)
    rows = list(SECOND.values())
    rows[1] |= {"doc_id": rows[1]["doc_id"][::-1]}  # of another record
    more_documents(project, rows)
    published_again(project, house_min_words=60)
    select = RECIPE.select.replace("<> 'late'", "<> 'two'")
    given = Given(one.path / "recipe" / "tokenizer.json")
    return project, one, released(project, replace(RECIPE, select=select, tokenizer=given, mask=("email",)))


@pytest.fixture(scope="module")
def found(versions: tuple[Project, Release[Any], Release[Any]]) -> Comparison:
    project, one, other = versions
    return compare(project, one.path, other.path)


def whys(items: tuple[Any, ...]) -> Mapping[str, Why]:
    return {(item.after or item.before).uri: item.why for item in items}


def test_every_removal_has_the_reason_that_was_planted(found: Comparison) -> None:
    removed = whys(found.removed)
    assert set(removed) == {"gone", "short", "copied", "unwanted"}
    assert removed["gone"] == Why("not_current", other=SECOND["page"]["doc_id"])
    assert (removed["short"].reason, removed["short"].threshold) == ("gopher_short_doc", 60)
    assert removed["copied"] == Why("duplicate_document", "house", other=SECOND["copy"]["doc_id"])
    assert removed["unwanted"] == Why("not_selected")
    assert found.before.exact and found.after.exact


def test_every_addition_has_the_reason_for_which_it_was_not_there(found: Comparison) -> None:
    kinds = {(item.after.uri, item.after.record): item.why.reason for item in found.added}
    new = dict.fromkeys([("new", "0"), ("copy", "0"), ("gone", "1")], "not_in_repository")
    assert kinds == new | {("late", "0"): "not_selected"}


def test_what_stands_in_both_but_differs_says_how(found: Comparison) -> None:
    changed = {item.after.uri: item for item in found.changed}
    assert {uri: item.what for uri, item in changed.items()} == {
        "edited": ("text",),
        "licensed": ("licence",),
        "mail": ("masked",),
    }
    assert changed["edited"].before.doc_id != changed["edited"].after.doc_id
    assert (changed["licensed"].before.licence, changed["licensed"].after.licence) == ("MIT", "CC0-1.0")


def test_sums_by_every_dimension_lead_from_one_release_to_the_other(
    found: Comparison, versions: tuple[Project, Release[Any], Release[Any]]
) -> None:
    sides = [pq.read_table(release.path / "documents.parquet").to_pylist() for release in versions[1:]]
    for name, values in found.by.items():
        for value in {each[name] or "unknown" for side in sides for each in side}:
            one, other = ([each for each in side if (each[name] or "unknown") == value] for side in sides)
            balance = values.get(value)
            for key, count in (("documents", lambda each: 1), ("tokens", lambda each: each["tokens"])):
                moved = 0
                if balance:
                    came = getattr(balance.added, key) + getattr(balance.changed_after, key)
                    moved = came - getattr(balance.removed, key) - getattr(balance.changed_before, key)
                assert sum(map(count, other)) - sum(map(count, one)) == moved, (name, value, key)


def test_recipe_inputs_and_shards_are_compared(
    found: Comparison, versions: tuple[Project, Release[Any], Release[Any]]
) -> None:
    assert set(found.recipe) == {"select", "tokenizer", "pii"}
    assert found.recipe["pii"] == (None, {"mask": ["email"]})
    assert found.inputs["documents"] == (0, 1) and found.tokenizer and not found.models
    files = [release.manifest.files for release in versions[1:]]
    equal = {name for name in files[0] if name.endswith(".bin") and files[0][name].sha256 == files[1][name].sha256}
    assert equal <= set(found.shards.same) and not equal & set(found.shards.changed)
    assert len(found.shards.same) + len(found.shards.changed) == 8


def test_the_other_way_round_is_the_mirror_image(
    found: Comparison, versions: tuple[Project, Release[Any], Release[Any]]
) -> None:
    project, one, other = versions
    back = compare(project, other.path, one.path)
    assert whys(back.removed) == whys(found.added) and whys(back.added) == whys(found.removed)
    assert [(item.after, item.before) for item in back.changed] == [(i.before, i.after) for i in found.changed]
    same = compare(project, one.path, one.path)
    assert not (same.added or same.removed or same.changed or same.recipe or same.inputs or same.by["source"])
    assert not same.shards.changed


def test_of_mixtures_a_document_is_one_however_often_it_goes_out(tmp_path: Path) -> None:
    project = decided_project(tmp_path / "project", [document(f"d{n}", source="one" if n else "two") for n in range(9)])
    one = released(project, replace(RECIPE, splits=(("train", 1.0),)))
    given = Given(one.path / "recipe" / "tokenizer.json")
    rows = pq.read_table(one.path / "documents.parquet").to_pylist()
    [single] = [each["tokens"] for each in rows if each["uri"] == "d0"]
    whole = replace(RECIPE, splits=(("train", 1.0),), tokenizer=given)
    weights = (("one", 0.25), ("two", 0.75))
    other = released(project, replace(whole, mixture=Mixture(4 * single, weights=weights, epochs=3)))
    found = compare(project, one.path, other.path)
    [more] = found.changed
    assert (more.before.uri, more.what) == ("d0", ("copies",))
    assert (more.before.tokens, more.after.tokens) == (single, 3 * single)
    assert (found.before.documents, found.after.documents) == (9, 9 - len(found.removed))
    assert set(whys(found.removed).values()) == {Why("not_taken")} and not found.added
    for name, balance in found.by["source"].items():
        counts = [side.manifest.composition["source"].get(name, {"tokens": 0})["tokens"] for side in (one, other)]
        came = balance.added.tokens + balance.changed_after.tokens
        assert came - balance.removed.tokens - balance.changed_before.tokens == counts[1] - counts[0]


def test_without_its_snapshot_a_reason_is_not_made_up(tmp_path: Path) -> None:
    project = decided_project(tmp_path / "project", [document("stays"), document("short", prose("short", 56))])
    one = released(project, RECIPE)
    more_documents(project, [document("new", known_at=LATER)])
    published_again(project)
    other = released(project, replace(RECIPE, select=f"{RECIPE.select} AND doc_id <> '{document('stays')['doc_id']}'"))
    for path in (project.published / "prod").glob("1.duckdb"):
        path.unlink()
    found = compare(project, one.path, other.path)
    assert (found.before.exact, found.after.exact) == (False, True)
    assert whys(found.added) == {"new": Why("not_known")} and whys(found.removed) == {"stays": Why("not_selected")}
    more_documents(project, [document("newer", known_at=LATER)])
    published_again(project, house_min_words=100)
    (project.published / "prod" / "2.duckdb").unlink()
    found = compare(project, one.path, other.path)
    assert not found.after.exact and whys(found.removed)["stays"].reason == "gopher_short_doc"


def test_what_was_taken_down_says_why(tmp_path: Path) -> None:
    rows = [document("stays"), document("other"), document("lost")]
    one = released(decided_project(tmp_path / "one", rows), RECIPE)
    project = decided_project(tmp_path / "two", rows[:1])
    repository = Repository(project.root)
    said = {name: None for name in TAKEDOWNS.names} | {"why": "asked by its author", "barred": "content"}
    barred = keyed_hash(repository.takedown_key(), rows[2]["content_hash"])
    batch = pa.RecordBatch.from_pylist([said | {"keyed_hash": barred}], TAKEDOWNS)
    repository.append("takedowns", [batch], schema=TAKEDOWNS, source="", run_id="run")
    found = compare(project, one.path, released(project, RECIPE).path)
    assert whys(found.removed) == {
        "other": Why("not_in_repository"),
        "lost": Why("taken_down", says="asked by its author"),
    }


def test_what_is_no_release_of_texts_is_refused(versions: tuple[Project, Release[Any], Release[Any]]) -> None:
    project, one, _ = versions
    with pytest.raises(NotFound):
        compare(project, one.path, one.path.parent)
