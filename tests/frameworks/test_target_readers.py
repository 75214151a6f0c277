"""Export targets read by the projects whose formats they are, sample by sample: what the .bin files hold.

The release is written by the environment of ``make test``, for the one of the frameworks has no stack.
"""

from __future__ import annotations

import base64
import json
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest

from warehouse.loader import Loader
from warehouse.manifest import read_any, read_manifest

datasets = pytest.importorskip("datasets", reason="needs datasets: make test-frameworks")
datatrove = pytest.importorskip("datatrove.utils.dataset", reason="needs datatrove: make test-frameworks")
litdata = pytest.importorskip("litdata", reason="needs litdata: make test-frameworks")
streaming = pytest.importorskip("streaming", reason="needs mosaicml-streaming: make test-frameworks")

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # files that streaming leaves open
    pytest.mark.filterwarnings("ignore:The given buffer is not writable"),  # litdata copies it at once
]
SPLITS = ("train", "validation")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> list[Path]:
    """Releases of tokens, of rows, of samples of any columns and of conversations."""
    command = [
        checkout / ".venv" / "bin" / "python",
        "tests/frameworks/write_targets.py",
        tmp_path_factory.mktemp("world"),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=checkout)
    return [Path(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def release(written: list[Path]) -> Path:
    return written[0]


@pytest.fixture(scope="module")
def samples(written: list[Path]) -> Path:
    return written[2]


@pytest.fixture(scope="module")
def chats(written: list[Path]) -> Path:
    return written[3]


def shards_of(path: Path, split: str) -> np.ndarray:
    manifest = read_manifest(path)
    files = [path / shard.data for shard in manifest.splits[split].shards]
    return np.concatenate([np.fromfile(file, manifest.dtype) for file in files]).reshape(-1, manifest.sequence_length)


@pytest.mark.parametrize("split", SPLITS)
def test_hugging_face_datasets_gives_every_sample_as_uint16(release: Path, split: str, tmp_path: Path) -> None:
    found = datasets.load_dataset(str(release / "targets" / "parquet"), split=split, cache_dir=str(tmp_path))
    assert found.features["input_ids"] == datasets.List(datasets.Value("uint16"), length=64)
    np.testing.assert_array_equal(found.with_format("numpy")[:]["input_ids"], shards_of(release, split))


@pytest.mark.parametrize("split", SPLITS)
def test_litdata_gives_every_sample(release: Path, split: str) -> None:
    loader = litdata.TokensLoader(block_size=64)
    found = litdata.StreamingDataset(str(release / "targets" / "litdata" / split), item_loader=loader)
    np.testing.assert_array_equal([found[at].numpy() for at in range(len(found))], shards_of(release, split))


@pytest.mark.parametrize("split", SPLITS)
def test_datatrove_gives_every_sample_of_the_shards_and_its_positions(release: Path, split: str) -> None:
    files = [
        datatrove.DatatroveFileDataset(str(release / shard.data), seq_len=63, return_positions=True)
        for shard in read_manifest(release).splits[split].shards
    ]
    found = [file[at] for file in files for at in range(len(file))]
    batches = list(Loader(release, split=split, batch=1).batches(positions=True))
    assert len(found) == len(batches)
    for batch in batches:
        theirs = found[int(batch.samples[0])]
        np.testing.assert_array_equal(theirs["input_ids"], batch.tokens[0])
        np.testing.assert_array_equal(theirs["positions"], batch.positions[0])


def mosaic(release: Path, split: str, local: Path) -> streaming.StreamingDataset:
    """The MDS target as its own reader gives it, each shard compared with its hash."""
    remote = str(release / "targets" / "mds")
    return streaming.StreamingDataset(
        remote=remote, local=str(local), split=split, shuffle=False, batch_size=1, validate_hash="xxh64"
    )


@pytest.mark.parametrize("split", SPLITS)
def test_mosaic_streaming_gives_every_sample_and_finds_the_hashes_right(
    release: Path, split: str, tmp_path: Path
) -> None:
    found = mosaic(release, split, tmp_path)
    np.testing.assert_array_equal([sample["tokens"] for sample in found], shards_of(release, split))
    assert found[0]["tokens"].dtype == np.uint16


def test_hugging_face_datasets_opens_the_folder_of_a_release_by_its_card(written: list[Path], tmp_path: Path) -> None:
    """The default is what the card names first: samples of tokens and of any columns, and rows."""
    for path, column in zip(written[:3], ("input_ids", "shop", "image"), strict=True):
        found, splits = datasets.load_dataset(str(path), cache_dir=str(tmp_path)), read_any(path).splits
        assert {name: len(found[name]) for name in found} == {name: split.samples for name, split in splits.items()}
        assert all(column in found[name].column_names for name in found)
    documents = datasets.load_dataset(str(written[0]), "documents", split="documents", cache_dir=str(tmp_path))
    assert len(documents) == read_manifest(written[0]).documents


def lines_of(path: Path, split: str) -> list[dict[str, object]]:
    """The samples as the JSONL beside them has them, bytes decoded from base64."""
    files = sorted((path / "targets" / "jsonl").glob(f"{split}-*"))
    rows = [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]
    return [{**row, **{name: base64.b64decode(row[name]) for name in ("image", "sound")}} for row in rows]


def alike(value: object) -> object:
    """A value of a sample as JSON has it."""
    if isinstance(value, np.ndarray):
        return [None if isinstance(each, float) and math.isnan(each) else each for each in value.tolist()]
    if isinstance(value, memoryview):
        return bytes(value)
    return value.item() if isinstance(value, np.generic) else value


@pytest.mark.parametrize("split", ["train", "test"])
def test_mosaic_streaming_reads_samples_of_any_columns_as_they_lie(samples: Path, split: str, tmp_path: Path) -> None:
    """From the release itself, its hashes compared on the way."""
    found = streaming.StreamingDataset(
        remote=str(samples), local=str(tmp_path), split=split, shuffle=False, batch_size=1, validate_hash="xxh64"
    )
    assert [{name: alike(value) for name, value in one.items()} for one in found] == lines_of(samples, split)


@pytest.mark.parametrize("split", ["train", "test"])
def test_litdata_reads_samples_of_any_columns(samples: Path, split: str) -> None:
    found = litdata.StreamingDataset(str(samples / "targets" / "litdata" / split))
    read = [{name: alike(value) for name, value in found[at].items()} for at in range(len(found))]
    assert read == lines_of(samples, split)


def masks_of(path: Path, split: str) -> np.ndarray:
    """The .mask files of a release of conversations, a number a token."""
    manifest = read_manifest(path)
    size = manifest.sequence_length
    bits = [np.fromfile(path / shard.mask, "u1") for shard in manifest.splits[split].shards]
    rows = np.concatenate(bits).reshape(-1, -(-size // 8))
    return np.unpackbits(rows, axis=1, count=size, bitorder="little")


@pytest.mark.parametrize("split", SPLITS)
def test_mosaic_streaming_gives_the_tokens_of_conversations_with_their_mask(
    chats: Path, split: str, tmp_path: Path
) -> None:
    samples = list(mosaic(chats, split, tmp_path))
    np.testing.assert_array_equal([sample["tokens"] for sample in samples], shards_of(chats, split))
    np.testing.assert_array_equal([sample["loss_mask"] for sample in samples], masks_of(chats, split))


@pytest.mark.parametrize("split", SPLITS)
def test_litdata_gives_the_tokens_of_conversations_with_their_mask(chats: Path, split: str) -> None:
    found = litdata.StreamingDataset(str(chats / "targets" / "litdata" / split))
    samples = [found[at] for at in range(len(found))]
    np.testing.assert_array_equal([sample["tokens"].numpy() for sample in samples], shards_of(chats, split))
    np.testing.assert_array_equal([sample["loss_mask"].numpy() for sample in samples], masks_of(chats, split))


def test_hugging_face_datasets_gives_conversations_as_messages(chats: Path, tmp_path: Path) -> None:
    """As TRL takes them: a list of a role and a content each; the card names them first, and all that were selected."""
    found = datasets.load_dataset(str(chats), cache_dir=str(tmp_path))
    manifest = read_manifest(chats)
    assert sum(len(found[split]) for split in SPLITS) == manifest.documents - sum(manifest.chat["left_out"].values())
    frozen = datasets.load_dataset(str(chats), "documents", split="documents", cache_dir=str(tmp_path))
    sent = [row for row in frozen if row["left_out"] is None]
    for split in SPLITS:
        mine = [row for row in sent if row["split"] == split]
        assert mine == [{**row, **each} for row, each in zip(mine, found[split], strict=True)]
        assert all(set(message) == {"role", "content"} for row in found[split] for message in row["messages"])
