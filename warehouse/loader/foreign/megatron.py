"""Megatron's indexed data set, PREFIX.idx and PREFIX.bin: a sample is a document, its sequences one after the other.

::

    "MMIDIDX\\0\\0" | u64 version 1 | u8 type | u64 sequences | u64 entries | i32 lengths[sequences]
    | i64 byte pointers[sequences] | i64 document_indices[entries], from 0 to sequences | [i8 modes[sequences]]

(Megatron-LM, megatron/core/datasets/indexed_dataset.py.) Opening reads the whole index, 20 bytes a sequence, and holds
8 bytes a document. ``?length=`` takes all tokens as one stream and cuts it, whatever the documents; the rest at its end
is left out. The format has no hashes, and numbers ids above 65,535 as int32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.errors import FormatError, NotFound, UsageError
from warehouse.loader.foreign import values
from warehouse.loader.foreign.places import SPLIT, Bytes, Location, identity, mapped, unsound
from warehouse.loader.foreign.samples import FirstTouch, Fixed, Opened, Record, ShardRecords, ShardRows
from warehouse.loader.shards import HEADER

TYPES = {1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float64", 7: "float32", 8: "uint16"}
LENGTHS = 34
"""Where the lengths begin."""


def open_megatron(location: Location, split: str, *, checked: bool) -> Opened:
    """The data set; ``checked`` finds nothing to check."""
    if split != SPLIT:
        raise NotFound(f"no split {split!r} in {location}", allowed=SPLIT, do="name the PREFIX of its files")
    path = location.path.with_name(f"{location.path.name}.idx")
    index, raw = mapped(path.parent, path.name), mapped(path.parent, f"{location.path.name}.bin")
    dtype, starts = _documents(path, index, raw)
    width = _width(location, dtype, starts)

    def record(_: int, place: int) -> Record:
        return {"tokens": values.array(raw[starts[place] : starts[place + 1]], dtype)}

    touch = FirstTouch(1, lambda _: None)
    return Opened(
        location,
        identity("megatron", [index.data]),
        f"tokens ({dtype.name}, of {len(starts) - 1} documents of different lengths)",
        ShardRecords([str(path)], [len(starts) - 1], record, touch),
        None if width is None else _fixed(path, raw, dtype, width),
    )


def _documents(path: Path, index: Bytes, raw: Bytes) -> tuple[np.dtype[Any], npt.NDArray[np.int64]]:
    """The type of the tokens, and the byte at which each document begins, with the end of the last one."""
    if index.size < LENGTHS or index[: len(HEADER)].tobytes() != HEADER:
        raise FormatError(f"{path} does not begin as a Megatron index", allowed="MMIDIDX version 1")
    code = int(index[len(HEADER)])
    if code not in TYPES:
        raise FormatError(f"{path}: tokens of type {code}", allowed=", ".join(map(str, TYPES)))
    dtype = np.dtype(TYPES[code]).newbyteorder("<")
    lengths, pointers, entries = _arrays(path, index)
    ends = np.cumsum(lengths, dtype=np.int64) * dtype.itemsize
    if (lengths < 0).any() or not np.array_equal(pointers[1:], ends[:-1]) or pointers[:1].any() or ends[-1] != raw.size:
        raise unsound(path, f"sequences do not follow one another through the {raw.size} bytes of the .bin")
    if entries[:1].any() or entries[-1] != lengths.size or (np.diff(entries) < 0).any():
        raise unsound(path, f"documents do not go from sequence 0 to {lengths.size}")
    return dtype, np.concatenate([[0], ends])[entries]


def _arrays(path: Path, index: Bytes) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Lengths, byte pointers and document indices."""
    sequences, entries = (int(count) for count in index[LENGTHS - 16 : LENGTHS].view("<u8"))
    end = LENGTHS + 12 * sequences + 8 * entries
    if index.size not in (end, end + sequences) or not sequences or entries < 2:
        raise unsound(path, f"{index.size} bytes for {sequences} sequences and {entries} entries")
    pointers = LENGTHS + 4 * sequences
    return (
        np.frombuffer(index[LENGTHS:pointers], "<i4"),
        np.frombuffer(index[pointers : pointers + 8 * sequences], "<i8"),
        np.frombuffer(index[pointers + 8 * sequences : end], "<i8"),
    )


def _width(location: Location, dtype: np.dtype[Any], starts: npt.NDArray[np.int64]) -> int | None:
    """Bytes of a sample: of ``?length=`` tokens, else of a document where all are alike and hold any; else None."""
    length, size = location.whole("length"), int(starts[-1])
    if length is not None and length * dtype.itemsize > size:
        raise UsageError(f"{location}: {size // dtype.itemsize} tokens in all", do=f"take length below {length}")
    if dtype.name not in values.INTEGERS:
        return None
    if length is not None:
        return length * dtype.itemsize
    width = int(starts[1])
    return width if width and (np.diff(starts) == width).all() else None


def _fixed(path: Path, raw: Bytes, dtype: np.dtype[Any], width: int) -> Fixed:
    count = raw.size // width
    rows = ShardRows([(str(path), raw[: count * width].reshape(count, width))])
    return Fixed(rows, dtype, width // dtype.itemsize)
