"""What each code point is: one table of 16-bit flags, and the steps through UTF-8 that read it.

The table is made at import from ``unicodedata`` (0.1 s), so it follows the Unicode version of the running Python; only
planes 0-3 and 14 hold assigned characters. A byte that is no UTF-8 counts as one character U+FFFD, so no input can lead
a kernel outside its document.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from warehouse.kernels.hashing import head
from warehouse.kernels.jit import compiled
from warehouse.kernels.memory import load_i64, load_u8, load_u16, ones, trailing_zeros
from warehouse.kernels.scripts import points_of, ranges

SPACE = 1  # str.isspace
WORD = 2  # letters, numbers, combining marks and the underscore: Python's \w and category M
ALPHA = 4  # str.isalpha: category L
DIGIT = 8  # str.isdecimal: category Nd
UPPER = 16  # category Lu
CATEGORY_P = 32  # punctuation by its Unicode category
PUNCTUATION = 64  # punctuation as datatrove lists it: words made only of these are no words for Gopher's length rules
TERMINAL = 128  # Sentence_Terminal
BREAK = 256  # ends a line for str.splitlines
CONTROL = 512  # category Cc but the white space
JOINER = 1024  # joins two word characters: full stop, apostrophe, U+2019
RUN = 2048  # repeats within one word: full stop, hyphen, tilde
ALONE = 4096  # a word by itself, with its marks: Han, Hiragana, letters of Thai, Lao, Khmer and Burmese
KATAKANA = 8192  # a run of these is a word
MARK = 16384  # combining marks: category M

_SPACES = "9-d 1c-20 85 a0 1680 2000-200a 2028-2029 202f 205f 3000"
_BREAKS = "a-d 1c-1e 85 2028-2029"
_JOINERS = "27 2e 2019"
_RUNS = "2d-2e 7e"
_ALONE = ("Hani", "Hira", "Thai", "Laoo", "Khmr", "Mymr")
_KATAKANA = "3031-3035 30fc ff70 ff9e-ff9f"  # letters of both kana that UAX #29 counts as Katakana
# Unicode's Sentence_Terminal (PropList.txt), the set that FineWeb-2 and datatrove 0.10.1 test line ends with.
_TERMINALS = """
21 2e 3f 589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104a-104b 1362 1367-1368 166e 1735-1736 17d4-17d6 17d9-17da
1803 1809 1944-1945 1aa8-1aab 1b5a-1b5b 1b5e-1b5f 1b7d-1b7e 1c3b-1c3c 1c7e-1c7f 203c-203d 2047-2049 2e2e 2e3c 2e53-2e54
3002 a4ff a60e-a60f a6f3 a6f7 a876-a877 a8ce-a8cf a92f a9c8-a9c9 aa5d-aa5f aaf0-aaf1 abeb fe52 fe56-fe57 ff01 ff0e ff1f
ff61 10a56-10a57 10f55-10f59 10f86-10f89 11047-11048 110be-110c1 11141-11143 111c5-111c6 111cd 111de-111df 11238-11239
1123b-1123c 112a9 1144b-1144c 115c2-115c3 115c9-115d7 11641-11642 1173c-1173e 11944 11946 11a42-11a43 11a9b-11a9c
11c41-11c42 11ef7-11ef8 11f43-11f44 16a6e-16a6f 16af5 16b37-16b38 16b44 16e98 1bc9f 1da88
"""
# datatrove 0.10.1: ASCII punctuation, most control characters, typographic and full-width signs (ff11: the digit one).
_PUNCTUATION = """
0-8 b-1f 21-2f 3a-40 5b-60 7b-9f ab b4 bb 2013-2014 2019 201c-201e 2026 2236 2501 25ba 3001-3002 3008-300b 300c-300d
3010-3011 ff01 ff05 ff08-ff09 ff0c ff0e ff11 ff1a-ff1b ff1f ff5e
"""


_LISTED = (
    (_SPACES, SPACE),
    (_BREAKS, BREAK),
    (_TERMINALS, TERMINAL | PUNCTUATION),
    (_PUNCTUATION, PUNCTUATION),
    (_JOINERS, JOINER),
    (_RUNS, RUN),
    (_KATAKANA, KATAKANA),
)


def _of_category(category: str) -> int:
    """Flags that follow from the Unicode category alone."""
    kind = category[0]
    flags = WORD if kind in "LMN" else 0
    flags |= ALPHA if kind == "L" else 0
    flags |= MARK if kind == "M" else 0
    flags |= CATEGORY_P if kind == "P" else 0
    flags |= DIGIT if category == "Nd" else 0
    return flags | (UPPER if category == "Lu" else 0) | (CONTROL if category == "Cc" else 0)


def _table() -> npt.NDArray[np.uint16]:
    """uint16[0x110000]: the flags of each code point."""
    table = np.zeros(0x110000, np.uint16)
    of_category = lru_cache(_of_category)
    for part in (range(0x40000), range(0xE0000, 0xE0200)):
        table[part.start : part.stop] = [of_category(unicodedata.category(chr(point))) for point in part]
    table[ord("_")] |= WORD
    for text, flag in _LISTED:
        for part in ranges(text):
            table[part.start : part.stop] |= flag
    table[(table & SPACE) > 0] &= np.uint16(0xFFFF ^ CONTROL)
    letters = (table & (WORD | MARK | DIGIT)) == WORD
    table[letters & points_of(*_ALONE)] |= ALONE
    table[letters & points_of("Kana")] |= KATAKANA
    return table


TABLE = _table()
CLASSES = TABLE.ctypes.data
"""Address of the table; every kernel takes it as an argument, for an address must not be frozen into compiled code."""


def ascii_of(flag: int) -> list[int]:
    """The characters of ASCII with a flag."""
    return np.flatnonzero(TABLE[:0x80] & flag).tolist()


@compiled
def read(at: int, end: int) -> int:
    """The character at ``at`` as code point * 8 + bytes; a broken one as U+FFFD of one byte. Needs at < end."""
    lead = load_u8(at)
    if lead < 0x80:
        return lead * 8 + 1
    size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if lead < 0xC2 or lead > 0xF4 or at + size > end:
        return 0xFFFD * 8 + 1
    point = lead & (0x7F >> size)
    for index in range(1, size):
        byte = load_u8(at + index)
        if byte & 0xC0 != 0x80:
            return 0xFFFD * 8 + 1
        point = point << 6 | byte & 0x3F
    return min(point, 0x10FFFF) * 8 + size


@compiled
def flags(classes: int, point: int) -> int:
    """The flags of a code point."""
    return load_u16(classes + 2 * point)


@compiled
def last(begin: int, end: int) -> int:
    """The last character of begin..end as code point * 8 + bytes. Needs begin < end."""
    at = end - 1
    while at > begin and end - at < 4 and load_u8(at) & 0xC0 == 0x80:
        at -= 1
    character = read(at, end)
    return character if at + (character & 7) == end else 0xFFFD * 8 + 1


@compiled
def count(begin: int, end: int) -> int:
    """Code points in begin..end of valid UTF-8: the bytes that continue none, looking at eight at a time.

    Tried: a loop over bytes, which the compiler makes vectors of; lines are short, and took 6 % longer in ``lines``.
    """
    points, at = end - begin, begin
    while at < end:
        word = load_i64(at) if end - at >= 8 else head(at, end - at)
        points -= ones(word & ~(word << 1) & ~0x7F7F7F7F7F7F7F7F)
        at += 8
    return points


@compiled
def letters(begin: int, end: int) -> int:
    """How many ASCII letters begin..end starts with, looking at eight bytes at a time."""
    at = begin
    while at + 8 <= end:
        word = load_i64(at)
        low = (word | 0x2020202020202020) & 0x7F7F7F7F7F7F7F7F
        inside = (low + 0x1F1F1F1F1F1F1F1F) & ~(low + 0x0505050505050505) & ~word
        others = ~inside & ~0x7F7F7F7F7F7F7F7F
        if others:
            return at - begin + (trailing_zeros(others) >> 3)
        at += 8
    while at < end and 0x61 <= load_u8(at) | 0x20 <= 0x7A:
        at += 1
    return at - begin


@compiled
def skip_word(at: int, end: int) -> int:
    """Where the first byte that is no ASCII letter, digit or underscore stands, or ``end``; by eight bytes."""
    while at + 8 <= end:
        word = load_i64(at)
        low = word & 0x7F7F7F7F7F7F7F7F
        lower = low | 0x2020202020202020
        inside = (lower + 0x1F1F1F1F1F1F1F1F) & ~(lower + 0x0505050505050505)
        inside |= (low + 0x5050505050505050) & ~(low + 0x4646464646464646)
        inside |= ~((low ^ 0x5F5F5F5F5F5F5F5F) + 0x7F7F7F7F7F7F7F7F)
        others = (~inside | word) & ~0x7F7F7F7F7F7F7F7F
        if others:
            return at + (trailing_zeros(others) >> 3)
        at += 8
    while at < end and (0x61 <= load_u8(at) | 0x20 <= 0x7A or 0x30 <= load_u8(at) <= 0x39 or load_u8(at) == 0x5F):
        at += 1
    return at


@compiled
def skip_plain(at: int, end: int, least: int) -> int:
    """Where the first byte below ``least`` or beyond ASCII stands, or ``end``; looking at eight bytes at a time."""
    while at + 8 <= end:
        word = load_i64(at)
        found = ((word - 0x0101010101010101 * least) | word) & ~0x7F7F7F7F7F7F7F7F
        if found:
            return at + (trailing_zeros(found) >> 3)
        at += 8
    while at < end and least <= load_u8(at) < 0x80:
        at += 1
    return at


@compiled
def find_byte(at: int, end: int, byte: int) -> int:
    """Where the first such byte from ``at`` on stands, or ``end``; looking at eight bytes at a time."""
    wanted = 0x0101010101010101 * byte
    while at + 8 <= end:
        word = load_i64(at) ^ wanted
        found = (word - 0x0101010101010101) & ~word & ~0x7F7F7F7F7F7F7F7F
        if found:
            return at + (trailing_zeros(found) >> 3)
        at += 8
    while at < end and load_u8(at) != byte:
        at += 1
    return at


@compiled
def find_mark(at: int, end: int) -> int:
    """Where the first of . ! ? or a byte beyond ASCII stands, or ``end``; looking at eight bytes at a time."""
    while at + 8 <= end:
        word = load_i64(at)
        dot, call, ask = word ^ 0x2E2E2E2E2E2E2E2E, word ^ 0x2121212121212121, word ^ 0x3F3F3F3F3F3F3F3F
        found = (dot - 0x0101010101010101) & ~dot | (call - 0x0101010101010101) & ~call
        found = (found | (ask - 0x0101010101010101) & ~ask | word) & ~0x7F7F7F7F7F7F7F7F
        if found:
            return at + (trailing_zeros(found) >> 3)
        at += 8
    while at < end and load_u8(at) < 0x80 and load_u8(at) not in (0x2E, 0x21, 0x3F):
        at += 1
    return at


@compiled
def ends_in_dots(begin: int, end: int) -> bool:
    """Whether begin..end ends with three full stops."""
    return end - begin >= 3 and load_u8(end - 1) == 0x2E and load_u8(end - 2) == 0x2E and load_u8(end - 3) == 0x2E


@compiled
def ends_in_ellipsis(begin: int, end: int) -> bool:
    """Whether begin..end ends with U+2026."""
    return end - begin >= 3 and load_u8(end - 3) == 0xE2 and load_u8(end - 2) == 0x80 and load_u8(end - 1) == 0xA6


@compiled
def skip_space(classes: int, begin: int, end: int) -> int:
    """Where the white space at the start of begin..end ends (str.lstrip); spaces by eight bytes."""
    spaces = 8
    while spaces == 8 and end - begin >= 8:
        spaces = trailing_zeros(load_i64(begin) ^ 0x2020202020202020) >> 3
        begin += spaces
    while begin < end:
        character = read(begin, end)
        if not flags(classes, character >> 3) & SPACE:
            break
        begin += character & 7
    return begin


@compiled
def trim_space(classes: int, begin: int, end: int) -> int:
    """Where begin..end ends without the white space at its end (str.rstrip)."""
    while begin < end:
        character = last(begin, end)
        if not flags(classes, character >> 3) & SPACE:
            break
        end -= character & 7
    return end
