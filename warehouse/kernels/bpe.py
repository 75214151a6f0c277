"""Byte-level BPE with GPT-2's pattern: UTF-8 in, ids and the byte at which each ends out.

The pattern, as Hugging Face ``tokenizers`` has it in pre_tokenizers/byte_level.rs, is
``'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+``; which characters are letters,
numbers and white space is the caller's table. A word's bytes are joined pair by pair, the earliest merge first, of
equal ones the leftmost. Words of up to LONGEST bytes are remembered, by their bytes, until ROOM bytes or half of the
SLOTS are taken; then all are forgotten.

Won: many times the speed of ``tokenizers`` in a fixed 18 MB. Lost: one pattern and one kind of model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from warehouse.kernels.hashing import MULTIPLIER, hash_word, head
from warehouse.kernels.jit import compiled, inlined, internal
from warehouse.kernels.memory import fold, load_i32, load_i64, load_u8, store_i32, store_i64, store_u8

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Ids = npt.NDArray[np.uint32]

UNKNOWN, LETTER, NUMBER, SPACE, OTHER = range(5)
"""Kinds of a character. A text with an UNKNOWN one is not finished, so that the caller can look it up."""

LONGEST = 48
SLOTS = 1 << 18
ROOM = 2 << 20


class Merges(NamedTuple):
    """pairs: int64[slots, 2], left << 32 | right or -1, and the pair's place among the merges.

    made: int64[merges], the id that each merge gives; single: int64[256], the id of each byte.
    """

    pairs: Ints
    made: Ints
    single: Ints


class Memo(NamedTuple):
    """words: int64[SLOTS, 4], a word's first bytes (head), its size in bytes (0: free) | number of ids << 8, where both
    begin in ``letters`` and ``ids``, and its first id. An id stands with its own bytes less one: << 26.

    used: int64[2], slots and bytes taken; scratch: for joining.
    """

    words: Ints
    letters: Bytes
    ids: Ids
    used: Ints
    scratch: Ints


class _Job(NamedTuple):
    """Addresses: of the kinds, of the memo's tables and of the next id and end to be written."""

    kinds: int
    words: int
    letters: int
    packed: int
    ids: int
    ends: int


def make_merges(pairs: Ints, made: Ints, single: Ints) -> Merges:
    """The table of ``pairs``, int64[merges, 2], the earliest first, no pair twice."""
    table = np.full((1 << max(int(2 * len(pairs)).bit_length(), 3), 2), -1, np.int64)
    _fill(pairs, table)
    return Merges(table, made, single)


def make_memo() -> Memo:
    """An empty memo."""
    words, letters, ids = np.zeros((SLOTS, 4), np.int64), np.empty(ROOM, np.uint8), np.empty(ROOM, np.uint32)
    return Memo(words, letters, ids, np.zeros(2, np.int64), np.empty(6 * LONGEST, np.int64))


@compiled
def encode(
    text: Bytes, bounds: Ints, kinds: Bytes, merges: Merges, memo: Memo, eos: int, ids: Ids, ends: Ints, lengths: Ints
) -> int:
    """Write the ids of the documents text[bounds[i]:bounds[i + 1]], ``eos`` after each; how many in all.

    text: valid UTF-8; kinds: uint8[0x110000], the kind of each character. ids, ends: as long as text and documents
    together; an id's end counts from its document's first byte. lengths: ids of each document, eos included. -1 at an
    UNKNOWN character.
    """
    job = _Job(
        kinds.ctypes.data,
        memo.words.ctypes.data,
        memo.letters.ctypes.data,
        memo.ids.ctypes.data,
        ids.ctypes.data,
        ends.ctypes.data,
    )
    written = 0
    for document in range(bounds.size - 1):
        begin = written
        first, last = text.ctypes.data + bounds[document], text.ctypes.data + bounds[document + 1]
        written = _document(first, last, job, merges, memo, written)
        if written < 0:
            return -1
        ids[written], ends[written] = eos, last - first
        written += 1
        lengths[document] = written - begin
    return written


@internal
def _document(origin: int, stop: int, job: _Job, merges: Merges, memo: Memo, written: int) -> int:
    first = origin
    while first < stop:
        last = _word_end(first, stop, job.kinds)
        if last < 0:
            return -1
        size = last - first
        if size > LONGEST:
            written = _join(first, last, origin, job, merges, np.empty(6 * size, np.int64), written)
        else:
            written = _remembered(first, last, origin, job, merges, memo, written)
        first = last
    return written


@inlined
def _character(at: int) -> tuple[int, int]:
    """The character that begins at ``at`` in valid UTF-8, and where the next begins."""
    lead = load_u8(at)
    if lead < 0x80:
        return lead, at + 1
    second = load_u8(at + 1) & 0x3F
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | second, at + 2
    third = load_u8(at + 2) & 0x3F
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | second << 6 | third, at + 3
    return (lead & 0x07) << 18 | second << 12 | third << 6 | (load_u8(at + 3) & 0x3F), at + 4


@internal
def _word_end(first: int, stop: int, kinds: int) -> int:
    """Where the word that begins at ``first`` ends; -1 if an unknown character was met."""
    character, after = _character(first)
    if character == 39:
        short = _contraction(after, stop)
        if short:
            return after + short
    kind = load_u8(kinds + character)
    if character == 32 and after < stop:
        character, beyond = _character(after)
        found = load_u8(kinds + character)
        if found != SPACE:
            kind, after = found, beyond
    if kind == UNKNOWN:
        return -1
    before = first
    while after < stop:
        character, beyond = _character(after)
        found = load_u8(kinds + character)
        if found != kind:
            if found == UNKNOWN:
                return -1
            return before if kind == SPACE and before > first else after
        before, after = after, beyond
    return after


@inlined
def _contraction(at: int, stop: int) -> int:
    """Letters of the contraction after an apostrophe, or 0."""
    if at >= stop:
        return 0
    one = load_u8(at)
    if one in (115, 116, 109, 100):  # s t m d
        return 1
    if at + 1 >= stop:
        return 0
    two = load_u8(at + 1)
    return 2 if (one in (114, 118) and two == 101) or (one == 108 and two == 108) else 0  # re ve ll


@internal
def _remembered(first: int, last: int, origin: int, job: _Job, merges: Merges, memo: Memo, written: int) -> int:
    """As ``_join``, out of the memo where the word is there, else into it."""
    size = last - first
    beginning = head(first, min(size, 8))
    state = fold(beginning ^ size, MULTIPLIER) if size <= 8 else hash_word(first, last)
    slot = (state ^ state >> 32) & (SLOTS - 1)
    while True:
        place = job.words + 32 * slot
        sizes = load_i64(place + 8)
        if sizes == 0:
            break
        if sizes & 0xFF == size and load_i64(place) == beginning:
            start = load_i64(place + 16)
            if size <= 8 or _same(first + 8, last, job.letters + start + 8):
                return _recall(first - origin, load_i64(place + 24), sizes >> 8, job, start, written)
        slot = slot + 1 & SLOTS - 1
    done = _join(first, last, origin, job, merges, memo.scratch, written)
    if memo.used[0] * 2 >= SLOTS or memo.used[1] + LONGEST > ROOM:
        memo.words[:] = 0
        memo.used[:] = 0
        place = job.words + 32 * ((state ^ state >> 32) & (SLOTS - 1))
    start, end = memo.used[1], first - origin
    for index in range(done - written):
        found = load_i64(job.ends + 8 * (written + index))
        packed = load_i32(job.ids + 4 * (written + index)) | (found - end - 1) << 26
        store_i32(job.packed + 4 * (start + index), packed)
        if index == 0:
            store_i64(place + 24, packed)
        end = found
    for index in range(size):
        store_u8(job.letters + start + index, load_u8(first + index))
    store_i64(place, beginning)
    store_i64(place + 8, size | (done - written) << 8)
    store_i64(place + 16, start)
    memo.used[0] += 1
    memo.used[1] += size
    return done


@inlined
def _same(first: int, last: int, other: int) -> bool:
    """Whether the bytes first..last are those from ``other`` on."""
    while first + 8 <= last:
        if load_i64(first) != load_i64(other):
            return False
        first, other = first + 8, other + 8
    while first < last:
        if load_u8(first) != load_u8(other):
            return False
        first, other = first + 1, other + 1
    return True


@inlined
def _recall(end: int, packed: int, count: int, job: _Job, start: int, written: int) -> int:
    """Write ``count`` ids, of which ``packed`` is the first."""
    place = 0
    while True:
        end += (packed >> 26 & 0x3F) + 1
        store_i32(job.ids + 4 * written, packed & 0x3FFFFFF)
        store_i64(job.ends + 8 * written, end)
        written += 1
        place += 1
        if place == count:
            return written
        packed = load_i32(job.packed + 4 * (start + place))


@internal
def _join(first: int, last: int, origin: int, job: _Job, merges: Merges, scratch: Ints, written: int) -> int:
    """Write the ids of the word first..last and their ends; how many are written then. scratch: int64[6 * size].

    A heap of (rank, place) finds the next merge in log n: a word of a megabyte is no trap.
    """
    size = last - first
    symbols, following, before = scratch[:size], scratch[size : 2 * size], scratch[2 * size : 3 * size]
    heap = scratch[3 * size : 6 * size]
    for place in range(size):
        symbols[place] = merges.single[load_u8(first + place)]  # -1 later: joined to the one before
        following[place], before[place] = place + 1, place - 1
    filled = 0
    for place in range(size - 1):
        filled = _offer(merges.pairs, symbols, place, place + 1, heap, filled)
    while filled:
        rank, place = heap[0] >> 32, heap[0] & 0xFFFFFFFF
        filled = _pop(heap, filled)
        right = following[place]
        if symbols[place] < 0 or right >= size or _rank(merges.pairs, symbols[place], symbols[right]) != rank:
            continue
        symbols[place], symbols[right] = merges.made[rank], -1
        beyond = following[right]
        following[place] = beyond
        if beyond < size:
            before[beyond] = place
            filled = _offer(merges.pairs, symbols, place, beyond, heap, filled)
        if before[place] >= 0:
            filled = _offer(merges.pairs, symbols, before[place], place, heap, filled)
    place = 0
    while place < size:
        store_i32(job.ids + 4 * written, symbols[place])
        place = following[place]
        store_i64(job.ends + 8 * written, first + place - origin)
        written += 1
    return written


@internal
def _offer(pairs: Ints, symbols: Ints, left: int, right: int, heap: Ints, filled: int) -> int:
    """Push the merge of two neighbours, if there is one; how many the heap holds then."""
    rank = _rank(pairs, symbols[left], symbols[right])
    if rank < 0:
        return filled
    value, at = rank << 32 | left, filled
    while at and heap[(at - 1) >> 1] > value:
        heap[at] = heap[(at - 1) >> 1]
        at = (at - 1) >> 1
    heap[at] = value
    return filled + 1


@internal
def _pop(heap: Ints, filled: int) -> int:
    """Drop the least; how many the heap holds then."""
    filled -= 1
    value, at = heap[filled], 0
    while 2 * at + 1 < filled:
        child = 2 * at + 1
        if child + 1 < filled and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = value
    return filled


@internal
def _rank(pairs: Ints, left: int, right: int) -> int:
    """The place of a pair among the merges, or -1."""
    rank: int = pairs[_slot(pairs, left << 32 | right), 1]
    return rank


@internal
def _slot(pairs: Ints, key: int) -> int:
    """The slot of a pair, or the free one where it would be."""
    mixed = fold(key, MULTIPLIER)
    slot: int = (mixed ^ mixed >> 32) & (pairs.shape[0] - 1)
    while pairs[slot, 0] != key and pairs[slot, 0] != -1:
        slot = slot + 1 & pairs.shape[0] - 1
    return slot


@compiled
def _fill(pairs: Ints, table: Ints) -> None:
    for rank in range(pairs.shape[0]):
        key = pairs[rank, 0] << 32 | pairs[rank, 1]
        slot = _slot(table, key)
        table[slot, 0], table[slot, 1] = key, rank
