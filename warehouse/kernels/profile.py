"""Characters by kind, and the hash of the normalised text: one walk over the code points of each document.

URLs are found at their colons, and words that are symbols are looked for only where a document has such characters.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from warehouse.kernels import characters, scripts
from warehouse.kernels.blocks import BYTES, blank, printable
from warehouse.kernels.characters import (
    ALPHA,
    CONTROL,
    DIGIT,
    PUNCTUATION,
    SPACE,
    UPPER,
    ends_in_dots,
    find_byte,
    flags,
    last,
    read,
)
from warehouse.kernels.hashing import SEED, clear, finish, head, step
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import add, load_i32, load_i64, load_u8, store_i64, store_u8, trailing_zeros
from warehouse.kernels.texts import Counts, Texts

COLUMNS = (
    "chars",
    "bytes",
    "text_hash",
    "alpha_chars",
    "digit_chars",
    "upper_chars",
    "space_chars",
    "punctuation_chars",
    "control_chars",
    "replacement_chars",
    "hashes",
    "ellipses",
    "nemo_plain_chars",
    "bracket_chars",
    "curly_brackets",
    "url_chars",
    "dolma_symbol_words",
    "nemo_symbol_words",
)
_LATIN, _SCRIPTS = scripts.LATIN, len(scripts.CODES)
_HASH, _ELLIPSIS, _GUILLEMET = 0x23, 0x2026, 0xBB
_IN_URL = np.array([chr(point) in "$-_@.&+/:=?#~!*(),%" or chr(point).isalnum() for point in range(0x80)], np.uint8)


def measure(column: Texts) -> tuple[Counts, npt.NDArray[np.uint8]]:
    """(int64[n, len(COLUMNS)], uint8[n]) of a column of texts: counts, and the script of most letters of each.

    The script is its place in scripts.CODES, the first of equals; letters of no script do not count.
    """
    out, found = np.zeros((column.count, len(COLUMNS)), np.int64), np.zeros(column.count, np.uint8)
    packs = np.array([[_pack(characters.CLASSES, point), _marks(point)] for point in range(0x80)], np.int64)
    letters = np.zeros(_SCRIPTS + 1, np.int64)
    tables = (characters.CLASSES, packs.ctypes.data, _IN_URL.ctypes.data, scripts.ADDRESS, letters.ctypes.data)
    _documents(column.offsets, column.data, column.count, *tables, out.ctypes.data, found.ctypes.data)
    return out, found


@compiled
def _documents(
    offsets: int,
    data: int,
    count: int,
    classes: int,
    packs: int,
    in_url: int,
    table: int,
    letters: int,
    out: int,
    found: int,
) -> None:
    for index in range(count):
        begin = data + load_i64(offsets + 8 * index)
        end = data + load_i64(offsets + 8 * index + 8)
        place = out + 144 * index
        if _kinds(begin, end, classes, packs, table, letters, place):
            _symbols(begin, end, classes, place + 128)
        store_i64(place + 16, normalised(begin, end, classes))
        store_i64(place + 120, _urls(begin, end, in_url))
        store_u8(found + index, _script(letters, load_i64(place + 24)))


@internal
def _script(letters: int, total: int) -> int:
    """The script of most of ``total`` letters; ``letters``: of each script those beyond ASCII, then of all.

    They are zero afterwards.
    """
    beyond = load_i64(letters + 8 * _SCRIPTS)
    if not beyond:
        return _LATIN * (total > 0)
    best = most = 0
    add(letters + 8 * _LATIN, total - beyond)
    for script in range(1, _SCRIPTS):
        if load_i64(letters + 8 * script) > most:
            best, most = script, load_i64(letters + 8 * script)
    clear(letters, _SCRIPTS + 1)
    return best


@internal
def _kinds(begin: int, end: int, classes: int, packs: int, table: int, letters: int, out: int) -> bool:
    """Every count of COLUMNS by character; up to 255 of them are added up in the eight bytes of one number,
    eight at a time where they are ASCII. Letters beyond ASCII are counted by script at ``letters``.

    Whether a word may be a symbol: a number sign, an ellipsis or a guillemet stands in the text.
    """
    store_i64(out + 8, end - begin)
    store_i64(out + 88, _ellipses(begin, end))
    at, guillemets = begin, 0
    while at < end:
        chars = packed = marks = 0
        while at < end and chars < 248:
            word, byte = load_i64(at) if end - at >= 8 else -1, load_u8(at)
            if not word & ~0x7F7F7F7F7F7F7F7F:
                for shift in range(0, 64, 8):
                    packed += load_i64(packs + 16 * (word >> shift & 0xFF))
                    marks += load_i64(packs + 16 * (word >> shift & 0xFF) + 8)
                at += 8
                chars += 7
            elif byte < 0x80:
                packed += load_i64(packs + 16 * byte)
                marks += load_i64(packs + 16 * byte + 8)
                at += 1
            else:
                character = read(at, end)
                one = _pack(classes, character >> 3)
                packed += one
                add(letters + 8 * load_u8(table + (character >> 3)), one & 1)
                add(letters + 8 * _SCRIPTS, one & 1)
                marks += _marks(character >> 3)
                at += character & 7
                guillemets += character >> 3 == _GUILLEMET
                if character >> 3 == _ELLIPSIS:
                    store_i64(out + 88, load_i64(out + 88) + 1)
            chars += 1
        store_i64(out, load_i64(out) + chars)
        for field in range(11):
            place, numbers = out + 24 + 8 * field + 8 * (field > 7), packed if field < 8 else marks
            store_i64(place, load_i64(place) + (numbers >> 8 * (field & 7) & 0xFF))
    return load_i64(out + 80) + load_i64(out + 88) + guillemets > 0


@compiled
def _pack(classes: int, point: int) -> int:
    """A byte for each of the columns from alpha_chars to hashes: 1 where the character counts in it."""
    kind = flags(classes, point)
    packed = int(kind & ALPHA != 0) | (kind & DIGIT != 0) << 8 | (kind & UPPER != 0) << 16 | (kind & SPACE != 0) << 24
    packed |= (kind & PUNCTUATION != 0) << 32 | (kind & CONTROL != 0) << 40
    return packed | (point == 0xFFFD) << 48 | (point == _HASH) << 56


@compiled
def _marks(point: int) -> int:
    """The same of the columns from nemo_plain_chars to curly_brackets."""
    letter = 0x61 <= point | 0x20 <= 0x7A and point < 0x80
    plain = letter or 0x30 <= point <= 0x39 or point in (0x0A, 0x21, 0x2C, 0x2E, 0x3F)
    bracket = point in (0x28, 0x29, 0x5B, 0x5D, 0x7B, 0x7D, 0x27E8, 0x27E9)
    return int(plain) | bracket << 8 | (point == 0x7B) << 16


@internal
def _urls(begin: int, end: int, in_url: int) -> int:
    """Characters of URLs: http:// or https://, then at least one of what NeMo Curator lets a URL hold."""
    found, at = 0, begin
    while at < end:
        colon = find_byte(at, end, 0x3A)
        at = colon + 1
        if end - colon < 4 or load_u8(at) != 0x2F or load_u8(at + 1) != 0x2F:
            continue
        start = colon - 4 - (colon > begin and load_u8(colon - 1) == 0x73)
        if start < begin or load_i32(start) != 0x70747468:
            continue
        stop = colon + 3
        while stop < end and load_u8(stop) < 0x80 and load_u8(in_url + load_u8(stop)):
            if load_u8(stop) == 0x25 and not (_hexadecimal(stop + 1, end) and _hexadecimal(stop + 2, end)):
                break
            stop += 1
        if stop > colon + 3:
            found += stop - start
            at = stop
    return found


@internal
def _hexadecimal(at: int, end: int) -> bool:
    return at < end and (0x30 <= load_u8(at) <= 0x39 or 0x61 <= load_u8(at) | 0x20 <= 0x66)


@internal
def _symbols(begin: int, end: int, classes: int, out: int) -> None:
    """Words by white space with a number sign or an ellipsis in them, and those that NeMo Curator calls symbols."""
    at = _next(begin, end)
    while at < end:
        character = read(at, end)
        point = character >> 3
        if point in (_HASH, _ELLIPSIS, _GUILLEMET) or ends_in_dots(at, min(at + 3, end)):
            start, held = at, 0
            while start > begin and not flags(classes, last(begin, start) >> 3) & SPACE:
                start -= last(begin, start) & 7
            while at < end and not flags(classes, point) & SPACE:
                held |= point in (_HASH, _ELLIPSIS)
                at += character & 7
                character = read(at, end) if at < end else 0
                point = character >> 3
            add(out, held)
            add(out + 8, int(at - start <= 5 and _is_symbol(start, at)))
        else:
            at += character & 7
        at = _next(at, end)


@internal
def _next(at: int, end: int) -> int:
    """Where the first of # . or a byte beyond ASCII stands, or ``end``; looking at eight bytes at a time."""
    while at + 8 <= end:
        word = load_i64(at)
        mark, dot = word ^ 0x2323232323232323, word ^ 0x2E2E2E2E2E2E2E2E
        found = (mark - 0x0101010101010101) & ~mark | (dot - 0x0101010101010101) & ~dot | word
        found &= ~0x7F7F7F7F7F7F7F7F
        if found:
            return at + (trailing_zeros(found) >> 3)
        at += 8
    while at < end and load_u8(at) < 0x80 and load_u8(at) not in (0x23, 0x2E):
        at += 1
    return at


@internal
def _is_symbol(at: int, end: int) -> bool:
    """Whether a word is one of: #  ...  [...]  (...)  U+2026  [U+2026]  -U+00BB."""
    size, first, inner = end - at, load_u8(at), at
    if first in (0x5B, 0x28) and size > 2 and load_u8(end - 1) == (0x5D if first == 0x5B else 0x29):
        inner, end = at + 1, end - 1
    if end - inner == 3 and load_u8(inner) == load_u8(inner + 1) == load_u8(inner + 2) == 0x2E:
        return True
    if end - inner == 3 and read(inner, end) >> 3 == _ELLIPSIS:
        return inner == at or first == 0x5B
    if size == 3:
        return first == 0x2D and read(at + 1, end) >> 3 == _GUILLEMET
    return size == 1 and first == _HASH


@internal
def _ellipses(at: int, end: int) -> int:
    """How many times three dots stand in the text, as str.count finds them."""
    found = 0
    while at < end:
        start = at = find_byte(at, end, 0x2E)
        while at < end and load_u8(at) == 0x2E:
            at += 1
        found += (at - start) // 3
    return found


@compiled
def normalised(begin: int, end: int, classes: int) -> int:
    """Hash of the text with A-Z as a-z, runs of white space as one space and none at its ends; no other folding.

    Printable ASCII goes in eight bytes at a time, from the space before a word or the character before it on; any other
    character goes in alone.
    """
    state, size, gap, at, known, others, blanks = SEED, 0, 0, begin, begin, 0, 0
    while at < end:
        if at >= known:
            others, blanks = _masks(at, end)
            known = at + BYTES - 7
        taken = min(trailing_zeros(others), 8 - gap)
        if taken:
            word = load_i64(at) if end - at >= 8 else head(at, taken)
            word = _lower(word & ((1 << 8 * taken) - 1) if taken < 8 else word)
            state = step(state, word << 8 | 0x20 if gap else word)
            size += taken + gap
            gap = blanks >> taken & 1
            taken += gap
        else:
            character = read(at, end)
            taken = character & 7
            if flags(classes, character >> 3) & SPACE:
                gap = int(size > 0)
            else:
                state = step(step(state, 0x20) if gap else state, ~(character >> 3))
                size += 1 + gap
                gap = 0
        at += taken
        others >>= taken
        blanks >>= taken
    return finish(state, size)


@internal
def _masks(at: int, end: int) -> tuple[int, int]:
    """Which of the 64 bytes from ``at`` on are no printable ASCII, or lie beyond ``end``; which are spaces."""
    size = min(end - at, BYTES)
    if size == BYTES or at & 0xFFF <= 0x1000 - BYTES:  # else they may lie in a page that must not be read
        return ~printable(at) | (-1 << size if size < BYTES else 0), blank(at)
    others, blanks = -1 << size, 0
    for index in range(size):
        byte = load_u8(at + index)
        others |= int(not 0x20 < byte < 0x80) << index
        blanks |= int(byte == 0x20) << index
    return others, blanks


@internal
def _lower(word: int) -> int:
    """Eight bytes of ASCII with A-Z as a-z."""
    upper = (word + 0x3F3F3F3F3F3F3F3F) & ~(word + 0x2525252525252525) & ~0x7F7F7F7F7F7F7F7F
    return word | (upper >> 2 & 0x2020202020202020)
