"""Other projects' data sets: sample by sample what was written, in the loader's order, never a wrong one silently."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import struct
import subprocess
import sys
import tarfile
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st
from written_foreign import RECORDS, ROWS, TEXTS, TOKENS, mds_records, mds_tokens, write_mds, write_megatron
from written_release import write_release

from warehouse.errors import FormatError, IntegrityError, NotFound, StateError, UsageError, WarehouseError
from warehouse.loader import Loader, RecordLoader
from warehouse.loader.foreign import open_foreign
from warehouse.loader.foreign.samples import ShardRows

NUMBERS = np.arange(12)


def expected(kind: str, number: int) -> dict[str, Any]:
    """What the sample of this number holds in a data set of RECORDS."""
    if kind == "megatron":
        return {"tokens": ROWS[number, : number + 1].tolist()}
    if kind == "webdataset":
        number = [*range(0, 12, 2), *range(1, 12, 2)][number]
        return {"__key__": f"sub/{number:06d}", "cls": number, "txt": TEXTS[number]}
    return {"n": number, "text": TEXTS[number]}


def plain(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in record.items()}


def located(uri: str) -> Path:
    return Path(uri.partition(":")[2].partition("?")[0])


@pytest.mark.parametrize("kind", list(TOKENS))
def test_an_epoch_gives_every_token_sample_once_as_it_was_written(kind: str, tmp_path: Path) -> None:
    seen = []
    for batch in Loader(TOKENS[kind](tmp_path / "data"), batch=5, drop_last=False).batches():
        assert batch.tokens.dtype == np.uint16
        np.testing.assert_array_equal(batch.tokens, ROWS[batch.samples])
        seen += batch.samples.tolist()
    assert sorted(seen) == NUMBERS.tolist() != seen


@pytest.mark.parametrize("kind", list(RECORDS))
def test_an_epoch_gives_every_record_once_as_it_was_written(kind: str, tmp_path: Path) -> None:
    seen = []
    for batch in RecordLoader(RECORDS[kind](tmp_path / "data"), batch=5, drop_last=False).batches():
        assert [plain(record) for record in batch.records] == [expected(kind, number) for number in batch.samples]
        assert batch.bytes > 0
        seen += batch.samples.tolist()
    assert sorted(seen) == NUMBERS.tolist() != seen


@pytest.mark.parametrize("kind", list(TOKENS))
def test_token_samples_are_records_too(kind: str, tmp_path: Path) -> None:
    loader = RecordLoader(TOKENS[kind](tmp_path / "data"), batch=12)
    (batch,) = loader.batches()
    values = [next(iter(record.values())) for record in batch.records]
    found = [np.frombuffer(value, "<u2") if isinstance(value, bytes) else value for value in values]
    np.testing.assert_array_equal(found, ROWS[batch.samples])


@pytest.mark.parametrize(("loader", "made"), [(Loader, TOKENS["mds"]), (RecordLoader, RECORDS["webdataset"])])
def test_worlds_threads_and_resumes_change_nothing_and_another_place_is_the_same_data_set(loader, made, tmp_path: Path):
    uri = made(tmp_path / "data")
    whole = [batch.samples.tolist() for batch in loader(uri, batch=4, seed=5).batches()]
    ranks = [list(loader(uri, batch=4, seed=5, world=2, rank=rank).batches(threads=2)) for rank in range(2)]
    assert [[*first.samples, *second.samples] for first, second in zip(*ranks, strict=True)] == whole
    begun = loader(uri, batch=4, seed=5)
    next(iter(begun))
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    moved = uri.replace("/data", "/elsewhere")
    rest = [batch.samples.tolist() for batch in loader.resume(moved, begun.state(), batch=4).batches()]
    assert rest == whole[1:]
    with pytest.raises(StateError):
        loader.resume(made(tmp_path / "other"), begun.state() | {"dataset": "mds:0"}, batch=4)


def test_the_state_of_another_index_is_refused(tmp_path: Path) -> None:
    state = Loader(mds_tokens(tmp_path / "data"), batch=4).state()
    with pytest.raises(StateError, match="open the release the state was taken from"):
        Loader.resume(TOKENS["litdata"](tmp_path / "other"), state, batch=4)


def test_what_opens_as_the_other_kind_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"hold n \(int\), text \(str\).*RecordLoader"):
        Loader(mds_records(tmp_path / "records"), batch=4)
    with pytest.raises(UsageError, match="open tokens with Loader, rows of a table with TableLoader"):
        RecordLoader(write_release(tmp_path / "release", (40,)), batch=4)
    loader = Loader(mds_tokens(tmp_path / "tokens"), batch=4)
    with pytest.raises(UsageError, match="export a release"):
        next(loader.batches(loss_mask=True))
    with pytest.raises(UsageError, match="manifest"):
        _ = loader.manifest


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("mds:s3://bucket/data", "bring the files here"),
        ("mds:", "bring the files here"),
        ("mds:data?length=4", "no options of mds:"),
        ("litdata:data?length=none", "whole number"),
        ("litdata:data?", "no index"),
        ("litdata:data?size=4", "length="),
        ("parquet:data?dtype=float", "no Parquet"),
        ("megatron:data", "missing"),
        ("webdataset:data", "missing"),
    ],
)
def test_a_place_that_names_nothing_says_what_is_allowed(uri: str, message: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    if uri.endswith("none"):
        TOKENS["litdata"](tmp_path / "data")
    with pytest.raises(WarehouseError, match=message):
        Loader(uri, batch=4)


def test_a_split_is_a_folder_or_the_beginning_of_a_name(tmp_path: Path) -> None:
    for kind in ("mds", "litdata"):
        TOKENS[kind](tmp_path / kind / "validation")
        assert len(Loader(f"{kind}:{tmp_path / kind}", split="validation", batch=4)) == 3
        assert len(Loader(f"{kind}:{tmp_path / kind / 'validation'}", batch=4)) == 3
        with pytest.raises(NotFound, match="split 'train'"):
            Loader(f"{kind}:{tmp_path / kind}", batch=4)
    RECORDS["parquet"](tmp_path / "parquet")
    for uri in (f"parquet:{tmp_path / 'parquet'}", TOKENS["megatron"](tmp_path / "megatron")):
        with pytest.raises(NotFound, match="split 'test'"):
            RecordLoader(uri, split="test", batch=4)


@pytest.mark.parametrize("kind", ["litdata", "megatron"])
def test_a_length_cuts_the_tokens_as_they_follow_one_another(kind: str, tmp_path: Path) -> None:
    uri = TOKENS[kind](tmp_path / "data")
    parts = [ROWS[:5], ROWS[5:]] if kind == "litdata" else [ROWS]
    cut = [part.reshape(-1)[: part.size // 7 * 7].reshape(-1, 7) for part in parts]
    (batch,) = Loader(f"{uri}?length=7", batch=27, drop_last=False).batches()
    np.testing.assert_array_equal(batch.tokens[np.argsort(batch.samples)], np.concatenate(cut))
    with pytest.raises(UsageError, match="length"):
        Loader(f"{uri}?length=193", batch=1)


def test_a_brace_names_tars_in_order(tmp_path: Path) -> None:
    place = located(RECORDS["webdataset"](tmp_path / "data"))
    found = RecordLoader(f"webdataset:{place}/part-{{0..1}}.tar", batch=12)
    assert found.state() == RecordLoader(f"webdataset:{place}", batch=12).state()
    assert RecordLoader(f"webdataset:{place}/part-1.tar", batch=6).course.total == 6


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves its files open
def test_webdatasets_own_writer_and_reader_agree_with_ours(tmp_path: Path) -> None:
    name = tmp_path / "long.tar"
    deep = "/".join(["folder"] * 30)
    with webdataset.TarWriter(str(name)) as writer:
        for number in range(9):
            array = np.arange(number + 1, dtype=np.float32)
            values = {"txt": TEXTS[number], "meta.json": {"n": number}, "npy": array, "CLS": number, "jpg": b"\xff\xd8"}
            writer.write({"__key__": f"{deep}/{number}", **values, "pyd": {"never": "loaded"}})
    theirs = list(webdataset.WebDataset(str(name), shardshuffle=False).decode())
    (batch,) = RecordLoader(f"webdataset:{name}", batch=9).batches()
    for number, record in zip(batch.samples, batch.records, strict=True):
        twin = {key: value for key, value in theirs[number].items() if key not in ("__url__", "__local_path__")}
        assert isinstance(record.pop("pyd"), bytes) and twin.pop("pyd") == {"never": "loaded"}
        np.testing.assert_array_equal(record.pop("npy"), twin.pop("npy"))
        assert record == twin and set(record) == {"__key__", "txt", "meta.json", "cls", "jpg"}


def test_every_encoding_of_mds_is_what_was_encoded(tmp_path: Path) -> None:
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    written = {
        "json": ("json", None, b'{"a": [1, null]}', {"a": [1, None]}),
        "raw": ("bytes", None, b"\0\1", b"\0\1"),
        "picture": ("jpeg", None, b"\xff\xd8\xff", b"\xff\xd8\xff"),
        "small": ("uint8", 1, b"\7", 7),
        "half": ("float16", 2, np.float16(0.5).tobytes(), 0.5),
        "digits": ("str_int", None, b"123456789012345678901", 123456789012345678901),
        "real": ("str_float", None, b"0.25", 0.25),
        "exact": ("str_decimal", None, b"0.10", Decimal("0.10")),
        "any": ("ndarray", None, bytes([34, 2 << 2, 2, 3]) + array.tobytes(), array),
        "typed": ("ndarray:float32", None, bytes([2 << 2 | 1, 2, 0, 3, 0]) + array.tobytes(), array),
        "shaped": ("ndarray:float32:2,3", 24, array.tobytes(), array),
    }
    columns = {name: value[:2] for name, value in written.items()}
    samples = [{name: value[2] for name, value in written.items()}] * 12
    (batch,) = RecordLoader(f"mds:{write_mds(tmp_path / 'data', columns, samples)}", batch=12).batches()
    for record in batch.records:
        for name, (*_, value) in written.items():
            np.testing.assert_array_equal(record[name], value)
            assert type(record[name]) is type(value)


@pytest.mark.parametrize("algorithm", ["xxh64", "sha1"])
def test_a_flipped_byte_is_caught_by_the_hash_at_first_touch_where_there_is_one(algorithm: str, tmp_path: Path) -> None:
    uri = mds_tokens(tmp_path / "data")
    index = json.loads((tmp_path / "data" / "index.json").read_text())
    for shard in index["shards"]:
        raw = tmp_path / "data" / shard["raw_data"]["basename"]
        if algorithm == "sha1":
            shard["raw_data"]["hashes"] = {"sha1": hashlib.sha1(raw.read_bytes(), usedforsecurity=False).hexdigest()}
    (tmp_path / "data" / "index.json").write_text(json.dumps(index))
    raw.write_bytes(raw.read_bytes()[:-1] + b"\xff")
    opened = Loader(uri, batch=1)
    with pytest.raises(IntegrityError, match=rf"shard.00001.mds: its {algorithm} differs"):
        list(opened)
    assert len(list(Loader(uri, batch=1, checked=False))) == 12


def hostile(folder: Path, **changes: object) -> str:
    """An MDS data set whose first shard's entry of the index says something else; a dotted name leads inwards."""
    uri = mds_records(folder)
    index = json.loads((folder / "index.json").read_text())
    for name, value in changes.items():
        *outer, last = name.split("__")
        entry = index["shards"][0]
        for each in outer:
            entry = entry[each]
        entry[last] = value
    (folder / "index.json").write_text(json.dumps(index))
    return uri


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"raw_data__basename": "../shard.00000.mds"}, "names below its folder"),
        ({"raw_data__basename": "/etc/passwd"}, "names below its folder"),
        ({"raw_data__basename": "none.mds"}, "missing"),
        ({"raw_data__basename": "none.mds", "zip_data": {"basename": "a.zstd"}}, "compressed"),
        ({"raw_data__bytes": 5}, "where the index states 5"),
        ({"raw_data__hashes": {"crc": "00"}}, "xxhash and hashlib"),
        ({"column_encodings": ["int", "pkl"]}, "run code"),
        ({"column_encodings": ["int", "list[jpeg]"]}, "ndarray"),
        ({"column_sizes": [4, None]}, "8 of int"),
        ({"samples": 8}, "does not begin with 8"),
        ({"samples": -1}, "whole number"),
        ({"samples": True}, "whole number"),
        ({"samples": 2**70}, "whole number"),
        ({"version": 1}, "version is 1"),
        ({"format": "csv"}, "format is 'csv'"),
    ],
)
def test_an_index_of_mds_that_leads_elsewhere_or_lies_is_refused(changes, message: str, tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match=message):
        list(RecordLoader(hostile(tmp_path / "data", **changes), batch=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"compression": "zstd"}, "compression"),
        ({"encryption": {"a": 1}}, "encryption"),
        ({"item_loader": "ParquetLoader"}, "TokensLoader"),
        ({"data_format": ["int", "pickle"]}, "run code"),
        ({"data_format": ["int", "no_header_numpy:14"]}, "no_header_numpy:0"),
        ({"data_spec": '[1, {"type": "os.system", "context": "", "children_spec": []}]'}, "dictionaries, lists"),
        ({"data_spec": "[" * 100_000}, "not JSON"),
        ({"data_spec": None}, "a string"),
    ],
)
def test_an_index_of_litdata_that_is_not_read_here_is_refused(change, message: str, tmp_path: Path) -> None:
    uri = RECORDS["litdata"](tmp_path / "data")
    index = json.loads((tmp_path / "data" / "index.json").read_text())
    index["config"] |= change
    (tmp_path / "data" / "index.json").write_text(json.dumps(index))
    with pytest.raises(WarehouseError, match=message):
        list(RecordLoader(uri, batch=1))


def test_tars_that_are_compressed_cut_off_or_hold_a_name_twice_are_refused(tmp_path: Path) -> None:
    content = located(RECORDS["webdataset"](tmp_path / "data")).joinpath("part-0.tar").read_bytes()
    for size in (0, 1, 511, 512, 700, 1024, 2048):
        (tmp_path / "cut.tar").write_bytes(content[:size])
        with pytest.raises(IntegrityError, match=r"cut\.tar"):
            RecordLoader(f"webdataset:{tmp_path / 'cut.tar'}", batch=1)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz"):
        pass
    with pytest.raises(FormatError, match="unpack it"):
        RecordLoader(f"webdataset:{tmp_path / 'a.tar.gz'}", batch=1)
    with tarfile.open(tmp_path / "twice.tar", "w") as tar:
        for name in ("a.txt", "a.TXT"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(IntegrityError, match=r"two members 'a\.TXT'"):
        RecordLoader(f"webdataset:{tmp_path / 'twice.tar'}", batch=1)


def test_an_array_of_objects_in_a_tar_is_never_unpickled(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.array([{"a": 1}], object), allow_pickle=True)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("a.npy")
        member.size = content.tell()
        content.seek(0)
        tar.addfile(member, content)
    with pytest.raises(IntegrityError, match="never unpickled"):
        list(RecordLoader(f"webdataset:{tmp_path / 'a.tar'}", batch=1))


def test_fixed_size_binary_wants_a_type_and_null_tokens_are_refused(tmp_path: Path) -> None:
    uri = TOKENS["parquet"](tmp_path / "data").partition("?")[0]
    with pytest.raises(UsageError, match="RecordLoader"):
        Loader(uri, batch=4)
    with pytest.raises(UsageError, match="uint8"):
        Loader(f"{uri}?dtype=float32", batch=4)
    table = pa.table({"tokens": pa.array([[1, 2], None], pa.list_(pa.int32(), 2))})
    pq.write_table(table, tmp_path / "nulls.parquet")
    with pytest.raises(IntegrityError, match="1 nulls"):
        list(Loader(f"parquet:{tmp_path / 'nulls.parquet'}", batch=2))


@pytest.mark.parametrize(
    ("options", "lying"),
    [
        ({}, True),
        ({"data_page_version": "2.0"}, True),
        ({"write_statistics": False}, False),
        ({"compression": "zstd"}, False),
        ({"use_dictionary": True}, False),
    ],
)
def test_fixed_size_binary_is_the_same_in_whatever_pages(options: dict[str, Any], lying: bool, tmp_path: Path) -> None:
    column = pa.array([*(row.tobytes() for row in ROWS)], pa.binary(32))
    written = {"compression": "none", "use_dictionary": False} | options
    pq.write_table(pa.table({"tokens": column}), tmp_path / "a.parquet", row_group_size=5, data_page_size=64, **written)
    uri = f"parquet:{tmp_path / 'a.parquet'}?dtype=uint16"
    fixed = open_foreign(uri, "train", checked=True).fixed
    assert isinstance(fixed.rows, ShardRows) is lying
    (batch,) = Loader(uri, batch=12).batches()
    np.testing.assert_array_equal(batch.tokens, ROWS[batch.samples])


def test_megatron_documents_may_be_of_several_sequences_or_empty(tmp_path: Path) -> None:
    sequences = [ROWS[0, :3], ROWS[1, :0], ROWS[2, :5]]
    uri = write_megatron(tmp_path / "made" / "data", sequences, [0, 2, 2, 3])
    (batch,) = RecordLoader(uri, batch=3).batches()
    found = {number: record["tokens"].tolist() for number, record in zip(batch.samples, batch.records, strict=True)}
    assert found == {0: ROWS[0, :3].tolist(), 1: [], 2: ROWS[2, :5].tolist()}


@pytest.mark.parametrize("module", ["pyarrow", None])
def test_parquet_alone_needs_a_package_and_says_which(module: str | None, tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules[sys.argv[1]] = None\n"
        "from warehouse.loader import Loader\n"
        "assert 'pyarrow.lib' not in sys.modules\n"
        "print(len(Loader(sys.argv[2], batch=4)))"
    )
    uri = TOKENS["parquet" if module else "mds"](tmp_path / "data")
    done = subprocess.run([sys.executable, "-c", script, "pyarrow", uri], capture_output=True, text=True, check=False)
    assert "pip install 'ml-warehouse[peers]'" in done.stderr if module else done.stdout == "3\n"


DAMAGED = {
    **{f"tokens-{kind}": (Loader, made) for kind, made in TOKENS.items()},
    **{f"records-{kind}": (RecordLoader, made) for kind, made in RECORDS.items()},
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("sound")
    return {name: made(folder / name) for name, (_, made) in DAMAGED.items()}


def damaged(content: bytes, damage: st.DataObject) -> bytes:
    """With a part cut away, or with a bit flipped."""
    at = damage.draw(st.integers(0, len(content) - 1))
    if damage.draw(st.booleans()):
        return content[:at] + content[at + damage.draw(st.integers(1, 40)) :]
    return content[:at] + bytes([content[at] ^ 1 << damage.draw(st.integers(0, 7))]) + content[at + 1 :]


@pytest.mark.parametrize("name", list(DAMAGED))
@settings(max_examples=40)
@given(damage=st.data())
def test_cut_and_flipped_bytes_are_one_clear_error_or_samples_of_the_right_shape(
    name: str, sound: dict[str, str], damage: st.DataObject
) -> None:
    place, (loader, _) = located(sound[name]), DAMAGED[name]
    path = damage.draw(st.sampled_from(sorted((place if place.is_dir() else place.parent).iterdir())))
    content = path.read_bytes()
    path.write_bytes(damaged(content, damage))
    try:
        batches = list(loader(sound[name], batch=1).batches())
    except WarehouseError:
        return
    finally:
        path.write_bytes(content)
    if loader is Loader:
        assert [batch.tokens.shape for batch in batches] == [(1, 16)] * 12
    assert all(type(record) is dict for batch in batches if loader is RecordLoader for record in batch.records)


def test_offsets_that_go_back_are_one_clear_error(tmp_path: Path) -> None:
    uri = mds_records(tmp_path / "data")
    path = tmp_path / "data" / "shard.00000.mds"
    content = bytearray(path.read_bytes())
    for at, (first, second) in enumerate(pairwise((9, 2, 2**31))):
        struct.pack_into("<II", content, 12 + 8 * at, first, second)
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="sample"):
        list(RecordLoader(uri, batch=1, checked=False))
