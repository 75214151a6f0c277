"""Masks: no masked span is in the tokens of a release, a rebuild masks the same bytes, and trace leads to the span."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_release import contents, rebuilt_texts

from warehouse.contracts import PII_KINDS, Snapshot
from warehouse.curation import PII, pii
from warehouse.datasets import DatasetRecipe, Release, load_recipe, read_manifest, rebuild, trace, verify
from warehouse.datasets.masks import masked_text, stored_range
from warehouse.datasets.recipe import resolved
from warehouse.datasets.rendering import render
from warehouse.errors import NotFound, RecipeError
from warehouse.manifest import CARDS, encode, seal

SECRETS = {
    "email": ["jane.doe@mail.example.co.uk", "a@b.de"],
    "phone": ["(650) 253-0000", "+44 20 7946 0958"],
    "ip": ["85.12.3.4", "2a00:1450:4001:81b::200e"],
    "private_ip": ["192.168.1.77"],
    "card": ["4111 1111 1111 1111", "378282246310005"],
    "iban": ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32"],
    "ssn": ["078-05-1120"],
    "secret": ["AKIAIOSFODNN7EXAMPLE"],
}
KINDS = {secret: kind for kind, secrets in SECRETS.items() for secret in secrets}


def spans_of(folder: Path, rows: list[dict[str, Any]]) -> Snapshot:
    """The table pii of these documents, as one Parquet file."""
    ids, texts = ([row[name] for row in rows] for name in ("doc_id", "text"))
    found = pii(pa.RecordBatch.from_arrays([pa.array(ids), pa.array(texts, pa.large_string())], ["doc_id", "text"]))
    path = folder / "pii-1.parquet"
    pq.write_table(pa.Table.from_batches([found], PII), path)
    return Snapshot("pii", 1, (str(path),), PII, found.num_rows, path.stat().st_size)


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, make_world: Callable[..., Any], make_row: Callable[..., Any]
) -> Any:
    secrets = list(KINDS)
    texts = [f"Nur für Nº {n}: {secrets[n % 13]}, oder {secrets[n * 7 % 13]}; {'mehr ' * (n % 60)}" for n in range(60)]
    rows = [make_row(number, text) for number, text in enumerate([*texts, "nothing to hide", "", secrets[0]])]
    return make_world(tmp_path_factory.mktemp("masked"), rows)


@pytest.fixture(scope="module")
def masked(world: Any, recipe: DatasetRecipe) -> Release:
    """A release that masks every kind."""
    spans = spans_of(world.folder, world.rows)
    return world.export(replace(recipe, mask=PII_KINDS), snapshot_pii=spans, out="all")


def test_no_masked_span_is_in_the_tokens_and_all_else_is(world: Any, masked: Release) -> None:
    released, given = rebuilt_texts(masked.path, masked.manifest), {row["doc_id"]: row["text"] for row in world.rows}
    assert released.keys() == given.keys()
    for doc, text in released.items():
        assert not any(secret in text for secret in KINDS)
        assert text.partition(":")[0] == given[doc].partition(":")[0] or given[doc] == next(iter(KINDS))
        assert text.count("mehr ") == given[doc].count("mehr ")
    again = spans_of(world.folder / "all", [{"doc_id": doc, "text": text} for doc, text in released.items()])
    assert pq.read_table(again.files[0])["start"].to_pylist() == [-1] * len(released)


def test_only_the_kinds_of_the_recipe_are_masked(world: Any, recipe: DatasetRecipe) -> None:
    spans = spans_of(world.folder, world.rows)
    release = world.export(replace(recipe, mask=("email", "iban")), snapshot_pii=spans, out="some")
    text = "\n".join(rebuilt_texts(release.path, release.manifest).values())
    assert {kind for secret, kind in KINDS.items() if secret in text} == {*PII_KINDS} - {"email", "iban"}
    assert list(release.manifest.pii["masked"]) == ["email", "iban"]


def test_a_rebuild_masks_the_same_bytes_without_the_table(world: Any, masked: Release) -> None:
    assert rebuild(masked.path, world.snapshot, processes=1).files == verify(masked.path).files - len(CARDS)
    assert load_recipe(masked.path / "recipe" / "recipe.yaml").mask == PII_KINDS


def test_the_manifest_and_the_documents_count_what_was_masked(world: Any, masked: Release) -> None:
    given, released = ({row["doc_id"]: row["text"] for row in world.rows}, rebuilt_texts(masked.path, masked.manifest))
    frozen = pq.read_table(masked.path / "documents.parquet").to_pylist()
    counted = dict.fromkeys(PII_KINDS, 0)
    for row in frozen:
        raw = given[row["doc_id"]].encode()
        assert row["bytes"] == len(released[row["doc_id"]].encode())
        for span in row["masked"]:
            assert KINDS[raw[span["start"] : span["stop"]].decode()] == span["kind"]
            counted[span["kind"]] += 1
    manifest = read_manifest(masked.path)
    assert manifest.pii == {"masked": counted, "documents": 61} and sum(counted.values()) == 121
    assert sum(split.text_bytes for split in manifest.splits.values()) == sum(row["bytes"] for row in frozen)
    assert f"email {counted['email']}" in (masked.path / "README.md").read_text()


def test_trace_leads_from_a_token_of_a_mask_to_the_span_it_hides(world: Any, masked: Release) -> None:
    given = {row["doc_id"]: row["text"].encode() for row in world.rows}
    hidden = set[str]()
    for segment in trace(masked.path, "train", 0):
        for token in range(segment.position, segment.position + segment.length):
            [one] = trace(masked.path, "train", 0, token)
            raw = given[one.doc_id][one.text_start : one.text_end].decode(errors="replace")
            if raw and raw != one.preview and "\ufffd" not in one.preview:
                hidden.add(raw)
                assert any(secret in raw for secret in KINDS), (raw, one.preview)
    assert hidden


def test_ranges_of_masked_text_are_those_of_the_stored_text_outside_masks() -> None:
    masks = [{"start": 2, "stop": 4, "mask": "XXXXX"}, {"start": 6, "stop": 12, "mask": "Y"}]
    assert masked_text("ab12cd345678é", masks) == "abXXXXXcdYé"
    ranges = [stored_range(place, place + 1, masks) for place in range(10)]
    assert ranges == [(0, 1), (1, 2), *[(2, 4)] * 5, (4, 5), (5, 6), (6, 12)]
    assert stored_range(10, 12, masks) == (12, 14) and stored_range(0, 12, masks) == (0, 14)


def test_documents_that_were_not_searched_are_not_exported_as_if_they_held_nothing(
    world: Any, recipe: DatasetRecipe
) -> None:
    few = spans_of(world.folder, world.rows[3:])
    for spans, missing in ((few, 3), (None, 63)):
        with pytest.raises(NotFound, match=f"{missing} of 63 selected documents were not searched for personal data"):
            world.export(replace(recipe, mask=("ip",)), snapshot_pii=spans, out="none")


def test_a_recipe_that_masks_nothing_gives_the_texts_and_says_nothing(world: Any, recipe: DatasetRecipe) -> None:
    release = world.export(out="raw")
    assert rebuilt_texts(release.path, release.manifest) == {row["doc_id"]: row["text"] for row in world.rows}
    assert "pii" not in resolved(recipe) and b'"pii"' not in encode(release.manifest)
    assert seal(release.manifest) == release.manifest.seal


def test_a_release_made_before_there_were_masks_still_verifies_and_rebuilds(world: Any, tmp_path: Path) -> None:
    release = world.export(out="old")
    frozen = pq.read_table(release.path / "documents.parquet").drop_columns("masked")
    assert "masked" not in rebuilt_without(release, frozen, world, tmp_path)


def rebuilt_without(release: Release, frozen: pa.Table, world: Any, folder: Path) -> list[str]:
    """Columns of documents.parquet when a release is rendered from documents without masks."""
    recipe = load_recipe(release.path / "recipe" / "recipe.yaml")
    old = frozen.drop_columns("tokens")
    render(recipe, old, world.snapshot, folder=folder, processes=1, batch_rows=64, progress=None)
    for name, digest in contents(release).items():
        if name.endswith((".bin", ".idx", "tokenizer.json")):
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    return pq.read_schema(folder / "documents.parquet").names


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        (
            "{mask: [emails]}",
            r"recipe.yaml:2: mask is \['emails'\].*email, phone, ip, private_ip, card, iban, ssn, secret",
        ),
        ("{mask: email}", "mask is 'email'"),
        ("{masks: [email]}", "unknown key 'masks'"),
        ("[email]", r"recipe.yaml:2: .*\{mask: \[email, phone\]\}"),
        ("{mask: [{a: 1}]}", "mask is"),
    ],
)
def test_a_key_of_masks_that_is_wrong_is_refused_with_its_line(tmp_path: Path, stated: str, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"select: SELECT 1 AS doc_id\npii: {stated}\n")
    with pytest.raises(RecipeError, match=message):
        load_recipe(path)
