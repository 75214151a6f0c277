"""The forecasts through the whole route: three vintages give a fit, the table holds both, nothing is added twice."""

from __future__ import annotations

import json
import statistics
from datetime import datetime
from pathlib import Path
from pydoc_data.topics import topics

import pytest

from pipelines.definitions import build_definitions
from pipelines.run import Outcome, run_assets
from warehouse.answers.runway import runway
from warehouse.project import Project, load
from warehouse.publish import connect_current
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository
from warehouse.runway import Settings, load_settings
from warehouse.runway.own import decimal_year

DATED = """\
reader: jsonl
uri: data/*/*.jsonl
fields: {text: body, uri: name}
known_at: {path: 'data/(?P<date>[0-9-]+)/', format: '%Y-%m-%d'}
"""
MONTHS = ("2026-01-01", "2026-04-01", "2026-07-01")
NAMES = [name for name in sorted(topics) if len(topics[name]) > 1500][:30]


@pytest.fixture(scope="module")
def project(memory_folder: Path) -> Project:
    """Three vintages of 10 topics each; the last one also corrects a text and repeats one under another name."""
    folder = memory_folder / "runway"
    for number, month in enumerate(MONTHS):
        lines = [{"name": name, "body": topics[name]} for name in NAMES[10 * number : 10 * number + 10]]
        if number == 2:
            lines += [{"name": NAMES[0], "body": topics[NAMES[0]] + " Corrected."}]
            lines += [{"name": "copy", "body": topics[NAMES[1]]}]
        write(folder / "data" / month / "topics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    write(folder / "recipes/sources/topics.yaml", DATED)
    write(folder / "recipes/runway.yaml", "target_tokens: 50000\n")
    write(folder / "warehouse.toml", 'name = "runway"\n')
    return load(folder)


@pytest.fixture(scope="module")
def first(project: Project) -> Outcome:
    return run_assets(project)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def stored(project: Project, sql: str) -> list[tuple[object, ...]]:
    with connect() as con:
        attach_repository(con, [Repository(project.root).snapshot("runway")])
        return fetch_all(con, sql)


def test_growth_is_fitted_to_the_times_at_which_texts_were_first_known(project: Project, first: Outcome) -> None:
    found = runway(project, load_settings(project.files("recipes", "runway.yaml"))).own
    assert found is not None
    [growth] = found.growth
    sql = """
        SELECT uri, bytes FROM staging.current_documents JOIN curation.decisions USING (doc_id)
        WHERE rule_set = 'house' AND kept"""
    with connect_current(project.published, "prod") as con:
        kept = dict(fetch_all(con, sql))
    month = {name: number // 10 for number, name in enumerate(NAMES)} | {"copy": 0}  # a copy is known since its text is
    tokens = [sum(size for uri, size in kept.items() if month[uri] <= number) / 4 for number in range(3)]
    assert found.unique_tokens == tokens[2] > tokens[1] > tokens[0] > 0
    years = [decimal_year(datetime.fromisoformat(f"{month}T00:00:00+00:00")) for month in MONTHS]
    assert growth.tokens_per_year == pytest.approx(statistics.linear_regression(years, tokens)[0])
    assert (growth.times, growth.missing, growth.documents) == (3, "", len(kept))


def test_the_snapshot_of_a_run_holds_the_worlds_forecast_and_the_table_both(project: Project, first: Outcome) -> None:
    with connect_current(project.published, "prod") as con:
        assert fetch_all(con, "SELECT DISTINCT scope FROM marts.runway") == [("world",)]
    rows = stored(project, "SELECT scope, count(*), count(DISTINCT forecast) FROM repository.runway GROUP BY 1")
    assert sorted(rows) == [("own", 45, 1), ("world", 175, 1)]


def test_each_forecast_has_its_picture_in_dagster(first: Outcome) -> None:
    metadata = {asset.name: asset.metadata for asset in first.assets}
    for name in ("repository/runway", "runway/corpus"):
        assert metadata[name]["picture"].startswith("![forecast](data:image/png;base64,iVBOR")
        assert len(metadata[name]["picture"]) < 60_000
    assert "median 2029" in metadata["repository/runway"]["full_use"]
    assert metadata["runway/corpus"]["target_tokens"] == 50_000


def test_a_second_run_adds_no_row_another_target_its_own_and_the_first_again_is_a_third(
    project: Project, first: Outcome
) -> None:
    recipe = project.folder / "recipes/runway.yaml"
    before = stored(project, "SELECT * EXCLUDE (receipt_id) FROM repository.runway ORDER BY ALL")
    run_assets(project, ["repository/runway", "runway/corpus"])
    assert stored(project, "SELECT * EXCLUDE (receipt_id) FROM repository.runway ORDER BY ALL") == before
    for target in (60_000, 50_000):
        recipe.write_text(f"target_tokens: {target}\n")
        run_assets(project, ["runway/corpus"])
    found = stored(project, "SELECT count(*), count(DISTINCT forecast) FROM repository.runway WHERE scope = 'own'")
    assert found == [(135, 2)]
    run_assets(project, ["published/snapshot"])
    with connect_current(project.published, "prod") as con:
        sql = "SELECT scope, count(*), max(demand_median) FILTER (year = 2027) FROM marts.runway GROUP BY 1 ORDER BY 1"
        [own, world] = fetch_all(con, sql)
    assert (own[1], world[1]) == (45, 175)
    assert own[2] == pytest.approx(50_000 * 10 ** (0.375 / 2), rel=0.01), "the newest forecast, not the newest inputs"


def test_a_project_without_rules_has_the_worlds_forecast_alone(tmp_path: Path) -> None:
    write(tmp_path / "warehouse.toml", "builtin = false\n")
    names = {"/".join(key.path) for key in build_definitions(load(tmp_path)).resolve_all_asset_keys()}
    assert "repository/runway" in names and "runway/corpus" not in names


def test_where_nothing_is_published_or_kept_the_answer_says_so(tmp_path: Path) -> None:
    write(tmp_path / "warehouse.toml", "")
    found = runway(load(tmp_path), Settings())
    assert found.own is None and "nothing is published" in found.missing
    assert found.world.outcome("base").median == 2029.25
