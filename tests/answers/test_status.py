"""``answers.status`` and ``answers.rejects``: what they count is what is there, also where nothing is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from small_project import small_project

from warehouse.answers.rejects import rejects
from warehouse.answers.status import ScoreStatus, status
from warehouse.curation import SCORE_MODELS, load_score
from warehouse.errors import NotFound
from warehouse.project import Project, load
from warehouse.repository import Repository


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return small_project(tmp_path_factory.mktemp("answers") / "project")


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    (tmp_path / "warehouse.toml").touch()
    return load(tmp_path)


def test_rows_and_bytes_are_those_of_the_live_files(project):
    found = {table.name: table for table in status(project).tables}
    assert {name: table.rows for name, table in found.items()} == {
        "documents": 5, "signals": 5, "rejects": 3, "runs": 2,
    }  # fmt: skip
    on_disk = sum(path.stat().st_size for path in (project.root / "repository" / "documents").glob("*.parquet"))
    assert found["documents"].bytes == on_disk


def test_the_published_snapshot_is_told_with_its_checks(project):
    published = status(project).published
    assert published is not None
    assert (published.n, published.env, published.checks, published.path.name) == (1, "prod", 1, "1.duckdb")
    assert status(project, env="staging").published is None


def test_an_asset_has_its_last_run_and_the_cost_of_all(project):
    [asset] = status(project).assets
    assert (asset.asset, asset.started_at.day, asset.cpu_s, asset.runs, asset.cpu_s_of_all) == (
        "sources/notes",
        2,
        0.5,
        2,
        2.0,
    )


def test_a_recipe_of_a_score_is_told_with_its_newest_model_and_whether_that_is_of_it(tmp_path):
    project = small_project(tmp_path / "project")
    recipes = project.folder / "recipes" / "scores"
    recipes.mkdir()
    (recipes / "plain.yaml").write_text("kind: perplexity\ntrain: SELECT doc_id FROM repository.signals\n")
    assert status(project).scores == (ScoreStatus("plain", 0, None, "bits_per_word", None, False),)
    made = load_score(recipes / "plain.yaml").fingerprint
    models = [
        {"name": "plain", "version": at, "recipe": recipe, "inputs": inputs, "value": 5.0 + at}
        for at, recipe, inputs in ((2, made, '{"signals": 1, "notes@3": "id"}'), (1, "older", '{"signals": 0}'))
    ]
    for rows, said in ((models[1:], (1, None, 6.0, False)), (models[:1], (2, "notes@3", 7.0, True))):
        batch = pa.RecordBatch.from_pylist(rows, SCORE_MODELS)
        Repository(project.root).append("score_models", [batch], schema=SCORE_MODELS, source="s", run_id="r")
        [found] = status(project).scores
        assert (found.version, found.release, found.value, found.current) == said


def test_an_empty_project_has_nothing_and_asking_makes_nothing(empty):
    found = status(empty)
    assert (found.tables, found.published, found.releases, found.assets) == ((), None, (), ())
    assert rejects(empty).total == 0
    assert not empty.root.exists()


def test_rejects_are_counted_by_reason_the_most_frequent_first(project):
    found = rejects(project, source="notes")
    assert [(item.reason, item.rejects, item.exception) for item in found.reasons] == [
        ("not_json", 2, "JSONDecodeError"),
        ("empty_text", 1, None),
    ]
    assert found.total == 3


def test_examples_show_every_reason_before_a_second_of_one(project):
    assert {item.reason for item in rejects(project, limit=2).examples} == {"not_json", "empty_text"}
    assert len(rejects(project, limit=0).examples) == 0


def test_a_source_that_the_project_does_not_know_is_not_found(project):
    with pytest.raises(NotFound, match="notes"):
        rejects(project, source="note")


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("age", "state"),
    [(HOUR, "fresh"), (24 * HOUR, "fresh"), (25 * HOUR, "near"), (36 * HOUR, "near"), (37 * HOUR, "overdue")],
)
def test_what_states_fresh_within_is_overdue_after_it_and_near_after_its_warning(tmp_path, age, state):
    project = small_project(tmp_path / "project")
    recipe = project.folder / "recipes/sources/notes.yaml"
    recipe.write_text(recipe.read_text() + "fresh_within: {warn: 24h, fail: 36h}\n")
    (project.folder / "recipes/sources/unrun.yaml").write_text("uri: x\nfresh_within: 1h\n")
    (project.folder / "recipes/sources/silent.yaml").write_text("uri: x\n")
    last = next(each for each in status(project).assets if each.asset == "sources/notes")
    ended = last.started_at + timedelta(seconds=last.wall_s)
    found = {each.asset: each for each in status(project, now=ended + age).freshness}
    assert found.keys() == {"sources/notes", "sources/unrun"}
    assert (found["sources/notes"].state, found["sources/unrun"].state) == (state, "never")
    assert found["sources/notes"].overdue_at == ended + 36 * HOUR
