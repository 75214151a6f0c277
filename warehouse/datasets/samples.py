"""Rows of any columns as samples: shards in the layout of MDS 2, which mosaicml-streaming reads as they lie.

::

    <split>/shard.<number>.mds   u32 n | u32 offsets[n + 1], from the file's start | JSON of the columns | samples
    <split>/index.json           of each shard its columns, samples, bytes and xxh64

A sample is the u32 sizes of its columns of no fixed width, then the values, columns in the order of their names
(mosaicml-streaming, streaming/base/format/mds/encodings.py), little-endian::

    VARCHAR          str               UTF-8
    BLOB             bytes             as they are: an image, a sound, any file
    BOOLEAN          uint8             0 or 1
    whole numbers    int8 .. uint64
    FLOAT, DOUBLE    float32, float64
    DATE, TIMESTAMP  str               ISO 8601, in UTC
    lists of numbers ndarray:<type>    u8 1 << 2 | code of the width of a length | length | values
    lists of texts   json

Won: no format of our own, and bytes that a peer's reader takes with its hash. Lost: MDS knows no null, so a select that
gives one is refused; a shard is 4 GiB at most; all of a selection is in memory while it is arranged.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from warehouse.errors import RecipeError
from warehouse.manifest import Column, TableShard

MOST_BYTES = (1 << 32) - 1
"""Where the last sample of a shard may end: offsets are u32."""

BATCH = 256
"""Rows that are encoded at once."""

INDEX = "index.json"
HASH = "xxh64"

_NUMBERS = (
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float32(), pa.float64()),
)
_ENCODINGS: dict[pa.DataType, str] = {
    pa.large_string(): "str",
    pa.large_binary(): "bytes",
    pa.bool_(): "uint8",
    pa.date32(): "str",
    pa.timestamp("us"): "str",
    pa.timestamp("us", "UTC"): "str",
    **{kind: np.dtype(kind.to_pandas_dtype()).name for kind in _NUMBERS},
    **{pa.list_(pa.field("element", kind)): f"ndarray:{np.dtype(kind.to_pandas_dtype()).name}" for kind in _NUMBERS},
    pa.list_(pa.field("element", pa.string())): "json",
}
"""What a column of each type is in MDS."""

TYPES: dict[str, pa.DataType] = {str(kind): kind for kind in _ENCODINGS}
ALLOWED = (
    "BOOLEAN, whole numbers up to 64 bits, FLOAT, DOUBLE, DATE, TIMESTAMP, TIMESTAMPTZ, VARCHAR, BLOB, "
    "lists of numbers, lists of VARCHAR"
)


def releasable(table: pa.Table, *, at: str) -> pa.Table:
    """The table in types that a sample can hold.

    Raises RecipeError, naming the column, for any other, and for one that has a null.
    """
    fields = [pa.field(field.name, _plain(field, at)) for field in table.schema]
    for column, field in zip(table.columns, fields, strict=True):
        inner = pc.list_flatten(column).null_count if pa.types.is_list(field.type) else 0
        if nulls := column.null_count + inner:
            raise RecipeError(
                f"{at}: column {field.name} has {nulls:,} null",
                allowed="a value in each row: MDS knows no null",
                do="give one in the select, coalesce(column, value), or leave such rows out",
            )
    return table.cast(pa.schema(fields))


def _plain(field: pa.Field, at: str) -> pa.DataType:
    kind = field.type
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary(kind) or pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.large_binary()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = pa.list_(pa.field("element", kind.value_type))
    if kind not in _ENCODINGS:
        raise RecipeError(f"{at}: column {field.name} is {field.type}", allowed=ALLOWED, do="CAST it in the select")
    return kind


def layout(rows: pa.Table) -> tuple[Column, ...]:
    """The columns in the order of the select; offset: the place of each in a sample."""
    places = {name: place for place, name in enumerate(sorted(rows.column_names))}
    return tuple(
        Column(field.name, str(field.type), _ENCODINGS[field.type], places[field.name], None) for field in rows.schema
    )


def shard_name(split: str, shard: int) -> str:
    """The file of a shard, in the folder of the release."""
    return f"{split}/shard.{shard:05d}.mds"


def write_shard(path: Path, rows: pa.Table, *, at: str) -> None:
    """Write the file of a shard, one without rows too. Raises RecipeError above 4 GiB."""
    path.parent.mkdir(exist_ok=True)
    columns = _sorted(layout(rows))
    head = _head(columns)
    start = 4 * (rows.num_rows + 2) + len(head)
    sizes = []
    with path.open("wb") as stream:
        stream.seek(start)
        for sample in _samples(rows, columns):
            sizes.append(len(sample))
            stream.write(sample)
        ends = start + np.cumsum([0, *sizes])
        if ends[-1] > MOST_BYTES:
            raise RecipeError(f"{at}: a shard of {ends[-1]:,} bytes", allowed=f"{MOST_BYTES:,}", do="state more shards")
        stream.seek(0)
        stream.write(np.array([rows.num_rows, *ends]).astype("<u4").tobytes() + head)
        stream.truncate(int(ends[-1]))


def holds(path: Path, rows: pa.Table) -> bool:
    """Whether the file of a shard, which is whole, is what ``write_shard`` would write of these rows."""
    columns = _sorted(layout(rows))
    head = _head(columns)
    with path.open("rb") as stream:
        (count,) = struct.unpack("<I", stream.read(4))
        stream.seek(4 * (count + 2))
        return (
            count == rows.num_rows
            and stream.read(len(head)) == head
            and all(stream.read(len(sample)) == sample for sample in _samples(rows, columns))
            and not stream.read(1)
        )


def _sorted(columns: Sequence[Column]) -> list[Column]:
    """The columns as they lie in a sample."""
    return sorted(columns, key=lambda column: column.offset)


def _head(columns: Sequence[Column]) -> bytes:
    return json.dumps(_described(columns), sort_keys=True).encode()


def _described(columns: Sequence[Column]) -> dict[str, Any]:
    return {
        "column_encodings": [column.dtype for column in columns],
        "column_names": [column.name for column in columns],
        "column_sizes": [_width(column) for column in columns],
        "compression": None,
        "format": "mds",
        "hashes": [HASH],
        "size_limit": MOST_BYTES,
        "version": 2,
    }


def _width(column: Column) -> int | None:
    """Bytes of a value, None where they differ."""
    plain = column.dtype not in ("str", "bytes", "json") and not column.dtype.startswith("ndarray")
    return np.dtype(column.dtype).itemsize if plain else None


def _samples(rows: pa.Table, columns: Sequence[Column]) -> Iterator[bytes]:
    """The bytes of each sample."""
    loose = [place for place, column in enumerate(columns) if _width(column) is None]
    sizes = struct.Struct(f"<{len(loose)}I")
    for batch in rows.to_batches(max_chunksize=BATCH):
        values = zip(*(list(_encoded(batch[column.name], column)) for column in columns), strict=True)
        for sample in values:
            yield sizes.pack(*(len(sample[place]) for place in loose)) + b"".join(sample)


def _encoded(array: pa.Array, column: Column) -> Iterator[bytes]:
    """Each value as its encoding has it."""
    if width := _width(column):
        raw = array.to_numpy(zero_copy_only=False).astype(np.dtype(column.dtype).newbyteorder("<")).tobytes()
        return (raw[at : at + width] for at in range(0, len(raw), width))
    if column.dtype == "bytes":
        return iter(array.to_pylist())
    if column.dtype == "json":
        return (json.dumps(value, ensure_ascii=False).encode() for value in array.to_pylist())
    if column.dtype == "str":
        return (_text(value).encode() for value in array.to_pylist())
    return (_listed(array[row].values.to_numpy(zero_copy_only=False)) for row in range(len(array)))


def _text(value: str | date) -> str:
    return value if isinstance(value, str) else value.isoformat()


def _listed(values: np.ndarray[Any, np.dtype[Any]]) -> bytes:
    """A list of numbers as an array of one side, whose length is of 1, 2 or 4 bytes."""
    code = 0 if values.size < 1 << 8 else 1 if values.size < 1 << 16 else 2
    head = bytes([1 << 2 | code]) + values.size.to_bytes(1 << code, "little")
    return head + values.astype(values.dtype.newbyteorder("<")).tobytes()


def write_index(folder: Path, split: str, shards: Sequence[TableShard], columns: Sequence[Column]) -> None:
    """Write index.json of a split, without shards that hold no sample: a reader of MDS takes such for damage."""
    described = _described(_sorted(columns))
    entries = [
        {**described, "raw_data": _file(folder / shard.data), "samples": shard.samples, "zip_data": None}
        for shard in shards
        if shard.samples
    ]
    (folder / split / INDEX).write_text(json.dumps({"shards": entries, "version": 2}, sort_keys=True), "utf-8")


def _file(path: Path) -> dict[str, Any]:
    state, size = xxhash.xxh64(), path.stat().st_size
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            state.update(block)
    return {"basename": path.name, "bytes": size, "hashes": {HASH: state.hexdigest()}}


def read_shard(path: Path, columns: Sequence[Column], only: slice = slice(None)) -> pa.Table:
    """The rows of a shard, or a slice of them: these columns of it, in the types that they were written from."""
    held = _opened(path, only)
    return pa.table({column.name: _decoded(list(_values(held, column.name)), column) for column in columns})


def comparable(path: Path, name: str) -> pa.Array:
    """A column of a shard as what is equal where the bytes are: whole numbers, else the xxh3-128 of each value."""
    held = _opened(path)
    if (width := held.widths[name]) is None:
        return pa.array([xxhash.xxh3_128_digest(value) for value in _values(held, name)], pa.binary())
    raw = held.raw[held.starts[name][:, None] + np.arange(width)]
    return pa.array(raw.view(f"<u{width}").ravel())


@dataclass(frozen=True, slots=True)
class _Opened:
    """A shard's file, and where the values of its samples lie in it: starts and ends, int64[samples], by column.

    encodings, widths: of each column, in the order of the file; a width of None: bytes differ from value to value.
    """

    raw: npt.NDArray[np.uint8]
    encodings: Mapping[str, str]
    widths: Mapping[str, int | None]
    starts: Mapping[str, npt.NDArray[np.int64]]
    ends: Mapping[str, npt.NDArray[np.int64]]


def _opened(path: Path, only: slice = slice(None)) -> _Opened:
    raw = np.memmap(path, np.uint8, "r").view(np.ndarray)
    count = int(raw[:4].view("<u4")[0])
    offsets = raw[4 : 4 * (count + 2)].view("<u4")
    stated = json.loads(raw[4 * (count + 2) : offsets[0]].tobytes())
    names, widths = stated["column_names"], stated["column_sizes"]
    ends = _ends(raw, offsets[:-1][only].astype(np.int64), widths)
    return _Opened(
        raw,
        dict(zip(names, stated["column_encodings"], strict=True)),
        dict(zip(names, widths, strict=True)),
        dict(zip(names, ends[:-1], strict=True)),
        dict(zip(names, ends[1:], strict=True)),
    )


def _ends(
    raw: npt.NDArray[np.uint8], samples: npt.NDArray[np.int64], widths: Sequence[int | None]
) -> npt.NDArray[np.int64]:
    """int64[columns + 1, samples]: where the first value of each sample begins, and where each ends."""
    loose = widths.count(None)
    stated = iter(raw[samples[:, None] + np.arange(4 * loose)].view("<u4").T.astype(np.int64))
    sizes = [next(stated) if width is None else np.full(samples.size, width) for width in widths]
    return np.cumsum(np.vstack([samples + 4 * loose, *sizes]), axis=0)


def _values(held: _Opened, name: str) -> Iterator[bytes]:
    """The bytes of a column's values."""
    whole = held.raw.data
    for start, end in zip(held.starts[name].tolist(), held.ends[name].tolist(), strict=True):
        yield bytes(whole[start:end])


def _decoded(values: Sequence[bytes], column: Column) -> pa.Array:
    kind = TYPES[column.type]
    if _width(column):
        plain = np.frombuffer(b"".join(values), np.dtype(column.dtype).newbyteorder("<"))
        return pa.array(plain.astype(np.dtype(column.dtype))).cast(kind)
    if column.dtype == "bytes":
        return pa.array(values, kind)
    if column.dtype == "json":
        return pa.array([json.loads(value) for value in values], kind)
    if column.dtype == "str":
        return pa.array([_as(value.decode(), kind) for value in values], kind)
    dtype = np.dtype(column.dtype.partition(":")[2]).newbyteorder("<")
    return pa.array([np.frombuffer(value, dtype, offset=1 + (1 << value[0] % 4)) for value in values], kind)


def _as(text: str, kind: pa.DataType) -> str | date:
    if pa.types.is_date32(kind):
        return date.fromisoformat(text)
    return datetime.fromisoformat(text) if pa.types.is_timestamp(kind) else text


def texts_of(path: Path) -> Iterator[str]:
    """Every text that a shard holds as a value of its own."""
    held = _opened(path)
    for name, encoding in held.encodings.items():
        if encoding == "str":
            yield from (value.decode() for value in _values(held, name))
        elif encoding == "json":
            yield from (text for value in _values(held, name) for text in json.loads(value))
