"""Releases of rows: what is selected comes out whole, in its split, the same for any order, and is read as it was."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_world import export_rows

from warehouse import query
from warehouse.datasets import Release, TableManifest, TableRecipe, load_recipe, read_row, rebuild, verify
from warehouse.datasets.rows import encode, layout, releasable
from warehouse.datasets.table_recipe import resolved_table
from warehouse.errors import CheckFailed, IntegrityError, RecipeError
from warehouse.loader import TableLoader
from warehouse.manifest import CARDS

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SELECT = """SELECT 'shop ' || range % 7 AS shop, range AS number,
       TIMESTAMPTZ '2026-01-01' + to_minutes(range // 3) AS moment,
       CASE WHEN range % 4 > 0 THEN range END AS sold, CASE WHEN range % 5 > 0 THEN range / 8 END AS share,
       CASE WHEN range % 6 > 0 THEN range % 2 = 0 END AS open, range % 10 = 0 AS synthetic
FROM range(200)"""
RECIPE = TableRecipe(
    "shops",
    SELECT,
    ("shop", "number"),
    entity=("shop",),
    time="moment",
    splits=(("train", 0.7), ("test", 0.3)),
    shards=3,
)

Make = Callable[..., Release[TableManifest]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(recipe: TableRecipe = RECIPE, *, out: str = "out", **options: Any) -> Release[TableManifest]:
        return export_rows(recipe, tmp_path / out, **options)

    return made


def of(release: Release[TableManifest], split: str) -> pa.Table:
    shards = release.manifest.splits[split].shards
    return pa.concat_tables([pq.read_table(release.path / shard.parquet) for shard in shards])


def selected() -> list[dict[str, Any]]:
    with query.connect() as con:
        return query.arrow(con, SELECT).to_pylist()


@pytest.mark.parametrize("split_by", ["entity", "time"])
def test_every_selected_row_is_in_one_split_as_it_was(make: Make, split_by: Any) -> None:
    release = make(replace(RECIPE, split_by=split_by))
    rows = [row for split in ("train", "test") for row in of(release, split).to_pylist()]
    assert sorted(rows, key=lambda row: row["number"]) == selected()


def test_an_entity_is_never_in_two_splits_and_a_moment_neither(make: Make) -> None:
    by_entity, by_time = make(), make(replace(RECIPE, split_by="time"))
    shops = [set(of(by_entity, split)["shop"].to_pylist()) for split in ("train", "test")]
    assert all(shops) and not shops[0] & shops[1]
    times = [of(by_time, split)["moment"].to_pylist() for split in ("train", "test")]
    assert max(times[0]) < min(times[1])
    assert abs(len(times[0]) - 140) <= 3, "70 % of 200 rows, 3 of each moment"


def test_the_order_of_the_select_changes_no_byte(make: Make) -> None:
    one, other = make(), make(replace(RECIPE, select=f"FROM ({SELECT}) ORDER BY random()"), out="other")
    content = [
        {p: f for p, f in r.manifest.files.items() if not p.startswith(("recipe", *CARDS))} for r in (one, other)
    ]
    assert content[0] == content[1]


def test_the_same_selection_again_is_the_same_release(make: Make) -> None:
    assert (make().version, make().version, make(replace(RECIPE, seed=1)).version) == (1, 1, 2)


def test_a_release_of_rows_verifies_and_comes_out_the_same_again(make: Make) -> None:
    release = make(attached={"features.x.sql": "SELECT 1"})
    assert verify(release.path).id == rebuild(release.path).id == release.id
    (release.path / "recipe" / "recipe.yaml").write_text(resolved_table(replace(RECIPE, seed=5)))
    with pytest.raises(IntegrityError, match=r"recipe\.yaml"):
        verify(release.path)
    with pytest.raises(IntegrityError, match="comes out differently from byte"):
        rebuild(release.path)


def test_the_loader_gives_every_row_of_the_parquet_file(make: Make) -> None:
    release = make()
    loader = TableLoader(release.path, batch=16, drop_last=False)
    found = {}
    for batch in loader.batches():
        for at, sample in enumerate(batch.samples.tolist()):
            found[sample] = (
                {name: column[at] for name, column in batch.columns.items()},
                {name: valid[at] for name, valid in batch.valid.items()},
            )
    rows = of(release, "train").to_pylist()
    assert sorted(found) == list(range(len(rows)))
    for sample, row in enumerate(rows):
        values, valid = found[sample]
        assert values["shop"].decode() == row["shop"]
        assert values["moment"] == np.datetime64(row["moment"].replace(tzinfo=None), "us")
        assert (values["sold"] if valid["sold"] else None) == row["sold"]
        assert (bool(values["open"]) if valid["open"] else None) == row["open"]
        assert (None if math.isnan(values["share"]) else values["share"]) == row["share"]
        assert read_row(release.path, "train", sample) == row


VALUES = {
    "flag": (pa.bool_(), st.booleans()),
    "small": (pa.int8(), st.integers(-128, 127)),
    "large": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "single": (pa.float32(), st.floats(width=32, allow_nan=False)),
    "double": (pa.float64(), st.floats(allow_nan=False)),
    "day": (pa.date32(), st.dates(date(1, 1, 1), date(9999, 1, 1))),
    "moment": (pa.timestamp("us"), st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))),
    "text": (pa.string(), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)),
}


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.fixed_dictionaries({n: st.none() | s for n, (_, s) in VALUES.items()}), max_size=6))
def test_rows_hold_every_value_and_null(rows: list[dict[str, Any]]) -> None:
    schema = pa.schema([(name, kind) for name, (kind, _) in VALUES.items()])
    table = releasable(pa.Table.from_pylist(rows, schema=schema), at="x")
    columns, width = layout(table, at="x")
    raw = encode(table, columns, width)
    assert raw.shape == (len(rows), width)
    for row, data in zip(table.to_pylist(), raw, strict=True):
        for column in columns:
            dtype = np.dtype(column.dtype)
            value = data[column.offset : column.offset + dtype.itemsize].copy().view(dtype)[0]
            there = (
                bool(data[column.valid])
                if column.valid is not None
                else not np.isnan(value)
                if dtype.kind == "f"
                else not np.isnat(value)
            )
            assert there == (row[column.name] is not None)
            if there:
                read = value.decode() if dtype.kind == "S" else value.item()
                assert read == row[column.name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"select": "SELECT 1 AS shop"}, "gives no number"),
        ({"select": f"FROM ({SELECT}) WHERE false"}, "gives no row"),
        ({"select": f"FROM ({SELECT}) UNION ALL ({SELECT})"}, r"400 rows but 200 of shop, number"),
        ({"key": ("sold",)}, "sold is null"),
        ({"key": ("share",)}, "share is (null|double)"),
        ({"select": f"SELECT *, [1] AS list FROM ({SELECT})"}, r"column list is list.*CAST"),
        ({"select": f"SELECT *, 1.5 AS price FROM ({SELECT})"}, r"column price is decimal"),
        ({"select": f"SELECT *, repeat('x', 2000) AS long FROM ({SELECT})"}, r"text of 2,000 bytes"),
        ({"select": "CREATE TABLE x (a INT)"}, r"holds CREATE"),
        ({"time": "shop", "split_by": "time"}, "time shop is a text"),
    ],
)
def test_a_selection_that_makes_no_rows_is_refused(make: Make, change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        make(replace(RECIPE, **change))


def test_synthetic_rows_over_the_cap_are_refused_with_the_numbers(make: Make) -> None:
    with pytest.raises(CheckFailed, match=r"10\.0% of the 200 selected rows.*5\.0%"):
        make(replace(RECIPE, max_synthetic_share=0.05))
    assert make().manifest.synthetic_share == 0.1


GOOD = "kind: table\nselect: SELECT 1 AS a\nkey: [a]\n"


def test_a_resolved_recipe_of_rows_is_the_same_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    for one in (replace(RECIPE, entity=("shop",)), replace(RECIPE, split_by="time", description="ü: x", seed=3)):
        path.write_text(resolved_table(one), "utf-8")
        assert load_recipe(path) == replace(one, select=one.select.strip())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "sequence_length: 4\n", r"mine\.yaml:4: unknown key 'sequence_length'"),
        (GOOD.replace("table", "rows"), r"mine\.yaml:1: kind is 'rows'. Allowed: tokens, chat, table, samples"),
        (GOOD.replace("key: [a]\n", ""), r"mine\.yaml:1: no key"),
        (GOOD.replace("[a]", "[a, a]"), r"mine\.yaml:3: key is \['a', 'a'\]"),
        (GOOD + "split_by: time\n", r"mine\.yaml:4: split_by time without time"),
        (GOOD + "targets: [parquet]\n", r"mine\.yaml:4: targets is \[.parquet.\].*a list of webdataset, jsonl"),
    ],
)
def test_what_is_wrong_in_a_recipe_of_rows_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(RecipeError, match=message):
        load_recipe(tmp_path / "mine.yaml")
