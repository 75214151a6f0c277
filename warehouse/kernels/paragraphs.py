"""Hashes of paragraphs: lines of at least 20 bytes, trimmed of white space, for copies across documents."""

from __future__ import annotations

import numpy as np

from warehouse.kernels import characters
from warehouse.kernels.blocks import BYTES, copied, high, lowest, newline
from warehouse.kernels.characters import count, skip_space, trim_space
from warehouse.kernels.hashing import hash_bytes
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import load_i64, store_i64, trailing_zeros
from warehouse.kernels.texts import Counts, Texts

MIN_BYTES = 20


def rows(column: Texts) -> Counts:
    """int64[paragraphs, 3] in order: document (row of the column), hash, code points; each column in one piece."""
    out = np.empty((3, column.bytes // MIN_BYTES), np.int64)
    memory = np.empty(BYTES, np.uint8)
    addresses = (characters.CLASSES, memory.ctypes.data, out.ctypes.data)
    found = _documents(column.offsets, column.data, column.count, *addresses, out.strides[0])
    return out[:, :found].T


@compiled
def _documents(offsets: int, data: int, texts: int, classes: int, memory: int, out: int, room: int) -> int:
    """How many rows were written; the first column at ``out``, each of the others ``room`` bytes after the one before.

    ``memory``: room for a block.
    """
    safe, place = data + load_i64(offsets + 8 * texts) if texts else data, out
    for index in range(texts):
        begin = data + load_i64(offsets + 8 * index)
        end = data + load_i64(offsets + 8 * index + 8)
        place = _lines(begin, end, safe, classes, memory, index, place, room)
    return (place - out) // 8


@internal
def _lines(begin: int, end: int, safe: int, classes: int, memory: int, document: int, out: int, room: int) -> int:
    """Where the next row goes. ``wide``: where the last block ends that has characters beyond ASCII."""
    at = wide = begin
    for start in range(begin, end, BYTES):
        block = start if start + BYTES <= safe else copied(start, end, memory)
        known = lowest(min(end - start, BYTES))
        wide = start + BYTES if high(block) & known else wide
        ends = newline(block) & known
        while ends:
            stop = start + trailing_zeros(ends)
            out += _line(at, stop, wide, classes, document, out, room)
            at = stop + 1
            ends &= ends - 1
    return out + _line(at, end, wide, classes, document, out, room)


@internal
def _line(begin: int, end: int, wide: int, classes: int, document: int, out: int, room: int) -> int:
    """Bytes of a column that a line takes: write its row, if it is long enough."""
    if end - begin < MIN_BYTES:
        return 0
    first, after = skip_space(classes, begin, end), trim_space(classes, begin, end)
    if after - first < MIN_BYTES:
        return 0
    store_i64(out, document)
    store_i64(out + room, hash_bytes(first, after))
    store_i64(out + 2 * room, count(first, after) if wide > begin else after - first)
    return 8
