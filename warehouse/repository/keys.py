"""Which rows are new: a set of 128-bit row keys in sorted arrays, 16 bytes a row where a Python set takes about 100.

A key of one 32-digit hexadecimal column (doc_id, reject_id) is that number itself; further integer or time columns are
folded in by a bijection of 64 bits, so that keys of one document never meet. Anything else is hashed (xxh3-128).
Runs of sorted keys are merged when the last two are alike in size, so a batch costs about log(rows), not rows.
Rejected: Delta MERGE (3 GB of memory for 10,000 rows into 2 GB of text).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

Words = np.ndarray[Any, np.dtype[np.uint64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Pair = tuple[Words, Words]

_ODD = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_HEXADECIMAL = re.compile(r"[0-9a-f]{32}")
_DIGITS = np.zeros(256, np.uint8)
_DIGITS[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_IS_DIGIT = np.zeros(256, bool)
_IS_DIGIT[np.frombuffer(b"0123456789abcdef", np.uint8)] = True


class Keys:
    """A growing set of row keys."""

    def __init__(self) -> None:
        self._runs: list[Pair] = []

    def fresh(self, high: Words, low: Words) -> Mask:
        """bool (rows,): true at the first row of each key that was not held; those keys are held from now on."""
        order = np.lexsort((low, high))
        high, low = high[order], low[order]
        new = _first(high, low) & ~self._held(high, low)
        self._push(high[new], low[new])
        mask = np.zeros(len(order), bool)
        mask[order[new]] = True
        return mask

    def load(self, path: Path, names: Sequence[str]) -> None:
        """Hold the keys of a Parquet file's rows too."""
        for batch in pq.ParquetFile(path).iter_batches(1 << 17, columns=list(names)):
            high, low = pack([batch[name] for name in names])
            order = np.lexsort((low, high))
            self._push(high[order], low[order])

    def _held(self, high: Words, low: Words) -> Mask:
        found = np.zeros(len(high), bool)
        for run in self._runs:
            found |= _among(run, high, low)
        return found

    def _push(self, high: Words, low: Words) -> None:
        if len(high):
            self._runs.append((high, low))
        while len(self._runs) > 1 and 2 * len(self._runs[-1][0]) >= len(self._runs[-2][0]):
            self._runs.append(_merge(self._runs.pop(), self._runs.pop()))


def pack(columns: Sequence[pa.Array]) -> Pair:
    """The keys of rows, from their key columns: two uint64 (rows,). No row's key depends on the rows beside it."""
    high, low = _words(columns[0])
    for column in columns[1:]:
        more = _words(column)
        high, low = _mix(high ^ _ODD[1], _ODD[0]) + more[0], _mix(low ^ _ODD[0], _ODD[1]) + more[1]
    return high, low


def _words(column: pa.Array) -> Pair:
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or pa.types.is_date32(kind):
        return _numbers(column)
    if column.null_count == 0 and pa.types.is_string(kind) and len(column):
        found = _hexadecimal(column)
        if found is not None:
            return found
    return _each(column.to_pylist())


def _numbers(column: pa.Array) -> Pair:
    plain = column.cast(pa.int32()) if pa.types.is_date32(column.type) else column
    value = plain.cast(pa.int64(), safe=False).fill_null(0).to_numpy().view(np.uint64)
    missing = column.is_null().to_numpy(zero_copy_only=False)
    high, low = (np.where(missing, odd, _mix(value, odd)) for odd in _ODD)
    return high, low


def _hexadecimal(column: pa.StringArray) -> Pair | None:
    """The numbers that 32 hexadecimal digits write, or None if any row is something else."""
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    if np.any(np.diff(offsets) != 32):
        return None
    digits = np.frombuffer(column.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    if not _IS_DIGIT[digits].all():
        return None
    nibbles = _DIGITS[digits].reshape(-1, 2)
    words = ((nibbles[:, 0] << 4) | nibbles[:, 1]).reshape(-1, 16).view(">u8").astype(np.uint64)
    return np.ascontiguousarray(words[:, 0]), np.ascontiguousarray(words[:, 1])


def _each(values: Iterable[Any]) -> Pair:
    """The keys of values one by one: the number that 32 hexadecimal digits write, else xxh3-128 of the value."""
    raw = b"".join(
        bytes.fromhex(value)
        if isinstance(value, str) and _HEXADECIMAL.fullmatch(value)
        else xxhash.xxh3_128_digest(repr(value).encode("utf-8", "surrogatepass"))
        for value in values
    )
    words = np.frombuffer(raw, ">u8").astype(np.uint64).reshape(-1, 2)
    return np.ascontiguousarray(words[:, 0]), np.ascontiguousarray(words[:, 1])


def _mix(value: Words, odd: np.uint64) -> Words:
    """A bijection of 64 bits (two steps of splitmix64, Steele et al. 2014)."""
    value = (value ^ (value >> np.uint64(30))) * odd
    return value ^ (value >> np.uint64(31))


def _first(high: Words, low: Words) -> Mask:
    first = np.ones(len(high), bool)
    first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return first


def _among(run: Pair, high: Words, low: Words) -> Mask:
    at = np.searchsorted(run[0], high)
    found = np.zeros(len(high), bool)
    todo = np.arange(len(high))
    while len(todo):
        todo = todo[at[todo] < len(run[0])]
        todo = todo[run[0][at[todo]] == high[todo]]
        found[todo] |= run[1][at[todo]] == low[todo]
        todo = todo[~found[todo]]
        at[todo] += 1
    return found


def _merge(one: Pair, other: Pair) -> Pair:
    high, low = (np.concatenate(pair) for pair in zip(one, other, strict=True))
    order = np.lexsort((low, high))
    return high[order], low[order]
