"""Characters by kind, and the hash of the normalised text: one walk over the code points of each document."""

from __future__ import annotations

import numpy as np

from warehouse.kernels import characters
from warehouse.kernels.characters import ALPHA, CONTROL, DIGIT, PUNCTUATION, SPACE, UPPER, flags, read
from warehouse.kernels.hashing import SEED, finish, step
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import load_i64, load_u8, store_i64
from warehouse.kernels.texts import Counts, Texts

COLUMNS = (
    "chars",
    "bytes",
    "text_hash",
    "alpha_chars",
    "digit_chars",
    "upper_chars",
    "space_chars",
    "punctuation_chars",
    "control_chars",
    "replacement_chars",
    "hashes",
    "ellipses",
)


def measure(column: Texts) -> Counts:
    """int64[n, len(COLUMNS)] of a column of texts."""
    out = np.zeros((column.count, len(COLUMNS)), np.int64)
    _documents(column.offsets, column.data, column.count, characters.CLASSES, out.ctypes.data)
    return out


@compiled
def _documents(offsets: int, data: int, count: int, classes: int, out: int) -> None:
    for index in range(count):
        begin = data + load_i64(offsets + 8 * index)
        end = data + load_i64(offsets + 8 * index + 8)
        place = out + 96 * index
        _kinds(begin, end, classes, place)
        store_i64(place + 16, normalised(begin, end, classes))


@internal
def _kinds(begin: int, end: int, classes: int, out: int) -> None:
    """Every count of COLUMNS; dots in threes make an ellipsis, as str.count("...") finds them."""
    chars = alpha = digit = upper = space = punctuation = control = replaced = hashes = ellipses = dots = 0
    at = begin
    while at < end:
        character = read(at, end)
        point = character >> 3
        at += character & 7
        kind = flags(classes, point)
        chars += 1
        alpha += kind & ALPHA != 0
        digit += kind & DIGIT != 0
        upper += kind & UPPER != 0
        space += kind & SPACE != 0
        punctuation += kind & PUNCTUATION != 0
        control += kind & CONTROL != 0
        replaced += point == 0xFFFD
        hashes += point == 0x23
        dots = dots + 1 if point == 0x2E else 0
        if dots == 3 or point == 0x2026:
            ellipses += 1
            dots = 0
    store_i64(out, chars)
    store_i64(out + 8, end - begin)
    store_i64(out + 24, alpha)
    store_i64(out + 32, digit)
    store_i64(out + 40, upper)
    store_i64(out + 48, space)
    store_i64(out + 56, punctuation)
    store_i64(out + 64, control)
    store_i64(out + 72, replaced)
    store_i64(out + 80, hashes)
    store_i64(out + 88, ellipses)


@compiled
def normalised(begin: int, end: int, classes: int) -> int:
    """Hash of the text with A-Z as a-z, runs of white space as one space and none at its ends; no other folding."""
    state, size, gap, at = SEED, 0, False, begin
    while at < end:
        point = load_u8(at)
        if 0x20 < point < 0x80:
            at += 1
        else:
            character = read(at, end)
            point = character >> 3
            at += character & 7
            if flags(classes, point) & SPACE:
                gap = size > 0
                continue
        if gap:
            state = step(state, 0x20)
            size += 1
            gap = False
        state = step(state, point + 32 if 0x41 <= point <= 0x5A else point)
        size += 1
    return finish(state, size)
