"""Where texts hold the entries of a list: words and phrases, each as it is written but for the case of its letters.

An entry stands alone: no word character is before or after it (as in C4, Raffel et al. 2020, section 2.2), where a word
is a run of letters, numbers, combining marks and underscores. ``anywhere`` it may stand within a word, for scripts that
put no space between words. Every character counts as its lower case where that is one character, the Greek final sigma
as any other. Entries that overlap count each.

A list is one hash table. An entry is cut into segments, a word or one other character each (``anywhere``: a character
each), and the table has the hash of the segments up to each one's end. So a word of a text that begins no entry costs
one bit of a filter that stays in cache, and a phrase is followed only as far as an entry goes on.

Won: 140 MB of text a CPU second by 403 English entries, 109 by a million that no text has, whose filter leaves the
cache (52 MB of books; benchmarks/lists.py). Lost: equal hashes are taken as equal text.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from warehouse.kernels import characters
from warehouse.kernels.blocks import BYTES
from warehouse.kernels.characters import WORD, find_byte, flags, read
from warehouse.kernels.folded import find_edges, hashed
from warehouse.kernels.hashing import finish, hash_bytes, slot_of, slots_for, step
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import add, load_i32, load_i64, load_u8, store_i64, store_u8
from warehouse.kernels.texts import Counts, Texts

_HIGH = -0x7F7F7F7F7F7F7F80  # bit 7 of each of eight bytes, in the lowest one too
_CONTINUES = 1
_SLOTS, _KEYS, _VALUES, _BITS, _CLASSES, _LOWER, _SPARE, _ANYWHERE, _LOOSE, _MOST = range(0, 80, 8)
"""Bytes of the header at which each number lies. values: of each key twice the number, from 1, of the entry that ends
there, and 1 where an entry goes on; spare: room for a word; loose: whether an entry begins with no word character;
most: bytes that a word of an entry can take.
"""


@dataclass(frozen=True, slots=True)
class Entries:
    """The distinct entries of a list, ready to be looked for. count: how many."""

    count: int
    header: Counts
    keep: tuple[npt.NDArray[np.generic], ...]


@cache
def _lower() -> npt.NDArray[np.int32]:
    """int32[0x110000], the lower case of each code point; where that is two characters (U+0130), the first."""
    table = np.arange(0x110000, dtype=np.int32)
    table[:0x20000] = [ord(chr(point).lower()[0]) for point in range(0x20000)]
    table[0x3C2] = 0x3C3  # the final sigma
    return table


def entries(column: Texts, *, anywhere: bool = False) -> Entries:
    """The entries of a column, each distinct one once; an empty one is none."""
    lower = _lower()
    most = 3 * column.longest  # the sign of one kelvin takes three bytes, its lower case one
    spare = np.empty(2 * most, np.uint8)
    given = (characters.CLASSES, lower.ctypes.data, spare.ctypes.data, int(anywhere), 0, most)
    header = np.array([0, 0, 0, 0, *given], np.int64)
    room = _insert(*_given(column), header.ctypes.data)
    slots = slots_for(room)
    table, bits = np.zeros((2, slots), np.int64), np.zeros(slots, np.uint8)
    header[:4] = slots, *(row.ctypes.data for row in table), bits.ctypes.data
    count = _insert(*_given(column), header.ctypes.data)
    return Entries(count, header, (lower, table, bits))


def find(column: Texts, held: Entries, rows: Counts) -> Counts:
    """int64[len(rows), 2]: of these texts of a column, how often entries stand in each, and how many different ones."""
    found = np.zeros((len(rows), 2), np.int64)
    seen = np.full(held.count, -1, np.int64)
    edges, bounce = np.empty(2 * (column.longest // 2 + 2), np.int64), np.empty(BYTES, np.uint8)
    header, spare = held.header.copy(), np.empty(2 * held.header[_MOST // 8], np.uint8)
    header[_SPARE // 8] = spare.ctypes.data
    work = (edges.ctypes.data, bounce.ctypes.data, seen.ctypes.data)
    _find(*_given(column), header.ctypes.data, *work, rows, found.ctypes.data)
    return found


def hashes(column: Texts) -> Counts:
    """int64, sorted: a hash of each text of a column as it is."""
    out = np.empty(column.count, np.int64)
    _hashes(column.offsets, column.data, out)
    return np.sort(out)


def among(column: Texts, held: Counts, *, upwards: bool = False) -> Counts:
    """int64[n]: whether the hash of each text is held. upwards: how many of its own and of what is after each full stop
    of it are.
    """
    out = np.zeros(column.count, np.int64)
    _among(column.offsets, column.data, held, int(upwards), out)
    return out


def _given(column: Texts) -> tuple[int, int, int]:
    return column.offsets, column.data, column.count


@compiled
def _hashes(offsets: int, data: int, out: Counts) -> None:
    for index in range(out.size):
        out[index] = hash_bytes(data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8))


@compiled
def _among(offsets: int, data: int, held: Counts, upwards: int, out: Counts) -> None:
    for index in range(out.size):
        at, end = data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8)
        while at < end:
            key = hash_bytes(at, end)
            low, high = 0, held.size
            while low < high:
                middle = low + high >> 1
                low, high = (middle + 1, high) if held[middle] < key else (low, middle)
            out[index] += low < held.size and held[low] == key
            at = find_byte(at, end, 46) + 1 if upwards else end


@compiled
def _insert(offsets: int, data: int, count: int, header: int) -> int:
    """Put all entries into the table: how many are distinct. Without a table: how many keys there may be."""
    slots, distinct, keys = load_i64(header + _SLOTS), 0, 0
    for index in range(count):
        at, end = data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8)
        if at < end and _word_end(header, at, end) == at:
            store_i64(header + _LOOSE, 1)
        state = 0
        while at < end:
            state, at = _segment(header, at, end, end, state)
            keys += 1
            if slots:
                slot = _claim(header, state)
                value = load_i64(header + _VALUES) + 8 * slot
                if at < end:
                    store_i64(value, load_i64(value) | _CONTINUES)
                elif load_i64(value) < 2:
                    distinct += 1
                    store_i64(value, load_i64(value) | 2 * distinct)
    return distinct if slots else keys


@internal
def _claim(header: int, key: int) -> int:
    """The slot of a key, which is there afterwards."""
    slots, keys, bits = load_i64(header + _SLOTS), load_i64(header + _KEYS), load_i64(header + _BITS)
    bit = key >> 24 & 8 * slots - 1
    store_u8(bits + (bit >> 3), load_u8(bits + (bit >> 3)) | 1 << (bit & 7))
    slot = slot_of(keys, slots, key)
    store_i64(keys + 8 * slot, key)
    return slot


@internal
def _word_end(header: int, at: int, end: int) -> int:
    """Where the word that begins at ``at`` ends; ``at`` where none begins."""
    classes = load_i64(header + _CLASSES)
    while at < end:
        character = read(at, end)
        if not flags(classes, character >> 3) & WORD:
            break
        at += character & 7
    return at


@internal
def _segment(header: int, at: int, end: int, safe: int, state: int) -> tuple[int, int]:
    """The hash of what led to ``state`` and the segment at ``at``, and where that ends."""
    stop = at if load_i64(header + _ANYWHERE) else _word_end(header, at, end)
    if stop > at:
        return _after_word(header, at, stop, safe, state), stop
    character = read(at, end)
    return finish(step(state, load_i32(load_i64(header + _LOWER) + 4 * (character >> 3))), 1), at + (character & 7)


@internal
def _after_word(header: int, at: int, stop: int, safe: int, state: int) -> int:
    """The hash of what led to ``state`` and a word; 0 for one longer than all entries."""
    if stop - at > load_i64(header + _MOST):
        return 0
    if _beyond_ascii(at, stop, safe):
        spare = load_i64(header + _SPARE)
        stop = safe = _lowered(load_i64(header + _LOWER), at, stop, spare)
        at = spare
    word = hashed(at, stop, safe)
    return finish(step(state, word), 2) if state else word


@internal
def _beyond_ascii(at: int, stop: int, safe: int) -> bool:
    """Whether one of the bytes at..stop is."""
    if stop - at < 8 and at + 8 <= safe:
        return load_i64(at) & _HIGH & (1 << 8 * (stop - at)) - 1 != 0
    high = 0
    while at + 8 <= stop:
        high |= load_i64(at)
        at += 8
    for place in range(at, stop):
        high |= load_u8(place)
    return high & _HIGH != 0


@internal
def _lowered(lower: int, at: int, stop: int, out: int) -> int:
    """Write the characters at..stop in lower case; where what is written ends."""
    while at < stop:
        character = read(at, stop)
        at += character & 7
        point = load_i32(lower + 4 * (character >> 3))
        if point < 0x80:
            store_u8(out, point)
            out += 1
        elif point < 0x800:
            store_u8(out, 0xC0 | point >> 6)
            store_u8(out + 1, 0x80 | point & 0x3F)
            out += 2
        else:
            size = 3 + (point >= 0x10000)
            store_u8(out, 0xF00 >> size & 0xFF | point >> 6 * size - 6)
            for place in range(1, size):
                store_u8(out + place, 0x80 | point >> 6 * (size - 1 - place) & 0x3F)
            out += size
    return out


@compiled
def _find(
    offsets: int, data: int, count: int, header: int, edges: int, bounce: int, seen: int, rows: Counts, found: int
) -> None:
    """Count entries, and different ones, of each of the texts at ``found``."""
    safe = data + load_i64(offsets + 8 * count)
    for place in range(rows.size):
        index, out = rows[place], found + 16 * place
        at, end = data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8)
        _count(header, at, end, safe, edges, bounce, seen, out, place)


@internal
def _count(
    header: int, begin: int, end: int, safe: int, edges: int, bounce: int, seen: int, out: int, stamp: int
) -> None:
    """Count the entries that begin with a word, and those between words; ``anywhere`` there are no words."""
    anywhere, after = load_i64(header + _ANYWHERE), begin
    words = 0 if anywhere else find_edges(begin, end, safe, load_i64(header + _CLASSES), bounce, edges)
    loose = anywhere | load_i64(header + _LOOSE)
    for place in range(edges, edges + 16 * words + 16, 16):
        at = load_i64(place) if place < edges + 16 * words else end
        if loose:
            _between(header, after, at, end, safe, seen, out, stamp)
        if at < end:
            stop = load_i64(place + 8)
            after = stop + (read(stop, end) & 7) if stop < end else end
            state = _after_word(header, at, stop, safe, 0)
            if _known(header, state):
                _follow(header, state, stop, end, safe, seen, out, stamp)


@internal
def _between(header: int, at: int, stop: int, end: int, safe: int, seen: int, out: int, stamp: int) -> None:
    """Count the entries that begin with a character of at..stop, none of which is of a word unless ``anywhere``."""
    while at < stop:
        state, at = _segment(header, at, end, safe, 0)
        if _known(header, state):
            _follow(header, state, at, end, safe, seen, out, stamp)


@internal
def _known(header: int, state: int) -> bool:
    """Whether the filter has a key; of others, one in thirty."""
    bit = state >> 24 & 8 * load_i64(header + _SLOTS) - 1
    return load_u8(load_i64(header + _BITS) + (bit >> 3)) >> (bit & 7) & 1 != 0


@internal
def _follow(header: int, state: int, at: int, end: int, safe: int, seen: int, out: int, stamp: int) -> None:
    """Count the entries that begin with the segments that led to ``state``, the last of which ends at ``at``."""
    slots, keys, values = load_i64(header + _SLOTS), load_i64(header + _KEYS), load_i64(header + _VALUES)
    while True:
        value = load_i64(values + 8 * slot_of(keys, slots, state))
        if value >= 2 and (load_i64(header + _ANYWHERE) or _word_end(header, at, end) == at):
            add(out, 1)
            last = seen + 8 * (value >> 1) - 8
            add(out + 8, load_i64(last) != stamp)
            store_i64(last, stamp)
        if not value & _CONTINUES or at >= end:
            return
        state, at = _segment(header, at, end, safe, state)
