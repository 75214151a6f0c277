"""A release: the texts themselves in other form, the same bytes however it is made, and nothing where it is refused."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from warehouse.contracts import Check
from warehouse.datasets import DatasetRecipe, Given, Manifest, Release, load_recipe, read_manifest, verify
from warehouse.energy import Rate
from warehouse.errors import CheckFailed, NotFound, RecipeError
from warehouse.loader import Loader
from warehouse.manifest import CARDS, NO_SOURCE


def rebuilt_texts(path: Path, manifest: Manifest) -> dict[str, str]:
    """Every document's text, put together again from the shards: read by the layout, decoded by the tokenizer."""
    tokenizer = Tokenizer.from_file(str(path / "recipe" / "tokenizer.json"))
    frozen, parts = pq.read_table(path / "documents.parquet").to_pylist(), defaultdict(list)
    for split in manifest.splits.values():
        for shard in split.shards:
            samples = np.fromfile(path / shard.data, manifest.dtype).reshape(-1, manifest.sequence_length)
            for row in pq.read_table(path / shard.segments).to_pylist():
                ids = samples[row["sample"], row["position"] : row["position"] + row["length"]]
                parts[frozen[shard.first_document + row["document"]]["doc_id"]].append((row["token_offset"], ids))
    found = {}
    for doc, pieces in parts.items():
        ids = np.concatenate([ids for _, ids in sorted(pieces, key=lambda piece: piece[0])])
        assert ids[-1] == manifest.eos_id and manifest.eos_id not in ids[:-1] and manifest.pad_id not in ids
        found[doc] = tokenizer.decode(ids[:-1].tolist(), skip_special_tokens=False)
    return found


@pytest.mark.parametrize("packing", ["best_fit", "concatenate"])
def test_the_shards_hold_every_text_exactly(world: Any, recipe: DatasetRecipe, packing: str) -> None:
    release = world.export(replace(recipe, packing=packing))
    assert rebuilt_texts(release.path, release.manifest) == {row["doc_id"]: row["text"] for row in world.rows}
    assert verify(release.path).files == len(release.manifest.files)


def contents(release: Release) -> dict[str, str]:
    """sha256 of each file but run.json, which tells of time and cost."""
    files = {path.relative_to(release.path).as_posix(): path for path in release.path.rglob("*") if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items() if name != "run.json"}


def test_one_two_and_eight_processes_and_any_batch_size_give_the_same_bytes(world: Any, recipe: DatasetRecipe) -> None:
    many = replace(recipe, shards=8)
    one = world.export(many, out="one")
    assert one.run["pids"] == [os.getpid()] and "manifest.json" in contents(one)
    for processes, batch_rows in ((2, 7), (8, 50)):
        more = world.export(many, out=str(processes), processes=processes, batch_rows=batch_rows)
        assert 2 <= len(more.run["pids"]) <= processes and os.getpid() not in more.run["pids"]
        assert contents(one) == contents(more)


def test_energy_stands_in_run_json_alone_and_moves_no_byte_of_the_rest(world: Any) -> None:
    plain = world.export(out="one")
    counted = world.export(out="two", at=Rate(7.2, "a processor", 500.0, "a grid"))
    assert contents(plain) == contents(counted) and "manifest.json" in contents(plain)
    run = json.loads((counted.path / "run.json").read_text())
    assert run["watt_hours"] == pytest.approx(run["cpu_s"] * 7.2 / 3600) and run["cpu_s"] > 0
    assert run["grams_co2e"] == pytest.approx(run["watt_hours"] / 2)
    assert (run["power_model"], run["grid"]) == ("a processor", "a grid")
    assert "watt_hours" not in plain.run


def test_an_equal_release_is_not_written_again(world: Any, recipe: DatasetRecipe) -> None:
    first, second = world.export(), world.export()
    assert (first.written, second.written) == (True, False)
    assert (second.version, second.path, second.id) == (1, first.path, first.id)
    other = world.export(replace(recipe, seed=8))
    assert (other.written, other.version) == (True, 2) and other.id != first.id
    assert sorted(path.name for path in first.path.parent.iterdir()) == [".lock", "1", "2", "index.json"]


def read_idx(path: Path) -> tuple[np.dtype[Any], np.ndarray, np.ndarray, np.ndarray]:
    """A Megatron index, from its published layout alone."""
    raw = path.read_bytes()
    magic, version, code, sequences, entries = struct.unpack_from("<9sQBQQ", raw)
    assert (magic, version) == (b"MMIDIDX\0\0", 1)
    kinds = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f8", 7: "<f4", 8: "<u2"}
    lengths = np.frombuffer(raw, "<i4", sequences, 34)
    pointers = np.frombuffer(raw, "<i8", sequences, 34 + 4 * sequences)
    documents = np.frombuffer(raw, "<i8", entries, 34 + 12 * sequences)
    assert len(raw) == 34 + 12 * sequences + 8 * entries
    return np.dtype(kinds[code]), lengths, pointers, documents


def test_the_indexes_read_as_megatrons_and_datatroves_and_show_the_same_pieces(made: tuple[Any, Release]) -> None:
    _, release = made
    for shard in (shard for split in release.manifest.splits.values() for shard in split.shards):
        dtype, lengths, pointers, documents = read_idx(release.path / shard.index)
        raw = (release.path / shard.data).read_bytes()
        pieces = [np.frombuffer(raw, dtype, n, at) for n, at in zip(lengths, pointers, strict=True)]
        samples = [np.concatenate(pieces[a:b]) for a, b in pairwise(documents)]
        assert all(sample.size == 64 for sample in samples) and len(samples) == shard.samples
        ends = np.fromfile(release.path / f"{shard.data}.index", "<u8")  # datatrove's
        assert ends.tolist() == np.cumsum(lengths).tolist()
        real = [piece.size for piece in pieces if (piece != release.manifest.pad_id).any()]
        assert real == pq.read_table(release.path / shard.segments)["length"].to_pylist()


def test_the_manifest_counts_what_is_there(made: tuple[Any, Release]) -> None:
    world, release = made
    manifest = read_manifest(release.path)
    assert manifest == release.manifest
    frozen = pq.read_table(release.path / "documents.parquet").to_pylist()
    for name, split in manifest.splits.items():
        mine = [row for row in frozen if row["split"] == name]
        assert (split.documents, split.tokens) == (len(mine), sum(row["tokens"] for row in mine))
        assert split.text_bytes == sum(row["bytes"] for row in mine)
        ids = np.concatenate([np.fromfile(release.path / shard.data, manifest.dtype) for shard in split.shards])
        assert (ids != manifest.pad_id).sum() == split.tokens and ids.size == 64 * split.samples
    sizes = {row["doc_id"]: len(row["text"].encode()) for row in world.rows}
    assert {row["doc_id"]: row["bytes"] for row in frozen} == sizes
    assert manifest.composition["licence"]["unknown"]["documents"] == sum(row["licence"] is None for row in world.rows)
    for counts in manifest.composition.values():
        assert sum(count["tokens"] for count in counts.values()) == sum(row["tokens"] for row in frozen)
    assert (manifest.inputs, manifest.model_fingerprints) == ({"documents": 3}, {"curation.decisions": "f"})


def test_texts_that_are_equal_but_for_case_and_space_share_split_and_shard(made: tuple[Any, Release]) -> None:
    world, release = made
    twins = {row["doc_id"] for row in world.rows if " ".join(row["text"].lower().split()) == "same text"}
    places = {
        (row["split"], row["shard"], row["cluster"])
        for row in pq.read_table(release.path / "documents.parquet").to_pylist()
        if row["doc_id"] in twins
    }
    assert len(twins) == 2 and len(places) == 1


def test_a_cluster_of_the_selection_decides_the_split(world: Any, recipe: DatasetRecipe) -> None:
    select = "SELECT doc_id, source AS cluster, 'en' AS language FROM curation.decisions"
    release = world.export(replace(recipe, select=select, splits=(("train", 1.0),)))
    frozen = pq.read_table(release.path / "documents.parquet").to_pylist()
    assert len({(row["source"], row["shard"]) for row in frozen}) == 2
    assert set(release.manifest.composition["language"]) == {"en"}
    by_uri = world.export(replace(recipe, cluster="regexp_extract(uri, '[0-9]')", splits=(("train", 1.0),)))
    assert by_uri.manifest.documents == 127


def test_splits_are_near_their_shares_and_the_order_is_not_sqls(world: Any, recipe: DatasetRecipe) -> None:
    by_order = {
        direction: world.export(replace(recipe, select=f"{recipe.select} ORDER BY doc_id {direction}"), out=direction)
        for direction in ("ASC", "DESC")
    }
    asc, desc = (contents(release) for release in by_order.values())
    assert {name for name in asc if asc[name] != desc[name]} == {
        "recipe/recipe.yaml",
        "recipe/select.sql",
        "manifest.json",
        *CARDS[:2],
    }
    assert 85 <= by_order["ASC"].manifest.splits["train"].documents <= 115


@pytest.fixture
def given(recipe: DatasetRecipe, made: tuple[Any, Release]) -> DatasetRecipe:
    """The recipe with a tokenizer from a file: one trained anew on other texts changes every shard."""
    return replace(recipe, tokenizer=Given(made[1].path / "recipe" / "tokenizer.json"))


@pytest.mark.parametrize("packing", ["best_fit", "concatenate"])
@pytest.mark.parametrize("gone", [0, 60, 121])
def test_a_document_less_changes_one_shard(
    world: Any,
    given: DatasetRecipe,
    make_world: Callable[..., Any],
    packing: Literal["best_fit", "concatenate"],
    gone: int,
) -> None:
    """And all others are the files of the version before: the same bytes that a first version would have."""
    given = replace(given, packing=packing)
    first = world.export(given)
    less = make_world(world.folder, world.rows[:gone] + world.rows[gone + 1 :], version=4)
    second, alone = less.export(given), less.export(given, out="alone")
    before, after = contents(first), contents(second)
    shards = {name: name.split(".")[0] for name in before if name.startswith(("train", "valid"))}
    changed = {stem for name, stem in shards.items() if before[name] != after[name]}
    assert len(changed) == 1 and second.run["reused_shards"] == 5 and first.run["reused_shards"] == 0
    for name, stem in shards.items():
        assert (first.path / name).samefile(second.path / name) == (stem not in changed)
    assert after == contents(alone) and verify(second.path).id == second.id == alone.id


@pytest.mark.parametrize("packing", ["best_fit", "concatenate"])
def test_the_source_of_every_piece_stands_beside_the_index(world: Any, recipe: DatasetRecipe, packing: Any) -> None:
    release = world.export(replace(recipe, packing=packing))
    assert release.manifest.sources == ("made", "other")
    frozen = pq.read_table(release.path / "documents.parquet").to_pylist()
    for shard in (shard for split in release.manifest.splits.values() for shard in split.shards):
        left = defaultdict(list)
        for piece in pq.read_table(release.path / shard.segments).to_pylist():
            left[piece["sample"]].append(frozen[shard.first_document + piece["document"]]["source"])
        raw = (release.path / shard.index).read_bytes()
        (_, entries) = struct.unpack("<QQ", raw[18:34])
        firsts = np.frombuffer(raw[len(raw) - 8 * entries :], "<i8")
        numbers = np.fromfile(release.path / shard.sources, "<u2").tolist()
        assert len(numbers) == firsts[-1]
        for sample, (first, last) in enumerate(pairwise(firsts.tolist())):
            padding = [NO_SOURCE] * (last - first - len(left[sample]))
            assert len(padding) <= 1
            assert numbers[first:last] == [release.manifest.sources.index(name) for name in left[sample]] + padding


def test_a_new_source_numbers_the_others_anew_in_shards_that_are_taken_over(
    world: Any, given: DatasetRecipe, make_world: Callable[..., Any], make_row: Callable[..., Any]
) -> None:
    first = world.export(given)
    more = make_world(world.folder, [*world.rows, make_row(999, "One of another source.", source="a first")], version=4)
    second, alone = more.export(given), more.export(given, out="alone")
    assert second.manifest.sources == ("a first", *first.manifest.sources) and second.run["reused_shards"] == 5
    assert contents(second) == contents(alone)
    numbers = np.concatenate([np.fromfile(path, "<u2") for path in sorted(second.path.glob("*.sources"))])
    assert set(numbers.tolist()) == {0, 1, 2, NO_SOURCE}


def test_a_damaged_or_another_shard_is_not_taken_over(world: Any, given: DatasetRecipe) -> None:
    first = world.export(given)
    raw = (first.path / "train-00000-of-00003.bin").read_bytes()
    (first.path / "train-00000-of-00003.bin").write_bytes(bytes([raw[0] ^ 1]) + raw[1:])
    mended = world.export(replace(given, description="Another."))
    assert mended.run["reused_shards"] == 5 and verify(mended.path)
    assert (mended.path / "train-00000-of-00003.bin").read_bytes() == raw
    for changes in (
        {"sequence_length": 32},
        {"packing": "concatenate"},
        {"seed": 8},
        {"tokenizer": replace(given.tokenizer, eos="<|pad|>", pad="<|endoftext|>")},
    ):
        assert world.export(replace(given, **changes)).run["reused_shards"] == 0


def test_a_later_fact_about_the_same_text_is_the_one_that_counts(
    tmp_path: Path, make_world: Callable[..., Any], rows: list[dict[str, Any]]
) -> None:
    later = [row | {"known_at": row["known_at"].replace(year=2026), "licence": "CC0-1.0"} for row in rows[:3]]
    release = make_world(tmp_path, rows + later).export()
    frozen = {row["doc_id"]: row for row in pq.read_table(release.path / "documents.parquet").to_pylist()}
    assert len(frozen) == len(rows)
    assert [frozen[row["doc_id"]]["licence"] for row in later] == ["CC0-1.0"] * 3


def test_training_the_tokenizer_does_not_depend_on_threads(made: tuple[Any, Release]) -> None:
    world, release = made
    code = (
        "import sys, pickle; from warehouse.datasets.vocabulary import trained;"
        "import pyarrow.parquet as pq; wanted, seed, path, documents = pickle.load(sys.stdin.buffer);"
        "sys.stdout.write(trained(wanted, seed, pq.read_table(path), documents))"
    )
    call = pickle.dumps((world_recipe(release).tokenizer, 7, str(release.path / "documents.parquet"), world.snapshot))
    for threads in ({"RAYON_NUM_THREADS": "1"}, {"RAYON_NUM_THREADS": "2"}, {"TOKENIZERS_PARALLELISM": "false"}):
        done = subprocess.run(
            [sys.executable, "-c", code], input=call, capture_output=True, check=True, env={**os.environ, **threads}
        )
        assert done.stdout == (release.path / "recipe" / "tokenizer.json").read_bytes()


def world_recipe(release: Release) -> DatasetRecipe:
    return load_recipe(release.path / "recipe" / "recipe.yaml")


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A tokenizer of another kind: 70,000 lower-cased words, other special tokens; ids do not give the text back."""
    known = {"[UNK]": 0, "</s>": 1, "<pad>": 2} | {f"w{number}": number + 3 for number in range(70_000)}
    tokenizer = Tokenizer(models.WordLevel(known, "[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["</s>", "<pad>"])
    tokenizer.save(str(tmp_path / "words.json"))
    return tmp_path / "words.json"


def test_a_given_tokenizer_of_more_than_65536_ids_makes_four_byte_shards(
    tmp_path: Path, recipe: DatasetRecipe, make_world: Callable[..., Any], make_row: Callable[..., Any], words: Path
) -> None:
    world = make_world(tmp_path / "wide", [make_row(n, f"Ünï W{n * 1000} w69999 ") for n in range(60)])
    release = world.export(replace(recipe, tokenizer=Given(words, eos="</s>", pad="<pad>")))
    assert release.manifest.dtype == "<u4" and release.manifest.vocab_size == 70_003
    tokens = np.concatenate(list(Loader(release.path, batch=1)))
    assert tokens.dtype == np.uint32 and 70_002 in tokens
    dtype, *_ = read_idx(release.path / release.manifest.splits["train"].shards[0].index)
    assert dtype == np.dtype("<i4")
    ends = [row["text_end"] for row in segments(release)]
    assert set(ends) <= {len(row["text"].encode()) for row in world.rows}


def segments(release: Release) -> list[dict[str, int]]:
    shards = [shard for split in release.manifest.splits.values() for shard in split.shards]
    return [row for shard in shards for row in pq.read_table(release.path / shard.segments).to_pylist()]


def test_a_tokenizer_that_cannot_serve_is_refused(
    world: Any, recipe: DatasetRecipe, words: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.json").write_text('{"version": "1.0"}')
    for given, message in (
        (Given(words), r"has no token '<\|endoftext\|>'.*</s>, <pad>"),
        (Given(tmp_path / "none.json"), "no tokenizer"),
        (Given(tmp_path / "bad.json"), "Cannot instantiate"),
    ):
        with pytest.raises(RecipeError, match=message):
            world.export(replace(recipe, tokenizer=given))


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("SELECT doc_id FROM curation.decisions WHERE false", "gives no document"),
        ("SELECT source FROM curation.decisions", "gives source"),
        ("SELECT doc_id FROM curation.decisions UNION ALL SELECT doc_id FROM curation.decisions", "254 rows but 127"),
        ("SELECT NULL AS doc_id", "1 rows but 0"),
        ("SELECT doc_id FROM nowhere", "nowhere"),
        ("SELECT doc_id FROM curation.decisions; SELECT 1", "holds SELECT, SELECT"),
        ("DROP TABLE curation.decisions", "holds DROP"),
        ("SELEC 1", "syntax"),
        ("-- nothing", "holds nothing"),
    ],
)
def test_a_select_that_cannot_serve_is_refused(world: Any, recipe: DatasetRecipe, select: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        world.export(replace(recipe, select=select))
    assert not list((world.folder / "out" / "tiny").glob("[0-9.b]*[!k]"))


def test_selected_documents_that_the_table_lacks_are_named(world: Any, recipe: DatasetRecipe) -> None:
    with pytest.raises(NotFound, match="1 of 1 selected documents are not in documents at version 3"):
        world.export(replace(recipe, select="SELECT 'feed' AS doc_id"))


def test_too_much_synthetic_text_is_refused_with_numbers(
    tmp_path: Path, recipe: DatasetRecipe, make_world: Callable[..., Any], make_row: Callable[..., Any]
) -> None:
    world = make_world(tmp_path, [make_row(n, "ten chars " * 5 + str(n), synthetic=n % 2 == 0) for n in range(40)])
    with pytest.raises(
        CheckFailed, match=r"50\.\d% of the text that goes out is synthetic \([\d,]+ of [\d,]+ bytes\)|49\.\d%"
    ):
        world.export()
    assert world.export(replace(recipe, max_synthetic_share=0.6)).manifest.synthetic_share == pytest.approx(
        0.5, abs=0.01
    )


def test_what_is_made_of_synthetic_text_is_refused_and_generation_0_takes_real_text_alone(
    tmp_path: Path, recipe: DatasetRecipe, make_world: Callable[..., Any], make_row: Callable[..., Any]
) -> None:
    made = [make_row(n, f"text {n} " * 9, synthetic=n == 0, generation=int(n == 0)) for n in range(9)]
    world = make_world(tmp_path / "one", made)
    assert world.export().manifest.documents == 9
    with pytest.raises(CheckFailed, match=r"1 of 9 selected documents are of a generation above 0.*which is of 1"):
        world.export(replace(recipe, max_generation=0))
    made[0]["generation"] = 2
    with pytest.raises(CheckFailed, match=r"1 of 9 selected documents are of a generation above 1.*of 1: 0 for real"):
        make_world(tmp_path / "two", made).export()


def test_a_failed_check_exports_nothing(world: Any) -> None:
    held = Check(
        "curation.decisions", "curation.decisions", "expect_column_values_to_not_be_null", "doc_id", {}, True, 9, 0
    )
    failed = replace(held, success=False, unexpected_count=4)
    with pytest.raises(CheckFailed, match=r"1 of 2 checks failed, first .* \(4 of 9\)"):
        world.export(checks=[held, failed])
    assert not (world.folder / "out").exists()
    assert world.export(checks=[held]).manifest.checks == {
        "expectations": 1,
        "held": 1,
        "suites": {"curation.decisions": 1},
    }


def test_the_card_is_a_hugging_face_card(made: tuple[Any, Release]) -> None:
    _, release = made
    front, body = (release.path / "README.md").read_text().removeprefix("---\n").split("\n---\n", 1)
    values = yaml.safe_load(front)
    assert values["license"] == "other" and values["size_categories"] == ["n<1K"]
    assert values["configs"][0]["data_files"] == [{"split": "documents", "path": "documents.parquet"}]
    assert values["dataset_info"][0]["splits"] == [{"name": "documents", "num_examples": release.manifest.documents}]
    assert "| MIT |" in body and "warehouse verify" in body and release.id in body


def test_run_json_tells_time_and_cost(made: tuple[Any, Release]) -> None:
    run = json.loads((made[1].path / "run.json").read_text())
    assert run["created_at"] == "2025-01-01T00:00:00+00:00" and run["run_id"] == "run" and run["cpu_s"] > 0
