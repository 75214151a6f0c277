"""litdata: folders of index.json and chunks, neither compressed nor encrypted.

::

    u32 n | u32 offsets[n + 1], from the file's start | items | what the writer adds

TokensLoader: an item is raw tokens, and a chunk may be cut into samples of ``?length=`` instead, as litdata does with
its block_size; what is left of a chunk is left out. PyTreeLoader: an item is a u32 size of each leaf, then the leaves,
and ``data_spec`` says how they make a dictionary (litdata/streaming/writer.py, item_loader.py, serializers.py). The
format has no hashes: sizes alone are compared.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from warehouse.errors import FormatError, UsageError
from warehouse.loader.foreign import values
from warehouse.loader.foreign.places import (
    Bytes,
    Fields,
    Location,
    identity,
    json_value,
    mapped,
    read_index,
    split_folder,
    unsound,
)
from warehouse.loader.foreign.samples import FirstTouch, Fixed, Opened, Record, ShardRecords, ShardRows, Value

TORCH = {
    **{0: "float32", 1: "float32", 2: "float64", 3: "float64", 8: "float16", 9: "float16", 11: "uint8", 12: "int8"},
    **{13: "int16", 14: "int16", 15: "int32", 16: "int32", 17: "int64", 18: "int64", 19: "bool", 20: "uint16"},
}
NUMPY = dict(
    enumerate((*("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"), *values.NUMBERS[-3:]))
)
NUMPY[13] = "bool"
"""litdata's numbers of types (litdata/constants.py) that numpy has; complex ones, objects and text are refused."""

ONE = "sample"
"""What the value of an item is called that is no dictionary and no list."""

Decode = Callable[[Bytes], Value]


def _tensor(data: Bytes) -> Value:
    """``>u32 type | >u32 sides | >u32 shape[sides] | values``."""
    code, sides = struct.unpack_from(">II", data.data)
    return values.array(data[8 + 4 * sides :], _type(TORCH, code), struct.unpack_from(f">{sides}I", data.data, 8))


def _numpy(data: Bytes) -> Value:
    """``u32 type | u32 sides | u32 shape[sides] | values``."""
    code, sides = struct.unpack_from("<II", data.data)
    return values.array(data[8 + 4 * sides :], _type(NUMPY, code), struct.unpack_from(f"<{sides}I", data.data, 8))


def _type(known: dict[int, str], code: int) -> np.dtype[Any]:
    if code not in known:
        raise ValueError(f"type {code} of an array")
    return np.dtype(known[code]).newbyteorder("<")


LEAVES: dict[str, Decode] = {
    **dict.fromkeys(("str", "text"), values.text),
    "bool": lambda data: bool(values.number(data, np.dtype("u1"))),
    "int": partial(values.number, dtype=np.dtype("<i8")),
    "float": partial(values.number, dtype=np.dtype("<f8")),
    "numpy": _numpy,
    "tensor": _tensor,
    **dict.fromkeys(("bytes", "jpeg", "image", "file", "video", "audio", "pdf", "tifffile"), values.raw),
}
"""By the name before a colon; no_header_tensor and no_header_numpy besides. Images and files stay their bytes."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk, mapped, its items and, of tokens, how many."""

    path: Path
    raw: Bytes
    items: int
    tokens: int

    @property
    def head(self) -> int:
        """Where the items begin."""
        return 4 * (self.items + 2)


def open_litdata(location: Location, split: str, *, checked: bool) -> Opened:
    """The data set; ``checked`` finds nothing to check."""
    folder = split_folder(location, split)
    index_bytes, index = read_index(folder)
    config = index.part("config")
    for name in ("compression", "encryption"):
        if config.values.get(name) is not None:
            raise FormatError(
                f"{config.where}: {name} is {config.values[name]!r:.80}", allowed="none", do=f"write it without {name}"
            )
    loader = config.values.get("item_loader")
    if loader not in ("TokensLoader", "PyTreeLoader", None):
        raise FormatError(f"{config.where}: item_loader is {loader!r:.80}", allowed="TokensLoader, PyTreeLoader")
    tokens = loader == "TokensLoader"
    chunks = [_chunk(folder, entry, tokens=tokens) for entry in index.parts("chunks") if entry.number("chunk_size")]
    if not chunks:
        raise unsound(index.where, "states no sample")
    forms = config.texts("data_format")
    opened = _tokens if tokens else _trees
    return opened(location, identity("litdata", [index_bytes]), config, forms, chunks)


def _chunk(folder: Path, entry: Fields, *, tokens: bool) -> Chunk:
    name, items = entry.text("filename"), entry.number("chunk_size")
    raw = mapped(folder, name, entry.number("chunk_bytes"))
    chunk = Chunk(folder / name, raw, items, entry.number("dim") if tokens else 0)
    if raw.size < chunk.head or int(raw[:4].view("<u4")[0]) != items:
        raise unsound(chunk.path, f"does not begin with {items} items")
    first, last = (int(raw[at : at + 4].view("<u4")[0]) for at in (4, chunk.head - 4))
    if not first == chunk.head <= last <= raw.size:
        raise unsound(chunk.path, f"offsets from {first} to {last} in {raw.size} bytes")
    return chunk


def _leaf(where: str, form: str) -> Decode:
    kind, _, code = form.partition(":")
    if kind in ("no_header_tensor", "no_header_numpy"):
        known = TORCH if kind == "no_header_tensor" else NUMPY
        if not code.isdecimal() or int(code[:4]) not in known:
            raise FormatError(f"{where}: {form!r:.80}", allowed=", ".join(f"{kind}:{each}" for each in known))
        return partial(values.array, dtype=np.dtype(known[int(code)]).newbyteorder("<"))
    if kind not in LEAVES:
        raise FormatError(
            f"{where}: values of {form!r:.80}",
            allowed=", ".join((*LEAVES, "no_header_tensor", "no_header_numpy")),
            do="write them as one of these; pickled ones run code when they are read",
        )
    return LEAVES[kind]


def _tokens(location: Location, name: str, config: Fields, forms: tuple[str, ...], chunks: list[Chunk]) -> Opened:
    decode = _leaf(config.where, forms[0]) if len(forms) == 1 else None
    if not isinstance(decode, partial):
        raise FormatError(f"{config.where}: tokens of {forms!r:.80}", allowed="one array without header")
    dtype: np.dtype[Any] = decode.keywords["dtype"]
    for chunk in chunks:
        if chunk.head + chunk.tokens * dtype.itemsize > chunk.raw.size:
            raise unsound(chunk.path, f"{chunk.raw.size} bytes for {chunk.tokens} tokens of {dtype.name}")

    def record(at: int, place: int) -> Record:
        return {"tokens": decode(_item(chunks[at], place))}

    form = f"tokens ({dtype.name}, of {sum(chunk.items for chunk in chunks)} items)"
    fixed = _cut(location, chunks, dtype) if dtype.name in values.INTEGERS else None
    return Opened(location, name, form, _records(chunks, record), fixed)


def _cut(location: Location, chunks: list[Chunk], dtype: np.dtype[Any]) -> Fixed | None:
    """Samples of ``?length=`` tokens, else of the one length that all items have."""
    length, asked = location.whole("length"), True
    if length is None:
        length, asked = chunks[0].tokens // chunks[0].items, False
        width = length * dtype.itemsize
        if not width or not all(_alike(chunk, width) for chunk in chunks):
            return None
    rows = []
    for chunk in chunks:
        count = chunk.tokens // length
        part = chunk.raw[chunk.head : chunk.head + count * length * dtype.itemsize]
        rows.append((str(chunk.path), part.reshape(count, length * dtype.itemsize)))
    if asked and not any(len(part) for _, part in rows):
        raise UsageError(f"{location}: no chunk holds {length} tokens", do="take a smaller length")
    return Fixed(ShardRows([row for row in rows if len(row[1])]), dtype, length)


def _alike(chunk: Chunk, width: int) -> bool:
    """Whether each item is so many bytes."""
    offsets = chunk.raw[4 : chunk.head].view("<u4")
    return bool((np.diff(offsets.astype(np.int64)) == width).all())


def _records(chunks: list[Chunk], record: Callable[[int, int], Record]) -> ShardRecords:
    touch = FirstTouch(len(chunks), lambda _: None)
    return ShardRecords([str(chunk.path) for chunk in chunks], [chunk.items for chunk in chunks], record, touch)


def _item(chunk: Chunk, place: int) -> Bytes:
    begin, end = chunk.raw[4 + 4 * place : 12 + 4 * place].view("<u4").tolist()
    if not chunk.head <= begin <= end <= chunk.raw.size:
        raise ValueError(f"bytes {begin} to {end}")
    return chunk.raw[begin:end]


Spec = Callable[[Iterator[Value]], Value]


def _trees(location: Location, name: str, config: Fields, forms: tuple[str, ...], chunks: list[Chunk]) -> Opened:
    decodes = [_leaf(config.where, form) for form in forms]
    try:
        leaves, spec = _tree(json_value(config.text("data_spec").encode(), config.where)[1])
    except (KeyError, IndexError, TypeError, RecursionError):
        leaves, spec = -1, next
    if leaves != len(forms) or not forms:
        raise FormatError(
            f"{config.where}: data_spec is {config.text('data_spec'):.80}",
            allowed="dictionaries, lists and tuples of the values in data_format",
        )

    def record(at: int, place: int) -> Record:
        made = spec(_decoded(_item(chunks[at], place), decodes))
        if isinstance(made, dict):
            return made
        return {str(key): each for key, each in enumerate(made)} if isinstance(made, list) else {ONE: made}

    return Opened(location, name, f"values ({', '.join(forms)})", _records(chunks, record), None)


def _tree(node: Any) -> tuple[int, Spec]:
    """How many values a node of PyTorch's pytree takes (torch/utils/_pytree.py, treespec_dumps), and what of them."""
    kind, children = node["type"], [_tree(child) for child in node["children_spec"]]
    count = sum(child[0] for child in children)
    if kind is None:
        return 1, next
    if kind in ("builtins.list", "builtins.tuple"):
        return count, lambda leaves: [made(leaves) for _, made in children]
    if kind == "builtins.dict":
        keys = [str(key) for key in json_value(node["context"].encode(), "data_spec")]
        if len(set(keys)) == len(children):
            return count, lambda leaves: {key: made(leaves) for key, (_, made) in zip(keys, children, strict=True)}
    raise KeyError(kind)


def _decoded(data: Bytes, decodes: list[Decode]) -> Iterator[Value]:
    head = 4 * len(decodes)
    edges = list(accumulate(struct.unpack_from(f"<{len(decodes)}I", data.data), initial=head))
    if edges[-1] != data.size:
        raise ValueError(f"values of {edges[-1]} bytes in {data.size}")
    return iter([decode(data[first:last]) for decode, (first, last) in zip(decodes, pairwise(edges), strict=True)])
