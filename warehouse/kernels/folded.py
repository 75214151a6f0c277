"""Words with A-Z as a-z: where they lie and a hash of each, found 64 bytes at a time.

A word is a run of letters, numbers, combining marks and underscores; all else only parts words. What is written without
spaces is not cut as in ``minhash``, so a run of it is one word.
"""

from __future__ import annotations

import numpy as np

from warehouse.kernels import characters
from warehouse.kernels.blocks import BYTES, ascii_word, high
from warehouse.kernels.characters import WORD, flags, read
from warehouse.kernels.hashing import SEED, finish, step
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import load_i64, load_u8, store_i64, store_u8, trailing_zeros
from warehouse.kernels.texts import Counts, Texts


def hashes(column: Texts) -> tuple[Counts, Counts]:
    """int64, a hash of every word of a column, text after text; int64[n], how many words each text has."""
    out = np.empty(column.bytes // 2 + column.count + BYTES, np.int64)
    places, counts = np.empty(2 * (column.longest // 2 + 2), np.int64), np.zeros(column.count, np.int64)
    _hashes(column.offsets, column.data, characters.CLASSES, places.ctypes.data, out.ctypes.data, counts)
    return out[: counts.sum()], counts


@compiled
def _hashes(offsets: int, data: int, classes: int, places: int, out: int, counts: Counts) -> None:
    """Write the hashes of all words, which have room for a block more, and how many words each text has."""
    safe = data + load_i64(offsets + 8 * counts.size) if counts.size else data
    for index in range(counts.size):
        begin, end = data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8)
        counts[index] = find_edges(begin, end, safe, classes, out, places)
        for place in range(places, places + 16 * counts[index], 16):
            store_i64(out, hashed(load_i64(place), load_i64(place + 8), safe))
            out += 8


@compiled
def find_edges(begin: int, end: int, safe: int, classes: int, bounce: int, out: int) -> int:
    """The number of words; at ``out`` the first byte of each and the byte after it. bounce: room for a block."""
    place, inside, skip, carried = out, 0, 0, 0
    for at in range(begin, end, BYTES):
        bits, beyond = _block(at, end, safe, bounce)
        if beyond or skip:
            bits, skip, carried = _beyond_ascii(at, end, classes, bits, beyond, skip, carried)
        flips = bits ^ (bits << 1 | inside)
        inside = bits >> 63 & 1
        while flips:
            store_i64(place, at + trailing_zeros(flips))
            place += 8
            flips &= flips - 1
    if inside:
        store_i64(place, end)
        place += 8
    return (place - out) // 16


@internal
def _block(at: int, end: int, safe: int, bounce: int) -> tuple[int, int]:
    """Which of the 64 bytes from ``at`` on, up to ``end``, are ASCII of words, and which are beyond ASCII."""
    known = -1 if at + BYTES <= end else (1 << end - at) - 1
    if at + BYTES > safe:
        for place in range(end - at):
            store_u8(bounce + place, load_u8(at + place))
        at = bounce
    return ascii_word(at) & known, high(at) & known


@internal
def _beyond_ascii(
    at: int, end: int, classes: int, bits: int, beyond: int, skip: int, carried: int
) -> tuple[int, int, int]:
    """The bits with those of characters beyond ASCII; how many bytes of the next block the last character takes, and
    the bits of those. skip, carried: the same of the block before.
    """
    bits |= carried
    beyond &= -1 << skip
    skip = carried = 0
    while beyond:
        place = trailing_zeros(beyond)
        character = read(at + place, end)
        taken = (1 << (character & 7)) - 1
        beyond &= ~(taken << place)
        skip = max(place + (character & 7) - BYTES, 0)
        if flags(classes, character >> 3) & WORD:
            bits |= taken << place
            carried = (1 << skip) - 1
    return bits, skip, carried


@compiled
def hashed(at: int, stop: int, safe: int) -> int:
    """A hash of the bytes at..stop, folded."""
    state, size = SEED, stop - at
    while at + 8 < stop:
        state = step(state, folded(load_i64(at)))
        at += 8
    tail = 0
    if at + 8 <= safe:
        tail = load_i64(at)
        if stop - at < 8:
            tail &= (1 << 8 * (stop - at)) - 1
    else:
        for place in range(stop - 1, at - 1, -1):
            tail = tail << 8 | load_u8(place)
    return finish(step(state, folded(tail)), size)


@compiled
def folded(eight: int) -> int:
    """Eight bytes with bit 5 set in each that is ASCII: A-Z become a-z, and no two word characters become one."""
    return eight | (~eight & -0x7F7F7F7F7F7F7F80) >> 2 & 0x2020202020202020
