"""A release is selected again from the versions it names: the same bytes, whatever was ingested and published since."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_features_route import DATASET, FEATURES
from test_features_route import SOURCE as SALES

from pipelines.reselect import reselect
from pipelines.run import run_assets
from warehouse import publish
from warehouse.answers.row_comparison import compare_rows
from warehouse.cli.app import run
from warehouse.datasets import resolve
from warehouse.errors import IntegrityError, NotFound
from warehouse.project import Project, load

MODEL = """/* model
description: Notes long enough to learn from.
kind: table
grain: [doc_id]
owner: team:tests
*/
SELECT DISTINCT doc_id FROM repository.documents WHERE length(text) > 20
"""
TEXTS = """\
select: SELECT doc_id FROM marts.long_notes
splits: {train: 0.8, validation: 0.2}
tokenizer: {train: {vocab_size: 300, max_bytes: 10000}}
sequence_length: 16
shards: 2
pii: {mask: [email]}
"""
CHATS = """\
kind: chat
select: SELECT *, 'en' AS language FROM repository.talks
key: [id]
template: chatml
tokenizer: {train: {vocab_size: 400}}
sequence_length: 64
"""


def sales(first: int) -> str:
    moments = [(f"2026-01-{5 + first:02d} {hour:02d}:00:00", hour) for hour in range(5)]
    return "shop,sold_at,pieces\n" + "".join(f"{shop},{at},{hour}\n" for at, hour in moments for shop in "AB")


def notes(first: int) -> str:
    rows = [f"Note {n} is for someone{n}@firmwide.com and says {n} words." for n in range(40 * first, 40 * first + 40)]
    return "".join(json.dumps({"uri": f"n/{first}/{at}", "text": text}) + "\n" for at, text in enumerate(rows))


def talks(first: int) -> str:
    turns = [
        [{"role": "user", "content": f"What is {n}?"}, {"role": "assistant", "content": "A number."}]
        for n in range(9 * first, 9 * first + 9)
    ]
    return "".join(json.dumps({"id": 9 * first + at, "messages": each}) + "\n" for at, each in enumerate(turns))


def arrive(folder: Path, first: int) -> None:
    """Files of every source that came ``first`` days later."""
    made = {"sales": ("csv", sales(first)), "notes": ("jsonl", notes(first)), "talks": ("jsonl", talks(first))}
    for name, (ending, text) in made.items():
        (folder / f"data/{name}-{first}.{ending}").write_text(text)


@pytest.fixture(scope="module")
def project(memory_folder: Path) -> Project:
    """A project with a release of each kind, after which more has come and been published."""
    folder = memory_folder / "reselect"
    files = {
        "recipes/sources/sales.yaml": SALES,
        "recipes/sources/notes.yaml": "uri: data/notes*.jsonl\n",
        "recipes/sources/talks.yaml": "uri: data/talks*.jsonl\ntable: talks\n",
        "recipes/features/shops.yaml": FEATURES,
        "recipes/datasets/rows.yaml": DATASET,
        "recipes/datasets/texts.yaml": TEXTS,
        "recipes/datasets/chats.yaml": CHATS,
        "sql/marts/long_notes.sql": MODEL,
        "warehouse.toml": 'name = "shops"\nbuiltin = false\n',
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "data").mkdir()
    made = load(folder)
    arrive(folder, 0)
    run_assets(made)
    run_assets(made, [f"datasets/{name}" for name in ("rows", "texts", "chats")])
    arrive(folder, 1)
    run_assets(made)
    return made


NAMES = ("rows", "texts", "chats")


def selected_again(project: Project, name: str) -> int | None:
    found = reselect(project, resolve(project.datasets, f"{name}@1"), env="prod")
    assert found.same.files > 3 and found.same.bytes > 1000
    return found.generation


def test_the_generation_that_it_was_selected_from_gives_it_again_while_it_is_kept(project: Project) -> None:
    assert [selected_again(project, name) for name in NAMES] == [1, 1, 1]
    assert not list(project.state.glob("reselect-*"))


@pytest.fixture
def alone(project: Project) -> Iterator[Project]:
    """The project while the generation of the releases is not kept."""
    (first,) = (each.path for each in publish.generations(project.published, "prod") if each.n == 1)
    aside = first.rename(first.with_suffix(".aside"))
    yield project
    aside.rename(first)


def test_without_it_the_models_are_built_on_the_versions_that_the_release_names(alone: Project) -> None:
    assert [selected_again(alone, name) for name in NAMES] == [None, None, None]


def test_features_are_those_that_the_release_was_made_by_whatever_they_are_defined_as_now(project: Project) -> None:
    recipe = project.folder / "recipes/features/shops.yaml"
    recipe.write_text(FEATURES.replace("excluded", "counted"))
    try:
        assert selected_again(project, "rows") == 1
    finally:
        recipe.write_text(FEATURES)


def test_a_model_that_changed_since_is_named(alone: Project) -> None:
    model = alone.folder / "sql/marts/long_notes.sql"
    model.write_text(MODEL.replace("> 20", "> 21"))
    try:
        with pytest.raises(NotFound, match=r"these models changed since: marts\.long_notes\. Allowed: the models as"):
            selected_again(alone, "texts")
    finally:
        model.write_text(MODEL)


def test_a_version_of_a_table_that_is_gone_is_named(alone: Project) -> None:
    folder = alone.root / "repository" / "documents" / "_delta_log"
    aside = [path.rename(path.with_suffix(".aside")) for path in folder.glob("*.json")]
    try:
        with pytest.raises(NotFound, match="documents"):
            selected_again(alone, "texts")
    finally:
        for path in aside:
            path.rename(path.with_suffix(".json"))


@pytest.mark.parametrize("name", NAMES)
def test_a_select_that_depends_on_chance_is_found_out(project: Project, name: str) -> None:
    recipe = project.folder / f"recipes/datasets/{name}.yaml"
    stated = recipe.read_text()
    some = re.sub(r"select: (.*)", r"select: SELECT * FROM (\1) WHERE random() < 0.5", stated)
    assert some != stated
    recipe.write_text(some)
    try:
        run_assets(project, [f"datasets/{name}"])
    finally:
        recipe.write_text(stated)
    with pytest.raises(IntegrityError, match=r"gives \d+ more and \d+ fewer than were released, such as .*random\(\)"):
        reselect(project, resolve(project.datasets, name), env="prod")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("texts@1", "--rebuild=select"), "selected again from generation 1: "),
        (("--rebuild=select", "texts@1"), "selected again from generation 1: "),
        (("--rebuild", "texts@1"), "made again: "),
    ],
)
def test_the_verb_says_from_what_and_the_release_may_follow_the_option(
    project: Project, arguments: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--project", str(project.folder), "verify", *arguments]) == 0
    assert said in capsys.readouterr().out


def test_the_verb_refuses_what_it_cannot_rebuild_from(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--project", str(project.folder), "verify", "texts@1", "--rebuild=all"]) == 2
    assert "select" in capsys.readouterr().err


def test_a_diff_asks_the_feature_sets_that_a_release_was_made_by(project: Project) -> None:
    """Of moments that came later none was there before; of a shop that the recipe leaves out the rows still are."""
    recipe = project.folder / "recipes/datasets/rows.yaml"
    recipe.write_text(DATASET.replace("FROM features.shops", "FROM features.shops WHERE shop = 'A'"))
    try:
        run_assets(project, ["datasets/rows"])
    finally:
        recipe.write_text(DATASET)
    found = compare_rows(project, *(resolve(project.datasets, name) for name in ("rows@1", "rows")))
    assert found.before.exact and found.after.exact and not found.notes
    assert found.added.counted() == {"not_there": 5} and found.removed.counted() == {"not_selected": 5}
