"""Splits by time: no document of a split is of its end or later, no cluster in two, and nothing else is lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.contracts import TIMESTAMP
from warehouse.datasets import DatasetRecipe, Release, load_recipe, rebuild
from warehouse.datasets.timing import split_by_time, timed
from warehouse.errors import CheckFailed, RecipeError

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
SPLITS = (("train", 0.6), ("validation", 0.2), ("test", 0.2))
BY_TIME = DatasetRecipe("t", "SELECT 1", splits=SPLITS, split_by="time", time="known_at")

members = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), min_size=1, max_size=40)
"""Cluster and day of each document."""


def placed(recipe: DatasetRecipe, found: list[tuple[int, int]]) -> list[tuple[int, str, datetime]]:
    """Split, cluster and time of each document that goes out."""
    times = [START + day * DAY for _, day in found]
    facts = pa.table({"cluster": [str(cluster) for cluster, _ in found], "time": pa.array(times, TIMESTAMP)})
    kept = timed(recipe, facts)
    clusters = kept["cluster"].to_pylist()
    return list(
        zip(split_by_time(recipe, clusters, kept["time"]).tolist(), clusters, kept["time"].to_pylist(), strict=True)
    )


@settings(deadline=None)
@given(members)
def test_of_two_splits_the_earlier_holds_nothing_after_the_first_cluster_of_the_later(
    found: list[tuple[int, int]],
) -> None:
    rows = placed(BY_TIME, found)
    assert len(rows) == len(found)
    assert set(Counter(cluster for _, cluster in {row[:2] for row in rows}).values()) == {1}
    latest = {cluster: max(at for _, other, at in rows if other == cluster) for _, cluster, _ in rows}
    for split, _, at in rows:
        assert all(at < latest[cluster] for later, cluster, _ in rows if later > split)


@settings(deadline=None)
@given(members, st.lists(st.integers(1, 31), min_size=3, max_size=3, unique=True).map(sorted))
def test_until_holds_for_every_document_and_only_later_ones_stay_out(
    found: list[tuple[int, int]], days: list[int]
) -> None:
    recipe = replace(BY_TIME, until=tuple(START + day * DAY for day in days))
    if all(day >= days[-1] for _, day in found):
        with pytest.raises(CheckFailed, match=rf"all {len(found)} documents.*or later"):
            placed(recipe, found)
        return
    rows = placed(recipe, found)
    assert len(rows) == sum(day < days[-1] for _, day in found)
    assert all(at < recipe.until[split] for split, _, at in rows)
    latest = {cluster: max(at for _, other, at in rows if other == cluster) for _, cluster, _ in rows}
    assert all(split == sum(latest[cluster] >= end for end in recipe.until) for split, cluster, _ in rows)


@pytest.fixture
def dated(tmp_path: Path, make_world: Any, rows: list[dict[str, Any]]) -> Any:
    """A world whose document n was known on day n, and published a year before; the last two are one cluster."""
    times = [{"known_at": START + n * DAY, "published_at": START + (n - 365) * DAY} for n in range(len(rows))]
    return make_world(tmp_path / "dated", [row | time for row, time in zip(rows, times, strict=True)])


def days_of(release: Release, split: str) -> list[int]:
    found = pq.read_table(release.path / "documents.parquet").to_pylist()
    return sorted((row["time"] - START).days for row in found if row["split"] == split)


def test_a_release_by_time_holds_the_shares_says_its_times_and_is_made_again(dated: Any, recipe: DatasetRecipe) -> None:
    release = dated.export(replace(recipe, splits=SPLITS, split_by="time", time="known_at"))
    days = {name: days_of(release, name) for name, _ in SPLITS}
    assert [len(found) for found in days.values()] == [76, 25, 26]
    assert [max(days["train"]) < min(days["validation"]), max(days["validation"]) < min(days["test"])] == [True, True]
    for name, split in release.manifest.splits.items():
        ends = [START + day * DAY for day in (days[name][0], days[name][-1])]
        assert [split.first, split.last] == [end.isoformat() for end in ends]
    assert release.manifest.timing == {"by": "known_at"}
    assert "Split by `known_at`" in (release.path / "README.md").read_text()
    assert rebuild(release.path, dated.snapshot, batch_rows=5).id == release.id
    assert load_recipe(release.path / "recipe" / "recipe.yaml").split_by == "time"


def test_dates_end_the_splits_and_what_comes_later_leaves_the_release_as_it_is(
    dated: Any, recipe: DatasetRecipe, make_world: Any, make_row: Any
) -> None:
    ends = (START - 300 * DAY, START - 280 * DAY)
    asked = replace(recipe, splits=(("train", 0.0), ("test", 0.0)), split_by="time", time="published_at", until=ends)
    release = dated.export(asked)
    assert release.manifest.timing == {
        "by": "published_at",
        "until": {"train": ends[0].isoformat(), "test": ends[1].isoformat()},
        "later": 127 - 85,
    }
    assert [len(days_of(release, name)) for name in ("train", "test")] == [65, 20]
    late = [make_row(n, f"late {n}", published_at=START) for n in range(500, 504)]
    more = make_world(dated.folder, dated.rows + late, version=4).export(asked)
    assert more.id == release.id and not more.written
    assert "42 selected documents are later" in (release.path / "README.md").read_text()


def test_a_select_takes_the_documents_as_they_were_known_at_a_date(
    tmp_path: Path, recipe: DatasetRecipe, make_world: Any, make_row: Any
) -> None:
    """The select is that of docs/datasets.md."""
    versions = [make_row(1, f"page in version {n} ", known_at=START + n * DAY) for n in range(4)]
    others = [make_row(2, "another page", known_at=START + DAY), make_row(3, "a later page", known_at=START + 3 * DAY)]
    again = others[0] | {"known_at": START + 3 * DAY, "licence": "CC0-1.0"}
    world = make_world(tmp_path, [*versions, *others, again])
    for day, texts in ((1, [versions[1], others[0]]), (2, [versions[2], others[0]]), (9, [versions[3], *others])):
        select = f"""
            SELECT DISTINCT doc_id
            FROM (
              FROM repository.documents
              WHERE known_at < '{(START + day * DAY + DAY / 2).isoformat()}'
              QUALIFY rank() OVER (PARTITION BY source, uri ORDER BY known_at DESC) = 1
            )"""
        release = world.export(replace(recipe, select=select, splits=(("train", 1.0),)), out=str(day))
        found = {row["doc_id"]: row for row in pq.read_table(release.path / "documents.parquet").to_pylist()}
        assert found.keys() == {row["doc_id"] for row in texts}
        assert found[others[0]["doc_id"]]["licence"] == "CC0-1.0"


def test_a_time_may_be_a_column_of_the_select_and_must_be_a_time_of_every_document(
    dated: Any, recipe: DatasetRecipe
) -> None:
    select = "SELECT doc_id, {} AS moment FROM repository.documents"
    asked = replace(recipe, split_by="time", time="moment", splits=SPLITS)
    release = dated.export(replace(asked, select=select.format("CAST(known_at AS DATE)")))
    assert [len(days_of(release, name)) for name, _ in SPLITS] == [76, 25, 26]
    for sql, message in (
        ("extract(year FROM known_at)", r"time moment is int64.*a date or a timestamp"),
        ("CASE WHEN uri <> 'made/3' THEN known_at END", r"1 of 127 selected documents have no moment.*coalesce"),
    ):
        with pytest.raises(RecipeError, match=message):
            dated.export(replace(asked, select=select.format(sql)))
    with pytest.raises(RecipeError, match=r"the select gives no moment.*doc_id"):
        dated.export(asked)
