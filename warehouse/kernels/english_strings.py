"""Special cases and units of spaCy's English, looked up in the block of memory that english_table draws."""

from __future__ import annotations

from warehouse.kernels.english_table import ENDS, FILTER, LONGEST, SLOT_COUNT, SLOTS, UNIT
from warehouse.kernels.hashing import hash_word
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import load_i32, load_i64, load_u8, load_u16, store_i64


@compiled
def kind(english: int, character: int) -> int:
    """The flags of a character as ``read`` gives it."""
    return load_u16(english + 2 * (character >> 3))


@compiled
def slot_of(english: int, begin: int, end: int, digest: int) -> int:
    """Which slot holds the string begin..end, whose hash_word is ``digest``; -1: it is none."""
    if not load_u8(english + FILTER + ((digest & 0xFFFF) >> 3)) >> (digest & 7) & 1:
        return -1
    slot = digest >> 16 & (SLOT_COUNT - 1)
    while True:
        place = english + SLOTS + 32 * slot
        size = load_i32(place + 16)
        if size == 0:
            return -1
        if load_i64(place) == digest and size == end - begin and _equal(begin, english + load_i64(place + 8), size):
            return slot
        slot = (slot + 1) & (SLOT_COUNT - 1)


@compiled
def held(english: int, table: int, low: int, high: int) -> bool:
    """Whether a table of 64 Ki bits has two bytes."""
    pair = low | high << 8
    return load_u8(english + table + (pair >> 3)) >> (pair & 7) & 1 != 0


@internal
def _equal(left: int, right: int, size: int) -> bool:
    for at in range(size):
        if load_u8(left + at) != load_u8(right + at):
            return False
    return True


@compiled
def find(english: int, begin: int, end: int) -> int:
    """``slot_of`` a string of at least one byte."""
    if end - begin > LONGEST or not held(english, ENDS, load_u8(begin), load_u8(end - 1)):
        return -1
    return slot_of(english, begin, end, hash_word(begin, end))


@compiled
def special(english: int, begin: int, end: int) -> int:
    """The slot of the special case that begin..end is; -1: it is none."""
    slot = find(english, begin, end) if begin < end else -1
    return slot if slot >= 0 and load_i32(english + SLOTS + 32 * slot + 20) & (UNIT - 1) != 0 else -1


@compiled
def split_special(english: int, slot: int, begin: int, end: int, out: int) -> int:
    """How many tokens the special case in ``slot`` has; their ends at ``out``."""
    place = english + SLOTS + 32 * slot
    tokens = load_i32(place + 20) & (UNIT - 1)
    store_i64(out, begin + load_i32(place + 24))
    store_i64(out + 8 * (tokens > 2), begin + load_i32(place + 24) + load_i32(place + 28) * (tokens > 2))
    store_i64(out + 8 * tokens - 8, end)
    return tokens
