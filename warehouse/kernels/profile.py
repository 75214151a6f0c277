"""Characters by kind, and the hash of the normalised text: one walk over the code points of each document."""

from __future__ import annotations

import numpy as np

from warehouse.kernels import characters
from warehouse.kernels.characters import ALPHA, CONTROL, DIGIT, PUNCTUATION, SPACE, UPPER, find_byte, flags, read
from warehouse.kernels.hashing import SEED, finish, head, step
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import load_i64, load_u8, store_i64, trailing_zeros
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
    packs = np.array([_pack(characters.CLASSES, point) for point in range(0x80)], np.int64)
    addresses = (characters.CLASSES, packs.ctypes.data, out.ctypes.data)
    _documents(column.offsets, column.data, column.count, *addresses)
    return out


@compiled
def _documents(offsets: int, data: int, count: int, classes: int, packs: int, out: int) -> None:
    for index in range(count):
        begin = data + load_i64(offsets + 8 * index)
        end = data + load_i64(offsets + 8 * index + 8)
        place = out + 96 * index
        _kinds(begin, end, classes, packs, place)
        store_i64(place + 16, normalised(begin, end, classes))


@internal
def _kinds(begin: int, end: int, classes: int, packs: int, out: int) -> None:
    """Every count of COLUMNS but the hash; up to 255 characters are added up in the eight bytes of one number."""
    store_i64(out + 8, end - begin)
    store_i64(out + 88, _ellipses(begin, end))
    at = begin
    while at < end:
        chars = packed = 0
        while at < end and chars < 255:
            byte = load_u8(at)
            if byte < 0x80:
                packed += load_i64(packs + 8 * byte)
                at += 1
            else:
                character = read(at, end)
                packed += _pack(classes, character >> 3)
                at += character & 7
                if character >> 3 == 0x2026:
                    store_i64(out + 88, load_i64(out + 88) + 1)
            chars += 1
        store_i64(out, load_i64(out) + chars)
        for field in range(8):
            place = out + 24 + 8 * field
            store_i64(place, load_i64(place) + (packed >> 8 * field & 0xFF))


@compiled
def _pack(classes: int, point: int) -> int:
    """A byte for each of the columns from alpha_chars to hashes: 1 where the character counts in it."""
    kind = flags(classes, point)
    packed = int(kind & ALPHA != 0) | (kind & DIGIT != 0) << 8 | (kind & UPPER != 0) << 16 | (kind & SPACE != 0) << 24
    packed |= (kind & PUNCTUATION != 0) << 32 | (kind & CONTROL != 0) << 40
    return packed | (point == 0xFFFD) << 48 | (point == 0x23) << 56


@internal
def _ellipses(at: int, end: int) -> int:
    """How many times three dots stand in the text, as str.count finds them."""
    found = 0
    while at < end:
        start = at = find_byte(at, end, 0x2E)
        while at < end and load_u8(at) == 0x2E:
            at += 1
        found += (at - start) // 3
    return found


@compiled
def normalised(begin: int, end: int, classes: int) -> int:
    """Hash of the text with A-Z as a-z, runs of white space as one space and none at its ends; no other folding.

    Printable ASCII goes in eight bytes at a time, from the space before a word or the character before it on; any other
    character goes in alone.
    """
    state, size, gap, at = SEED, 0, 0, begin
    while at < end:
        word = head(at, min(8, end - at))
        others = (~((word & 0x7F7F7F7F7F7F7F7F) + 0x5F5F5F5F5F5F5F5F) | word) & ~0x7F7F7F7F7F7F7F7F
        plain = min(trailing_zeros(others) >> 3, 8 - gap)
        if plain:
            word = _lower(word & ((1 << 8 * plain) - 1) if plain < 8 else word)
            state = step(state, word << 8 | 0x20 if gap else word)
            at += plain
        else:
            character = read(at, end)
            at += character & 7
            if flags(classes, character >> 3) & SPACE:
                gap = int(size > 0)
                continue
            plain = 1
            state = step(step(state, 0x20) if gap else state, ~(character >> 3))
        size += plain + gap
        gap = 0
    return finish(state, size)


@internal
def _lower(word: int) -> int:
    """Eight bytes of ASCII with A-Z as a-z."""
    upper = (word + 0x3F3F3F3F3F3F3F3F) & ~(word + 0x2525252525252525) & ~0x7F7F7F7F7F7F7F7F
    return word | (upper >> 2 & 0x2020202020202020)
