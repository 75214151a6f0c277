"""Export targets of conversations: each sample's tokens with their mask, and each conversation that goes out."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import webdataset
import xxhash
from chat_world import RECIPE, conversations, export
from sent_chats import sent
from test_targets import LEFT_OPEN, hashes

from warehouse.datasets import Manifest, Release, rebuild, verify
from warehouse.datasets.recipe import TARGETS
from warehouse.loader import RecordLoader

ALL = replace(RECIPE, targets=TARGETS)
SPLITS = ("train", "validation")
Made = Release[Manifest]
Sample = tuple[npt.NDArray[Any], npt.NDArray[Any]]
"""Tokens, and 1 for each that is learnt."""


@pytest.fixture(scope="module", params=[256, 250])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A release of samples that fill whole bytes of a mask, and one of samples that do not."""
    recipe = replace(ALL, sequence_length=request.param)
    return export(tmp_path_factory.mktemp("chats"), conversations(60), recipe)


def stored(release: Made, split: str) -> list[Sample]:
    """The samples of a split as .bin and .mask hold them, bit by bit."""
    size, found = release.manifest.sequence_length, []
    for shard in release.manifest.splits[split].shards:
        tokens = np.fromfile(release.path / shard.data, release.manifest.dtype).reshape(-1, size)
        bits = np.fromfile(release.path / shard.mask, "u1").reshape(-1, -(-size // 8)).tolist()
        masks = [[row[at // 8] >> (at % 8) & 1 for at in range(size)] for row in bits]
        found += [(ids, np.array(mask)) for ids, mask in zip(tokens, masks, strict=True)]
    return found


def mds_samples(folder: Path, split: str) -> Iterator[Sample]:
    """By MDS's description: offsets, the JSON of the columns, then the arrays of a sample, by name."""
    for shard in json.loads((folder / split / "index.json").read_bytes())["shards"]:
        raw = (folder / split / shard["raw_data"]["basename"]).read_bytes()
        assert xxhash.xxh64_hexdigest(raw) == shard["raw_data"]["hashes"]["xxh64"]
        (count,) = struct.unpack_from("<I", raw)
        offsets = struct.unpack_from(f"<{count + 1}I", raw, 4)
        assert count == shard["samples"] and offsets[-1] == len(raw)
        columns = json.loads(raw[4 + 4 * (count + 1) : offsets[0]])
        assert columns.items() <= shard.items() and columns["column_names"] == ["loss_mask", "tokens"]
        (_, kind, size), (_, dtype, _) = (encoding.split(":") for encoding in columns["column_encodings"])
        assert columns["column_sizes"] == [int(size), int(size) * 2] and kind == "uint8"
        for start, stop in pairwise(offsets):
            mask, tokens = raw[start : start + int(size)], raw[start + int(size) : stop]
            yield np.frombuffer(tokens, dtype), np.frombuffer(mask, kind)


def litdata_samples(folder: Path, split: str) -> Iterator[Sample]:
    """By litdata's description: the sizes of the leaves of a dictionary, then the leaves."""
    index = json.loads((folder / split / "index.json").read_bytes())
    assert index["config"]["data_format"] == ["no_header_tensor:20", "no_header_tensor:11"]
    (spec,) = json.loads(index["config"]["data_spec"])[1:]
    assert spec["type"] == "builtins.dict" and json.loads(spec["context"]) == ["tokens", "loss_mask"]
    for chunk in index["chunks"]:
        raw = (folder / split / chunk["filename"]).read_bytes()
        (count,) = struct.unpack_from("<I", raw)
        offsets = struct.unpack_from(f"<{count + 1}I", raw, 4)
        assert (count, len(raw)) == (chunk["chunk_size"], chunk["chunk_bytes"]) and chunk["dim"] is None
        for start, stop in pairwise(offsets):
            sizes = struct.unpack_from("<2I", raw, start)
            assert stop - start == 8 + sum(sizes)
            tokens = np.frombuffer(raw, "<u2", sizes[0] // 2, start + 8)
            yield tokens, np.frombuffer(raw, "u1", sizes[1], start + 8 + sizes[0])


def tar_samples(folder: Path, split: str) -> Iterator[Sample]:
    """By webdataset's own reader, each beside the number that its .json states."""
    tars = sorted(str(path) for path in folder.glob(f"{split}-*.tar"))
    for number, sample in enumerate(webdataset.WebDataset(tars, shardshuffle=False).decode()):
        assert sample["json"] == {"sample": number, "split": split}
        yield sample["npy"], sample["loss_mask.npy"]


READERS: dict[str, Callable[[Path, str], Iterator[Sample]]] = {
    "mds": mds_samples,
    "litdata": litdata_samples,
    "webdataset": tar_samples,
}
NAMES = {"webdataset": ("npy", "loss_mask.npy")}


@LEFT_OPEN
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("target", list(READERS))
def test_every_target_holds_the_tokens_of_every_sample_with_their_mask(made: Made, target: str, split: str) -> None:
    expected = stored(made, split)
    found = list(READERS[target](made.path / "targets" / target, split))
    assert len(found) == len(expected) == made.manifest.splits[split].samples > 1
    np.testing.assert_array_equal([tokens for tokens, _ in found], [tokens for tokens, _ in expected])
    np.testing.assert_array_equal([mask for _, mask in found], [mask for _, mask in expected])
    assert {mask.dtype for _, mask in found} == {np.dtype("uint8")}


@pytest.mark.parametrize("target", list(READERS))
def test_the_loader_of_records_gives_tokens_and_mask_of_every_target(made: Made, target: str) -> None:
    expected, seen = stored(made, "train"), []
    for batch in RecordLoader(f"{target}:{made.path / 'targets' / target}", batch=2, drop_last=False).batches():
        for record, number in zip(batch.records, batch.samples.tolist(), strict=True):
            tokens, mask = (record[name] for name in NAMES.get(target, ("tokens", "loss_mask")))
            np.testing.assert_array_equal((tokens, mask), expected[number])
            seen.append(number)
    assert sorted(seen) == list(range(len(expected)))


def rows_of(made: Made, target: str, split: str) -> list[dict[str, Any]]:
    folder = made.path / "targets" / target
    if target == "parquet":
        return [row for path in sorted(folder.glob(f"data/{split}-*")) for row in pq.read_table(path).to_pylist()]
    lines = [line for path in sorted(folder.glob(f"{split}-*")) for line in path.read_bytes().split(b"\n")[:-1]]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("target", ["parquet", "jsonl"])
def test_every_conversation_that_goes_out_is_a_row_with_its_messages_and_facts(made: Made, target: str) -> None:
    everything = list(sent(made.path, made.manifest))
    assert any(each.row["left_out"] for each in everything)
    expected = [each.row for each in everything if each.ids]
    if target == "jsonl":
        expected = [row | {"known_at": row["known_at"] and row["known_at"].isoformat()} for row in expected]
    found = [row for split in SPLITS for row in rows_of(made, target, split)]
    facts = ("source", "uri", "record", "object_sha256", "known_at", "licence", "language", "synthetic", "generation")
    names = {"key", "messages", "split", "doc_id", *facts}
    assert found == [{name: row[name] for name in found[0]} for row in expected] and set(found[0]) == names


def test_targets_of_conversations_are_the_same_bytes_verified_and_rebuilt(tmp_path: Path) -> None:
    rows = conversations(60)
    one, two = export(tmp_path, rows, ALL), export(tmp_path, rows[::-1], ALL, out="two", batch_rows=7)
    assert hashes(one.path) == hashes(two.path)
    assert {path.split("/")[1] for path in one.manifest.files if path.startswith("targets/")} == set(TARGETS)
    assert verify(one.path).id == one.manifest.id == rebuild(one.path).id
