"""Prefixes, suffixes and infixes of a chunk as spaCy's English has them, read from the flags of english_table."""

from __future__ import annotations

from warehouse.kernels.characters import last, letters, read
from warehouse.kernels.english_strings import find, kind
from warehouse.kernels.english_table import (
    AFFIX,
    ALPHA,
    CURRENCY,
    ICON,
    INFIX,
    LONGEST,
    LOWER,
    PREFIX,
    QUOTE,
    SLOTS,
    STOPPED,
    UNIT,
    UNIT_END,
    UPPER,
)
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import load_i32, load_u8, store_i64


@compiled
def digit(at: int, end: int) -> bool:
    """Whether one of 0-9 lies at ``at``."""
    return at < end and 0x30 <= load_u8(at) <= 0x39


@compiled
def dots(begin: int, end: int) -> int:
    """How many full stops begin..end starts with, if at least two; else 0."""
    at = begin
    while at < end and load_u8(at) == 0x2E:
        at += 1
    return at - begin if at - begin > 1 else 0


@compiled
def prefix(english: int, begin: int, end: int) -> int:
    """Bytes of the prefix of begin..end, which is not empty; 0: it has none."""
    character = read(begin, end)
    if kind(english, character) & PREFIX:
        return character & 7
    byte = character >> 3
    if byte == 0x2B:
        return 0 if digit(begin + 1, end) else 1
    if byte == 0x2E:
        return dots(begin, end)
    if byte in (0x41, 0x43) and begin + 1 < end and load_u8(begin + 1) == 0x24:
        return 2
    if byte == 0x55 and begin + 2 < end and load_u8(begin + 1) == 0x53 and load_u8(begin + 2) == 0x24:
        return 3
    return 0


@compiled
def suffix(english: int, begin: int, end: int) -> int:
    """Bytes of the longest suffix of begin..end; 0: it has none."""
    if begin >= end:
        return 0
    character = last(begin, end)
    if kind(english, character) & AFFIX:
        return _ellipses(begin, end) if character >> 3 == 0x2026 else character & 7
    if character >> 3 == 0x2E:
        return _stop(english, begin, end)
    return _possessive(begin, end, character) or _counted(english, begin, end, character)


@internal
def _possessive(begin: int, end: int, character: int) -> int:
    """Bytes of an apostrophe and the s at the end, which is ``character``; 0: there is none."""
    if character >> 3 not in (0x53, 0x73) or end - begin < 2:
        return 0
    before = last(begin, end - 1)
    return 1 + (before & 7) if before >> 3 in (0x27, 0x2019) else 0


@internal
def _counted(english: int, begin: int, end: int, character: int) -> int:
    """Bytes of what is a suffix after a digit: a currency sign, a plus, a unit of measure; ``character`` ends it."""
    flags = kind(english, character)
    if flags & CURRENCY:
        return _currency(begin, end, character & 7)
    if character >> 3 == 0x2B:
        return int(end - begin >= 2 and digit(end - 2, end))
    return _unit(english, begin, end) if flags & UNIT_END else 0


@internal
def _ellipses(begin: int, end: int) -> int:
    """Bytes of one U+2026 at the end, of two where there are two."""
    return 6 if end - begin >= 6 and last(begin, end - 3) >> 3 == 0x2026 else 3


@internal
def _stop(english: int, begin: int, end: int) -> int:
    """Bytes of full stops at the end that are a suffix."""
    at = end - 1
    while at > begin and load_u8(at - 1) == 0x2E:
        at -= 1
    if end - at > 1:
        return end - at
    if at == begin:
        return 0
    before = last(begin, at)
    flags = kind(english, before)
    if flags & STOPPED:
        return 1
    at -= before & 7
    if at == begin:
        return 0
    earlier = last(begin, at)
    if flags & UPPER and kind(english, earlier) & UPPER:
        return 1
    return int(earlier >> 3 == 0xB0 and before >> 3 in (0x46, 0x43, 0x4B))


@internal
def _currency(begin: int, end: int, size: int) -> int:
    """Bytes of the currency sign of ``size`` bytes at the end, with US, C or A before a dollar; a digit precedes it."""
    if load_u8(end - 1) == 0x24:
        if end - begin >= 4 and load_u8(end - 2) == 0x53 and load_u8(end - 3) == 0x55 and digit(end - 4, end):
            return 3
        if end - begin >= 3 and load_u8(end - 2) in (0x41, 0x43) and digit(end - 3, end):
            return 2
    return size if end - size > begin and digit(end - size - 1, end) else 0


@internal
def _unit(english: int, begin: int, end: int) -> int:
    """Bytes of what follows the last digit, if that is a unit of measure."""
    at = end
    while at > begin and end - at < LONGEST and not digit(at - 1, end):
        at -= 1
    if at in (begin, end) or not digit(at - 1, end):
        return 0
    slot = find(english, at, end)
    return end - at if slot >= 0 and load_i32(english + SLOTS + 32 * slot + 20) & UNIT else 0


@compiled
def infix(english: int, begin: int, at: int, end: int) -> int:
    """Bytes of the infix that starts at ``at`` in begin..end; 0: none does."""
    character = read(at, end)
    flags = kind(english, character)
    if not flags & INFIX:
        return 0
    if flags & ICON or character >> 3 == 0x2026:
        return character & 7
    stops = dots(at, end)
    if stops or at == begin or at + (character & 7) == end:
        return stops
    return _between(english, begin, at, end, character)


@internal
def _between(english: int, begin: int, at: int, end: int, character: int) -> int:
    """Bytes of the infix at ``at`` that what stands on both its sides makes one; 0: it is none."""
    point, after = character >> 3, at + (character & 7)
    left, right = kind(english, last(begin, at)), kind(english, read(after, end))
    if point == 0x2E:
        return int(left & (LOWER | QUOTE) != 0 and right & (UPPER | QUOTE) != 0)
    if point == 0x2C:
        return int(left & ALPHA != 0 and right & ALPHA != 0)
    number = digit(at - 1, end)
    if number and point in (0x2B, 0x2D, 0x2A, 0x5E) and (digit(after, end) or load_u8(after) == 0x2D):
        return 1
    if not (number or left & ALPHA):
        return 0
    if point in (0x3A, 0x3C, 0x3E, 0x3D, 0x2F):
        return int(right & ALPHA != 0)
    return _hyphens(english, at, end, character)


@internal
def _hyphens(english: int, at: int, end: int, character: int) -> int:
    """Bytes of a hyphen (up to three of -, up to two of U+2014) before a letter."""
    point, size = character >> 3, character & 7
    if point not in (0x2D, 0x2013, 0x2014, 0x7E):
        return 0
    most = 3 if point == 0x2D else 2 if point == 0x2014 else 1
    stop = at + size
    for _ in range(most - 1):
        if stop < end and read(stop, end) == character:
            stop += size
    return stop - at if stop < end and kind(english, read(stop, end)) & ALPHA else 0


@compiled
def middle(english: int, begin: int, end: int, out: int) -> int:
    """How many tokens infixes make of begin..end; their ends at ``out``. An infix at its very start makes none."""
    count, start, at = 0, begin, begin
    while at < end:
        size = letters(at, end)
        if size:
            at += size
            continue
        size = infix(english, begin, at, end)
        if size == 0:
            at += read(at, end) & 7
            continue
        if at > begin:
            if at > start:
                store_i64(out + 8 * count, at)
                count += 1
            store_i64(out + 8 * count, at + size)
            count += 1
            start = at + size
        at += size
    if start < end:
        store_i64(out + 8 * count, end)
        count += 1
    return count
