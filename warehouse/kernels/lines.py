"""Lines and paragraphs as str.split("\\n") and its kin see them: what repeats, what is short, what ends a sentence."""

from __future__ import annotations

import numpy as np

from warehouse.kernels import characters
from warehouse.kernels.characters import TERMINAL, count, find_byte, flags, last, skip_space, trim_space
from warehouse.kernels.hashing import clear, hash_bytes, insert, slots_for
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import load_i64, load_u8, store_i64
from warehouse.kernels.texts import Counts, Texts

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
)
SHORT_CHARS = 30
LONG_CHARS = 200


def measure(column: Texts) -> Counts:
    """int64[n, len(COLUMNS)] of a column of texts."""
    out = np.zeros((column.count, len(COLUMNS)), np.int64)
    most = _most_newlines(column.offsets, column.data, column.count)
    table = np.empty(slots_for(most + 2), np.int64)
    _documents(column.offsets, column.data, column.count, characters.CLASSES, table.ctypes.data, out.ctypes.data)
    return out


@compiled
def newlines_in(begin: int, end: int) -> int:
    """How many bytes are \\n."""
    found = 0
    for at in range(begin, end):
        found += load_u8(at) == 0x0A
    return found


@compiled
def _most_newlines(offsets: int, data: int, texts: int) -> int:
    most = 0
    for index in range(texts):
        most = max(most, newlines_in(data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8)))
    return most


@compiled
def _documents(offsets: int, data: int, texts: int, classes: int, table: int, out: int) -> None:
    for index in range(texts):
        begin = data + load_i64(offsets + 8 * index)
        end = data + load_i64(offsets + 8 * index + 8)
        place = out + 104 * index
        newlines = newlines_in(begin, end)
        slots = slots_for(newlines + 2)
        store_i64(place, newlines)
        clear(table, slots)
        _lines(begin, end, classes, table, slots, place + 8)
        clear(table, slots)
        _paragraphs(skip_space(classes, begin, end), trim_space(classes, begin, end), table, slots, place + 80)


@compiled
def line_end(begin: int, end: int) -> int:
    """Where the next \\n stands, or ``end``."""
    return find_byte(begin, end, 0x0A)


@internal
def _lines(begin: int, end: int, classes: int, table: int, slots: int, out: int) -> None:
    """Of re.split("\\n+"): lines, those met before, their characters; of split("\\n"): the lines that are not blank."""
    split = repeated = repeated_chars = filled = terminal = short = filled_chars = long_lines = longest = 0
    edges = int(begin == end or load_u8(begin) == 0x0A) + int(begin < end and load_u8(end - 1) == 0x0A)
    at = begin
    while at < end:
        stop = line_end(at, end)
        if stop > at:
            chars = count(at, stop)
            again = insert(table, slots, hash_bytes(at, stop))
            split += 1
            repeated += again
            repeated_chars += again * chars
            long_lines += chars >= LONG_CHARS
            longest = max(longest, chars)
            if skip_space(classes, at, stop) < stop:
                filled += 1
                terminal += flags(classes, last(at, stop) >> 3) & TERMINAL != 0
                short += chars <= SHORT_CHARS
                filled_chars += again * chars
        at = stop + 1
    store_i64(out, split + edges)
    store_i64(out + 8, repeated + (edges == 2))
    store_i64(out + 16, repeated_chars)
    store_i64(out + 24, filled)
    store_i64(out + 32, terminal)
    store_i64(out + 40, short)
    store_i64(out + 48, filled_chars)
    store_i64(out + 56, long_lines)
    store_i64(out + 64, longest)


@internal
def _paragraphs(begin: int, end: int, table: int, slots: int, out: int) -> None:
    """Of re.split("\\n{2,}") on the stripped text: paragraphs, those met before, their characters."""
    paragraphs = repeated = repeated_chars = 0
    at = begin
    while at < end:
        stop = line_end(at, end)
        while stop + 1 < end and load_u8(stop + 1) != 0x0A:
            stop = line_end(stop + 1, end)
        paragraphs += 1
        if insert(table, slots, hash_bytes(at, stop)):
            repeated += 1
            repeated_chars += count(at, stop)
        at = stop
        while at < end and load_u8(at) == 0x0A:
            at += 1
    store_i64(out, max(paragraphs, 1))
    store_i64(out + 8, repeated)
    store_i64(out + 16, repeated_chars)
