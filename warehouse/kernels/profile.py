"""Characters by kind, and the hash of the normalised text: one walk over each document, 64 bytes at a time.

ASCII is counted by the bits of such a block, characters beyond it one by one. URLs are looked at where the block has
``://``, words that may be symbols where it has a number sign, three full stops, an ellipsis or a guillemet.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from warehouse.kernels import characters, normalised, scripts
from warehouse.kernels.blocks import BYTES, among, copied, high, lowest
from warehouse.kernels.characters import (
    ALPHA,
    CONTROL,
    DIGIT,
    PUNCTUATION,
    SPACE,
    UPPER,
    ascii_of,
    ends_in_dots,
    flags,
    last,
    read,
)
from warehouse.kernels.hashing import clear
from warehouse.kernels.jit import compiled, inlined, internal
from warehouse.kernels.memory import add, load_i32, load_i64, load_u8, ones, store_i64, store_u8, trailing_zeros
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
_ELLIPSIS, _GUILLEMET = 0x2026, 0xBB
_BROKEN = 0xFFFD * 8 + 1
_PLAIN = bytes(range(0x30, 0x3A)) + bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B)) + b"\n!,.?"
_IN_URL = np.array([chr(point) in "$-_@.&+/:=?#~!*(),%" or chr(point).isalnum() for point in range(0x80)], np.uint8)

_alpha, _digit, _upper = among(ascii_of(ALPHA)), among(ascii_of(DIGIT)), among(ascii_of(UPPER))
_space, _control, _punctuation = among(ascii_of(SPACE)), among(ascii_of(CONTROL)), among(ascii_of(PUNCTUATION))
_plain, _bracket, _curly, _hash = among(_PLAIN), among(b"()[]{}"), among(b"{"), among(b"#")
_colon, _slash, _dot = among(b":"), among(b"/"), among(b".")


def measure(column: Texts) -> tuple[Counts, npt.NDArray[np.uint8]]:
    """(int64[n, len(COLUMNS)], uint8[n]) of a column of texts: counts, and the script of most letters of each.

    The script is its place in scripts.CODES, the first of equals; letters of no script do not count.
    """
    out, found = np.zeros((column.count, len(COLUMNS)), np.int64), np.zeros(column.count, np.uint8)
    letters, memory = np.zeros(_SCRIPTS + 1, np.int64), np.empty(2 * BYTES + normalised.SCRATCH, np.uint8)
    held = (_IN_URL.ctypes.data, letters.ctypes.data, memory.ctypes.data)
    tools = np.array([characters.CLASSES, scripts.ADDRESS, *held], np.int64)
    addresses = (tools.ctypes.data, out.ctypes.data, found.ctypes.data)
    _documents(column.offsets, column.data, column.count, *addresses)
    return out, found


@compiled
def _documents(offsets: int, data: int, count: int, tools: int, out: int, found: int) -> None:
    """``tools``: addresses of the classes, the scripts, what a URL holds, the letters by script, memory."""
    safe = data + load_i64(offsets + 8 * count) if count else data
    for index in range(count):
        begin = data + load_i64(offsets + 8 * index)
        end = data + load_i64(offsets + 8 * index + 8)
        place = out + 144 * index
        store_i64(place + 8, end - begin)
        store_i64(place + 16, _document(begin, end, safe, tools, place))
        store_u8(found + index, _script(load_i64(tools + 24), load_i64(place + 24)))


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
def _document(begin: int, end: int, safe: int, tools: int, out: int) -> int:
    """Add the counts of a document to ``out``; the hash of its text. Up to ``safe`` its memory can be read.

    A white space beyond ASCII and a byte that is no UTF-8 are a block by themselves.
    """
    memory = load_i64(tools + 32)
    stream = memory + 2 * BYTES
    cursor, gap = normalised.start(stream), 1
    at = past_url = past_word = begin
    while at < end:
        cursor, size, apart, marks = normalised.room(stream, cursor), min(end - at, BYTES), 0, 0
        block = at if at + 2 * BYTES <= safe else copied(at, min(at + 2 * BYTES, end), memory)
        beyond = high(block) & lowest(size)
        if beyond:
            size, apart, marks = _beyond(at, end, size, beyond, tools, out)
        if apart:
            cursor = normalised.write_broken(cursor) if apart == _BROKEN else normalised.write_space(cursor, gap)
            gap = int(apart != _BROKEN)
        else:
            known = lowest(size)
            colons, dots, hashes, spaces = _ascii(block, size, known, known & ~beyond, out)
            if colons:
                past_url = _urls(begin, end, at, colons, past_url, load_i64(tools + 16), out + 120)
            if dots:
                add(out + 88, _ellipses(begin, end, at, dots))
            if marks | dots | hashes:
                past_word = _symbols(begin, end, at, marks | dots | hashes, past_word, load_i64(tools), out + 128)
            cursor = normalised.write(block, known & ~(spaces & (spaces << 1 | gap)), cursor)
            gap = spaces >> size - 1 & 1
        at += size
    return normalised.hashed(stream, cursor)


@inlined
def _before(bits: int, places: int, size: int) -> int:
    """Which of ``size`` bits have one of ``bits`` so many places after them, or may have it after the last."""
    return bits >> places | -1 << max(size - places, 0)


@internal
def _ascii(block: int, size: int, known: int, ascii_only: int, out: int) -> tuple[int, int, int, int]:
    """Count the ASCII among the first ``size`` bytes of a block; the places of ://, of ..., of #, of white space.

    What may go on after the block counts as found.
    """
    alpha, digit, upper, spaces = _alpha(block), _digit(block), _upper(block), _space(block) & known
    punctuation, control, plain, bracket = _punctuation(block), _control(block), _plain(block), _bracket(block)
    curly, hashes, dots, slashes = _curly(block), _hash(block) & known, _dot(block) & known, _slash(block)
    colons = _colon(block) & known & _before(slashes, 1, size) & _before(slashes, 2, size)
    add(out, ones(ascii_only))
    add(out + 24, ones(alpha & known))
    add(out + 32, ones(digit & known))
    add(out + 40, ones(upper & known))
    add(out + 48, ones(spaces))
    add(out + 56, ones(punctuation & known))
    add(out + 64, ones(control & known))
    add(out + 80, ones(hashes))
    add(out + 96, ones(plain & known))
    add(out + 104, ones(bracket & known))
    add(out + 112, ones(curly & known))
    return colons, dots & _before(dots, 1, size) & _before(dots, 2, size), hashes, spaces


@internal
def _beyond(at: int, end: int, size: int, beyond: int, tools: int, out: int) -> tuple[int, int, int]:
    """Count the characters beyond ASCII of a block: (its size; a character that makes up all of it; its marks).

    The block ends before a character that reaches beyond it, and before and after one that goes apart.
    """
    packed = chars = marks = apart = 0
    while beyond and not apart:
        place = trailing_zeros(beyond)
        character = read(at + place, end)
        point, stop = character >> 3, place + (character & 7)
        one = _pack(load_i64(tools), point)
        apart = character * int(one >> 24 & 1 or character == _BROKEN)
        if place and (apart or stop > BYTES):
            size, apart = place, 0
            break
        packed += one
        chars += 1
        _letter(point, one & 1, tools)
        marks |= int(point in (_ELLIPSIS, _GUILLEMET)) << place
        add(out + 88, int(point == _ELLIPSIS))
        add(out + 104, int(point in (0x27E8, 0x27E9)))
        beyond &= -2 << stop - 1
    add(out, chars)
    for field in range(7):
        add(out + 24 + 8 * field, packed >> 8 * field & 0xFF)
    return character & 7 if apart else size, apart, marks


@internal
def _letter(point: int, is_letter: int, tools: int) -> None:
    """Count a letter beyond ASCII by its script, and with all."""
    letters = load_i64(tools + 24)
    add(letters + 8 * load_u8(load_i64(tools + 8) + point), is_letter)
    add(letters + 8 * _SCRIPTS, is_letter)


@internal
def _pack(classes: int, point: int) -> int:
    """A byte for each of the columns from alpha_chars to replacement_chars: 1 where the character counts in it."""
    kind = flags(classes, point)
    packed = int(kind & ALPHA != 0) | (kind & DIGIT != 0) << 8 | (kind & UPPER != 0) << 16 | (kind & SPACE != 0) << 24
    return packed | (kind & PUNCTUATION != 0) << 32 | (kind & CONTROL != 0) << 40 | (point == 0xFFFD) << 48


@internal
def _urls(begin: int, end: int, at: int, colons: int, past: int, in_url: int, out: int) -> int:
    """Add the characters of the URLs whose colons these are; where the last URL ends. ``past``: the same before."""
    while colons:
        colon = at + trailing_zeros(colons)
        size = _url(begin, end, colon, in_url) if colon >= past else 0
        if size:
            start = colon - 4 - int(load_u8(colon - 1) == 0x73)
            add(out, size)
            past = start + size
        colons &= colons - 1
    return past


@internal
def _url(begin: int, end: int, colon: int, in_url: int) -> int:
    """Characters of a URL by its colon: http:// or https://, then at least one of what NeMo Curator lets a URL hold."""
    if end - colon < 4 or load_u8(colon + 1) != 0x2F or load_u8(colon + 2) != 0x2F:
        return 0
    start = colon - 4 - int(colon > begin and load_u8(colon - 1) == 0x73)
    if start < begin or load_i32(start) != 0x70747468:
        return 0
    stop = colon + 3
    while stop < end and load_u8(stop) < 0x80 and load_u8(in_url + load_u8(stop)):
        if load_u8(stop) == 0x25 and not (_hexadecimal(stop + 1, end) and _hexadecimal(stop + 2, end)):
            break
        stop += 1
    return stop - start if stop > colon + 3 else 0


@internal
def _hexadecimal(at: int, end: int) -> bool:
    return at < end and (0x30 <= load_u8(at) <= 0x39 or 0x61 <= load_u8(at) | 0x20 <= 0x66)


@internal
def _ellipses(begin: int, end: int, at: int, dots: int) -> int:
    """How many times three dots stand in the runs of dots that begin at these places, as str.count finds them."""
    found = 0
    while dots:
        start = stop = at + trailing_zeros(dots)
        while stop < end and load_u8(stop) == 0x2E:
            stop += 1
        if start == begin or load_u8(start - 1) != 0x2E:
            found += (stop - start) // 3
        dots &= -2 << min(stop - at, BYTES) - 1
    return found


@internal
def _symbols(begin: int, end: int, at: int, marks: int, past: int, classes: int, out: int) -> int:
    """Count the words with these marks; where the last word ends. ``past``: the same before."""
    while marks:
        place = at + trailing_zeros(marks)
        if place >= past and (load_u8(place) != 0x2E or ends_in_dots(place, min(place + 3, end))):
            past = _word(begin, end, place, classes, out)
        marks &= marks - 1
    return past


@internal
def _word(begin: int, end: int, at: int, classes: int, out: int) -> int:
    """Where the word by white space around a mark ends; count it if it has a number sign or an ellipsis in it, and if
    it is what NeMo Curator calls a symbol.
    """
    start, held = at, 0
    while start > begin and not flags(classes, last(begin, start) >> 3) & SPACE:
        start -= last(begin, start) & 7
    while at < end:
        character = read(at, end)
        if flags(classes, character >> 3) & SPACE:
            break
        held |= character >> 3 in (0x23, _ELLIPSIS)
        at += character & 7
    add(out, held)
    add(out + 8, int(at - start <= 5 and _is_symbol(start, at)))
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
    return size == 1 and first == 0x23
