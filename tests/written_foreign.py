"""Data sets in other projects' formats, written by hand from the formats' descriptions: twelve samples of 16 tokens."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

Rows = npt.NDArray[Any]

ROWS: Rows = (np.arange(12 * 16).reshape(12, 16) * 331 % 60_000).astype("<u2")
TEXTS = [f"text {number} \u00e9" * (number % 4) for number in range(12)]
LEAF = {"type": None, "context": None, "children_spec": []}


def with_offsets(items: Sequence[bytes], head: bytes = b"") -> bytes:
    """``u32 n | u32 offsets[n + 1] | head | items``, as MDS and litdata have it."""
    start = 4 * (len(items) + 2) + len(head)
    ends = np.cumsum([start, *map(len, items)])
    return np.array([len(items), *ends], "<u4").tobytes() + head + b"".join(items)


def write_mds(
    folder: Path, columns: Mapping[str, tuple[str, int | None]], samples: Sequence[Mapping[str, bytes]]
) -> Path:
    """Two shards; columns: name -> encoding and fixed size, samples: the bytes of each column."""
    folder.mkdir(parents=True)
    names = sorted(columns)
    form = {
        "column_encodings": [columns[name][0] for name in names],
        "column_names": names,
        "column_sizes": [columns[name][1] for name in names],
    }
    entries = []
    for number, part in enumerate((samples[:7], samples[7:])):
        items = [
            b"".join(struct.pack("<I", len(sample[name])) for name in names if columns[name][1] is None)
            + b"".join(sample[name] for name in names)
            for sample in part
        ]
        content, path = with_offsets(items, json.dumps(form).encode()), folder / f"shard.{number:05d}.mds"
        path.write_bytes(content)
        raw = {"basename": path.name, "bytes": len(content), "hashes": {"xxh64": xxhash.xxh64_hexdigest(content)}}
        entries.append({**form, "format": "mds", "version": 2, "samples": len(part), "raw_data": raw, "zip_data": None})
    (folder / "index.json").write_text(json.dumps({"version": 2, "shards": entries}))
    return folder


def mds_tokens(folder: Path) -> str:
    """ROWS in a column of their own."""
    samples = [{"tokens": row.tobytes()} for row in ROWS]
    return f"mds:{write_mds(folder, {'tokens': ('ndarray:uint16:16', 32)}, samples)}"


def mds_records(folder: Path) -> str:
    """Texts with numbers."""
    samples = [{"n": struct.pack("<q", number), "text": text.encode()} for number, text in enumerate(TEXTS)]
    return f"mds:{write_mds(folder, {'n': ('int', 8), 'text': ('str', None)}, samples)}"


def _litdata(folder: Path, chunks: Sequence[Sequence[bytes]], config: Mapping[str, Any], width: int) -> Path:
    folder.mkdir(parents=True)
    entries = []
    for number, items in enumerate(chunks):
        path, content = folder / f"chunk-0-{number}.bin", with_offsets(items)
        path.write_bytes(content)
        dim = sum(map(len, items)) // width if width else None
        entries.append({"chunk_bytes": len(content), "chunk_size": len(items), "dim": dim, "filename": path.name})
    made = {"compression": None, "encryption": None, **config}
    (folder / "index.json").write_text(json.dumps({"chunks": entries, "config": made}))
    return folder


def litdata_tokens(folder: Path) -> str:
    """ROWS, an item each."""
    rows = [row.tobytes() for row in ROWS]
    config = {"item_loader": "TokensLoader", "data_format": ["no_header_tensor:20"], "data_spec": json.dumps([1, LEAF])}
    return f"litdata:{_litdata(folder, (rows[:5], rows[5:]), config, 2)}"


def litdata_records(folder: Path) -> str:
    """Texts with numbers."""
    leaves = [(struct.pack("<q", number), text.encode()) for number, text in enumerate(TEXTS)]
    items = [struct.pack("<II", len(first), len(second)) + first + second for first, second in leaves]
    spec = [1, {"type": "builtins.dict", "context": '["n", "text"]', "children_spec": [LEAF, LEAF]}]
    config = {"item_loader": "PyTreeLoader", "data_format": ["int", "str"], "data_spec": json.dumps(spec)}
    return f"litdata:{_litdata(folder, (items[:5], items[5:]), config, 0)}"


def write_megatron(prefix: Path, sequences: Sequence[Rows], documents: Sequence[int], code: int = 8) -> str:
    """PREFIX.bin and PREFIX.idx."""
    prefix.parent.mkdir(parents=True)
    lengths = np.array([len(each) for each in sequences], "<i4")
    pointers = (np.cumsum(lengths) - lengths).astype("<i8") * sequences[0].itemsize
    head = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, code, len(sequences), len(documents))
    prefix.with_name(f"{prefix.name}.bin").write_bytes(b"".join(each.tobytes() for each in sequences))
    content = head + lengths.tobytes() + pointers.tobytes() + np.array(documents, "<i8").tobytes()
    prefix.with_name(f"{prefix.name}.idx").write_bytes(content)
    return f"megatron:{prefix}"


def megatron_tokens(folder: Path) -> str:
    """ROWS, a document of two sequences each."""
    sequences = [part for row in ROWS for part in (row[:5], row[5:])]
    return write_megatron(folder / "data", sequences, range(0, 25, 2))


def megatron_records(folder: Path) -> str:
    """The first 1 to 12 tokens of ROWS."""
    return write_megatron(folder / "data", [row[: number + 1] for number, row in enumerate(ROWS)], range(13))


def tar_records(folder: Path) -> str:
    """Texts with numbers, in two tars."""
    folder.mkdir(parents=True)
    for number in range(2):
        with tarfile.open(folder / f"part-{number}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for at, text in list(enumerate(TEXTS))[number::2]:
                for kind, content in (("cls", str(at).encode()), ("txt", text.encode())):
                    member = tarfile.TarInfo(f"sub/{at:06d}.{kind}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    return f"webdataset:{folder}"


def parquet_tokens(folder: Path) -> str:
    """ROWS as fixed-size binary in plain pages."""
    folder.mkdir(parents=True)
    column = pa.array([row.tobytes() for row in ROWS], pa.binary(32))
    table = pa.table([column], schema=pa.schema([pa.field("tokens", pa.binary(32), nullable=False)]))
    for number, (first, count) in enumerate(((0, 7), (7, 5))):
        part = table.slice(first, count)
        path = folder / f"train-{number}.parquet"
        pq.write_table(part, path, compression="none", use_dictionary=False, row_group_size=4, data_page_size=64)
    return f"parquet:{folder}?dtype=uint16"


def parquet_lists(folder: Path) -> str:
    """ROWS as compressed lists of a fixed size."""
    folder.mkdir(parents=True)
    kind = pa.list_(pa.uint16(), 16)
    table = pa.table({"input_ids": pa.array(ROWS.tolist(), kind)})
    pq.write_table(table, folder / "train-0.parquet", compression="zstd", row_group_size=5)
    return f"parquet:{folder}"


def parquet_records(folder: Path) -> str:
    """Texts with numbers."""
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"n": range(12), "text": TEXTS}), folder / "train-0.parquet", row_group_size=5)
    return f"parquet:{folder}"


TOKENS = {
    "mds": mds_tokens,
    "litdata": litdata_tokens,
    "megatron": megatron_tokens,
    "parquet": parquet_tokens,
    "parquet_lists": parquet_lists,
}
RECORDS = {
    "mds": mds_records,
    "litdata": litdata_records,
    "megatron": megatron_records,
    "webdataset": tar_records,
    "parquet": parquet_records,
}
