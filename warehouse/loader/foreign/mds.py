"""MDS, version 2, of mosaicml-streaming: folders of index.json and shards, raw and not compressed.

::

    u32 n | u32 offsets[n + 1], from the file's start | JSON of the columns | samples
    sample = u32 sizes of the columns that have no fixed one | bytes of the columns, in the order of their names

(streaming/base/format/mds/writer.py and encodings.py.) A shard's hash, where index.json has one, is compared when the
shard is first touched: all of it is read then, 64 MiB by default, which takes xxh64 some 6 ms and sha1 60. Columns of
pickled objects are refused: to read them is to run what they say.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from warehouse.errors import FormatError
from warehouse.loader.foreign import values
from warehouse.loader.foreign.places import (
    Bytes,
    Fields,
    Location,
    identity,
    json_object,
    mapped,
    read_index,
    split_folder,
    unsound,
)
from warehouse.loader.foreign.samples import FirstTouch, Fixed, Opened, Record, ShardRecords, ShardRows, Value

VERSION = 2
CODES = {
    **{8: "uint8", 9: "int8", 16: "uint16", 17: "int16", 18: "float16", 32: "uint32", 33: "int32", 34: "float32"},
    **{64: "uint64", 65: "int64", 66: "float64"},
}
"""Types of an array whose encoding leaves the type to each sample."""

Decode = Callable[[Bytes], Value]

ENCODINGS: dict[str, Decode] = {
    "bytes": values.raw,
    "str": values.text,
    "json": values.json_value,
    "int": partial(values.number, dtype=np.dtype("<i8")),
    "str_int": lambda data: int(values.text(data)),
    "str_float": lambda data: float(values.text(data)),
    "str_decimal": lambda data: Decimal(values.text(data)),
    **{name: partial(values.number, dtype=np.dtype(name).newbyteorder("<")) for name in values.NUMBERS},
    **dict.fromkeys(("jpeg", "png"), values.raw),
}
"""Images stay the bytes of their file."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column; size: of its bytes where all samples have the same, else 0. fixed: its tokens, where it is an array."""

    name: str
    encoding: str
    size: int
    decode: Decode = field(compare=False)
    fixed: tuple[np.dtype[Any], int] | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard, mapped. start: of its first sample; hashes: by name of the function."""

    path: Path
    raw: Bytes
    samples: int
    start: int
    hashes: dict[str, str]


def open_mds(location: Location, split: str, *, checked: bool) -> Opened:
    """The data set; checked: compare hashes at first touch."""
    folder = split_folder(location, split)
    index_bytes, index = read_index(folder)
    _demand(index, "version", VERSION)
    entries = [entry for entry in index.parts("shards") if entry.number("samples")]
    if not entries:
        raise unsound(index.where, "states no sample")
    columns = _columns(entries[0])
    shards = [_shard(folder, entry, columns) for entry in entries]
    touch = FirstTouch(len(shards), lambda at: _compare(shards[at]) if checked else None)
    names, sizes = [str(shard.path) for shard in shards], [shard.samples for shard in shards]
    return Opened(
        location,
        identity("mds", [index_bytes]),
        ", ".join(f"{column.name} ({column.encoding})" for column in columns),
        ShardRecords(names, sizes, lambda at, place: _record(shards[at], place, columns), touch),
        _fixed(shards, columns, touch),
    )


def _demand(fields: Fields, name: str, allowed: object) -> None:
    if fields.values.get(name) != allowed:
        raise FormatError(f"{fields.where}: {name} is {fields.values.get(name)!r:.80}", allowed=repr(allowed))


def _columns(entry: Fields) -> tuple[Column, ...]:
    names, encodings = entry.texts("column_names"), entry.texts("column_encodings")
    sizes = entry.values.get("column_sizes")
    if not isinstance(sizes, list) or not 0 < len(set(names)) == len(names) == len(encodings) == len(sizes):
        raise FormatError(f"{entry.where}: columns {names!r:.80}", allowed="a name, an encoding and a size of each")
    return tuple(_column(entry.where, *each) for each in zip(names, encodings, sizes, strict=True))


def _column(where: str, name: str, encoding: str, size: object) -> Column:
    kind, _, form = encoding.partition(":")
    if kind == "pkl":
        raise FormatError(
            f"{where}: column {name!r} holds pickled objects, which run code when they are read",
            allowed=", ".join((*ENCODINGS, "ndarray")),
            do="write the column as json, ndarray or bytes",
        )
    decode, width, fixed = _array(where, form) if kind == "ndarray" else (ENCODINGS.get(encoding), None, None)
    if decode is None:
        raise FormatError(f"{where}: column {name!r} is {encoding!r:.80}", allowed=", ".join((*ENCODINGS, "ndarray")))
    width = 8 if encoding == "int" else np.dtype(encoding).itemsize if encoding in values.NUMBERS else width
    if size != width or isinstance(size, bool):
        raise FormatError(f"{where}: column {name!r} of size {size!r:.80}", allowed=f"{width} of {encoding}")
    return Column(name, encoding, width or 0, decode, fixed)


def _array(where: str, form: str) -> tuple[Decode, int | None, tuple[np.dtype[Any], int] | None]:
    """How an array of ``ndarray:<type>:<shape>`` is decoded, its bytes where they are fixed, and such tokens."""
    named, _, lengths = form.partition(":")
    sides = lengths.split(",") if lengths else []
    if (named and named not in values.NUMBERS) or not all(side.isdecimal() and int(side[:9]) > 0 for side in sides):
        raise FormatError(f"{where}: ndarray:{form!r:.80}", allowed=f"a type of {', '.join(values.NUMBERS)}, a shape")
    dtype = np.dtype(named).newbyteorder("<") if named else None
    shape = tuple(int(side) for side in sides) or None
    if dtype is None or shape is None:
        return partial(_loose_array, dtype=dtype, shape=shape), None, None
    fixed = (dtype, shape[0]) if len(shape) == 1 and named in values.INTEGERS else None
    return partial(values.array, dtype=dtype, shape=shape), math.prod(shape) * dtype.itemsize, fixed


def _loose_array(data: Bytes, *, dtype: np.dtype[Any] | None, shape: tuple[int, ...] | None) -> Value:
    """``[u8 type] [u8 sides << 2 | width of a side] [sides] values``; the first two only where they are not fixed."""
    if dtype is None:
        if int(data[0]) not in CODES:
            raise ValueError(f"type {data[0]} of an array")
        dtype, data = np.dtype(CODES[int(data[0])]).newbyteorder("<"), data[1:]
    if shape is None:
        sides, width = divmod(int(data[0]), 4)
        end = 1 + sides * 2**width
        shape, data = tuple(np.frombuffer(data[1:end], f"<u{2**width}").tolist()), data[end:]
        if len(shape) != sides:
            raise ValueError(f"{len(shape)} of {sides} sides of an array")
    return values.array(data, dtype, shape)


def _shard(folder: Path, entry: Fields, columns: tuple[Column, ...]) -> Shard:
    _demand(entry, "version", VERSION)
    _demand(entry, "format", "mds")
    if _columns(entry) != columns:
        raise FormatError(f"{entry.where}: other columns than those of the first shard", allowed="the same in all")
    stated, samples = entry.part("raw_data"), entry.number("samples")
    name = stated.text("basename")
    if entry.values.get("zip_data") is not None and not (folder / name).is_file():
        raise FormatError(
            f"{folder / name}: only its compressed file is there", allowed="raw shards", do="unpack it beside"
        )
    raw = mapped(folder, name, stated.number("bytes"))
    hashes = stated.values.get("hashes") or {}
    if not isinstance(hashes, dict) or not all(isinstance(digest, str) for digest in hashes.values()):
        raise FormatError(f"{stated.where}: hashes are {hashes!r:.80}", allowed="names and hexadecimal digits")
    return Shard(folder / name, raw, samples, _start(folder / name, raw, samples, columns), hashes)


def _start(path: Path, raw: Bytes, samples: int, columns: tuple[Column, ...]) -> int:
    """Where the samples begin, after comparing the head of the file with what index.json states."""
    head = 4 + 4 * (samples + 1)
    if raw.size < head or int(raw[:4].view("<u4")[0]) != samples:
        raise unsound(path, f"does not begin with {samples} samples")
    first, last = (int(raw[at : at + 4].view("<u4")[0]) for at in (4, head - 4))
    if not head <= first <= last == raw.size:
        raise unsound(path, f"offsets from {first} to {last} in {raw.size} bytes")
    said = Fields(json_object(raw[head:first].tobytes(), str(path)), str(path))
    if _columns(said) != columns:
        raise unsound(path, "has other columns than index.json states")
    return first


def _fixed(shards: list[Shard], columns: tuple[Column, ...], touch: FirstTouch) -> Fixed | None:
    if len(columns) > 1 or columns[0].fixed is None:
        return None
    width = columns[0].size
    for shard in shards:
        if shard.start + shard.samples * width != shard.raw.size:
            raise unsound(shard.path, f"holds no {shard.samples} samples of {width} bytes")
    rows = [(str(shard.path), shard.raw[shard.start :].reshape(-1, width)) for shard in shards]
    return Fixed(ShardRows(rows, touch), *columns[0].fixed)


def _record(shard: Shard, place: int, columns: tuple[Column, ...]) -> Record:
    begin, end = shard.raw[4 + 4 * place : 12 + 4 * place].view("<u4").tolist()
    if not shard.start <= begin <= end <= shard.raw.size:
        raise ValueError(f"bytes {begin} to {end}")
    data = shard.raw[begin:end]
    loose = sum(not column.size for column in columns)
    sizes = iter(struct.unpack_from(f"<{loose}I", data.data))
    edges = [4 * loose]
    for column in columns:
        edges.append(edges[-1] + (column.size or next(sizes)))
    if edges[-1] != data.size:
        raise ValueError(f"columns of {edges[-1]} bytes in {data.size}")
    return {
        column.name: column.decode(data[first:last])
        for column, (first, last) in zip(columns, pairwise(edges), strict=True)
    }


def _compare(shard: Shard) -> None:
    """With the fastest of its hashes that is known here; all of them where one has no known name."""
    for name in sorted(shard.hashes, key=lambda name: (not name.startswith("xx"), name)):
        if name in xxhash.algorithms_available:
            found = getattr(xxhash, name)(shard.raw).hexdigest()
        elif name in hashlib.algorithms_available and not name.startswith("shake"):
            found = hashlib.new(name, shard.raw.data, usedforsecurity=False).hexdigest()
        else:
            continue
        if found != shard.hashes[name]:
            raise unsound(shard.path, f"its {name} differs")
        return
    if shard.hashes:
        raise FormatError(f"{shard.path}: hashes {', '.join(shard.hashes):.80}", allowed="those of xxhash and hashlib")
