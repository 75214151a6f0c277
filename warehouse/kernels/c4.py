"""Lines as str.splitlines sees them: Gopher's bullets and ellipses, which C4 rule drops each line, what is left.

C4 (Raffel et al. 2020, section 2.2) and datatrove 0.10.1: a line falls to the first rule that it breaks, in this order:
a word of more than 1,000 characters; citations are cut out; no terminal mark at its end; fewer than 3 words; "lorem
ipsum" (drops the document); "javascript"; "{" (drops the document); a policy phrase. ``c4_open_*`` are the same without
the rule of terminal marks, FineWeb's setting. Each family adds up: lines = its dropped lines + its kept ones.
``edits`` says, by the same decisions, which bytes go so that the kept lines are left, as datatrove leaves them;
``c4_open_left_*`` are of what FineWeb's setting leaves, for FineWeb's rules read that. A line has the same words by
itself as within its text, so only lines that lose a citation are cut into words again.

Where words are ``unicode``, a line of a text without spaces is judged as one that has them: its words are those between
white space once a word of UNSPACED (warehouse.kernels.words) has a space on both sides. Any line then ends a sentence
also with a Sentence_Terminal beyond ASCII, such as U+3002 or U+FF1F, and with a closing corner bracket (U+300D,
U+300F), as C4 takes quotation marks.

What differs from datatrove: the rules that drop a document are counted on all lines, where it stops at the first hit;
phrases are found in ASCII letters of either case (str.lower also maps the Kelvin sign). Sentences of a kept line are
spaCy's where the words are (benchmarks/signals.py compares), else counted by characters: then 99.9 % of decisions are
datatrove's on 967 documents (books, Python packages, 67 languages), 99.7 % in FineWeb's setting.
"""

from __future__ import annotations

import numpy as np

from warehouse.contracts import Words
from warehouse.kernels import characters
from warehouse.kernels.blocks import BYTES, ascii_space, continued, high, line_breaks, one_page
from warehouse.kernels.c4_phrases import (
    AHEAD,
    CITED,
    CURLY,
    JAVASCRIPT,
    LOREM,
    OTHER_POLICY,
    POLICY,
    citation,
    held,
    phrases_in,
    starting,
    without_citations,
)
from warehouse.kernels.characters import (
    ALONE,
    BREAK,
    MARK,
    SPACE,
    TERMINAL,
    count,
    ends_in_dots,
    ends_in_ellipsis,
    find_byte,
    flags,
    last,
    read,
    skip_plain,
    skip_space,
    trim_space,
)
from warehouse.kernels.hashing import clear, hash_word, insert, slots_for
from warehouse.kernels.jit import by_address, compiled, internal
from warehouse.kernels.lines import SHORT_CHARS
from warehouse.kernels.memory import add, call, load_i32, load_i64, load_u8, ones, store_i64, trailing_zeros
from warehouse.kernels.sentences import MEMO, by_characters, by_words
from warehouse.kernels.texts import Counts, Texts
from warehouse.kernels.words import MODES, UNICODE, UNSPACED, LineWords, counted, tools_for

COLUMNS = (
    "lines",
    "bullet_lines",
    "ellipsis_lines",
    "c4_long_word_lines",
    "c4_kept_lines",
    "c4_few_words_lines",
    "c4_lorem_ipsum_lines",
    "c4_javascript_lines",
    "c4_curly_bracket_lines",
    "c4_policy_lines",
    "c4_sentences",
    "c4_no_terminal_lines",
    "c4_open_kept_lines",
    "c4_open_few_words_lines",
    "c4_open_lorem_ipsum_lines",
    "c4_open_javascript_lines",
    "c4_open_curly_bracket_lines",
    "c4_open_policy_lines",
    "c4_open_sentences",
    "lorem_ipsum_lines",
    "javascript_lines",
    "nemo_boilerplate_paragraphs",
    "c4_open_left_words",
    "c4_open_left_chars",
    "c4_open_left_newlines",
    "c4_open_left_filled_lines",
    "c4_open_left_terminal_lines",
    "c4_open_left_short_lines",
    "c4_open_left_duplicate_filled_chars",
)
EDITED = (
    *("kept", "few_words", "lorem_ipsum", "javascript", "curly_bracket", "policy", "long_word", "no_terminal"),
    *("citations", "spans"),
)
_KEPT, _FEW_WORDS = 0, 1
_LONG_WORD, _NO_TERMINAL, _CITATIONS, _SPANS = range(6, 10)
_DECIDING = 1 << LOREM | 1 << JAVASCRIPT | 1 << CURLY | 1 << POLICY
_BOILERPLATE = 1 << POLICY | 1 << OTHER_POLICY
_MAX_WORD_CHARS = 1000
_MIN_WORDS = 3
_SOLID = (_MAX_WORD_CHARS - BYTES + 2) // BYTES  # whole blocks that a longer word fills at least
_LEAST_KEPT = 5  # bytes of a line that is kept
_CLOSING = (0x300D, 0x300F)


def measure(column: Texts, words: Words, line_words: LineWords) -> Counts:
    """int64[n, len(COLUMNS)] of a column of texts; sentences are spaCy's where the words are.

    line_words: what ``words.measure`` gives of the same column in the same mode.
    """
    out = np.zeros((column.count, len(COLUMNS)), np.int64)
    most = column.longest // _LEAST_KEPT + 1
    line, kept = np.empty(column.longest + 1, np.uint8), np.empty(2 * most, np.int64)
    table = np.empty(slots_for(most), np.int64)
    tools, _spare = tools_for(words, column.longest)
    places = line.ctypes.data, kept.ctypes.data, table.ctypes.data
    memo = np.zeros((MEMO, 2), np.int64)
    lines = np.empty(column.longest + 1, np.int64)
    rest = _left(), memo.ctypes.data, lines.ctypes.data
    tools = np.append(tools, [counted(), MODES[words], *places, *places[:2], *rest])
    _documents(column.offsets, column.data, column.count, tools.ctypes.data, line_words.ctypes.data, out.ctypes.data)
    return out


def edits(column: Texts, *, needs_mark: bool, words: Words = "spacy_en") -> tuple[Counts, Counts]:
    """(spans, counts): what a text loses so that C4's kept lines are left, joined by line feeds, stripped as a whole.

    spans: int64[found, 3] by document and place: first byte, the byte after, and 1 if a line feed stands in its place,
    else 0. counts: int64[n, len(EDITED)]: lines of each outcome, citations cut out of kept lines, and spans.
    needs_mark: whether a line must end in a terminal mark, C4's setting; FineWeb's is without. words: as ``measure``.
    """
    spans = np.empty((column.bytes // 2 + 2 * column.count, 3), np.int64)  # a citation has 2 bytes, a line 5
    counts = np.zeros((column.count, len(EDITED)), np.int64)
    line = np.empty(column.longest + 1, np.uint8)
    places = np.empty(column.longest + 1, np.int64)
    addresses = characters.CLASSES, line.ctypes.data, needs_mark, _apart(MODES[words]), places.ctypes.data
    tools = np.array(addresses, np.int64)
    _edits(column.offsets, column.data, column.count, tools.ctypes.data, counts.ctypes.data, spans.ctypes.data)
    return spans[: counts[:, _SPANS].sum()].copy(), counts


@compiled
def _documents(offsets: int, data: int, texts: int, tools: int, words: int, out: int) -> None:
    """tools: as in ``words``, then where words are counted and their mode, memory for lines without citations, for the
    bounds of kept lines and for a set of their hashes, where in the first two the next one goes, ``_left``, the memo,
    memory for ``_find_lines``.
    """
    classes, lines, safe = load_i64(tools), load_i64(tools + 96), _end(offsets, data, texts)
    for index in range(texts):
        begin, end = data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8)
        place = out + 232 * index
        store_i64(tools + 64, load_i64(tools + 40))
        store_i64(tools + 72, load_i64(tools + 48))
        newline, boilerplate, total, word, after = 0, 0, 0, words + 4, begin
        found = _find_lines(begin, end, safe, classes, lines)
        store_i64(place, found)
        for line in range(lines, lines + 8 * found, 8):
            at, stop, after, holds = after, *_line_at(line, begin)
            first = _filled(at, stop, classes)
            before, total = total, load_i32(word)
            final = max(first, trim_space(classes, first, stop))
            boilerplate |= _line(first, final, total - before, holds, tools, place)
            fed = after > stop and load_u8(after - 1) == 0x0A
            if fed:
                paired = newline == after - 2
                newline = 0 if paired else after - 1
                if paired:
                    add(place + 168, boilerplate)
                    boilerplate = 0
            word += 4 + 4 * (fed and after - stop == 2)
        add(place + 168, boilerplate)
        call(load_i64(tools + 80), load_i64(tools + 48), load_i64(tools + 72), tools, place + 184)
        words += 4 * load_i32(words) + 4


@internal
def _end(offsets: int, data: int, texts: int) -> int:
    """The address after the last text; a column of none has no offsets."""
    return data + load_i64(offsets + 8 * texts) if texts else data


@internal
def _find_lines(begin: int, end: int, safe: int, classes: int, out: int) -> int:
    """How many lines a text has; at ``out`` of each, 8 bytes: see ``_line_at``. Bytes up to ``safe`` can be read."""
    place, line, holds, at = out, begin, 0, begin
    while at < end:
        whole = at + BYTES + AHEAD <= safe
        breaks, marks = (line_breaks(at), starting(at)) if whole else (1, 1)
        if end - at < BYTES:
            breaks, marks = breaks & (1 << (end - at)) - 1, marks & (1 << (end - at)) - 1
        while breaks:
            bit = breaks & -breaks
            breaks ^= bit
            stop = at + trailing_zeros(bit)
            size = _break_size(stop, end, classes)
            if stop < line or size == 0:
                continue
            holds |= held(at, marks & (bit - 1), end, classes)
            marks &= -bit
            store_i64(place, (stop - begin) << 16 | size << 12 | holds)
            place, line, holds = place + 8, stop + size, 0
        holds |= held(at, marks, end, classes)
        at += BYTES if whole else 1
    if line < end:
        store_i64(place, (end - begin) << 16 | holds)
        place += 8
    return (place - out) >> 3


@internal
def _break_size(at: int, end: int, classes: int) -> int:
    """Bytes of the break that ends a line at ``at``, as str.splitlines does; 0: there is none."""
    character = read(at, end)
    if not flags(classes, character >> 3) & BREAK:
        return 0
    return 2 if character >> 3 == 0x0D and at + 1 < end and load_u8(at + 1) == 0x0A else character & 7


@internal
def _line_at(line: int, begin: int) -> tuple[int, int, int]:
    """(where a line that ``_find_lines`` wrote ends, where the next begins, bits of what it holds: see ``held``)."""
    packed = load_i64(line)
    stop = begin + (packed >> 16)
    return stop, stop + (packed >> 12 & 0xF), packed & 0xFFF


@internal
def _filled(at: int, end: int, classes: int) -> int:
    """Where the white space at the start of at..end ends."""
    if one_page(at, BYTES):
        at = min(at + trailing_zeros(~ascii_space(at)), end)
    return skip_space(classes, at, end)


@compiled
def _apart(mode: int) -> int:
    """Flags of characters that begin a word of a line wherever they stand."""
    return UNSPACED if mode == UNICODE else 0


@internal
def _line(begin: int, end: int, words: int, found: int, tools: int, out: int) -> int:
    """Count one stripped line of so many words that holds ``found``; whether it is boilerplate for NeMo Curator."""
    classes, english, apart = load_i64(tools), load_i64(tools + 8), _apart(load_i64(tools + 32))
    add(out + 8, _bullet(begin, end))
    add(out + 16, int(ends_in_dots(begin, end) or ends_in_ellipsis(begin, end)))
    if found:
        add(out + 152, found >> LOREM & 1)
        add(out + 160, found >> JAVASCRIPT & 1)
    start, size = begin, end - begin
    outcome, begin, end = _judged(begin, end, found, classes, apart, load_i64(tools + 64))
    if outcome == _LONG_WORD:
        add(out + 24, 1)
        return int(found & _BOILERPLATE != 0)
    if outcome == _KEPT:
        _keep(start, size, begin, end, words, tools, out + 176)
    sentences = 0
    if outcome == _KEPT and english:
        sentences = by_words(begin, end, classes, english, load_i64(tools + 16), load_i64(tools + 88))
    elif outcome == _KEPT:
        sentences = by_characters(begin, end, classes)
    add(out + 96 + 8 * outcome, 1)
    add(out + 144, sentences)
    ends = int(_ends_sentence(begin, end, classes, apart))
    add(out + 32 + 8 * outcome, ends)
    add(out + 80, ends * sentences)
    add(out + 88, 1 - ends)
    return int(found & _BOILERPLATE != 0)


@internal
def _keep(start: int, size: int, begin: int, end: int, words: int, tools: int, out: int) -> None:
    """Add a kept line to those that are left: start, size and words before its citations went, then begin..end."""
    if end - begin < size:
        words = call(load_i64(tools + 24), begin, end, tools, load_i64(tools + 32))
        store_i64(tools + 64, end)
    else:
        begin, end = start, start + size
    place = load_i64(tools + 72)
    store_i64(place, begin)
    store_i64(place + 8, end)
    store_i64(tools + 72, place + 16)
    add(out, words)


@by_address
def _left(lines: int, stop: int, tools: int, out: int) -> int:
    """Count what the kept lines are, whose bounds lie at lines..stop, when joined by line feeds and stripped.

    How many of them are not blank.
    """
    classes, table = load_i64(tools), load_i64(tools + 56)
    while lines < stop and _blank(lines, classes):
        lines += 16
    while lines < stop and _blank(stop - 16, classes):
        stop -= 16
    if lines == stop:
        return 0
    store_i64(lines, skip_space(classes, load_i64(lines), load_i64(lines + 8)))
    store_i64(stop - 8, trim_space(classes, load_i64(stop - 16), load_i64(stop - 8)))
    newlines = ((stop - lines) >> 4) - 1
    slots = slots_for(newlines + 1)
    clear(table, slots)
    total, filled, terminal, short, duplicate = newlines, 0, 0, 0, 0
    for place in range(lines, stop, 16):
        begin, end = load_i64(place), load_i64(place + 8)
        chars = _chars(begin, end)
        total += chars
        if not _blank(place, classes):
            filled += 1
            terminal += flags(classes, last(begin, end) >> 3) & TERMINAL != 0
            short += chars <= SHORT_CHARS
            duplicate += chars * insert(table, slots, hash_word(begin, end))
    store_i64(out, total)
    store_i64(out + 8, newlines)
    store_i64(out + 16, filled)
    store_i64(out + 24, terminal)
    store_i64(out + 32, short)
    store_i64(out + 40, duplicate)
    return filled


@internal
def _chars(begin: int, end: int) -> int:
    """Code points in begin..end, looking at 64 bytes at a time."""
    chars, at = end - begin, begin
    while at + BYTES <= end:
        chars -= ones(continued(at))
        at += BYTES
    if at == end or not one_page(at, BYTES):
        return chars - (end - at) + count(at, end)
    return chars - ones(continued(at) & (1 << (end - at)) - 1)


@internal
def _blank(line: int, classes: int) -> bool:
    """Whether a line whose bounds lie at ``line`` is white space alone."""
    begin, end = load_i64(line), load_i64(line + 8)
    return skip_space(classes, begin, end) == end


@internal
def _judged(begin: int, end: int, phrases: int, classes: int, apart: int, spare: int) -> tuple[int, int, int]:
    """The outcome of a stripped line, but for the rule of terminal marks, and the line without its citations.

    phrases: what the line holds with them.
    """
    words = _some_words(begin, end, classes, apart)
    if words < 0:
        return _LONG_WORD, begin, end
    if phrases >> CITED & 1:
        begin, end = without_citations(begin, end, classes, spare)
        phrases = phrases_in(begin, end, classes)
    return _FEW_WORDS if words < _MIN_WORDS else trailing_zeros(phrases & _DECIDING) & 63, begin, end


@internal
def _bullet(begin: int, end: int) -> int:
    """Whether the line starts with a hyphen or U+2022."""
    if begin >= end:
        return 0
    return int(load_u8(begin) == 0x2D or (end - begin >= 3 and read(begin, end) >> 3 == 0x2022))


@internal
def _ends_sentence(begin: int, end: int, classes: int, apart: int) -> bool:
    """Whether the line ends in one of . ? ! " ' but not in three dots; if ``apart``, in what ends one beyond ASCII."""
    if begin >= end:
        return False
    mark = load_u8(end - 1)
    if apart and mark >= 0x80:
        point = last(begin, end) >> 3
        return flags(classes, point) & TERMINAL != 0 or point in _CLOSING
    if mark == 0x2E:
        return not ends_in_dots(begin, end)
    return mark in (0x3F, 0x21, 0x22, 0x27)


@internal
def _some_words(begin: int, end: int, classes: int, apart: int) -> int:
    """``_words`` of a line; from which of its first 64 bytes are white space, if they are ASCII and settle it."""
    size = end - begin
    long = size > _MAX_WORD_CHARS and _solid(begin, end)
    if long or size == 0 or not one_page(begin, BYTES):
        return _words(begin, end, classes, apart, long)
    known = -1 if size >= BYTES else (1 << size) - 1
    filled = ~ascii_space(begin) & known
    words = ones(filled & ~(filled << 1))
    if high(begin) & known or (words < _MIN_WORDS and size > BYTES):
        return _words(begin, end, classes, apart, long)
    return min(words, _MIN_WORDS)


@internal
def _solid(begin: int, end: int) -> bool:
    """Whether so many blocks in turn hold no white space of ASCII as a word of over 1,000 characters needs."""
    solid = 0
    for at in range(begin, end - BYTES + 1, BYTES):
        solid = 0 if ascii_space(at) else solid + 1
        if solid == _SOLID:
            return True
    return False


@internal
def _words(begin: int, end: int, classes: int, apart: int, long: bool) -> int:
    """Words between white space, but 3 for more; -1: one has over 1,000 characters, which can be only if ``long``.

    apart: flags of characters that are words of their own with marks after them, or in runs of KATAKANA.
    """
    words = chars = within = 0
    at = begin
    while at < end and (words < _MIN_WORDS or long):
        size = skip_plain(at, end, 0x21) - at
        if size == 0:
            character = read(at, end)
            kind = flags(classes, character >> 3)
            if kind & SPACE:
                at += character & 7
                chars = within = 0
                continue
            unspaced = within if kind & MARK else kind & apart
            if unspaced != within or (unspaced & ALONE and not kind & MARK):
                chars, within = 0, unspaced
        elif within:
            chars = within = 0
        words += chars == 0
        chars += size if size else 1
        at += size if size else character & 7
        if chars > _MAX_WORD_CHARS:
            return -1
    return min(words, _MIN_WORDS)


@compiled
def _edits(offsets: int, data: int, texts: int, tools: int, counts: int, out: int) -> None:
    safe = _end(offsets, data, texts)
    for index in range(texts):
        place = counts + 80 * index
        begin, end = data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8)
        found = _edit(begin, end, safe, tools, place, out)
        store_i64(place + 72, found)
        out += 24 * found


@internal
def _edit(begin: int, end: int, safe: int, tools: int, counts: int, out: int) -> int:
    """Write the spans of a text at ``out``; how many there are.

    solid: where what is left ends, white space at its end apart (begin: nothing is left); sure: spans before that;
    edge: where the last kept line ends.
    """
    classes, lines = load_i64(tools), load_i64(tools + 32)
    found = sure = 0
    solid = edge = after = begin
    for line in range(lines, lines + 8 * _find_lines(begin, end, safe, classes, lines), 8):
        at, stop, after, holds = after, *_line_at(line, begin)
        first = _filled(at, stop, classes)
        last = max(first, trim_space(classes, first, stop))
        outcome = _settled(first, last, holds, tools)
        add(counts + 8 * outcome, 1)
        if outcome != _KEPT:
            continue
        if solid > begin:
            found += _joined(out + 24 * found, edge, first, begin)
        piece, place, edge = first, first, last
        while piece < last:
            place = find_byte(place, last, 0x5B)
            cited = citation(place, last, classes) if place < last else last
            if cited == place < last:
                place += 1
                continue
            filled = trim_space(classes, piece, place)
            if filled > piece:
                if solid == begin:
                    found = _span(out, begin, skip_space(classes, piece, filled), 0, begin)
                solid, sure = filled, found
            found += _span(out + 24 * found, place, cited, 0, begin)
            add(counts + 64, place < last)
            piece = place = cited
    return sure + _span(out + 24 * sure, solid, end, 0, begin)


@internal
def _settled(first: int, last: int, phrases: int, tools: int) -> int:
    """The outcome of a stripped line, which holds these phrases, by all rules."""
    outcome, begin, end = _judged(first, last, phrases, load_i64(tools), load_i64(tools + 24), load_i64(tools + 8))
    ends = _ends_sentence(begin, end, load_i64(tools), load_i64(tools + 24))
    if outcome != _LONG_WORD and load_i64(tools + 16) and not ends:
        return _NO_TERMINAL
    return outcome


@internal
def _span(place: int, start: int, stop: int, feed: int, begin: int) -> int:
    """Write a span as places in the text; 0 if it is empty, else 1."""
    store_i64(place, start - begin)
    store_i64(place + 8, stop - begin)
    store_i64(place + 16, feed)
    return int(start < stop)


@internal
def _joined(place: int, edge: int, first: int, begin: int) -> int:
    """Write the span between two kept lines: all of it but a line feed at its start, else one stands in its place."""
    feed = load_u8(edge) == 0x0A
    return _span(place, edge + feed, first, 1 - feed, begin)
