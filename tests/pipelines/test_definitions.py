"""What a project's files become: nothing of its own is left out in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from pipelines.definitions import build_definitions
from warehouse.contracts import Words
from warehouse.errors import RecipeError
from warehouse.models import build, load_models
from warehouse.project import FURTHER_RULE_SETS, Project, builtin_folder, load
from warehouse.query import attach_repository, connect, fetch_all

MODEL = (
    "/* model\ndescription: Units\nkind: table\ngrain: [owner]\nowner: team:x\n*/\nSELECT owner FROM repository.{}\n"
)
SUITE = {"name": "units", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "owner"}}]}


@pytest.fixture
def project(project_at: Callable[[Path], Project], tmp_path: Path) -> Project:
    made = project_at(tmp_path / "project")
    (made.folder / "sql/marts").mkdir(parents=True)
    (made.folder / "expectations").mkdir()
    return made


def test_built_in_figures_that_no_source_brings_are_left_out(project: Project) -> None:
    names = {"/".join(key.path) for key in build_definitions(project).resolve_all_asset_keys()}
    assert (builtin_folder() / "sql/marts/power_and_carbon.sql").exists()
    assert "marts/removal_funnel" in names
    assert "marts/power_and_carbon" not in names


def test_only_a_project_with_the_recipe_of_a_score_has_scores(project: Project) -> None:
    before = set(build_definitions(project).resolve_all_asset_keys())
    (project.folder / "recipes/scores").mkdir(parents=True)
    recipe = "kind: perplexity\ntrain: SELECT doc_id FROM curation.house\n"
    (project.folder / "recipes/scores/plain.yaml").write_text(recipe)
    more = set(build_definitions(project).resolve_all_asset_keys()) - before
    assert {"/".join(key.path) for key in more} == {"scores/plain", "repository/scores", "staging/current_scores"}


def test_only_a_project_with_the_recipe_of_a_list_searches_by_lists(project: Project) -> None:
    before = set(build_definitions(project).resolve_all_asset_keys())
    (project.folder / "recipes/lists").mkdir(parents=True)
    (project.folder / "en.txt").write_text("blurp\n")
    (project.folder / "recipes/lists/rude.yaml").write_text("kind: words\nfiles: {en: en.txt}\n")
    more = set(build_definitions(project).resolve_all_asset_keys()) - before
    assert {"/".join(key.path) for key in more} == {"repository/lists", "staging/current_lists"}


def test_a_model_that_says_otherwise_is_made_where_nothing_feeds_it(project: Project) -> None:
    own = project.folder / "sql/marts/units.sql"
    own.write_text(
        MODEL.format("hats").replace("owner: team:x\n", "owner: team:x\notherwise: SELECT 'none' AS owner\n")
    )
    keys = {"/".join(key.path) for key in build_definitions(project).resolve_all_asset_keys()}
    assert "marts/units" in keys and "repository/hats" not in keys
    with connect() as con:
        attach_repository(con, [])
        assert [made.rows for made in build(con, load_models([own]))] == [1]
        assert fetch_all(con, "FROM marts.units") == [("none",)]


def test_further_rule_sets_decide_where_the_project_asks_for_them(project: Project) -> None:
    def sets(stated: str) -> set[str]:
        (project.folder / "warehouse.toml").write_text(stated)
        models = {model.name: model for model in load_models(load(project.folder).files("sql", "*.sql"))}
        return {name for name in FURTHER_RULE_SETS if f"'{name}' AS rule_set" in models["curation.rules"].sql}

    assert sets("") == set()
    assert sets('rule_sets = ["nemo"]') == {"nemo"}
    assert sets('rule_sets = ["dolma", "nemo"]') == {"dolma", "nemo"}
    with pytest.raises(RecipeError, match=r"warehouse\.toml:2: no rule set 'gofer'.*Allowed: dolma, nemo;"):
        sets('name = "a"\nrule_sets = ["gofer"]')


def test_a_model_of_the_project_that_reads_what_nothing_writes_is_refused(project: Project) -> None:
    own = project.folder / "sql/marts/units.sql"
    own.write_text(MODEL.format("chips"))
    build_definitions(project)
    own.write_text(MODEL.format("chipz"))
    with pytest.raises(RecipeError, match=r"units\.sql:7: marts\.units reads repository\.chipz, which nothing"):
        build_definitions(project)


def test_a_suite_of_the_project_for_no_table_is_refused_with_the_nearest(project: Project) -> None:
    (project.folder / "expectations/repository.chips.json").write_text(json.dumps(SUITE))
    build_definitions(project)
    (project.folder / "expectations/repository.chps.json").write_text(json.dumps(SUITE))
    with pytest.raises(RecipeError, match=r"repository\.chps\.json:1: no model.*repository\.chips\.json"):
        build_definitions(project)


def test_words_are_cut_as_the_project_says_and_another_word_is_refused(project: Project) -> None:
    def words(stated: str) -> str:
        (project.folder / "warehouse.toml").write_text(stated)
        return load(project.folder).words

    assert words("") == "spacy_en"
    assert [words(f'words = "{mode}"') for mode in get_args(Words)] == list(get_args(Words))
    with pytest.raises(RecipeError, match=r"warehouse\.toml:2: words is 'letters'.*Allowed: spacy_en, unicode, white"):
        words('name = "a"\nwords = "letters"')


@pytest.mark.parametrize("value", ["0", "true", "1025", '"2"'])
def test_threads_are_a_whole_number(project: Project, value: str) -> None:
    (project.folder / "warehouse.toml").write_text(f"threads = {value}\n")
    with pytest.raises(RecipeError, match=r"warehouse\.toml:1: threads is "):
        load(project.folder)
    (project.folder / "warehouse.toml").write_text("threads = 2\n")
    assert load(project.folder).threads == 2
