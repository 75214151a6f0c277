"""Hashes of paragraphs: lines of at least 20 bytes, trimmed of white space, for copies across documents."""

from __future__ import annotations

import numpy as np

from warehouse.kernels import characters
from warehouse.kernels.characters import count, skip_space, trim_space
from warehouse.kernels.hashing import hash_bytes
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.lines import line_end
from warehouse.kernels.memory import load_i64, store_i64
from warehouse.kernels.texts import Counts, Texts

MIN_BYTES = 20


def rows(column: Texts) -> Counts:
    """int64[paragraphs, 3] in order: document (row of the column), hash, code points."""
    out = np.empty((column.bytes // MIN_BYTES, 3), np.int64)
    found = _documents(column.offsets, column.data, column.count, characters.CLASSES, out.ctypes.data)
    return out[:found]


@compiled
def _documents(offsets: int, data: int, texts: int, classes: int, out: int) -> int:
    """How many rows were written at ``out``."""
    found = 0
    for index in range(texts):
        begin = data + load_i64(offsets + 8 * index)
        end = data + load_i64(offsets + 8 * index + 8)
        found += _lines(begin, end, classes, index, out + 24 * found)
    return found


@internal
def _lines(begin: int, end: int, classes: int, document: int, out: int) -> int:
    found = 0
    while begin < end:
        stop = line_end(begin, end)
        if stop - begin >= MIN_BYTES:
            first, after = skip_space(classes, begin, stop), trim_space(classes, begin, stop)
            if after - first >= MIN_BYTES:
                place = out + 24 * found
                store_i64(place, document)
                store_i64(place + 8, hash_bytes(first, after))
                store_i64(place + 16, count(first, after))
                found += 1
        begin = stop + 1
    return found
