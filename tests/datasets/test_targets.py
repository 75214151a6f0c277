"""Export targets: sample by sample what the shards hold, read by the formats' descriptions and by their own readers."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
import xxhash
import yaml
from tiny_world import RECIPE, World, export_rows, row, write_world

from warehouse.contracts import Snapshot
from warehouse.datasets import Manifest, Release, TableRecipe, read_manifest, rebuild, verify
from warehouse.datasets.recipe import TARGETS
from warehouse.datasets.targets import TargetTask, parquet
from warehouse.datasets.targets import write_targets as write
from warehouse.errors import RecipeError
from warehouse.loader import Batch, Loader, RecordLoader

ALL = replace(RECIPE, targets=TARGETS)
LEFT_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""webdataset leaves its tar files to be closed by the garbage collector."""

Samples = list[npt.NDArray[Any]]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> Release[Manifest]:
    return write_world(tmp_path_factory.mktemp("targets"), rows).export(ALL)


def shards_of(path: Path, split: str) -> Samples:
    """The samples of a split as the .bin files hold them."""
    manifest = read_manifest(path)
    files = [path / shard.data for shard in manifest.splits[split].shards]
    return [sample for file in files for sample in np.fromfile(file, manifest.dtype).reshape(-1, 64)]


def mds_samples(folder: Path, split: str) -> Samples:
    """By MDS's description: offsets, then the JSON of the columns, then a fixed-size array a sample."""
    samples = []
    for shard in json.loads((folder / split / "index.json").read_bytes())["shards"]:
        raw = (folder / split / shard["raw_data"]["basename"]).read_bytes()
        assert len(raw) == shard["raw_data"]["bytes"]
        assert xxhash.xxh64_hexdigest(raw) == shard["raw_data"]["hashes"]["xxh64"]
        (count,) = struct.unpack_from("<I", raw)
        offsets = struct.unpack_from(f"<{count + 1}I", raw, 4)
        assert count == shard["samples"] and offsets[-1] == len(raw)
        columns = json.loads(raw[4 + 4 * (count + 1) : offsets[0]])
        assert columns.items() <= shard.items() and columns["column_names"] == ["tokens"]
        kind, dtype, length = columns["column_encodings"][0].split(":")
        assert kind == "ndarray" and columns["column_sizes"] == [int(length) * np.dtype(dtype).itemsize]
        samples += [np.frombuffer(raw[start:stop], dtype) for start, stop in pairwise(offsets)]
    return samples


def litdata_samples(folder: Path, split: str) -> Samples:
    """By litdata's description: a chunk's tokens follow the counts and offsets; blocks of the sequence length."""
    index = json.loads((folder / split / "index.json").read_bytes())
    dtype = {"no_header_tensor:20": "<u2", "no_header_tensor:15": "<i4"}[index["config"]["data_format"][0]]
    samples = []
    for chunk in index["chunks"]:
        raw = (folder / split / chunk["filename"]).read_bytes()
        head = np.frombuffer(raw, "<u4", chunk["chunk_size"] + 2)
        assert head[0] == chunk["chunk_size"] and head[1] == 4 * head.size and head[-1] == len(raw)
        assert len(raw) == chunk["chunk_bytes"]
        tokens = np.frombuffer(raw, dtype, offset=4 * head.size)
        assert tokens.size == chunk["dim"]
        samples += list(tokens.reshape(chunk["chunk_size"], -1))
    return samples


def tar_samples(folder: Path, split: str) -> Samples:
    """By tarfile and numpy, each beside the number that its .json states."""
    samples: Samples = []
    for path in sorted(folder.glob(f"{split}-*.tar")):
        with tarfile.open(path) as held:
            members = {member.name: held.extractfile(member).read() for member in held}
        for name in sorted({name.partition(".")[0] for name in members}):
            assert json.loads(members[f"{name}.json"]) == {"sample": len(samples), "split": split}
            samples.append(np.load(io.BytesIO(members[f"{name}.npy"])))
    return samples


def parquet_samples(folder: Path, split: str) -> Samples:
    """By pyarrow, from the files that the front matter of the README names."""
    front = yaml.safe_load((folder / "README.md").read_text("utf-8").split("---\n")[1])
    (pattern,) = (each["path"] for each in front["configs"][0]["data_files"] if each["split"] == split)
    tables = [pq.read_table(path) for path in sorted(folder.glob(pattern))]
    return [np.array(tokens) for table in tables for tokens in table["input_ids"].to_pylist()]


READERS: dict[str, Callable[[Path, str], Samples]] = {
    "mds": mds_samples,
    "litdata": litdata_samples,
    "webdataset": tar_samples,
    "parquet": parquet_samples,
}


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("target", list(READERS))
def test_every_target_holds_every_sample_in_order(release: Release[Manifest], target: str, split: str) -> None:
    expected = shards_of(release.path, split)
    np.testing.assert_array_equal(READERS[target](release.path / "targets" / target, split), expected)
    assert len(expected) == release.manifest.splits[split].samples > 1


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("target", ["mds", "litdata", "parquet", "webdataset"])
def test_the_loader_reads_every_target_as_it_reads_the_release(
    release: Release[Manifest], target: str, split: str
) -> None:
    uri = f"{target}:{release.path / 'targets' / target}"
    kind = RecordLoader if target == "webdataset" else Loader
    expected = shards_of(release.path, split)
    seen = []
    for batch in kind(uri, split=split, batch=5, drop_last=False).batches():
        found = batch.tokens if isinstance(batch, Batch) else [record["npy"] for record in batch.records]
        np.testing.assert_array_equal(found, [expected[number] for number in batch.samples])
        seen += batch.samples.tolist()
    assert sorted(seen) == list(range(len(expected)))


@LEFT_OPEN
def test_webdatasets_own_reader_gives_the_samples_with_their_numbers(release: Release[Manifest]) -> None:
    tars = sorted(str(path) for path in (release.path / "targets" / "webdataset").glob("train-*.tar"))
    found = list(webdataset.WebDataset(tars, shardshuffle=False).decode())
    assert [sample["json"]["sample"] for sample in found] == list(range(len(found)))
    np.testing.assert_array_equal([sample["npy"] for sample in found], shards_of(release.path, "train"))
    assert {sample["npy"].dtype for sample in found} == {np.dtype("uint16")}


def test_jsonl_holds_the_texts_as_they_went_out_in_the_order_of_the_documents(tmp_path: Path) -> None:
    rows = [row(number, f'Mail me at ada{number}@example.org\u2028now\nor "never".') for number in range(9)]
    rows += [row(20, "nothing to hide", licence=None, source="other")]
    world = write_world(tmp_path, rows)
    spans = [
        (one["doc_id"], "email", 11, 11 + len(f"ada{number}@example.org"), "<email>", 1)
        for number, one in enumerate(rows[:9])
    ]
    searched = [*spans, (rows[9]["doc_id"], None, None, None, None, 1)]
    names = ("doc_id", "kind", "start", "stop", "mask", "version")
    pq.write_table(
        pa.Table.from_pylist([dict(zip(names, one, strict=True)) for one in searched]), tmp_path / "pii.parquet"
    )
    schema = pq.read_schema(tmp_path / "pii.parquet")
    pii = Snapshot("pii", 1, (str(tmp_path / "pii.parquet"),), schema, len(searched), 1)
    made = world.export(replace(RECIPE, mask=("email",), targets=("jsonl",)), snapshot_pii=pii)
    frozen = pq.read_table(made.path / "documents.parquet").to_pylist()
    found = [
        json.loads(line)
        for split in ("train", "validation")
        for path in sorted((made.path / "targets" / "jsonl").glob(f"{split}-*.jsonl"))
        for line in path.read_bytes().split(b"\n")[:-1]
    ]
    facts = ("doc_id", "source", "uri", "licence", "language")
    texts = {one["doc_id"]: one["text"].replace(f"ada{n}@example.org", "<email>") for n, one in enumerate(rows)}
    assert found == [{**{name: one[name] for name in facts}, "text": texts[one["doc_id"]]} for one in frozen]
    assert sum("<email>" in one["text"] for one in found) == 9


def hashes(path: Path) -> dict[str, str]:
    files = [each for each in path.rglob("*") if each.is_file() and each.name != "run.json"]
    return {each.relative_to(path).as_posix(): hashlib.sha256(each.read_bytes()).hexdigest() for each in files}


def test_targets_are_the_same_bytes_in_any_process_verified_and_rebuilt(world: World) -> None:
    one, two = world.export(ALL, out="one"), world.export(ALL, out="two", processes=2, batch_rows=7)
    assert hashes(one.path) == hashes(two.path)
    targets = {path.split("/")[1] for path in one.manifest.files if path.startswith("targets/")}
    assert targets == set(TARGETS)
    assert verify(one.path).id == one.manifest.id == rebuild(one.path, world.snapshot).id
    plain = world.export(RECIPE, out="plain")
    shards = {path: entry for path, entry in plain.manifest.files.items() if path.endswith((".bin", ".idx"))}
    assert shards.items() <= one.manifest.files.items() and plain.manifest.id != one.manifest.id


def task_of(folder: Path, samples: npt.NDArray[Any], world: World) -> TargetTask:
    """A shard of ``samples`` written into ``folder``."""
    (folder / "train-00000-of-00001.bin").write_bytes(samples.tobytes())
    wanted = pa.table({"doc_id": pa.array([], pa.string())})
    shape = (samples.shape[1], samples.dtype.str, wanted)
    return TargetTask(folder, "train", 0, 1, "train-00000-of-00001.bin", 0, *shape, world.snapshot, 10)


SAMPLE_FORMATS = [target for target in TARGETS if target != "jsonl"]


@pytest.mark.parametrize("target", SAMPLE_FORMATS)
@pytest.mark.parametrize("count", [1, 7])
def test_ids_above_65535_and_shards_of_many_parts_are_read_back(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, target: str, count: int
) -> None:
    monkeypatch.setattr(TargetTask.parts, "__defaults__", (3 * 16 * 4,))
    monkeypatch.setattr(parquet, "GROUP_BYTES", 3 * 16 * 4)
    samples = np.random.default_rng(1).integers(0, 1 << 20, (count, 16)).astype("<u4")
    write(tmp_path, [target], [task_of(tmp_path, samples, world)], processes=1)
    np.testing.assert_array_equal(READERS[target](tmp_path / "targets" / target, "train"), samples)
    files = [path for path in (tmp_path / "targets" / target).rglob("*") if path.suffix in (".mds", ".bin", ".tar")]
    assert len(files) == (0 if target == "parquet" else -(-count // 3))


@pytest.mark.parametrize("target", SAMPLE_FORMATS)
def test_an_empty_shard_is_no_file_but_in_parquet_where_names_count_them(
    tmp_path: Path, world: World, target: str
) -> None:
    write(tmp_path, [target], [task_of(tmp_path, np.empty((0, 16), "<u2"), world)], processes=1)
    made = sorted(path.name for path in (tmp_path / "targets").rglob("*") if path.is_file())
    assert made == (["README.md", "train-00000-of-00001.parquet"] if target == "parquet" else [])


def test_headers_of_tars_state_neither_time_nor_owner_nor_pax(release: Release[Manifest]) -> None:
    for path in (release.path / "targets" / "webdataset").glob("*.tar"):
        with tarfile.open(path) as held:
            assert {(one.mtime, one.uid, one.uname, len(one.pax_headers)) for one in held} == {(0, 0, "", 0)}
        assert path.stat().st_size % 10_240 == 0


SELECT = """SELECT range AS number, TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_minutes(range) AS moment,
       DATE '2026-01-01' AS day, CASE WHEN range % 3 > 0 THEN range / 8 END AS share,
       CASE WHEN range = 4 THEN 'nan'::DOUBLE ELSE 1 END AS odd, 'ünï "' || range AS name, range % 2 = 0 AS even
FROM range(40)"""
ROWS = TableRecipe("rows", SELECT, ("number",), splits=(("train", 0.7), ("test", 0.3)), shards=2)


@LEFT_OPEN
def test_rows_go_out_as_jsonl_and_webdataset_too(tmp_path: Path) -> None:
    made = export_rows(replace(ROWS, targets=("jsonl", "webdataset")), tmp_path)
    for split in ("train", "test"):
        tables = [pq.read_table(made.path / shard.parquet) for shard in made.manifest.splits[split].shards]
        expected = [
            one | {"moment": one["moment"].isoformat(), "day": "2026-01-01", "odd": None if one["number"] == 4 else 1.0}
            for one in pa.concat_tables(tables).to_pylist()
        ]
        lines = [
            json.loads(line)
            for path in sorted((made.path / "targets" / "jsonl").glob(f"{split}-*.jsonl"))
            for line in path.read_bytes().split(b"\n")[:-1]
        ]
        tars = sorted(str(path) for path in (made.path / "targets" / "webdataset").glob(f"{split}-*.tar"))
        samples = list(webdataset.WebDataset(tars, shardshuffle=False).decode())
        assert lines == [sample["json"] for sample in samples] == expected
        assert [sample["__key__"] for sample in samples] == [f"{number:09d}" for number in range(len(expected))]
    assert rebuild(made.path).id == verify(made.path).id


def test_an_infinite_number_has_no_json_and_is_refused_with_its_place(tmp_path: Path) -> None:
    recipe = replace(ROWS, select="SELECT 1 AS number, 'inf'::DOUBLE AS much", targets=("jsonl",), at="rows.yaml:3")
    with pytest.raises(RecipeError, match=r"rows\.yaml:3: a row holds inf.*numbers that JSON has"):
        export_rows(recipe, tmp_path)


def test_members_made_at_once_are_those_that_tarfile_writes(tmp_path: Path, world: World) -> None:
    samples = np.random.default_rng(2).integers(0, 1 << 16, (1030, 16)).astype("<u2")
    write(tmp_path, ["webdataset"], [replace(task_of(tmp_path, samples, world), first=99_999_000)], processes=1)
    with tarfile.open(tmp_path / "twin.tar", "w", format=tarfile.USTAR_FORMAT) as twin:
        for number, sample in enumerate(samples, 99_999_000):
            array = io.BytesIO()
            np.save(array, sample)
            text = f'{{"sample": {number:9}, "split": "train"}}'.encode()
            for suffix, content in (("json", text), ("npy", array.getvalue())):
                member = tarfile.TarInfo(f"{number:09d}.{suffix}")
                member.size = len(content)
                twin.addfile(member, io.BytesIO(content))
    (made,) = (tmp_path / "targets" / "webdataset").glob("*.tar")
    assert made.read_bytes() == (tmp_path / "twin.tar").read_bytes()
