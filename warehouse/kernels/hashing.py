"""64-bit hashes of byte ranges, and sets of hashes by open addressing. Equal hashes are taken as equal text.

Two different texts among n meet with probability n^2 / 2^65: 3e-8 for a million, 3 % for a thousand million.
"""

from __future__ import annotations

from warehouse.kernels.jit import compiled, inlined
from warehouse.kernels.memory import fold, load_i64, load_u8, store_i64, swapped

SEED = 0x2D358DCCAA6C78A5
MULTIPLIER = 0x0BB67AE8584CAA73 | 1
FINISH = 0x4B33A62ED433D4A3


@compiled
def step(state: int, word: int) -> int:
    """The state after one more word of 64 bits (or one code point)."""
    return fold(state ^ word, MULTIPLIER) + SEED


@compiled
def finish(state: int, size: int) -> int:
    """The hash of ``size`` units that led to ``state``; never 0, which marks an empty slot."""
    result = fold(state ^ size, FINISH)
    return result if result else SEED


@compiled
def hash_bytes(begin: int, end: int) -> int:
    """Hash of the bytes begin..end, eight at a time; those left over are one number, the first byte highest."""
    state, at = SEED, begin
    while at + 8 <= end:
        state = step(state, load_i64(at))
        at += 8
    tail, left = 0, end - at
    if left:
        last = load_i64(end - 8) if at > begin else head(at, left) << (64 - 8 * left)
        tail = swapped(last) & ((1 << 8 * left) - 1)
    return finish(step(state, tail), end - begin)


@compiled
def hash_word(begin: int, end: int) -> int:
    """Hash of the bytes begin..end, at least one: not that of hash_bytes. Up to eight bytes are one load, one fold."""
    size, state = end - begin, SEED
    if size <= 8:
        return fold(head(begin, size) ^ state, MULTIPLIER + 2 * size)
    while end - begin > 16:
        state = step(state, load_i64(begin))
        begin += 8
    return finish(fold(load_i64(begin) ^ state, load_i64(end - 8) ^ MULTIPLIER), size)


@inlined
def head(begin: int, size: int) -> int:
    """The first ``size`` (1 to 8) bytes as a number, the first one lowest. No load reaches into another page."""
    if begin & 0xFFF <= 0xFF8:
        return load_i64(begin) & ((1 << 8 * size) - 1) if size < 8 else load_i64(begin)
    packed = 0
    for index in range(size):
        packed |= load_u8(begin + index) << (8 * index)
    return packed


@compiled
def slots_for(entries: int) -> int:
    """A power of two that is at least twice ``entries``."""
    slots = 16
    while slots < 2 * entries:
        slots *= 2
    return slots


@compiled
def clear(table: int, slots: int) -> None:
    """Empty ``slots`` slots of 8 bytes."""
    for slot in range(slots):
        store_i64(table + 8 * slot, 0)


@compiled
def slot_of(table: int, slots: int, key: int) -> int:
    """Where a hash stands, or the empty slot where it would."""
    slot = key & slots - 1
    while load_i64(table + 8 * slot) and load_i64(table + 8 * slot) != key:
        slot = slot + 1 & slots - 1
    return slot


@compiled
def insert(table: int, slots: int, key: int) -> bool:
    """Whether a hash was in the set already; afterwards it is."""
    slot = key & (slots - 1)
    while True:
        found = load_i64(table + 8 * slot)
        if found == key:
            return True
        if found == 0:
            store_i64(table + 8 * slot, key)
            return False
        slot = (slot + 1) & (slots - 1)
