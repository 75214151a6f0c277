"""What a line holds that C4 and NeMo Curator look for: their phrases, curly brackets, citations."""

from __future__ import annotations

from warehouse.kernels.blocks import BYTES, one_page, starts
from warehouse.kernels.characters import DIGIT, find_byte, flags, read
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import load_u8, store_u8, trailing_zeros

LOREM, JAVASCRIPT, CURLY, POLICY, OTHER_POLICY, CITED, _NOTHING = range(2, 9)
"""Bits of what is held: those up to POLICY are also the outcomes of a line in ``c4``."""


def _packed(phrase: bytes) -> tuple[int, int, int, int]:
    """(bytes 0-7, bytes 8-15, length, first byte) of an ASCII phrase, for comparison byte by byte."""
    return (
        int.from_bytes(phrase[:8], "little"),
        int.from_bytes(phrase[8:16], "little"),
        len(phrase),
        phrase[0],
    )


_EDIT = _packed(b"edit]")
_OTHERS = tuple(
    _packed(part)
    for part in (b"privacy overview", b"privacy & cookie", b"s policy", b"privacy and cook", b"ies policy")
)
_NEEDED = (_packed(b"citation"), _packed(b" needed]"))
_PHRASES = tuple(
    _packed(phrase)
    for phrase in (
        *(b"lorem ipsum", b"javascript", b"terms of use", b"privacy policy"),
        *(b"cookie policy", b"uses cookies", b"use of cookies", b"use cookies"),
    )
)
AHEAD = 3  # bytes that are read beyond a block
starting = starts((b"l?re", b"j?v", b"t?rm", b"p??v", b"c??k", b"use ", b"uses"), b"{[")


@internal
def _lower(byte: int) -> int:
    return byte + 32 if 0x41 <= byte <= 0x5A else byte


@internal
def _same(at: int, end: int, low: int, high: int, size: int) -> bool:
    """Whether ``size`` bytes at ``at``, letters in lower case, are the packed phrase."""
    if end - at < size:
        return False
    for index in range(size):
        wanted = (low if index < 8 else high) >> (8 * (index & 7)) & 0xFF
        if _lower(load_u8(at + index)) != wanted:
            return False
    return True


@compiled
def phrases_in(begin: int, end: int, classes: int) -> int:
    """What a line holds: see ``held``."""
    found, at = 0, begin
    while at < end:
        whole = one_page(at, BYTES + AHEAD)
        bits = starting(at) if whole else 1
        if end - at < BYTES:
            bits &= (1 << (end - at)) - 1
        found |= held(at, bits, end, classes)
        at += BYTES if whole else 1
    return found


@compiled
def held(at: int, bits: int, end: int, classes: int) -> int:
    """What begins at these of 64 bytes from ``at`` on: bit LOREM for lorem ipsum, and so on, CITED for a citation."""
    found = 0
    while bits:
        place = at + trailing_zeros(bits)
        bits &= bits - 1
        byte = load_u8(place)
        if byte == 0x7B:
            found |= 1 << CURLY
        elif byte == 0x5B:
            found |= int(citation(place, end, classes) > place) << CITED
        else:
            found |= 1 << _phrase(place, end, byte | 0x20)
    return found


@internal
def _phrase(at: int, end: int, initial: int) -> int:
    """Which phrase stands at ``at``, where ``initial`` in either case does.

    Written out, for a tuple that is indexed is copied at each step: c4 took half as long again.
    """
    if initial == 0x6C:
        return LOREM if _same(at, end, _PHRASES[0][0], _PHRASES[0][1], _PHRASES[0][2]) else _NOTHING
    if initial == 0x6A:
        return JAVASCRIPT if _same(at, end, _PHRASES[1][0], _PHRASES[1][1], _PHRASES[1][2]) else _NOTHING
    if initial == 0x75:
        found = _same(at, end, _PHRASES[5][0], _PHRASES[5][1], _PHRASES[5][2])
        found |= _same(at, end, _PHRASES[6][0], _PHRASES[6][1], _PHRASES[6][2])
        return POLICY if found or _same(at, end, _PHRASES[7][0], _PHRASES[7][1], _PHRASES[7][2]) else _NOTHING
    found = _same(at, end, _PHRASES[2][0], _PHRASES[2][1], _PHRASES[2][2])
    found |= _same(at, end, _PHRASES[3][0], _PHRASES[3][1], _PHRASES[3][2])
    if found or _same(at, end, _PHRASES[4][0], _PHRASES[4][1], _PHRASES[4][2]):
        return POLICY
    return OTHER_POLICY if initial == 0x70 and _other_policy(at, end) else _NOTHING


@internal
def _other_policy(at: int, end: int) -> bool:
    """Whether what NeMo Curator takes for boilerplate beyond C4 stands at ``at``."""
    if _same(at, end, _OTHERS[0][0], _OTHERS[0][1], _OTHERS[0][2]):
        return True
    if _same(at, end, _OTHERS[1][0], _OTHERS[1][1], _OTHERS[1][2]):
        return _same(at + 16, end, _OTHERS[2][0], _OTHERS[2][1], _OTHERS[2][2])
    found = _same(at, end, _OTHERS[3][0], _OTHERS[3][1], _OTHERS[3][2])
    return found and _same(at + 16, end, _OTHERS[4][0], _OTHERS[4][1], _OTHERS[4][2])


@compiled
def citation(at: int, end: int, classes: int) -> int:
    r"""Where the citation that opens at ``at`` ends: [\d*], [edit] or [citation needed]; else ``at``."""
    inner = at + 1
    if _exact(inner, end, _EDIT[0], 5):
        return inner + 5
    if _exact(inner, end, _NEEDED[0][0], 8) and _exact(inner + 8, end, _NEEDED[1][0], 8):
        return inner + 16
    while inner < end:
        character = read(inner, end)
        if character >> 3 == 0x5D:
            return inner + 1
        if not flags(classes, character >> 3) & DIGIT:
            break
        inner += character & 7
    return at


@internal
def _exact(at: int, end: int, low: int, size: int) -> bool:
    """Whether ``size`` (at most 8) bytes at ``at`` are the packed ones."""
    if end - at < size:
        return False
    for index in range(size):
        if load_u8(at + index) != low >> (8 * index) & 0xFF:
            return False
    return True


@compiled
def without_citations(begin: int, end: int, classes: int, spare: int) -> tuple[int, int]:
    """A copy of the line in ``spare``, without citations."""
    place, at = spare, begin
    while at < end:
        stop = find_byte(at + 1, end, 0x5B)
        after = citation(at, end, classes) if load_u8(at) == 0x5B else at
        for byte in range(after, stop):
            store_u8(place + byte - after, load_u8(byte))
        place, at = place + max(stop - after, 0), max(stop, after)
    return spare, place
