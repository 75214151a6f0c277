"""Data sets that other projects' own writers wrote, read by our loader: every value as it was given, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from warehouse.errors import FormatError
from warehouse.loader import Loader, RecordLoader

datasets = pytest.importorskip("datasets", reason="needs datasets: make test-frameworks")
litdata = pytest.importorskip("litdata", reason="needs litdata: make test-frameworks")
streaming = pytest.importorskip("streaming", reason="needs mosaicml-streaming: make test-frameworks")
torch = pytest.importorskip("torch", reason="needs torch: make test-frameworks")

TOKENS = (np.arange(50 * 16).reshape(50, 16) * 331 % 60_000).astype(np.uint16)


def check_tokens(uri: str) -> None:
    seen = []
    for batch in Loader(uri, batch=7, drop_last=False).batches():
        np.testing.assert_array_equal(batch.tokens, TOKENS[batch.samples])
        assert batch.tokens.dtype == np.uint16
        seen += batch.samples.tolist()
    assert sorted(seen) == list(range(50))


def check_records(uri: str, written: Sequence[dict[str, Any]]) -> None:
    seen = []
    for batch in RecordLoader(uri, batch=7, drop_last=False).batches():
        for number, record in zip(batch.samples.tolist(), batch.records, strict=True):
            assert record.keys() == written[number].keys()
            for name, value in written[number].items():
                assert isinstance(record[name], type(value))
                np.testing.assert_array_equal(record[name], value)
        seen += batch.samples.tolist()
    assert sorted(seen) == list(range(len(written)))


def write_mds(folder: Path, columns: dict[str, str], samples: Sequence[dict[str, Any]], **options: Any) -> str:
    with streaming.MDSWriter(out=str(folder), columns=columns, size_limit=1500, **options) as writer:
        for sample in samples:
            writer.write(sample)
    return f"mds:{folder}"


@pytest.mark.parametrize("hashes", [[], ["xxh64"], ["sha1", "xxh3_64"]])
def test_tokens_of_mdswriter(tmp_path: Path, hashes: list[str]) -> None:
    samples = [{"tokens": row} for row in TOKENS]
    check_tokens(write_mds(tmp_path / "data", {"tokens": "ndarray:uint16:16"}, samples, hashes=hashes))
    assert len(list((tmp_path / "data").glob("*.mds"))) > 1


def test_every_column_of_mdswriter(tmp_path: Path) -> None:
    columns = {
        "text": "str",
        "raw": "bytes",
        "n": "int",
        "tree": "json",
        "digits": "str_int",
        "real": "str_float",
        "exact": "str_decimal",
        "small": "int8",
        "half": "float16",
        "any": "ndarray",
        "typed": "ndarray:int32",
        "shaped": "ndarray:float64:2,3",
    }
    samples = [
        {
            "text": f"h\u00e9llo {number}" * number,
            "raw": bytes(range(number)),
            "n": number,
            "tree": {"a": [number, None, "x"]},
            "digits": 10**number,
            "real": number / 7,
            "exact": Decimal(number) / 8,
            "small": -number,
            "half": number / 2,
            "any": np.arange(number + 1, dtype=np.float32).reshape(1, -1),
            "typed": np.arange(2 * number + 2, dtype=np.int32).reshape(2, -1),
            "shaped": np.full((2, 3), number / 3),
        }
        for number in range(30)
    ]
    check_records(write_mds(tmp_path / "data", columns, samples, hashes=["xxh64"]), samples)


def test_what_mdswriter_compresses_or_pickles_is_refused(tmp_path: Path) -> None:
    zipped = write_mds(tmp_path / "zipped", {"n": "int"}, [{"n": 1}], compression="zstd:3")
    with pytest.raises(FormatError, match="unpack it beside"):
        RecordLoader(zipped, batch=1)
    pickled = write_mds(tmp_path / "pickled", {"n": "pkl"}, [{"n": {1, 2}}])
    with pytest.raises(FormatError, match="run code"):
        RecordLoader(pickled, batch=1)


def write_litdata(folder: Path, samples: Sequence[Any], **options: Any) -> str:
    cache = litdata.streaming.Cache(str(folder), **options)
    for number, sample in enumerate(samples):
        cache[number] = sample
    cache.done()
    cache.merge()
    return f"litdata:{folder}"


@pytest.mark.filterwarnings("ignore:The given .* is not writable")
def test_tokens_of_litdata(tmp_path: Path) -> None:
    loader = litdata.TokensLoader(block_size=16)
    samples = [torch.from_numpy(row) for row in TOKENS]
    uri = write_litdata(tmp_path / "data", samples, chunk_bytes=500, item_loader=loader)
    check_tokens(uri)
    theirs = litdata.StreamingDataset(str(tmp_path / "data"), item_loader=litdata.TokensLoader(block_size=6))
    (batch,) = Loader(f"{uri}?length=6", batch=len(theirs)).batches()
    ours = batch.tokens[np.argsort(batch.samples)]
    np.testing.assert_array_equal(ours, [theirs[at].numpy() for at in range(len(theirs))])


def test_every_basic_value_of_litdata(tmp_path: Path) -> None:
    arrays = [
        {
            "grid": np.arange(6).reshape(2, 3) + number,
            "line": np.arange(number + 1, dtype=np.float32),
            "tensor": torch.full((2, 2), float(number)),
            "ids": torch.arange(number + 1, dtype=torch.int32),
        }
        for number in range(30)
    ]
    basic = [
        {"text": f"h\u00e9llo {n}", "n": n, "real": n / 3, "odd": bool(n % 2), "raw": bytes([n])} for n in range(30)
    ]
    uri = write_litdata(tmp_path / "data", [{**a, **b} for a, b in zip(basic, arrays, strict=True)], chunk_bytes=900)
    assert len(list((tmp_path / "data").glob("*.bin"))) > 1
    as_arrays = [{name: np.asarray(value) for name, value in each.items()} for each in arrays]
    check_records(uri, [{**a, **b} for a, b in zip(basic, as_arrays, strict=True)])


def test_a_value_alone_and_a_list_of_litdata(tmp_path: Path) -> None:
    check_records(write_litdata(tmp_path / "one", ["a", "b", "c"], chunk_bytes=900), [{"sample": s} for s in "abc"])
    pairs = [(np.arange(3), number) for number in range(5)]
    expected = [{"0": np.arange(3), "1": number} for _, number in pairs]
    check_records(write_litdata(tmp_path / "pairs", pairs, chunk_bytes=900), expected)


def test_what_litdata_compresses_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("zstd", reason="litdata compresses with zstd")
    with pytest.raises(FormatError, match="compression"):
        RecordLoader(write_litdata(tmp_path / "data", [1, 2], chunk_bytes=900, compression="zstd"), batch=1)


def test_parquet_of_hugging_face_datasets(tmp_path: Path) -> None:
    rows = [{"text": f"row {n}", "n": n, "ids": list(range(n + 1)), "none": None} for n in range(30)]
    folder = tmp_path / "data"
    folder.mkdir()
    datasets.Dataset.from_list(rows).to_parquet(folder / "train-00000-of-00001.parquet", batch_size=9)
    check_records(f"parquet:{folder}", [{**row, "ids": np.array(row["ids"])} for row in rows])
    features = datasets.Features({"input_ids": datasets.List(datasets.Value("uint16"), length=16)})
    made = datasets.Dataset.from_dict({"input_ids": TOKENS.tolist()}, features=features)
    made.to_parquet(tmp_path / "tokens.parquet")
    check_tokens(f"parquet:{tmp_path / 'tokens.parquet'}")
