"""What diff says of two releases of rows or samples is what a comparison row by row in Python says, and adds up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from decided_project import published_again
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import dear
from pipelines.export import export_table
from warehouse import query
from warehouse.answers.row_comparison import RowComparison, Rows, compare_rows
from warehouse.cli.app import run
from warehouse.datasets import Basis, Release, TableManifest, TableRecipe, row_shards
from warehouse.datasets import export_table as export_rows
from warehouse.errors import FormatError, NotFound, UsageError
from warehouse.project import Project, load, prepare
from warehouse.repository import Repository

SCHEMA = pa.schema([
    ("shop", pa.string()), ("day", pa.int32()), ("sold", pa.int64()), ("share", pa.float64()), ("source", pa.string()),
    ("image", pa.binary()),
])  # fmt: skip
NAN = float("nan")
VALUES = st.tuples(
    st.sampled_from([0, 1, None]),
    st.sampled_from([0.0, -0.0, NAN, 0.5]),
    st.sampled_from(["a", "b"]),
    st.binary(max_size=2),
)
TABLES = st.dictionaries(st.tuples(st.sampled_from("xyz"), st.integers(0, 8)), VALUES, min_size=6)
RECIPE = TableRecipe("shops", "", ("shop", "day"), splits=(("train", 0.6), ("test", 0.4)), shards=2, at="shops.yaml:1")
KNOWN = datetime(2026, 1, 1, tzinfo=UTC)
Made = Release[TableManifest]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which nothing is published."""
    return made_project(tmp_path_factory.mktemp("empty") / "project")


def made_project(folder: Path) -> Project:
    folder.mkdir()
    (folder / "warehouse.toml").write_text('name = "shops"\nbuiltin = false\n')
    project = load(folder)
    prepare(project)
    return project


def released(folder: Path, recipe: TableRecipe, rows: Mapping[tuple[str, int], tuple[Any, ...]]) -> Made:
    """A release of these rows: of samples with their images, and 2 where a number is null."""
    held = [dict(zip(SCHEMA.names, (*key, *values), strict=True)) for key, values in rows.items()]
    pq.write_table(pa.Table.from_pylist(held, SCHEMA), folder / "rows.parquet")
    what = "* REPLACE (coalesce(sold, 2) AS sold)" if recipe.kind == "samples" else "* EXCLUDE (image)"
    select = f"SELECT {what} FROM read_parquet('{folder}/rows.parquet')"
    with query.connect() as con:
        basis = Basis(con, {}, [], {}, folder / "out", KNOWN, "run")
        return export_rows(replace(recipe, select=select), basis)


def expected(
    recipe: TableRecipe, one: Mapping[Any, tuple[Any, ...]], other: Mapping[Any, tuple[Any, ...]]
) -> dict[Any, list[str]]:
    """By key of each row in both the columns whose values are not the same bits."""
    names = SCHEMA.names[2:] if recipe.kind == "samples" else SCHEMA.names[2:-1]
    if recipe.kind == "samples":
        one, other = ({key: (2 if v[0] is None else v[0], *v[1:]) for key, v in side.items()} for side in (one, other))
    pairs = {key: zip(names, one[key], other[key], strict=False) for key in sorted(one.keys() & other.keys())}
    found = {key: [name for name, a, b in values if repr(a) != repr(b)] for key, values in pairs.items()}
    return {key: columns for key, columns in found.items() if columns}


def keys(rows: Rows) -> list[tuple[Any, ...]]:
    return [tuple(row["key"].values()) for row in rows.listed()]


@pytest.mark.parametrize("kind", ["table", "samples"])
@settings(max_examples=dear(5), deadline=None)
@given(one=TABLES, other=TABLES)
def test_rows_added_removed_and_changed_are_those_that_a_loop_over_both_finds(
    empty: Project, tmp_path_factory: pytest.TempPathFactory, kind: Any, one: Any, other: Any
) -> None:
    other = {**one, **other} if len(other) % 2 else other
    recipe = replace(RECIPE, kind=kind)
    releases = [released(tmp_path_factory.mktemp("side"), recipe, side) for side in (one, other)]
    found = compare_rows(empty, *(release.path for release in releases))
    changed = expected(recipe, one, other)
    assert keys(found.removed) == sorted(one.keys() - other.keys())
    assert keys(found.added) == sorted(other.keys() - one.keys())
    assert {tuple(row["key"].values()): row["columns"] for row in found.changed.listed()} == changed
    assert keys(found.changed) == sorted(changed)
    assert found.values == Counter(name for columns in changed.values() for name in columns)
    splits = [places(release) for release in releases]
    for rows, (before, after) in ((found.removed, (True, False)), (found.added, (False, True))):
        for row in rows.listed():
            key = tuple(row["key"].values())
            assert row["before"] == (splits[0][key] if before else None)
            assert row["after"] == (splits[1][key] if after else None)
    assert_sums(found, splits, [{key: each[2] for key, each in side.items()} for side in (one, other)])


def places(release: Made) -> dict[tuple[Any, ...], str]:
    """The split of each row."""
    return {
        (row["shop"], row["day"]): split
        for split, held in release.manifest.splits.items()
        for shard in held.shards
        for row in row_shards.read_shard(release.path, release.manifest, shard).to_pylist()
    }


def assert_sums(found: RowComparison, splits: list[dict[Any, str]], sources: list[dict[Any, str]]) -> None:
    """By split and by source the rows of one release and what came and went are those of the other."""
    for values, sides in ((found.by["split"], splits), (found.by["source"], sources)):
        counts = [Counter(side.values()) for side in sides]
        for value in counts[0] | counts[1]:
            balance = values.get(value)
            moved = counts[1][value] - counts[0][value]
            came = balance.added + balance.changed_after - balance.removed - balance.changed_before if balance else 0
            assert came == moved


Export = Callable[[Project, TableRecipe], Made]
SALES = "SELECT shop, day, sold FROM repository.sales WHERE sold > 10"


def sold(project: Project, rows: list[tuple[str, int, int]]) -> None:
    """More rows of the table, published."""
    schema = pa.schema([("shop", pa.string()), ("day", pa.int32()), ("sold", pa.int64())])
    batch = pa.RecordBatch.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)
    Repository(project.root).append("sales", [batch], schema=schema, source="made", run_id="run-1")
    published_again(project)


def exported(project: Project, select: str = SALES, **changes: Any) -> Made:
    recipe = replace(RECIPE, select=select, **changes)
    return export_table(project, recipe, [], env="prod", run_id="run")


def whys(rows: Rows) -> dict[tuple[Any, ...], str]:
    return {tuple(row["key"].values()): row["why"] for row in rows.listed()}


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Made, Made]:
    project = made_project(tmp_path_factory.mktemp("versions") / "project")
    sold(project, [("a", day, 5 * day) for day in range(8)] + [("b", 1, 90)])
    one = exported(project)
    sold(project, [("c", 1, 20), ("c", 2, 30), ("d", 1, 4)])
    other = exported(project, "SELECT shop, day, sold FROM repository.sales WHERE sold > 18 OR shop = 'd'")
    return project, one, other


def test_a_row_that_is_not_there_has_the_reason_of_the_snapshot_that_lacks_it(
    versions: tuple[Project, Made, Made],
) -> None:
    project, one, other = versions
    found = compare_rows(project, one.path, other.path)
    assert whys(found.removed) == {("a", 3): "not_selected"}
    assert whys(found.added) == {("c", 1): "not_there", ("c", 2): "not_there", ("d", 1): "not_there"}
    assert found.before.exact and found.after.exact and not found.notes
    assert set(found.recipe) == {"select"} and found.inputs == {"sales": (0, 1)}
    back = compare_rows(project, other.path, one.path)
    assert whys(back.added) == whys(found.removed)
    assert whys(back.removed) == whys(found.added)
    same = compare_rows(project, one.path, one.path)
    assert not any(rows.keys.num_rows for rows in (same.added, same.removed, same.changed)) and not same.shards.changed


def test_a_row_that_neither_select_gives_is_not_there_any_more(tmp_path: Path) -> None:
    project = made_project(tmp_path / "project")
    sold(project, [("a", day, 20) for day in range(5)])
    one = exported(project)
    newest = "QUALIFY row_number() OVER (PARTITION BY day ORDER BY sold DESC) = 1"
    latest = f"SELECT shop, day, sold FROM repository.sales {newest}"
    two = exported(project, latest)
    sold(project, [("b", 3, 50)])
    other = exported(project, latest)
    found = compare_rows(project, two.path, other.path)
    assert whys(found.removed) == {("a", 3): "not_there"} and whys(found.added) == {("b", 3): "not_there"}
    assert whys(compare_rows(project, one.path, other.path).removed) == {("a", 3): "not_selected"}


def test_without_its_snapshot_and_with_a_select_that_fails_a_reason_is_not_made_up(tmp_path: Path) -> None:
    project = made_project(tmp_path / "project")
    sold(project, [("a", day, 20) for day in range(5)])
    one = exported(project)
    other = exported(project, f"{SALES} AND day < 4")
    (project.published / "prod" / "1.duckdb").rename(tmp_path / "aside")
    sold(project, [("b", 3, 50)])
    found = compare_rows(project, one.path, other.path)
    assert whys(found.removed) == {("a", 4): "not_selected"} and not found.after.exact, "of the current snapshot"
    back = compare_rows(project, other.path, one.path)
    assert whys(back.added) == {("a", 4): "not_known"} and not back.before.exact
    assert whys(compare_rows(project, other.path, one.path).added) == {("a", 4): "not_known"}
    recipe = one.path / "recipe" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("repository.sales", "repository.gone"))
    failed = compare_rows(project, one.path, other.path)
    assert whys(failed.removed) == {("a", 4): "not_known"} and "gone" in failed.notes[0]


def test_what_its_own_select_gives_by_now_is_said_to_be_selected(tmp_path: Path) -> None:
    project = made_project(tmp_path / "project")
    sold(project, [("a", day, 20) for day in range(5)])
    one = exported(project)
    other = exported(project, f"SELECT DISTINCT shop, day, 20 AS sold FROM ({SALES}) WHERE day < 4 OR sold > 30")
    sold(project, [("a", 4, 40)])
    assert whys(compare_rows(project, one.path, other.path).removed) == {("a", 4): "not_selected"}
    (project.published / "prod" / "1.duckdb").unlink()
    assert whys(compare_rows(project, one.path, other.path).removed) == {("a", 4): "selected"}


def test_a_column_called_split_is_not_the_split(versions: tuple[Project, Made, Made]) -> None:
    project = versions[0]
    one = exported(project, f"SELECT *, 'x' AS split FROM ({SALES})", name="split")
    other = exported(project, f"SELECT *, 'y' AS split FROM ({SALES})", name="split")
    by = compare_rows(project, one.path, other.path, by=["split"]).by
    assert set(by) == {"split", "column split"} and set(by["split"]) == {"train", "test"}
    assert {name: each.changed_after for name, each in by["column split"].items()} == {"x": 0, "y": 8}


def test_shards_that_are_the_same_are_not_read(versions: tuple[Project, Made, Made]) -> None:
    project = versions[0]
    one = exported(project, name="same")
    again = exported(project, name="same", description="Another one.")
    paths = [again.path / shard.parquet for split in again.manifest.splits.values() for shard in split.shards]
    for path in paths:
        raw = path.read_bytes()
        path.unlink()
        path.write_bytes(raw[:4] + bytes(40) + raw[44:])
    with pytest.raises(OSError, match="page"):
        pq.read_table(paths[0])
    found = compare_rows(project, one.path, again.path)
    assert not found.changed.keys.num_rows and len(found.shards.same) == len(paths)


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        ("*, sold / 2 AS half", {"half": (None, "double")}),
        ("* EXCLUDE (sold)", {"sold": ("int64", None)}),
        ("* REPLACE (sold::DOUBLE AS sold)", {"sold": ("int64", "double")}),
    ],
)
def test_columns_that_only_one_has_are_named_and_the_others_compared(
    versions: tuple[Project, Made, Made], change: str, columns: Mapping[str, Any]
) -> None:
    project = versions[0]
    other = exported(project, f"SELECT {change} FROM ({SALES}) WHERE shop <> 'b'", name="columns")
    first = exported(project, f"FROM ({SALES}) WHERE shop <> 'b'", name="first")
    found = compare_rows(project, first.path, other.path)
    assert found.columns == columns and not found.changed.keys.num_rows
    assert not found.added.keys.num_rows and not found.removed.keys.num_rows


def test_a_row_in_another_split_is_changed_though_its_values_are_not(versions: tuple[Project, Made, Made]) -> None:
    project = versions[0]
    first = exported(project, f"FROM ({SALES}) WHERE shop <> 'c'", name="first")
    moved = exported(project, f"FROM ({SALES}) WHERE shop <> 'c'", name="moved", splits=(("train", 0.2), ("test", 0.8)))
    found = compare_rows(project, first.path, moved.path)
    assert found.moved and found.changed.listed()
    for row in found.changed.listed():
        assert (row["before"], row["after"], row["columns"]) == ("train", "test", [])
    assert found.by["split"]["train"].changed_before == found.by["split"]["test"].changed_after == found.moved


def test_what_cannot_be_compared_is_refused(versions: tuple[Project, Made, Made]) -> None:
    project, one, other = versions
    samples = exported(project, kind="samples", name="samples")
    with pytest.raises(UsageError, match=r"is of kind table, .* of kind samples\. Allowed: two releases of one kind"):
        compare_rows(project, one.path, samples.path)
    keyed = exported(project, key=("day", "shop"), name="keyed")
    with pytest.raises(UsageError, match=r"is shop string, day int32, that of .* day int32, shop string"):
        compare_rows(project, one.path, keyed.path)
    typed = exported(project, f"SELECT * REPLACE (day::BIGINT AS day) FROM ({SALES})", name="typed")
    with pytest.raises(UsageError, match=r"day int32, that of .* day int64"):
        compare_rows(project, one.path, typed.path)
    with pytest.raises(UsageError, match=r"no column price .*Allowed: shop, day, sold"):
        compare_rows(project, one.path, other.path, by=["price"])
    with pytest.raises((NotFound, FormatError)):
        compare_rows(project, one.path, one.path.parent)


def test_the_verb_says_it_in_lines_and_as_json(
    versions: tuple[Project, Made, Made], capsys: pytest.CaptureFixture[str]
) -> None:
    project, one, other = versions
    where = ["--project", str(project.folder)]
    assert run([*where, "diff", str(one.path), str(other.path), "--by", "shop", "--limit", "2"]) == 0
    out = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for line in (
        "rows 6 -> 8",
        "inputs sales 0 -> 1",
        "added new 3",
        "removed not selected 1",
        "shop added removed changed",
    ):
        assert line in out
    assert any(line.startswith("+ shop c, day 1, t") and line.endswith(": new") for line in out)
    assert "+ and 1 more; --limit shows them, --json all" in out
    assert run([*where, "diff", str(one.path), str(other.path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["key"] for row in said["removed"]] == [{"shop": "a", "day": 3}]
    assert said["removed"][0]["why"] == "not_selected" and said["by"]["split"] and said["before"]["rows"] == 6
