"""Lines and paragraphs as str.split("\\n") and its kin see them: what repeats, what is short, what ends a sentence.

A comment line starts, after white space, with #, //, -- or what opens a block (/*, <!--), or stands in such a block;
what follows code on its line is not counted, nor are Python's docstrings.

Some columns are there a second time, as ``feed_*``: with a carriage return before a line feed taken as part of it. The
published rules read lines that may end in one, as datatrove does; rules that read these see a text's lines whichever
way it ends them. One pass over a text gives both: a line is hashed without the carriage return at its end, and its key
says whether it has one.
"""

from __future__ import annotations

import numpy as np

from warehouse.kernels import characters
from warehouse.kernels.blocks import BYTES, copied, high, lowest, newline
from warehouse.kernels.characters import (
    TERMINAL,
    count,
    ends_in_dots,
    ends_in_ellipsis,
    find_byte,
    flags,
    last,
    read,
    skip_space,
    trim_space,
)
from warehouse.kernels.hashing import SEED, clear, finish, hash_word, insert, slot_of, slots_for, step
from warehouse.kernels.jit import compiled, inlined, internal
from warehouse.kernels.memory import add, load_i32, load_i64, load_u8, load_u16, ones, store_i64, trailing_zeros
from warehouse.kernels.texts import Counts, Texts

FED = (
    *("split_lines", "duplicate_lines", "duplicate_line_chars", "terminal_lines", "short_lines"),
    *("paragraphs", "duplicate_paragraphs"),
)
"""Columns that carriage returns would change."""
COLUMNS = (
    "newlines",
    "split_lines",
    "duplicate_lines",
    "duplicate_line_chars",
    "filled_lines",
    "terminal_lines",
    "short_lines",
    "duplicate_filled_chars",
    "long_lines",
    "longest_line",
    "paragraphs",
    "duplicate_paragraphs",
    "duplicate_paragraph_chars",
    "dolma_repeated_lines",
    "dolma_repeated_line_chars",
    "dolma_bullet_lines",
    "dolma_ellipsis_lines",
    "nemo_duplicate_lines",
    "nemo_bullet_lines",
    "nemo_ellipsis_lines",
    "nemo_unended_lines",
    "nemo_paragraphs",
    "nemo_duplicate_paragraphs",
    "nemo_duplicate_paragraph_chars",
    "comment_chars",
    "xml_headers",
    "carriage_returns",
    *(f"feed_{name}" for name in FED),
)
RETURNS = COLUMNS.index("carriage_returns")
_RETURNED, _LONE = 0x5DEECE66D1234567, 0x3C6EF372FE94F82B
SHORT_CHARS = 30
LONG_CHARS = 200
_BULLETS = (*(0x2022, 0x2023, 0x2043, 0x204C, 0x204D, 0x2219), *(0x25CB, 0x25CF, 0x25D8, 0x25E6, 0x29BE, 0x29BF))
_XML, _VERSION = (int.from_bytes(part, "little") for part in (b"<?xml ve", b"version="))
_READ_MORE = tuple(int.from_bytes(part, "little") for part in (b"read mor", b"ead more"))


def measure(column: Texts) -> Counts:
    """int64[n, len(COLUMNS)] of a column of texts."""
    out, memory = np.zeros((column.count, len(COLUMNS)), np.int64), np.empty(BYTES, np.uint8)
    places = (column.offsets, column.data, column.count, memory.ctypes.data)
    most = _most_newlines(*places, out.ctypes.data)
    table = np.empty(slots_for(most + 2), np.int64)
    _documents(*places, characters.CLASSES, table.ctypes.data, out.ctypes.data)
    return out


@compiled
def _most_newlines(offsets: int, data: int, total: int, memory: int, out: int) -> int:
    """The most line feeds of a document; how many each has goes to its first column."""
    most, safe = 0, data + load_i64(offsets + 8 * total) if total else data
    for index in range(total):
        begin, end = data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8)
        found = 0
        for at in range(begin, end, BYTES):
            block = at if at + BYTES <= safe else copied(at, end, memory)
            found += ones(newline(block) & lowest(min(end - at, BYTES)))
        store_i64(out + 272 * index, found)
        most = max(most, found)
    return most


@compiled
def _documents(offsets: int, data: int, total: int, memory: int, classes: int, table: int, out: int) -> None:
    safe = data + load_i64(offsets + 8 * total) if total else data
    for index in range(total):
        begin = data + load_i64(offsets + 8 * index)
        end = data + load_i64(offsets + 8 * index + 8)
        place = out + 272 * index
        newlines = load_i64(place)
        slots = slots_for(newlines + 2)
        clear(table, slots)
        _lines(begin, end, safe, memory, classes, table, slots, place)
        slots *= load_i64(place + 16) > 0
        first, final = skip_space(classes, begin, end), trim_space(classes, begin, end)
        cut = 0 if _whole(begin, first, final, end) else slots_for(newlines + 2)
        clear(table, max(slots, cut))
        _paragraphs(first, final, safe, table, max(slots, cut), place + 80)
        if load_i64(place + 208) == 0:
            store_i64(place + 256, load_i64(place + 80))
            store_i64(place + 264, load_i64(place + 88))
        else:
            again = load_i64(place + 224) > 0 or not _whole(begin, first, _past_return(final, end), end)
            cut = slots_for(newlines + 2) * again
            clear(table, cut)
            _fed_paragraphs(first, final, table, cut, place + 256)
        clear(table, slots)
        _halves(begin, end, safe, table, slots, place + 168)
        store_i64(place + 200, _xml_header(begin, end))


@internal
def _lines(begin: int, end: int, safe: int, memory: int, classes: int, table: int, slots: int, out: int) -> None:
    """Of re.split("\\n+"): lines, those met before, their characters; of split("\\n"): the lines that are not blank.

    dolma's repeated lines are all that equal another, the first one too (its ~hash is put in with the second), and of
    empty ones all if there are two. ``out`` is the document's first column. ``ended`` is 1 where a line ends with a
    carriage return before its line feed; ``wide`` where the last block ends that has characters beyond ASCII.
    """
    split = repeated = repeated_chars = filled = terminal = short = filled_chars = long_lines = longest = 0
    every = every_chars = filled_again = block = returns = 0
    edges = int(begin == end or load_u8(begin) == 0x0A) + int(begin < end and load_u8(end - 1) == 0x0A)
    ends, at, known, wide = 0, begin, begin, begin
    while at < end:
        if not ends:
            ends, known, wide = _ends(known, end, safe, memory, wide)
        stop, ends = known - BYTES + trailing_zeros(ends) if ends else end, ends & ends - 1
        if stop > at:
            chars = count(at, stop) if wide > at else stop - at
            ended = int(stop < end) & int(load_u8(stop - 1) == 0x0D)
            digest, other, lone = _keys(at, stop, ended)
            again = int(insert(table, slots, digest))
            returns += ended
            met = again if not returns else again & ~lone | _met(table, slots, other)
            _fed(int(stop - ended > at), met, chars - ended, out)
            counted = again + int(again and not insert(table, slots, ~digest))
            split += 1
            repeated += again
            repeated_chars += again * chars
            every += counted
            every_chars += counted * chars
            long_lines += chars >= LONG_CHARS
            longest = max(longest, chars)
            add(out + 120, int(load_u8(at) in (0x2A, 0x2D)))
            add(out + 128, int(ends_in_ellipsis(at, stop)))
            first = skip_space(classes, at, stop)
            if first < stop:
                filled, short = filled + 1, short + (chars <= SHORT_CHARS)
                closes = int(flags(classes, last(at, stop - ended) >> 3) & TERMINAL != 0)
                terminal += closes & ~ended
                add(out + 240, closes)
                add(out + 248, int(chars - ended <= SHORT_CHARS))
                filled_chars += again * chars
                filled_again += again
                final = trim_space(classes, first, stop)
                _marks(first, final, out)
                before, block = block, _block(block, first, final)
                if before or block or _comment(first, final):
                    add(out + 192, count(first, final))
        at = stop + 1
    empty = load_i64(out) + 1 - split
    _store(out + 8, split + edges, repeated + (edges == 2), repeated_chars, filled, terminal)
    _store(out + 48, short, filled_chars, long_lines, longest, 0)
    _store(out + 104, every + empty * (empty > 1), every_chars, load_i64(out + 120), load_i64(out + 128), filled_again)
    edges += int(returns > 0 and load_u8(begin) == 0x0D and load_u8(begin + 1) == 0x0A)
    store_i64(out + 208, returns)
    add(out + 216, edges)
    add(out + 224, int(edges == 2))


@inlined
def _ends(known: int, end: int, safe: int, memory: int, wide: int) -> tuple[int, int, int]:
    """Places of line feeds in the next block that has any; where it ends; ``wide`` at its end."""
    ends = 0
    while not ends and known < end:
        place = known if known + BYTES <= safe else copied(known, end, memory)
        ends = newline(place) & lowest(min(end - known, BYTES))
        wide = known + BYTES if high(place) else wide
        known += BYTES
    return ends, known, wide


@internal
def _keys(at: int, stop: int, ended: int) -> tuple[int, int, int]:
    """(key of a line as it is, that of the same line with its end the other way, 1 if it is one carriage return).

    Such a line is empty before a line feed, and no line is it with its end the other way.
    """
    lone = int(stop - at == 1) & int(load_u8(at) == 0x0D)
    digest = hash_word(at, max(stop - ended, at + 1))
    if lone:
        return digest ^ _LONE, digest ^ _RETURNED, 1
    return digest ^ _RETURNED * ended, digest ^ _RETURNED * (1 - ended), 0


@internal
def _met(table: int, slots: int, key: int) -> int:
    """Whether a key is in the set."""
    return int(load_i64(table + 8 * slot_of(table, slots, key)) != 0)


@internal
def _fed(filled: int, met: int, chars: int, out: int) -> None:
    """Count a line without its carriage return, if that leaves any of it, under ``feed_*``."""
    add(out + 216, filled)
    add(out + 224, filled * met)
    add(out + 232, filled * met * chars)


@internal
def _store(place: int, first: int, second: int, third: int, fourth: int, fifth: int) -> None:
    """Write five columns."""
    store_i64(place, first)
    store_i64(place + 8, second)
    store_i64(place + 16, third)
    store_i64(place + 24, fourth)
    store_i64(place + 32, fifth)


@internal
def _marks(begin: int, end: int, out: int) -> None:
    """Count a stripped line that starts with a bullet of NeMo Curator's, ends with an ellipsis or with no end mark."""
    if load_u8(begin) == 0xE2:
        add(out + 144, int(read(begin, end) >> 3 in _BULLETS))
    final = load_u8(end - 1)
    ended = final in (0x2E, 0x3F, 0x21, 0x22, 0x27)
    add(out + 160, int(not ended))
    if not ended or final == 0x2E:
        add(out + 152, int(_ellipsis(begin, end, final)))


@internal
def _ellipsis(begin: int, end: int, final: int) -> bool:
    """Whether a line ends with ... or U+2026, either in square brackets, (...), -U+00BB, "read more" or "read more..".

    ``final`` is its last byte.
    """
    if final in (0x5D, 0x29):
        opening = 0x5B if final == 0x5D else 0x28
        at = end - 5
        if at < begin or load_u8(at) != opening:
            return False
        return ends_in_dots(begin, end - 1) or (final == 0x5D and ends_in_ellipsis(begin, end - 1))
    if final == 0x2E:
        return ends_in_dots(begin, end) or (end - begin > 2 and load_u8(end - 2) == 0x2E and _read_more(begin, end - 2))
    if final == 0xBB:
        return end - begin >= 3 and load_u8(end - 2) == 0xC2 and load_u8(end - 3) == 0x2D
    return ends_in_ellipsis(begin, end) or _read_more(begin, end)


@internal
def _read_more(begin: int, end: int) -> bool:
    """Whether begin..end ends with "read more", in letters of either case."""
    if end - begin < 9:
        return False
    start, tail = load_i64(end - 9) | 0x2020202020202020, load_i64(end - 8) | 0x2020202020202020
    return start == _READ_MORE[0] and tail == _READ_MORE[1] and load_u8(end - 5) == 0x20


@internal
def _block(block: int, begin: int, end: int) -> int:
    """The last byte of what closes the block of comments that is open after a stripped line, 0: none is.

    ``block``: the same before it.
    """
    start = begin
    if not block:
        if not _opens(begin, end):
            return 0
        block, start = (0x2F, begin + 2) if load_u8(begin) == 0x2F else (0x3E, begin + 4)
    at = find_byte(start, end, block)
    while at < end:
        if block == 0x2F and at > start and load_u8(at - 1) == 0x2A:
            return 0
        if block == 0x3E and at > start + 1 and load_u8(at - 1) == 0x2D and load_u8(at - 2) == 0x2D:
            return 0
        at = find_byte(at + 1, end, block)
    return block


@internal
def _opens(begin: int, end: int) -> bool:
    """Whether begin..end starts with what opens a block of comments."""
    return end - begin >= 2 and (load_u16(begin) == 0x2A2F or (end - begin >= 4 and load_i32(begin) == 0x2D2D213C))


@internal
def _comment(begin: int, end: int) -> bool:
    """Whether a stripped line outside blocks is a comment."""
    first = load_u8(begin)
    double = end - begin >= 2 and load_u8(begin + 1) == first
    return first == 0x23 or (double and first in (0x2F, 0x2D)) or _opens(begin, end)


@internal
def _xml_header(begin: int, end: int) -> int:
    """Whether "<?xml version=" stands within the first 100 characters."""
    at, chars = begin, 0
    while at + 14 <= end and chars <= 86:
        if load_i64(at) == _XML and load_i64(at + 6) == _VERSION:
            return 1
        at += read(at, end) & 7
        chars += 1
    return 0


@internal
def _gap(at: int, end: int, safe: int) -> int:
    """Where the first of two line feeds in a row stands, or ``end``."""
    while at + BYTES < min(end, safe):
        found = newline(at) & newline(at + 1)
        if found:
            return at + trailing_zeros(found)
        at += BYTES
    while at + 1 < end and load_u16(at) != 0x0A0A:
        at += 1
    return at if at + 1 < end else end


@internal
def _halves(begin: int, end: int, safe: int, table: int, slots: int, out: int) -> None:
    """Of split("\\n\\n"), empty ones too: paragraphs, those met before, their characters. No slots: see _paragraphs."""
    paragraphs = repeated = repeated_chars = empty = 0
    at = begin
    while at <= end:
        stop = _gap(at, end, safe)
        paragraphs += 1
        empty += stop == at
        if slots and stop > at and insert(table, slots, hash_word(at, stop)):
            repeated += 1
            repeated_chars += count(at, stop)
        at = stop + 2
    store_i64(out, paragraphs)
    store_i64(out + 8, repeated + max(empty - 1, 0))
    store_i64(out + 16, repeated_chars)


@internal
def _whole(begin: int, first: int, final: int, end: int) -> bool:
    """Whether first..final, which begin..end is without white space at its ends, begins and ends where lines do."""
    if first >= final:
        return True
    return (first == begin or load_u8(first - 1) == 0x0A) and (final == end or load_u8(final) == 0x0A)


@internal
def _past_return(at: int, end: int) -> int:
    """Where the line feed of a carriage return at ``at`` stands, if it has one."""
    return at + int(at + 1 < end and load_u8(at) == 0x0D and load_u8(at + 1) == 0x0A)


@internal
def _paragraphs(begin: int, end: int, safe: int, table: int, slots: int, out: int) -> None:
    """Of re.split("\\n{2,}") on the stripped text: paragraphs, those met before, their characters.

    No slots: all its lines are whole and none was met before, so no paragraph was.
    """
    paragraphs = repeated = repeated_chars = 0
    at = begin
    while at < end:
        stop = _gap(at, end, safe)
        paragraphs += 1
        if slots and insert(table, slots, hash_word(at, stop)):
            repeated += 1
            repeated_chars += count(at, stop)
        at = stop
        while at < end and load_u8(at) == 0x0A:
            at += 1
    store_i64(out, max(paragraphs, 1))
    store_i64(out + 8, repeated)
    store_i64(out + 16, repeated_chars)


@internal
def _fed_paragraphs(begin: int, end: int, table: int, slots: int, out: int) -> None:
    """Paragraphs and those met before, as ``_paragraphs``, without carriage returns before line feeds; by line."""
    paragraphs = repeated = size = 0
    at, state = begin, SEED
    while at < end:
        stop = find_byte(at, end, 0x0A)
        final = stop - int(stop < end and stop > at and load_u8(stop - 1) == 0x0D)
        if final > at:
            state = step(state, hash_word(at, final)) if slots else state
            size += 1
        if size and (final == at or stop == end):
            paragraphs += 1
            repeated += int(slots > 0 and insert(table, slots, finish(state, size)))
            state, size = SEED, 0
        at = stop + 1
    store_i64(out, max(paragraphs, 1))
    store_i64(out + 8, repeated)
