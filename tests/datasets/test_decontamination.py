"""Benchmarks kept out: no 13-gram of one is in the tokens, whether cut or dropped; a rebuild cuts the same bytes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_masks import spans_of
from test_release import rebuilt_texts

from warehouse.contracts import PII_KINDS, Snapshot
from warehouse.curation import CONTAMINATION
from warehouse.curation.contamination import Benchmarks, contamination
from warehouse.datasets import DatasetRecipe, Overlap, load_recipe, read_manifest, rebuild, trace
from warehouse.datasets.decontamination import MARK, merged
from warehouse.datasets.masks import masked_text
from warehouse.datasets.recipe import resolved
from warehouse.errors import CheckFailed, NotFound, RecipeError
from warehouse.kernels import contamination as kernel
from warehouse.kernels.texts import texts
from warehouse.manifest import encode

DRAW = random.Random(3)
LETTERS = "abcdefgh"
ITEMS = {
    "letters": [" ".join(DRAW.choices(LETTERS, k=20)) for _ in range(8)],
    "mail": ["please write to jane.doe@mail.example.co.uk or to a@b.de before the end of the next week, thank you"],
}


def benchmarks() -> Benchmarks:
    pairs = [(group, body) for group, name in enumerate(sorted(ITEMS)) for body in ITEMS[name]]
    index = kernel.index(texts(pa.array([body for _, body in pairs])), np.array([group for group, _ in pairs]))
    names = pa.array(sorted(ITEMS))
    passages = np.array([len(ITEMS[name]) for name in sorted(ITEMS)])
    return Benchmarks(names, passages, pa.array([f"item#{at}" for at in range(len(pairs))]), index)


def measured(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    ids, bodies = ([row[name] for row in rows] for name in ("doc_id", "text"))
    batch = pa.RecordBatch.from_arrays(
        [pa.array(ids, pa.string()), pa.array(bodies, pa.large_string())], ["doc_id", "text"]
    )
    return contamination(batch, benchmarks())


def snapshot(path: Path, table: str, rows: pa.Table) -> Snapshot:
    pq.write_table(rows, path)
    return Snapshot(table, 1, (str(path),), rows.schema, rows.num_rows, path.stat().st_size)


def overlap_of(folder: Path, rows: list[dict[str, Any]]) -> Overlap:
    """The tables benchmarks and contamination of these documents."""
    passages = [
        {"_source": name, "item": f"item#{at}", "ordinal": 0, "text": body}
        for name, bodies in ITEMS.items()
        for at, body in enumerate(bodies)
    ]
    return Overlap(
        snapshot(folder / "benchmarks.parquet", "benchmarks", pa.Table.from_pylist(passages)),
        snapshot(
            folder / "contamination.parquet", "contamination", pa.Table.from_batches([measured(rows)], CONTAMINATION)
        ),
        lambda: partial(contamination, against=benchmarks()),
    )


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, make_world: Callable[..., Any], make_row: Callable[..., Any]
) -> Any:
    every = [body for bodies in ITEMS.values() for body in bodies]
    bodies = [
        f"Nº {n} {' '.join(DRAW.choices(LETTERS, k=n))} {every[n % len(every)]}, {every[n % 4][:9]}" for n in range(40)
    ]
    rows = [make_row(n, body) for n, body in enumerate([*bodies, every[0], "nothing of them", "call a@b.de now", ""])]
    return make_world(tmp_path_factory.mktemp("clean"), rows)


def dirty(world: Any) -> set[str]:
    return {row["doc_id"] for row in measured(world.rows).to_pylist() if row["start"] >= 0}


def test_no_13_gram_of_a_benchmark_is_in_the_tokens_of_a_cut_release(world: Any, recipe: DatasetRecipe) -> None:
    release = world.export(
        replace(recipe, contamination="cut"), overlap=overlap_of(world.folder, world.rows), out="cut"
    )
    released, stored = rebuilt_texts(release.path, release.manifest), {row["doc_id"]: row["text"] for row in world.rows}
    again = measured([{"doc_id": doc, "text": text} for doc, text in released.items()])
    assert set(again["start"].to_pylist()) == {-1}
    assert {doc for doc, text in released.items() if text != stored[doc]} == dirty(world)
    for row in pq.read_table(release.path / "documents.parquet").to_pylist():
        assert row["bytes"] == len(released[row["doc_id"]].encode())
    assert rebuild(release.path, world.snapshot).id == release.id
    assert load_recipe(release.path / "recipe" / "recipe.yaml").contamination == "cut"


def test_a_dropping_release_holds_what_met_no_benchmark_as_it_is(world: Any, recipe: DatasetRecipe) -> None:
    release = world.export(
        replace(recipe, contamination="drop"), overlap=overlap_of(world.folder, world.rows), out="drop"
    )
    kept = {row["doc_id"]: row["text"] for row in world.rows if row["doc_id"] not in dirty(world)}
    assert rebuilt_texts(release.path, release.manifest) == kept and len(kept) == 3
    assert rebuild(release.path, world.snapshot).id == release.id


@pytest.mark.parametrize("how", ["cut", "drop"])
def test_the_manifest_and_the_card_say_what_was_kept_out(world: Any, recipe: DatasetRecipe, how: Any) -> None:
    release = world.export(replace(recipe, contamination=how), overlap=overlap_of(world.folder, world.rows), out=how)
    rows = [row for row in measured(world.rows).to_pylist() if row["start"] >= 0]
    spans = {name: sum(row["benchmark"] == name for row in rows) for name in ("letters", "mail")}
    items = len({(row["benchmark"], row["item"]) for row in rows})
    assert read_manifest(release.path).contamination == {
        how: spans,
        "documents": len(dirty(world)),
        "items": items,
        "benchmarks": {"letters": 8, "mail": 1},
    }
    assert f"{sum(spans.values())} spans of {items} items" in (release.path / "README.md").read_text()


def test_masks_and_cuts_stand_side_by_side_and_a_mask_inside_a_cut_is_cut(world: Any, recipe: DatasetRecipe) -> None:
    both = replace(recipe, contamination="cut", mask=PII_KINDS)
    options = {"overlap": overlap_of(world.folder, world.rows), "snapshot_pii": spans_of(world.folder, world.rows)}
    release = world.export(both, **options, out="both")
    released = rebuilt_texts(release.path, release.manifest)
    assert not any("a@b.de" in text or "jane.doe" in text for text in released.values())
    assert "call user@example.org now" in released.values()
    assert release.manifest.pii["masked"]["email"] == release.manifest.pii["documents"] == 1
    assert rebuild(release.path, world.snapshot).id == release.id
    for segment in trace(release.path, "train", 0):
        assert segment.text_end <= len(next(r["text"] for r in world.rows if r["doc_id"] == segment.doc_id).encode())


def test_documents_that_were_not_compared_are_not_exported_as_if_they_met_nothing(
    world: Any, recipe: DatasetRecipe
) -> None:
    few = overlap_of(world.folder, world.rows[3:])
    for how in ("cut", "drop"):
        with pytest.raises(NotFound, match="3 of 44 selected documents were not compared with every benchmark"):
            world.export(replace(recipe, contamination=how), overlap=few, out="none")
        with pytest.raises(NotFound, match=f"no benchmark is registered, and .* wants contamination: {how}"):
            world.export(replace(recipe, contamination=how), out="none")


def test_a_selection_of_nothing_but_benchmarks_is_refused(world: Any, recipe: DatasetRecipe) -> None:
    only = replace(recipe, contamination="drop", select=f"SELECT * FROM (VALUES ('{min(dirty(world))}')) AS v(doc_id)")
    with pytest.raises(CheckFailed, match="all 1 documents"):
        world.export(only, overlap=overlap_of(world.folder, world.rows), out="none")


def test_a_recipe_without_the_key_says_nothing(world: Any, recipe: DatasetRecipe) -> None:
    release = world.export(out="raw")
    assert "contamination" not in resolved(recipe) and b'"contamination"' not in encode(release.manifest)


@pytest.mark.parametrize("stated", ["mask", "true", "[cut]", "{cut: '...'}", "''"])
def test_a_wrong_value_is_refused_with_its_line(tmp_path: Path, stated: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"select: SELECT 1 AS doc_id\ncontamination: {stated}\n")
    with pytest.raises(RecipeError, match=r"recipe.yaml:2: contamination is .*\. Allowed: drop, cut"):
        load_recipe(path)


@given(st.text(LETTERS + " ", max_size=300), st.data())
@settings(max_examples=200, deadline=None)
def test_a_text_with_its_spans_cut_holds_none_any_more(text: str, data: st.DataObject) -> None:
    pieces = [data.draw(st.sampled_from(ITEMS["letters"])) for _ in range(data.draw(st.integers(0, 3)))]
    text = " ".join([text, *pieces, text[::-1]])
    rows = measured([{"doc_id": "0", "text": text}]).to_pylist()
    cuts = [{**row, "kind": "x:y", "mask": MARK} for row in rows if row["start"] >= 0]
    left = masked_text(text, merged(cuts))
    assert {row["start"] for row in measured([{"doc_id": "0", "text": left}]).to_pylist()} == {-1}


def test_a_cut_takes_in_whatever_it_overlaps() -> None:
    def span(kind: str, start: int, stop: int) -> dict[str, Any]:
        return {"kind": kind, "start": start, "stop": stop, "mask": MARK if ":" in kind else "M"}

    found = merged(
        [span("ip", 0, 3), span("b:1", 5, 20), span("email", 3, 6), span("a:2", 18, 30), span("card", 30, 33)]
    )
    assert found == [span("ip", 0, 3), span("b:1", 3, 30), span("card", 30, 33)]
