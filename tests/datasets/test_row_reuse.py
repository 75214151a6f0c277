"""Versions of rows and of samples: a row less changes one shard, and all others are the files of the version before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_world import export_rows

from warehouse.datasets import Release, TableManifest, TableRecipe, rebuild, row_shards, verify
from warehouse.manifest import CARDS

SELECT = """SELECT range AS number, 'page ' || range AS caption, range // 9 AS moment,
       CASE WHEN range % 3 = 0 THEN 'nan'::DOUBLE ELSE range / 8 END AS share FROM range(150)"""
RECIPES = {
    "table": TableRecipe("pages", SELECT, ("number",), splits=(("train", 0.7), ("test", 0.3)), shards=3, time="moment"),
    "samples": TableRecipe(
        "pages",
        f"SELECT *, caption::BLOB AS image, [share] AS vector FROM ({SELECT})",
        ("number",),
        splits=(("train", 0.7), ("test", 0.3)),
        shards=3,
        time="moment",
        kind="samples",
    ),
}
Made = Release[TableManifest]


@pytest.fixture(params=RECIPES)
def recipe(request: pytest.FixtureRequest) -> TableRecipe:
    return RECIPES[request.param]


def changed_select(recipe: TableRecipe, sql: str) -> TableRecipe:
    return replace(recipe, select=sql.format(f"({recipe.select})"))


def shards(release: Made) -> Mapping[str, tuple[str, ...]]:
    """By the data file of each shard all its files."""
    held = [shard for split in release.manifest.splits.values() for shard in split.shards]
    return {shard.data: tuple(name for name in (shard.data, shard.parquet) if name) for shard in held}


def shared(one: Made, other: Made) -> set[str]:
    """The shards all of whose files are one copy for both."""
    return {
        data
        for data, names in shards(other).items()
        if all((one.path / name).samefile(other.path / name) for name in names)
    }


def content(release: Made) -> dict[str, Any]:
    return {path: entry for path, entry in release.manifest.files.items() if path not in CARDS}


@pytest.mark.parametrize(
    "sql",
    [
        "FROM {} WHERE number <> 50",
        "FROM {} WHERE number <> 149",
        "SELECT * REPLACE (if(number = 50, 'other', caption) AS caption) FROM {}",
        "SELECT * REPLACE (if(number = 24, -0.0, share) AS share) FROM {}",
        "SELECT * REPLACE (if(number = 0, 1.5, share) AS share) FROM {}",
    ],
)
def test_a_row_less_or_otherwise_changes_one_shard(tmp_path: Path, recipe: TableRecipe, sql: str) -> None:
    """And the version is the one that would be made without the version before."""
    first = export_rows(recipe, tmp_path / "out")
    changed = changed_select(recipe, sql)
    second, alone = export_rows(changed, tmp_path / "out"), export_rows(changed, tmp_path / "alone")
    assert (first.run["reused_shards"], second.run["reused_shards"], alone.run["reused_shards"]) == (0, 5, 0)
    assert len(shared(first, second)) == 5 and len(shards(second)) == 6
    assert content(second) == content(alone)
    assert verify(second.path).id == rebuild(second.path).id == alone.id


def test_a_damaged_shard_is_made_anew(tmp_path: Path, recipe: TableRecipe) -> None:
    first = export_rows(recipe, tmp_path / "out")
    for number, names in enumerate(shards(first).values()):
        path = first.path / names[-1]
        raw = path.read_bytes()
        if number == 0:
            path.write_bytes(bytes([raw[0] ^ 1]) + raw[1:])
        elif number == 1:
            path.write_bytes(raw[:-1])
    second = export_rows(replace(recipe, description="Another."), tmp_path / "out")
    assert second.run["reused_shards"] == 4 and verify(second.path)
    lost = first.path / next(reversed(shards(first)))
    lost.unlink()
    third = export_rows(replace(recipe, description="A third."), tmp_path / "out")
    assert third.run["reused_shards"] == 6, "of the second, which is whole"
    (third.path / next(iter(shards(third)))).unlink()
    assert export_rows(replace(recipe, description="A fourth."), tmp_path / "out").run["reused_shards"] == 0


def test_shards_of_another_layout_seed_or_code_are_not_taken_over(
    tmp_path: Path, recipe: TableRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_rows(recipe, tmp_path / "out")
    for number, changed in enumerate([
        replace(recipe, seed=recipe.seed + 1),
        replace(recipe, shards=4),
        changed_select(recipe, "SELECT number, moment, caption, * EXCLUDE (number, moment, caption) FROM {}"),
        changed_select(recipe, "SELECT * REPLACE (number::INTEGER AS number) FROM {}"),
        changed_select(recipe, "SELECT * EXCLUDE (share) FROM {}"),
    ]):  # fmt: skip
        out = tmp_path / str(number)
        export_rows(recipe, out)
        assert export_rows(changed, out).run["reused_shards"] == 0
    other = {"table": "samples", "samples": "table"}[recipe.kind]
    assert export_rows(RECIPES[other], tmp_path / "out").run["reused_shards"] == 0
    export_rows(recipe, tmp_path / "code")
    monkeypatch.setattr(row_shards, "code_versions", lambda: {"warehouse": "0"})
    monkeypatch.setattr("warehouse.datasets.tables.code_versions", lambda: {"warehouse": "0"})
    again = export_rows(replace(recipe, description="By other code."), tmp_path / "code")
    assert again.run["reused_shards"] == 0


def test_by_time_later_rows_move_the_cut_and_with_it_rows_to_the_other_split_of_their_shard(
    tmp_path: Path, recipe: TableRecipe
) -> None:
    by_time = replace(recipe, split_by="time")
    first = export_rows(by_time, tmp_path / "out")
    less = export_rows(changed_select(by_time, "FROM {} WHERE number <> 149"), tmp_path / "out")
    assert less.run["reused_shards"] == 5 and len(shared(first, less)) == 5, "the cut stays where it was"
    later = "FROM {0} UNION ALL SELECT * REPLACE (number + 1000 AS number, 99 AS moment) FROM {0} WHERE number < 40"
    more = export_rows(changed_select(by_time, later), tmp_path / "out")
    before, after = places(less), places(more)
    moved = {number for number in before if before[number] != after[number]}
    assert moved == {number for number in before if before[number][0] == "test" and after[number][0] == "train"}
    assert moved and all(before[number][1] == after[number][1] for number in moved)
    assert more.run["reused_shards"] == 0 and more.manifest.splits["train"].last > less.manifest.splits["train"].last


def places(release: Made) -> dict[int, tuple[str, int]]:
    """Split and shard of each row."""
    return {
        number: (split, at)
        for split, held in release.manifest.splits.items()
        for at, shard in enumerate(held.shards)
        for number in row_shards.read_shard(release.path, release.manifest, shard)["number"].to_pylist()
    }
