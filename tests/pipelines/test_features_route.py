"""Features through the whole route: appended once, never silently changed, released with what they were made of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.run import run_assets
from warehouse.answers.features import feature_sets, feature_sql
from warehouse.answers.rows import trace_row
from warehouse.datasets import rebuild, verify
from warehouse.errors import CheckFailed, NotFound, RecipeError, UsageError
from warehouse.loader import TableLoader
from warehouse.project import Project, load
from warehouse.query import attach_repository, connect, fetch_all
from warehouse.repository import Repository

SOURCE = "reader: csv\nuri: data/sales*.csv\ntable: sales\ncolumns: {sold_at: timestamp, pieces: int64}\n"
FEATURES = """\
spine:
  select: SELECT shop, sold_at AS moment, pieces FROM repository.sales
  keys: [shop]
  time: moment
views:
  past:
    relation: repository.sales
    keys: [shop]
    event_time: sold_at
    known_at: sold_at
    at_moment: excluded
    windows: [1h]
    aggregates: {sold: {sum: pieces}, sales: count}
"""
DATASET = """\
kind: table
select: SELECT * EXCLUDE (pieces), pieces AS label FROM features.shops
key: [shop, moment]
entity: [shop]
"""
ROUTE = ["sources/sales", "repository/sales", "published/snapshot", "features/shops"]
DAY = "2026-01-05 {:02d}:00:00"


def sales(hours: range) -> str:
    return "shop,sold_at,pieces\n" + "".join(f"{shop},{DAY.format(h)},{h}\n" for h in hours for shop in "AB")


@pytest.fixture
def project(memory_folder: Path, request: pytest.FixtureRequest) -> Project:
    folder = memory_folder / request.node.name
    files = {
        "recipes/sources/sales.yaml": SOURCE,
        "recipes/features/shops.yaml": FEATURES,
        "recipes/datasets/rows.yaml": DATASET,
        "data/sales-1.csv": sales(range(5)),
        "warehouse.toml": 'name = "shops"\nbuiltin = false\n',
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return load(folder)


def stored(project: Project) -> list[tuple[object, ...]]:
    with connect() as con:
        attach_repository(con, [Repository(project.root).snapshot("features_shops")])
        return fetch_all(con, "SELECT * EXCLUDE (_feature_set) FROM repository.features_shops ORDER BY ALL")


def test_a_second_run_adds_only_new_moments_and_another_definition_its_own_rows(project: Project) -> None:
    run_assets(project, ROUTE)
    first = stored(project)
    assert len(first) == 10 and [row[3] for row in first if row[0] == "A"] == [0, 0, 1, 2, 3]
    run_assets(project, ROUTE)
    assert stored(project) == first
    (project.folder / "data/sales-2.csv").write_text(sales(range(5, 7)))
    run_assets(project, ROUTE)
    assert len(stored(project)) == 14 and set(first) <= set(stored(project))
    recipe = project.folder / "recipes/features/shops.yaml"
    recipe.write_text(FEATURES.replace("excluded", "counted"))
    run_assets(project, ROUTE)
    assert len(stored(project)) == 28
    assert [(made.name, made.rows, made.features) for made in feature_sets(project)] == [
        ("shops", 28, ("sold_1h", "sales_1h"))
    ]


def test_a_fact_that_was_not_known_when_it_is_said_to_be_stops_the_run(project: Project) -> None:
    run_assets(project, ROUTE)
    before = stored(project)
    (project.folder / "data/sales-2.csv").write_text("shop,sold_at,pieces\nA,2026-01-05 02:30:00,100\n")
    with pytest.raises(CheckFailed, match="features/shops:stored_rows_come_out_the_same") as refusal:
        run_assets(project, ROUTE)
    assert refusal.value.values["checks"][0]["unexpected_count"] == 1
    assert stored(project) == before


def test_features_go_out_as_rows_that_lead_back_to_their_objects(project: Project) -> None:
    with pytest.raises(NotFound):
        run_assets(project, ["datasets/rows"])
    run_assets(project, ROUTE)
    outcome = run_assets(project, ["datasets/rows"])
    release = Path(outcome.assets[-1].metadata["path"])
    assert verify(release).id == rebuild(release).id
    assert (release / "recipe/features.shops.sql").read_text() == feature_sql(project, "shops").sql
    (columns,) = TableLoader(release, batch=10)
    values = (columns[name].tolist() for name in ("shop", "label", "sold_1h"))
    assert sorted(zip(*values, strict=True)) == [
        (shop, hour, max(hour - 1, 0)) for shop in (b"A", b"B") for hour in range(5)
    ]
    manifest = json.loads((release / "manifest.json").read_text())
    assert manifest["inputs"]["features_shops"] == 0 and manifest["inputs"]["sales"] == 0
    found = trace_row(project, release, 3)
    assert found.features == ("shops",) and {"repository.sales", "features.shops"} <= set(found.reads)
    assert [origin.path and origin.path.read_text() for origin in found.origins] == [sales(range(5))]


def test_an_expectation_on_a_feature_table_blocks_what_comes_after(project: Project) -> None:
    most = {"type": "expect_column_max_to_be_between", "kwargs": {"column": "sold_1h", "max_value": 2}}
    suite = {"name": "x", "expectations": [most]}
    (project.folder / "expectations").mkdir()
    (project.folder / "expectations/repository.features_shops.json").write_text(json.dumps(suite))
    with pytest.raises(CheckFailed, match="features/shops"):
        run_assets(project, ["sources/sales+"])
    assert not (project.datasets / "rows").exists()


def test_a_feature_set_of_what_nothing_writes_is_refused(project: Project) -> None:
    recipe = project.folder / "recipes/features/shops.yaml"
    recipe.write_text(FEATURES.replace("relation: repository.sales", "relation: repository.sals"))
    with pytest.raises(RecipeError, match=r"features shops read repository\.sals, which nothing here writes"):
        run_assets(project, ROUTE)


def test_a_data_set_of_an_unknown_feature_set_is_refused_with_its_line(project: Project) -> None:
    (project.folder / "recipes/datasets/rows.yaml").write_text(DATASET.replace("features.shops", "features.shop"))
    with pytest.raises(RecipeError, match=r"rows\.yaml:2: no feature set is called 'shop'.*shops"):
        run_assets(project, ROUTE)


def test_features_whose_input_is_not_there_yet_are_skipped(project: Project) -> None:
    (project.folder / "data/sales-1.csv").unlink()
    (project.folder / "data/notes.jsonl").write_text('{"text": "x"}\n')
    (project.folder / "recipes/sources/notes.yaml").write_text("uri: data/notes.jsonl\n")
    assert "features/shops" not in [asset.name for asset in run_assets(project, ["sources/notes+"]).assets]
    with pytest.raises(UsageError):
        run_assets(project, ["features/shop"])
