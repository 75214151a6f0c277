"""URLs as spaCy's English tokenizer takes them for one token."""

from __future__ import annotations

from warehouse.kernels.characters import find_byte, read
from warehouse.kernels.english_affixes import digit
from warehouse.kernels.english_strings import kind
from warehouse.kernels.english_table import DIGIT, HOST, IDENTIFIER, LOWER
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import load_u8


@compiled
def url(english: int, begin: int, end: int) -> bool:
    """Whether all of begin..end is a URL: perhaps a scheme, perhaps anything and @, a host, perhaps a port and path."""
    if find_byte(begin + 1, end - 2, 0x2E) >= end - 2:
        return False
    if _host(english, begin, end):
        return True
    after = _scheme(english, begin, end)
    if after and _host(english, after, end):
        return True
    for at in range(begin + 1, end - 1):
        if load_u8(at) == 0x40 and _host(english, at + 1, end):
            return True
    return False


@internal
def _run(english: int, at: int, end: int, flags: int) -> tuple[int, int]:
    """(how many characters of a kind at..end starts with, where they end)."""
    size = 0
    while at < end:
        character = read(at, end)
        if not kind(english, character) & flags:
            break
        at += character & 7
        size += 1
    return size, at


@internal
def _scheme(english: int, begin: int, end: int) -> int:
    """The address after a scheme of at least two characters and ://, else 0."""
    size, at = _run(english, begin, end, IDENTIFIER)
    found = size >= 2 and end - at > 3 and load_u8(at) == 0x3A and load_u8(at + 1) == 0x2F and load_u8(at + 2) == 0x2F
    return at + 3 if found else 0


@internal
def _host(english: int, begin: int, end: int) -> bool:
    """Whether a public IPv4 address or a name, then a port or path or nothing, is all of begin..end."""
    if digit(begin, end) and _address(english, begin, end):
        return True
    at, labels = begin, 0
    while at < end:
        if labels and _top(english, at, end):
            return True
        at = _label(english, at, end)
        labels += 1
        if at == 0:
            return False
    return False


@internal
def _label(english: int, at: int, end: int) -> int:
    """The address after a label of 1 to 64 characters and its full stop, else 0."""
    size, flags = 0, 0
    while at < end:
        character = read(at, end)
        point = character >> 3
        if point == 0x2E:
            return at + 1 if flags & HOST and size <= 64 else 0
        flags = kind(english, character)
        if not (flags & HOST or (size and point in (0x2D, 0x5F))):
            return 0
        size += 1
        at += character & 7
    return 0


@internal
def _top(english: int, at: int, end: int) -> bool:
    """Whether 2 to 63 lower-case letters and what may follow a host are all of at..end."""
    size, at = _run(english, at, end, LOWER)
    return 2 <= size <= 63 and _tail(english, at, end)


@internal
def _tail(english: int, at: int, end: int) -> bool:
    """Whether at..end is empty, a port of 2 to 5 digits, a path that starts with one of / ? #, or both."""
    if at < end and load_u8(at) == 0x3A:
        size, at = _run(english, at + 1, end, DIGIT)
        if size < 2 or size > 5:
            return False
    return at == end or load_u8(at) in (0x2F, 0x3F, 0x23)


@internal
def _address(english: int, begin: int, end: int) -> bool:
    """Whether a public IPv4 address and what may follow it are all of begin..end."""
    first, at = _octet(english, begin, end)
    if load_u8(begin) == 0x30 or not 1 <= first <= 223 or at == end or load_u8(at) != 0x2E:
        return False
    second, at = _octet(english, at + 1, end)
    if second < 0 or at == end or load_u8(at) != 0x2E or _private(first, second):
        return False
    third, at = _octet(english, at + 1, end)
    if third < 0 or at == end or load_u8(at) != 0x2E:
        return False
    start = at + 1
    fourth, at = _octet(english, start, end)
    return 1 <= fourth <= 254 and digit(start, end) and load_u8(start) != 0x30 and _tail(english, at, end)


@internal
def _private(first: int, second: int) -> bool:
    """Whether an address that starts so belongs to a private or local network."""
    if first in (10, 127) or (first == 172 and 16 <= second <= 31):
        return True
    return (first == 169 and second == 254) or (first == 192 and second == 168)


@internal
def _octet(english: int, at: int, end: int) -> tuple[int, int]:
    """(number, address after it) of one to three digits up to 255, three of them not from 0; -1 where there is none.

    A digit that is not ASCII counts as 9, which is right wherever the expression of spaCy allows one.
    """
    number = size = 0
    while at < end and size < 4:
        character = read(at, end)
        if not kind(english, character) & DIGIT:
            break
        number = number * 10 + (character >> 3) - 0x30 if character >> 3 < 0x80 else number * 10 + 9
        size += 1
        at += character & 7
    return (number if 1 <= size <= 3 and number <= 255 and (size < 3 or number >= 100) else -1), at
