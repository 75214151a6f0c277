"""What contents are known by that are to be gone: hashes of their runs of 13 words, and content hashes in text.

Runs of 13 words and their hashes are those of ``contamination``: words with A-Z as a-z, whatever stands between them.
A known run is looked up in a filter of 16 to 32 bits a run, then in a sorted array, so a text without one costs a bit
a word. A content hash is a run of exactly 32 hexadecimal digits in lower case.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from warehouse.kernels import characters
from warehouse.kernels.blocks import BYTES
from warehouse.kernels.contamination import WORDS, hashed_words
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import load_i64, load_u8
from warehouse.kernels.texts import Counts, Texts

DIGITS = 32
Found = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Known:
    """prints: int64, sorted, each once; hashes: int64[n, 2], halves of content hashes, sorted; bits: the filter."""

    prints: Counts
    hashes: Counts
    bits: Found


def known(prints: Counts, hashes: frozenset[str]) -> Known:
    """What ``met`` looks for; prints in any order."""
    runs = prints if (prints[1:] > prints[:-1]).all() else distinct(prints)
    size = 1 << 13
    while size < 2 * runs.size:
        size *= 2
    bits = np.zeros(size, np.uint8)
    _fill(runs, bits)
    halves = [[int(each[:16], 16), int(each[16:], 16)] for each in hashes]
    pairs = np.array(halves, np.uint64).reshape(-1, 2).view(np.int64)
    return Known(runs, pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))], bits)


def prints(column: Texts) -> Counts:
    """int64, the hash of each run of 13 words of a column, each once, sorted."""
    out = np.empty(column.bytes // 2 + 2 * column.count + BYTES, np.int64)
    edges = np.empty(2 * (column.longest // 2 + 2), np.int64)
    size = _prints(column.offsets, column.data, column.count, characters.CLASSES, out.ctypes.data, edges.ctypes.data)
    return distinct(out[:size])


def distinct(found: Counts) -> Counts:
    """The numbers sorted, each once: by a sort, where np.unique of 64-bit hashes takes 20 times as long."""
    ordered = np.sort(found)
    fresh = np.ones(ordered.size, np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=fresh[1:])
    return ordered[fresh]


def met(column: Texts, marks: Known) -> Found:
    """uint8[n], of each text 0, 1 where it has a known content hash, 2 where it has a known run of 13 words."""
    found = np.zeros(column.count, np.uint8)
    if marks.hashes.size:
        _digits(column.offsets, column.data, marks.hashes, found)
    if marks.prints.size:
        _meet(*_scratch(column), marks.prints, marks.bits, found, np.zeros(0, np.uint8))
    return found


def meet(column: Texts, marks: Known, there: Found) -> None:
    """Set ``there`` (uint8, a place for each print) where a text of the column has the print."""
    if marks.prints.size:
        _meet(*_scratch(column), marks.prints, marks.bits, np.zeros(column.count, np.uint8), there)


def _scratch(column: Texts) -> tuple[int, int, int, Counts, Counts]:
    room = column.longest // 2 + 2
    hashes, edges = np.empty(room + BYTES, np.int64), np.empty(2 * room, np.int64)
    return column.offsets, column.data, characters.CLASSES, hashes, edges


@compiled
def _fill(runs: Counts, bits: Found) -> None:
    mask = 8 * bits.size - 1
    for at in range(runs.size):
        bit = runs[at] >> 24 & mask
        bits[bit >> 3] |= 1 << (bit & 7)


@compiled
def _prints(offsets: int, data: int, count: int, classes: int, out: int, edges: int) -> int:
    """Write the hashes of the runs of all texts; how many."""
    used, safe = 0, data + load_i64(offsets + 8 * count) if count else data
    for index in range(count):
        begin, end = data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8)
        words = hashed_words(begin, end, safe, classes, out + 8 * used, edges)
        used += max(0, words - WORDS + 1)
    return used


@compiled
def _meet(
    offsets: int,
    data: int,
    classes: int,
    hashes: Counts,
    edges: Counts,
    runs: Counts,
    bits: Found,
    found: Found,
    there: Found,
) -> None:
    """Note which texts have a known run, and, where ``there`` has places, which runs they have."""
    mask, count = 8 * bits.size - 1, found.size
    safe = data + load_i64(offsets + 8 * count) if count else data
    for index in range(count):
        if found[index]:
            continue
        begin, end = data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8)
        words = hashed_words(begin, end, safe, classes, hashes.ctypes.data, edges.ctypes.data)
        for gram in range(words - WORDS + 1):
            key = hashes[gram]
            bit = key >> 24 & mask
            if bits[bit >> 3] >> (bit & 7) & 1:
                place = np.searchsorted(runs, key)
                if place < runs.size and runs[place] == key:
                    found[index] = 2
                    if not there.size:
                        break
                    there[place] = 1


@compiled
def _digits(offsets: int, data: int, known_hashes: Counts, found: Found) -> None:
    """Note which texts have a run of 32 digits that is known."""
    for index in range(found.size):
        begin, end = data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8)
        at = begin
        while at + DIGITS <= end:
            # a run of 32 covers its 32nd byte: where that is no digit, none begins before it
            last = at + DIGITS - 1
            while last >= at and _digit(load_u8(last)) >= 0:
                last -= 1
            if last >= at:
                at = last + 1
                continue
            stop = at + DIGITS
            while stop < end and _digit(load_u8(stop)) >= 0:
                stop += 1
            before = at > begin and _digit(load_u8(at - 1)) >= 0
            if stop == at + DIGITS and not before and _is_known(at, known_hashes):
                found[index] = 1
                break
            at = stop + 1


@internal
def _digit(byte: int) -> int:
    """The value of a hexadecimal digit in lower case, -1 of anything else."""
    if 48 <= byte <= 57:
        return byte - 48
    return byte - 87 if 97 <= byte <= 102 else -1


@internal
def _is_known(at: int, known_hashes: Counts) -> bool:
    high, low = np.int64(0), np.int64(0)
    for index in range(DIGITS // 2):
        high = high << 4 | _digit(load_u8(at + index))
        low = low << 4 | _digit(load_u8(at + DIGITS // 2 + index))
    place = np.searchsorted(known_hashes[:, 0], high)
    while place < len(known_hashes) and known_hashes[place, 0] == high:
        if known_hashes[place, 1] == low:
            return True
        place += 1
    return False
