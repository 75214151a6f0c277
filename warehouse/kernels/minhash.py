"""MinHash bands over word 5-grams, the exact sets of those 5-grams, and the Jaccard similarity of two sets.

As FineWeb (Penedo et al. 2024, section 3.4): 112 permutations in 14 bands of 8, so that two texts of similarity J share
a band with probability 1 - (1 - J^8)^14: 0.99 at 0.85, 0.77 at 0.75, 0.05 at 0.45 (Broder 1997; Leskovec et al., Mining
of Massive Datasets, section 3.4). Words are runs of letters, numbers, combining marks and underscores with A-Z as a-z;
everything else only parts them. A Han or Hiragana character, a run of Katakana, and a letter of Thai, Lao, Khmer or
Burmese, each with the marks after it, is a word too (warehouse.kernels.words, ``unicode``). A text of fewer than five
words is one shingle of all of them; one without a word has none. So texts that differ in case of A-Z, white space and
punctuation alone have one set.

Won: no shingle is ever a string. Permutations are a * x + b modulo 2^32 of 32 bits of a 64-bit shingle hash, eight
lanes an instruction. Lost: signatures are not datatrove's (it also folds diacritics and numbers, and permutes 64 bits).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from warehouse.kernels import characters
from warehouse.kernels.characters import ALONE, KATAKANA, MARK, WORD, flags, read
from warehouse.kernels.hashing import MULTIPLIER, SEED, clear, finish, insert, slots_for, step
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import fold, load_i64, load_u8, store_i64
from warehouse.kernels.texts import Counts, Texts

WORDS = 5
BANDS = 14
ROWS = 8
LANES = BANDS * ROWS

Lanes = npt.NDArray[np.uint32]

_PRIME = 0x100000001B3
_BASE = -0x61C8864680B583EB  # 2^64 / golden ratio, odd
_BASE_5 = pow(_BASE, WORDS, 1 << 64) - (1 << 64 if pow(_BASE, WORDS, 1 << 64) >> 63 else 0)
_RANDOM = np.random.Generator(np.random.PCG64(1))
MULTIPLIERS: Lanes = _RANDOM.integers(0, 1 << 32, LANES, np.uint32) | np.uint32(1)
ADDITIONS: Lanes = _RANDOM.integers(0, 1 << 32, LANES, np.uint32)

_FOLDED = np.zeros(256, np.uint8)
_FOLDED[:128] = [ord(chr(c).lower()) if chr(c).isalnum() or chr(c) == "_" else 0 for c in range(128)]


@dataclass(frozen=True, slots=True)
class Sets:
    """The distinct shingle hashes of texts: text i has ``counts[i]`` of them, int64, at the address ``places[i]``."""

    places: Counts
    counts: Counts
    keep: tuple[Counts, ...]


def bands(column: Texts) -> tuple[Counts, npt.NDArray[np.bool_]]:
    """int64[n, BANDS], a hash of each band of each text, and bool[n], whether the text has a shingle at all.

    A band's hash holds its number, so keys of different bands never meet. Rows without a shingle mean nothing.
    """
    out = np.empty((column.count, BANDS), np.int64)
    filled = np.zeros(column.count, np.bool_)
    scratch = np.empty(column.longest // 2 + 2, np.int64)
    lanes = np.empty(LANES, np.uint32)
    _bands(
        column.offsets,
        column.data,
        column.count,
        _FOLDED.ctypes.data,
        characters.CLASSES,
        scratch.ctypes.data,
        MULTIPLIERS,
        ADDITIONS,
        lanes,
        lanes.ctypes.data,
        filled,
        out.ctypes.data,
    )
    return out, filled


def sets(column: Texts) -> Sets:
    """The distinct shingle hashes of each text of a column, in order of first occurrence."""
    room = np.empty(column.bytes // 2 + 2 * column.count, np.int64)
    counts = np.empty(column.count, np.int64)
    table = np.empty(slots_for(column.longest // 2 + 2), np.int64)
    used = _sets(
        column.offsets,
        column.data,
        column.count,
        _FOLDED.ctypes.data,
        characters.CLASSES,
        table.ctypes.data,
        counts,
        room.ctypes.data,
    )
    hashes = room[:used].copy()
    return Sets(hashes.ctypes.data + 8 * (np.cumsum(counts) - counts), counts, (hashes,))


def jaccard(found: Sets, left: Counts, right: Counts) -> npt.NDArray[np.float64]:
    """Float64[pairs]: of each pair of rows of ``found`` the size of the intersection over that of the union.

    Two empty sets have 0. Fastest where equal ``left`` stand together: the table of a left set is then made once.
    """
    out = np.empty(left.size, np.float64)
    most = int(found.counts[left].max()) if left.size else 0
    table = np.empty(slots_for(most), np.int64)
    _jaccard(left, right, found.places, found.counts, table.ctypes.data, out)
    return out


@compiled
def _bands(
    offsets: int,
    data: int,
    count: int,
    folded: int,
    classes: int,
    scratch: int,
    multipliers: Lanes,
    additions: Lanes,
    lanes: Lanes,
    lanes_at: int,
    filled: npt.NDArray[np.bool_],
    out: int,
) -> None:
    for index in range(count):
        begin = data + load_i64(offsets + 8 * index)
        end = data + load_i64(offsets + 8 * index + 8)
        found = shingles(begin, end, folded, classes, scratch)
        filled[index] = found > 0
        lanes[:] = 0xFFFFFFFF
        _permute(scratch, found, multipliers, additions, lanes)
        _keys(lanes_at, out + 8 * BANDS * index)


@compiled
def shingles(begin: int, end: int, folded: int, classes: int, out: int) -> int:
    """The number of shingles of begin..end; their hashes, never 0, repeated where they repeat, at ``out``."""
    words = rolling = first = second = third = fourth = fifth = 0
    at = begin
    while at < end:
        at, word = next_word(at, end, folded, classes)
        if not word:
            break
        words += 1
        rolling = rolling * _BASE + word - first * _BASE_5
        first, second, third, fourth, fifth = second, third, fourth, fifth, word
        if words >= WORDS:
            store_i64(out + 8 * (words - WORDS), finish(rolling, WORDS))
    if 0 < words < WORDS:
        store_i64(out, finish(rolling, words))
        return 1
    return max(words - WORDS + 1, 0)


@compiled
def next_word(at: int, end: int, folded: int, classes: int) -> tuple[int, int]:
    """Where the next word ends, and its hash; 0 where there is none. ASCII is read by one table, a byte at a time."""
    state = 0
    while at < end:
        byte = load_u8(at)
        unit = load_u8(folded + byte)
        if unit:
            state = (state ^ unit) * _PRIME + SEED
            at += 1
            continue
        if byte >= 128:
            character = read(at, end)
            kind = flags(classes, character >> 3)
            if kind & WORD:
                unspaced = kind & (ALONE | KATAKANA)
                if state and unspaced:
                    break
                state = (state ^ character >> 3) * _PRIME + SEED
                at += character & 7
                if unspaced:
                    at, state = _unspaced(at, end, classes, MARK | kind & KATAKANA, state)
                    break
                continue
            byte = character & 7
        else:
            byte = 1
        if state:
            break
        at += byte
    return at, fold(state, MULTIPLIER)


@internal
def _unspaced(at: int, end: int, classes: int, inside: int, state: int) -> tuple[int, int]:
    """Where a word goes on to, and the state there, by characters that have one of the flags ``inside``."""
    while at < end:
        character = read(at, end)
        if not flags(classes, character >> 3) & inside:
            break
        state = (state ^ character >> 3) * _PRIME + SEED
        at += character & 7
    return at, state


@internal
def _permute(hashes: int, count: int, multipliers: Lanes, additions: Lanes, lanes: Lanes) -> None:
    """The least of every permutation over ``count`` hashes, into ``lanes``."""
    for index in range(count):
        unit = np.uint32(load_i64(hashes + 8 * index) >> 32)
        for lane in range(LANES):
            value = np.uint32(multipliers[lane] * unit + additions[lane])
            lanes[lane] = min(lanes[lane], value)


@internal
def _keys(lanes: int, out: int) -> None:
    """A hash of each band at ``out``, from the uint32 lanes at ``lanes``, two at a time."""
    for band in range(BANDS):
        state, place = SEED ^ band, lanes + 4 * ROWS * band
        for row in range(0, ROWS, 2):
            state = step(state, load_i64(place + 4 * row))
        store_i64(out + 8 * band, finish(state, ROWS))


@compiled
def _sets(offsets: int, data: int, count: int, folded: int, classes: int, table: int, counts: Counts, out: int) -> int:
    """How many hashes were written at ``out``; of each text so many as ``counts`` then says."""
    used = 0
    for index in range(count):
        begin = data + load_i64(offsets + 8 * index)
        end = data + load_i64(offsets + 8 * index + 8)
        place = out + 8 * used
        counts[index] = _distinct(place, shingles(begin, end, folded, classes, place), table)
        used += counts[index]
    return used


@internal
def _distinct(hashes: int, count: int, table: int) -> int:
    """How many distinct hashes there are; they come to stand first, in order of first occurrence."""
    slots = slots_for(count)
    clear(table, slots)
    kept = 0
    for index in range(count):
        value = load_i64(hashes + 8 * index)
        if not insert(table, slots, value):
            store_i64(hashes + 8 * kept, value)
            kept += 1
    return kept


@compiled
def _jaccard(
    left: Counts, right: Counts, places: Counts, counts: Counts, table: int, out: npt.NDArray[np.float64]
) -> None:
    made, slots = -1, 0
    for pair in range(left.size):
        if left[pair] != made:
            made = left[pair]
            slots = slots_for(counts[made])
            _fill(table, slots, places[made], counts[made])
        shared = _shared(table, slots, places[right[pair]], counts[right[pair]])
        either = counts[made] + counts[right[pair]] - shared
        out[pair] = shared / either if either else 0.0


@internal
def _fill(table: int, slots: int, hashes: int, count: int) -> None:
    clear(table, slots)
    for index in range(count):
        insert(table, slots, load_i64(hashes + 8 * index))


@internal
def _shared(table: int, slots: int, hashes: int, count: int) -> int:
    """How many of ``count`` distinct hashes are in the table."""
    shared = 0
    for index in range(count):
        key = load_i64(hashes + 8 * index)
        slot = key & (slots - 1)
        while True:
            found = load_i64(table + 8 * slot)
            if found == key:
                shared += 1
                break
            if not found:
                break
            slot = (slot + 1) & (slots - 1)
    return shared
