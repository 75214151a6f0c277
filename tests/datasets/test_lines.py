"""Lines left out: a release holds what C4's filter leaves of each text, masks and cuts in it, and leads back to it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from c4_twin import CITATION, c4_left, c4_line
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decontamination import ITEMS, measured, overlap_of
from test_masks import spans_of
from test_release import rebuilt_texts

from warehouse import query
from warehouse.contracts import PII_KINDS
from warehouse.datasets import DatasetRecipe, Release, load_recipe, read_manifest, rebuild, trace, verify
from warehouse.datasets.decontamination import MARK, merged
from warehouse.datasets.lines import laid, lines_of, words_of
from warehouse.datasets.masks import masked_text, stored_range
from warehouse.datasets.recipe import Lines, resolved
from warehouse.errors import CheckFailed, NotFound, RecipeError
from warehouse.manifest import CARDS, encode

ITEM = ITEMS["letters"][0]
HALVES = ITEM[:19], ITEM[20:]
PIECES = [
    *("A line that is kept.", "[1] Cited twice [2] and kept.", "menu", "no mark here at all", "It uses cookies here."),
    *("Ünï ködé 中文 \U0001f600 stays.", "var x = {1} {2}.", "Kept as well [citation needed].", "", "   "),
]
ODD = {
    "hidden": "Kept line one here.\nmail a@b.de\nWrite to c@d.org at once.\r\n",
    "straddling": "You may call +44 20\n7946 0958\nfor more of it.",
    "cut": f"An item follows here. {ITEM}.\nAnd a@b.de is kept.",
    "cut in a line that falls": f"Nothing but this.\n{ITEM}\nIs kept of it.",
    "broken": f"Read {HALVES[0]} [7]\n{HALVES[1]} [8] and so on.",
    "put together": f"Read this: {HALVES[0]}[7] {HALVES[1]}.",
    "put together by lines": f"Read this: {HALVES[0]}?\nmenu\n{HALVES[1]} and so.",
    "one": "The same is left of it.\nmenu",
    "other": "Home\nThe same is left  of it. [3]\r\n",
    "whole": "the same is left of it.",
    "one with mail": "Home\nWrite to a@b.de of it.",
    "other with mail": "Write to a@b.de of it.",
    "menus": "menu\nno mark here at all\n",
    "empty": "",
    "blank": " \r\n ",
    "space only": "[1] [2] [3]",
}


def pages() -> Iterator[str]:
    draw = random.Random(5)
    for _ in range(40):
        yield "".join(draw.choice(PIECES) + draw.choice(["\n", "\r\n", "\n\n", " \n", "\u2028"]) for _ in range(12))


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, make_world: Callable[..., Any], make_row: Callable[..., Any]
) -> Any:
    rows = [make_row(number, text) for number, text in enumerate([*pages(), *ODD.values()])]
    return make_world(tmp_path_factory.mktemp("lines"), rows)


@pytest.fixture(scope="module")
def releases(world: Any, recipe: DatasetRecipe) -> Callable[..., Release]:
    made = dict[DatasetRecipe, Release]()

    def release(**keys: Any) -> Release:
        wanted = replace(recipe, **keys)
        if wanted not in made:
            options = {
                "overlap": overlap_of(world.folder, world.rows),
                "snapshot_pii": spans_of(world.folder, world.rows),
            }
            made[wanted] = world.export(wanted, **options, out=str(len(made)))
        return made[wanted]

    return release


def left(world: Any, rule: Lines) -> dict[str, str]:
    return {row["doc_id"]: c4_left(row["text"], needs_mark=rule == "c4") for row in world.rows}


@pytest.mark.parametrize("rule", ["c4", "c4_open"])
def test_a_release_holds_what_c4_leaves_of_each_text_and_none_of_which_it_leaves_nothing(
    world: Any, releases: Callable[..., Release], rule: Lines
) -> None:
    release = releases(lines=rule)
    released, wanted = rebuilt_texts(release.path, release.manifest), left(world, rule)
    assert released == {doc: text for doc, text in wanted.items() if text}
    for row in pq.read_table(release.path / "documents.parquet").to_pylist():
        assert row["bytes"] == len(released[row["doc_id"]].encode())
    assert rebuild(release.path, world.snapshot, batch_rows=7).files == verify(release.path).files - len(CARDS)
    assert load_recipe(release.path / "recipe" / "recipe.yaml").lines == rule


@pytest.mark.parametrize("rule", ["c4", "c4_open"])
def test_the_manifest_and_the_card_count_lines_by_the_rule_that_drops_them(
    world: Any, releases: Callable[..., Release], rule: Lines
) -> None:
    wanted, counted, lost = left(world, rule), dict[str, int](), 0
    kept = [row for row in world.rows if wanted[row["doc_id"]]]
    for row in kept:
        lost += len(row["text"].encode()) - len(wanted[row["doc_id"]].encode())
        for line in row["text"].splitlines():
            outcome = c4_line(line.strip(), needs_mark=rule == "c4")
            counted[outcome] = counted.get(outcome, 0) + 1
    release = releases(lines=rule)
    found = dict(read_manifest(release.path).lines)
    assert found["dropped"] | {"kept": found["kept"]} == dict.fromkeys(found["dropped"], 0) | counted
    assert found["bytes"] == lost and found["left_out"] == {"no_line_kept": len(world.rows) - len(kept)}
    assert found["documents"] == sum(row["text"] != wanted[row["doc_id"]] for row in kept)
    assert f"{sum(found['dropped'].values()):,} dropped of" in (release.path / "README.md").read_text()


def test_trace_leads_from_every_token_to_the_bytes_that_it_stands_for(
    world: Any, releases: Callable[..., Release]
) -> None:
    release = releases(lines="c4")
    stored, compared = {row["doc_id"]: row["text"].encode() for row in world.rows}, 0
    for segment in trace(release.path, "train", 0):
        assert segment.text_start <= segment.text_end
        for token in range(segment.position, segment.position + segment.length):
            [one] = trace(release.path, "train", segment.sample, token)
            raw = stored[one.doc_id][one.text_start : one.text_end].decode(errors="replace")
            if "\n" not in one.preview and "\ufffd" not in one.preview:
                assert CITATION.sub("", raw) == one.preview
                compared += 1
    assert compared > 30


def test_masks_stand_in_kept_lines_alone_and_are_counted_there(world: Any, releases: Callable[..., Release]) -> None:
    release = releases(lines="c4", mask=PII_KINDS, contamination="cut")
    text = "\n".join(rebuilt_texts(release.path, release.manifest).values())
    assert "Kept line one here.\nWrite to user@example.org at once." in text and "a@b.de" not in text
    assert "An item follows here. [cut].\nAnd user@example.org is kept." in text
    assert "7946" not in text and "+44 20" not in text
    spans = [span for row in pq.read_table(release.path / "documents.parquet").to_pylist() for span in row["masked"]]
    emails = sum(span["kind"] == "email" for span in spans)
    assert release.manifest.pii["masked"]["email"] == emails == text.count("user@example.org") == 4
    assert rebuild(release.path, world.snapshot).id == release.id


@pytest.mark.parametrize(("how", "rule"), [("cut", "c4"), ("drop", "c4_open")])
def test_benchmarks_are_kept_out_of_what_lines_leave(
    world: Any, releases: Callable[..., Release], how: Any, rule: Lines
) -> None:
    release = releases(lines=rule, contamination=how)
    wanted = {doc: text for doc, text in left(world, rule).items() if text}
    found = measured([{"doc_id": doc, "text": text} for doc, text in wanted.items()]).to_pylist()
    dirty = [{**row, "kind": "a:b", "mask": MARK} for row in found if row["start"] >= 0]
    assert release.manifest.contamination[how] == {"letters": len(dirty)} and len(dirty) >= 3
    for doc in {row["doc_id"] for row in dirty}:
        text = wanted.pop(doc)
        if how == "cut":
            wanted[doc] = masked_text(text, merged([row for row in dirty if row["doc_id"] == doc]))
    assert rebuilt_texts(release.path, release.manifest) == wanted
    assert rebuild(release.path, world.snapshot).id == release.id


@pytest.mark.parametrize("keys", [{}, {"mask": PII_KINDS, "contamination": "cut"}], ids=["lines", "all"])
def test_texts_of_which_the_same_is_left_are_in_one_cluster_and_shard(
    world: Any, releases: Callable[..., Release], keys: dict[str, Any]
) -> None:
    release = releases(lines="c4", **keys)
    wanted, places = left(world, "c4"), dict[str, set[tuple[Any, ...]]]()
    for row in pq.read_table(release.path / "documents.parquet").to_pylist():
        folded = " ".join(wanted[row["doc_id"]].lower().split())
        places.setdefault(folded, set()).add((row["cluster"], row["split"], row["shard"]))
    assert all(len(found) == 1 for found in places.values())
    assert len(places) < release.manifest.documents


def test_a_selection_of_which_no_line_is_left_is_refused(world: Any, recipe: DatasetRecipe) -> None:
    menus = next(row["doc_id"] for row in world.rows if row["text"] == ODD["menus"])
    only = replace(recipe, lines="c4", select=f"SELECT '{menus}' AS doc_id")
    with pytest.raises(CheckFailed, match=r"lines: c4 leaves no line of the 1 documents .*c4_kept_lines > 0"):
        world.export(only, out="none")
    with pytest.raises(NotFound, match="1 of 1 selected documents are not in documents"):
        world.export(replace(only, select="SELECT 'nowhere' AS doc_id"), out="none")


def test_a_recipe_without_the_key_gives_the_texts_and_says_nothing(
    world: Any, releases: Callable[..., Release]
) -> None:
    release = releases()
    assert rebuilt_texts(release.path, release.manifest) == {row["doc_id"]: row["text"] for row in world.rows}
    assert "lines" not in resolved(load_recipe(release.path / "recipe" / "recipe.yaml"))
    assert b'"lines"' not in encode(release.manifest)


@pytest.mark.parametrize("stated", ["fineweb", "true", "[c4]", "{c4: 1}", "''"])
def test_a_wrong_value_is_refused_with_its_line(tmp_path: Path, stated: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"select: SELECT 1 AS doc_id\nlines: {stated}\n")
    with pytest.raises(RecipeError, match=r"recipe.yaml:2: lines is .*\. Allowed: c4, c4_open"):
        load_recipe(path)


def spans_in(size: int, kind: str, masks: st.SearchStrategy[str]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Spans of a text of so many bytes, in order and apart."""
    edges = st.lists(st.integers(0, size), unique=True, max_size=12).map(sorted)
    return st.builds(
        lambda at, mask: [
            {"kind": kind, "start": start, "stop": stop, "mask": mask}
            for start, stop in zip(at[::2], at[1::2], strict=False)
        ],
        edges,
        masks,
    )


@given(spans_in(30, "pii", st.just("MASK")), spans_in(30, "c4", st.sampled_from(["", "\n"])))
@settings(max_examples=200, deadline=None)
def test_masks_and_lines_hide_every_byte_that_either_hides_and_a_mask_goes_with_its_last_byte(
    masks: list[dict[str, Any]], lines: list[dict[str, Any]]
) -> None:
    def hidden(spans: list[dict[str, Any]]) -> list[int]:
        return [byte for span in spans for byte in range(span["start"], span["stop"])]

    found, dropped = laid(masks, lines), set(hidden(lines))
    assert hidden(found) == sorted({*hidden(masks), *dropped})
    showing = [mask for mask in masks if not dropped.issuperset(hidden([mask]))]
    assert sum(span["kind"] == "pii" for span in found) == len(showing)
    assert all(span in lines or span["kind"] == "pii" for span in found)


@given(spans_in(26, "any", st.sampled_from(["", "\n", "*"])))
@settings(max_examples=200, deadline=None)
def test_every_byte_that_is_left_has_its_own_stored_range_and_every_mask_the_span_it_hides(
    masks: list[dict[str, Any]],
) -> None:
    stored = "abcdefghijklmnopqrstuvwxyz"
    text, spans = masked_text(stored, masks), {(mask["start"], mask["stop"]) for mask in masks}
    for place, shown in enumerate(text):
        start, stop = stored_range(place, place + 1, masks)
        assert stored[start:stop] == shown if shown in stored else (start, stop) in spans
        first, last = stored_range(place, place, masks)
        assert first == last <= start


def test_lines_without_spaces_are_left_where_the_snapshot_cuts_words_by_character() -> None:
    column = pa.array(["彼は門を開けた。\n静か…\n"], pa.large_string())
    with query.connect() as con:
        assert words_of(con) == "spacy_en"
        con.execute("CREATE SCHEMA staging; CREATE TABLE staging.signals_mode AS SELECT 'unicode' AS words_mode")
        mode = words_of(con)
    growth = [lines_of(column, "c4", words)[1].tolist() for words in ("spacy_en", mode)]
    assert growth == [[-len("彼は門を開けた。\n静か…\n".encode())], [-len("\n静か…\n".encode())]]
