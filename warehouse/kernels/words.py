"""Words and repeated n-grams: each document is cut into words once; every rule on words reads the result.

``spacy_en`` words are those of spaCy's English tokenizer (warehouse.kernels.english), whatever the language, for the
published thresholds were set for them. ``unicode`` words are runs of letters, numbers, combining marks and underscores,
with a full stop or an apostrophe (' or U+2019) between two of them ("don't", "3.14", "a.b" are one word each); else a
run of full stops, of hyphens or of tildes ("...", "-----"); else one single character that is no white space. So
punctuation counts, as in spaCy (which makes two words of "don't" and one of a URL). ``whitespace`` words are runs of
anything but white space.

``unicode`` cuts what is written without spaces as Unicode's default word boundaries do (UAX #29, without rule WB13a, by
which an underscore joins a run of Katakana): a Han or Hiragana character with the combining marks after it is a word, a
run of Katakana with its marks is one. For Thai, Lao, Khmer and Burmese UAX #29 asks for dictionaries; here each letter
with the marks after it is a word, which is what its rules leave where there is none. So such words are shorter than a
reader's, and counts of them higher. ``spacy_en`` takes such text for a few long words, as datatrove does.

Decisions of ``unicode`` equal to datatrove 0.10.1 with spaCy's words, on 967 documents (books, Python packages, 67
languages; before text without spaces was cut): Gopher quality 96 %, repetition 96 %, FineWeb 99.9 %; given whitespace
words on both sides 100 % of decisions and of reasons. Tried on 250 pieces of books and 450 documents of packages: plain
runs of word characters with every mark by itself agree on 89 and 95 % of quality decisions where this rule does on 94
and 97 %; whitespace words, on spaCy's thresholds, on 78 and 62 %.

Won: nine n-gram sizes for the price of two, for an n-gram can repeat only if both its (n-1)-grams do, so the tables
beyond n = 3 are nearly empty. Lost: n-grams are compared word by word, where datatrove joins the words of its 5- to
10-grams ("ab c" equals "a bc"); no document was seen where that matters. A document of 20 MB takes 330 MB of memory.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from warehouse.contracts import Words
from warehouse.kernels import characters, ngrams
from warehouse.kernels.blocks import HALF, beyond_ascii, digits_in, letters_in, one_page
from warehouse.kernels.characters import (
    ALONE,
    ALPHA,
    BREAK,
    JOINER,
    KATAKANA,
    MARK,
    PUNCTUATION,
    RUN,
    SPACE,
    WORD,
    flags,
    letters,
    read,
    skip_plain,
    skip_word,
)
from warehouse.kernels.english import TOGETHER, TOKENS, chunk_end, count_words, marked, spare_for, words_of
from warehouse.kernels.english_strings import slot_of
from warehouse.kernels.english_table import block
from warehouse.kernels.hashing import hash_word, head
from warehouse.kernels.jit import by_address, compiled, internal
from warehouse.kernels.memory import add, call, load_i32, load_i64, load_u8, ones, store_i32, store_i64
from warehouse.kernels.texts import Counts, Texts

LineWords = npt.NDArray[np.int32]
"""Of each text how many numbers follow, then its words before each line break of str.splitlines, and all its words."""
MODES: dict[Words, int] = {"spacy_en": 2, "unicode": 1, "whitespace": 0}
UNICODE, _SPACY = 1, 2
UNSPACED = ALONE | KATAKANA
"""What begins a word of its own in ``unicode``, whatever stands before it."""
_STOP, _LETTER, _INSIDE = 1, 2, 4
"""State within a word of str.split: it is one of the stop words so far, it has a letter, it has begun."""

COLUMNS = (
    "words",
    "word_chars",
    "plain_words",
    "plain_word_chars",
    "alpha_words",
    "stop_words",
    "longest_word",
    "distinct_words",
    *ngrams.COLUMNS,
    "split_words",
    "alpha_split_words",
    "stop_split_words",
    "median_split_word",
    *ngrams.SPLIT_COLUMNS,
)

_SMALL = 1 << 20
_MEMO = 1 << 11
"""Entries of the memo of chunks, 64 bytes each: hash of the chunk, seven counts of a byte each (COLUMNS up to
longest_word, stop_words as bits), characters of its words, a byte each, the hashes of those. It knows 53 % of the
chunks that are not letters and a mark alone (counted on 5,600 documents of benchmarks/samples.py); what it does not
hold is cut, so results never depend on it. Eight times as many entries know 64 %, but lie too far from the processor.
"""
_MEMO_WORDS, _MEMO_BYTES = 5, 255
_STOPS = tuple(int.from_bytes(word, "little") for word in b"the be to of and that have with".split())


def tools_for(words: Words, longest: int) -> tuple[Counts, npt.NDArray[np.uint8]]:
    """(int64[3], memory that the third points into): addresses of the classes, of the table of English, of the memory.

    The table is 0 where the words are not spaCy's. Documents have at most ``longest`` bytes.
    """
    spacy = words == "spacy_en"
    spare = spare_for(longest) if spacy else np.empty(TOKENS, np.uint8)
    table = block().ctypes.data if spacy else 0
    return np.array([characters.CLASSES, table, spare.ctypes.data], np.int64), spare


def measure(column: Texts, words: Words) -> tuple[Counts, LineWords]:
    """(int64[n, len(COLUMNS)], words by line) of a column of texts."""
    out = np.zeros((column.count, len(COLUMNS)), np.int64)
    lines = np.empty(column.bytes + 2 * column.count, np.int32)
    mode = MODES[words]
    tools, _spare = tools_for(words, column.longest)
    most = column.longest
    if most > _SMALL:
        most = _most(column.offsets, column.data, column.count, tools.ctypes.data, mode, counted())
    memo = np.zeros((_MEMO, 8), np.int64)
    tools = np.append(tools, memo.ctypes.data)
    scratch = np.empty(ngrams.scratch_bytes(most), np.uint8)
    places = scratch.ctypes.data, most, lines.ctypes.data, out.ctypes.data
    _documents(column.offsets, column.data, column.count, tools.ctypes.data, mode, *places)
    return out, lines


@compiled
def _documents(
    offsets: int, data: int, count: int, tools: int, mode: int, scratch: int, capacity: int, lines: int, out: int
) -> None:
    ends = scratch + 8 * capacity + 8
    starts = ends + 8 * capacity + 8
    for index in range(count):
        begin = data + load_i64(offsets + 8 * index)
        end = data + load_i64(offsets + 8 * index + 8)
        place = out + 264 * index
        words = cut(begin, end, tools, mode, scratch, ends, starts, lines, place)
        lines += 4 * load_i32(lines) + 4
        distinct = ngrams.repetition(
            words, load_i64(place + 136), scratch, ends, starts, starts + 4 * capacity + 8, capacity, place + 64
        )
        store_i64(place + 56, distinct)


@compiled
def _most(offsets: int, data: int, count: int, tools: int, mode: int, counter: int) -> int:
    """The largest number of words in one document; for documents too long to take one byte as one word."""
    most = 0
    for index in range(count):
        begin, end = data + load_i64(offsets + 8 * index), data + load_i64(offsets + 8 * index + 8)
        most = max(most, call(counter, begin, end, tools, mode))
    return most


@by_address
def counted(at: int, end: int, tools: int, mode: int) -> int:
    """How many words a text has."""
    if mode == _SPACY:
        return count_words(load_i64(tools + 8), at, end, load_i64(tools + 16))
    classes, words = load_i64(tools), 0
    while at < end:
        character = read(at, end)
        if flags(classes, character >> 3) & SPACE:
            at += character & 7
            continue
        at = word_end(at, end, classes, mode)
        words += 1
    return words


@compiled
def word_end(at: int, end: int, classes: int, mode: int) -> int:
    """Where the word that starts at ``at`` (which is no white space) ends."""
    first = character = read(at, end)
    inside = flags(classes, first >> 3) & (WORD | UNSPACED)
    while True:
        at += character & 7
        if not mode:
            at = skip_plain(at, end, 0x21)
        elif inside == WORD:
            at = skip_word(at, end)
        if at >= end:
            return end
        character = read(at, end)
        if not goes_on(at, end, character, flags(classes, character >> 3), inside, first, classes, mode):
            return at


@compiled
def goes_on(at: int, end: int, character: int, kind: int, inside: int, first: int, classes: int, mode: int) -> bool:
    """Whether the character at ``at`` belongs to the word before it, which began with ``first``.

    inside: WORD and UNSPACED of its flags.
    """
    if kind & SPACE:
        return False
    if not mode:
        return True
    if not inside:
        return kind & RUN != 0 and character == first
    if inside != WORD:
        return kind & (MARK | inside & KATAKANA) != 0
    if kind & WORD:
        return kind & UNSPACED == 0
    after = at + (character & 7)
    return kind & JOINER != 0 and after < end and flags(classes, read(after, end) >> 3) & (WORD | UNSPACED) == WORD


@compiled
def cut(begin: int, end: int, tools: int, mode: int, hashes: int, ends: int, starts: int, lines: int, out: int) -> int:
    """The number of words; their hashes and running sums of their characters (one more than words), both int64.

    ``starts``, int32: which words the words of str.split start with, then the number of words. No word has white space
    in it, so the words of str.split are whole numbers of words. ``lines``: see LineWords.

    ``tools``: addresses of the classes, of the table of English, of memory to cut chunks in, of the memo. Counts of
    COLUMNS go to ``out``, which is zero. Plain words of ASCII are counted in registers, all others in ``out``.
    """
    classes, english, spare = load_i64(tools), load_i64(tools + 8), load_i64(tools + 16)
    store_i64(ends, 0)
    store_i64(spare + 16, begin)
    store_i64(spare + 24, end)
    at, words, total, simple, simple_chars, alphas, marks, stops, longest = begin, 0, 0, 0, 0, 0, 0, 0, 0
    store_i32(lines, 0)
    state = _split(0, 0, starts, lines, 0, out)
    while at < end:
        byte = load_u8(at)
        if byte in (0x20, 0x0A):
            state, at = _split(state, words, starts, lines, byte == 0x0A, out), at + 1
            continue
        size, mark = _plain(at, end) if mode == UNICODE else letters(at, end) if mode else 0, 0
        if size:
            digest = hash_word(at, at + size)
            mark = _after(english, at, at + size, end, digest) if mode == _SPACY else 0
            if mark >= 0:
                store_i64(hashes + 8 * words, digest)
                words, total = words + 1, total + size
                store_i64(ends + 8 * words, total)
                plain, alpha = _plain_kinds(at, at + size, classes)
                simple, simple_chars, alphas = simple + plain, simple_chars + size * plain, alphas + alpha
                longest = max(longest, size)
                stop = _stop_word(head(at, size)) if size <= 4 else 0
                stops |= stop
                state, at = state & _LETTER | _LETTER * alpha | _INSIDE | (stop > 0 and state == 0), at + size
        elif mode == UNICODE and byte < 0x80:
            mark = int(_single(at, end, flags(classes, byte)))
        if mark > 0:
            store_i64(hashes + 8 * words, hash_word(at, at + 1))
            words, total = words + 1, total + 1
            store_i64(ends + 8 * words, total)
            marks += not flags(classes, load_u8(at)) & PUNCTUATION
            state, at = state & _LETTER | _INSIDE, at + 1
        if mark > 0 or (size and mark == 0):
            continue
        character = read(at, end)
        kind = flags(classes, character >> 3)
        if kind & SPACE:
            state, at = _split(state, words, starts, lines, kind & BREAK, out), at + (character & 7)
            continue
        store_i64(out, words)
        store_i64(out + 8, total)
        state, at = _others(at, end, tools, mode, hashes, ends, state, out)
        words, total = load_i64(out), load_i64(out + 8)
    _split(state, words, starts, lines, 1, out)
    store_i64(out, words)
    store_i64(out + 8, total)
    _sum(out, simple, simple_chars, alphas, marks, stops, max(longest, int(words > 0)))
    return words


@internal
def _split(state: int, words: int, starts: int, lines: int, breaks: int, out: int) -> int:
    """0, the state between words of str.split; one that ends here is counted, and the next starts at ``words``.

    breaks: not 0 where a line ends here too.
    """
    if breaks:
        store_i32(lines, load_i32(lines) + 1)
        store_i32(lines + 4 * load_i32(lines), words)
    splits = load_i64(out + 136) + (state > 0)
    store_i64(out + 136, splits)
    store_i32(starts + 4 * splits, words)
    add(out + 144, state >> 1 & 1)
    add(out + 152, state & _STOP)
    return 0


@internal
def _sum(out: int, simple: int, simple_chars: int, alphas: int, marks: int, stops: int, longest: int) -> None:
    """Add what was counted in registers."""
    store_i64(out + 16, load_i64(out + 16) + simple + marks)
    store_i64(out + 24, load_i64(out + 24) + simple_chars + marks)
    store_i64(out + 32, load_i64(out + 32) + alphas)
    store_i64(out + 40, ones(load_i64(out + 40) | stops))
    store_i64(out + 48, max(load_i64(out + 48), longest))


@internal
def _plain(begin: int, end: int) -> int:
    """Bytes of the ``unicode`` word that begins at ``begin``, where it is of ASCII alone and no mark; else 0."""
    at = skip_word(begin, end)
    while begin < at < end:
        if load_u8(at) >= 0x80:
            return 0
        if load_u8(at) not in (0x2E, 0x27) or at + 1 == end:
            break
        if load_u8(at + 1) >= 0x80:
            return 0
        stop = skip_word(at + 1, end)
        if stop == at + 1:
            break
        at = stop
    return at - begin


@internal
def _plain_kinds(begin: int, end: int, classes: int) -> tuple[int, int]:
    """(1 where a word of ASCII is more than punctuation, 1 where it has a letter)."""
    if 0x61 <= load_u8(begin) | 0x20 <= 0x7A:
        return 1, 1
    _, any_kind, all_kinds = _kinds(begin, end, classes)
    return int(all_kinds == 0), int(any_kind & ALPHA != 0)


@internal
def _single(at: int, end: int, kind: int) -> bool:
    """Whether the character of ASCII at ``at``, of such flags, is a ``unicode`` word by itself."""
    if kind & (WORD | SPACE):
        return False
    return not kind & RUN or at + 1 == end or load_u8(at + 1) != load_u8(at)


@internal
def _after(english: int, begin: int, at: int, end: int, digest: int) -> int:
    """0: the letters begin..at are a chunk of spaCy's; 1: and the mark at ``at`` is a word; -1: neither."""
    byte = load_u8(at) if at < end else 0x20
    if byte in (0x20, 0x0A):
        return 0 if slot_of(english, begin, at, digest) < 0 else -1
    return 1 if marked(english, begin, at, end, digest) else -1


@internal
def _others(at: int, end: int, tools: int, mode: int, hashes: int, ends: int, state: int, out: int) -> tuple[int, int]:
    """Add what starts at ``at``: a word, or spaCy's words of the chunk; (state after it, where it ends)."""
    classes, begin, alphas = load_i64(tools), at, load_i64(out + 32)
    if mode != _SPACY:
        stop = word_end(at, end, classes, mode)
        _add(at, stop, classes, hashes, ends, out)
    else:
        stop = chunk_end(load_i64(tools + 8), at, end)
        _chunk(at, stop, tools, hashes, ends, out)
    lone = state == 0 and _stop_at(begin, stop) > 0
    return state & _LETTER | _LETTER * (load_i64(out + 32) > alphas) | _INSIDE | lone, stop


@internal
def _chunk(at: int, stop: int, tools: int, hashes: int, ends: int, out: int) -> None:
    """Add spaCy's words of a chunk: from the memo, which learns it if need be, else one by one."""
    digest = hash_word(at, stop)
    entry = load_i64(tools + 24) + 64 * (digest & (_MEMO - 1))
    count = 0 if load_i64(entry) == digest else _learn(at, stop, digest, tools, entry)
    for index in range(count):
        after = load_i64(load_i64(tools + 16) + TOKENS + 8 * index)
        _add(at, after, load_i64(tools), hashes, ends, out)
        at = after
    if count == 0:
        _recall(entry, hashes, ends, out)


@internal
def _learn(at: int, stop: int, digest: int, tools: int, entry: int) -> int:
    """0: the chunk is in the memo now; else how many words it has: it is long, or what stands around it had a say."""
    classes, spare, counts, sizes = load_i64(tools), load_i64(tools + 16), 0, 0
    words = words_of(load_i64(tools + 8), at, stop, spare)
    if words > _MEMO_WORDS or stop - at > _MEMO_BYTES or load_i64(spare + TOGETHER):
        return words
    longest = stops = 0
    for index in range(words):
        after = load_i64(spare + TOKENS + 8 * index)
        chars, any_kind, all_kinds = _kinds(at, after, classes)
        plain, alpha = int(all_kinds == 0), int(any_kind & ALPHA != 0)
        counts += 1 | chars << 8 | plain << 16 | (chars * plain) << 24 | alpha << 32
        stops |= _stop_at(at, after)
        longest = max(longest, chars)
        sizes |= chars << 8 * index
        store_i64(entry + 24 + 8 * index, hash_word(at, after))
        at = after
    store_i64(entry, digest)
    store_i64(entry + 8, counts | stops << 40 | longest << 48)
    store_i64(entry + 16, sizes)
    return 0


@internal
def _recall(entry: int, hashes: int, ends: int, out: int) -> None:
    """Add the words of an entry of the memo."""
    counts, sizes, words, total = load_i64(entry + 8), load_i64(entry + 16), load_i64(out), load_i64(out + 8)
    for index in range(counts & 0xFF):
        store_i64(hashes + 8 * (words + index), load_i64(entry + 24 + 8 * index))
        total += sizes >> 8 * index & 0xFF
        store_i64(ends + 8 * (words + index) + 8, total)
    for field in range(0, 40, 8):
        add(out + field, counts >> field & 0xFF)
    store_i64(out + 40, load_i64(out + 40) | counts >> 40 & 0xFF)
    store_i64(out + 48, max(load_i64(out + 48), counts >> 48))


@internal
def _add(at: int, end: int, classes: int, hashes: int, ends: int, out: int) -> None:
    """One more word, of any characters."""
    words, total = load_i64(out), load_i64(out + 8)
    store_i64(hashes + 8 * words, hash_word(at, end))
    store_i64(out + 40, load_i64(out + 40) | _stop_at(at, end))
    chars, any_kind, all_kinds = _kinds(at, end, classes)
    store_i64(ends + 8 * words + 8, total + chars)
    store_i64(out, words + 1)
    store_i64(out + 8, total + chars)
    store_i64(out + 16, load_i64(out + 16) + (all_kinds == 0))
    store_i64(out + 24, load_i64(out + 24) + chars * (all_kinds == 0))
    store_i64(out + 32, load_i64(out + 32) + (any_kind & ALPHA != 0))
    store_i64(out + 48, max(load_i64(out + 48), chars))


@internal
def _kinds(at: int, end: int, classes: int) -> tuple[int, int, int]:
    """(characters of a word, ALPHA if any of them has it, PUNCTUATION if all have it)."""
    if end - at <= HALF and one_page(at, HALF):
        within = (1 << end - at) - 1
        if not beyond_ascii(at) & within:
            alpha = letters_in(at) & within
            return end - at, ALPHA * (alpha != 0), PUNCTUATION * (not (alpha or digits_in(at) & within))
    chars, any_kind, all_kinds = 0, 0, PUNCTUATION
    while at < end:
        byte = load_u8(at)
        character = read(at, end) if byte >= 0x80 else 0
        kind = flags(classes, character >> 3 if byte >= 0x80 else byte)
        any_kind |= kind
        all_kinds &= kind
        chars += 1
        at += character & 7 if byte >= 0x80 else 1
    return chars, any_kind, all_kinds


@internal
def _stop_at(at: int, end: int) -> int:
    """The bit of the stop word that a word of any characters is, else 0; a NUL at its end would pack like nothing."""
    if end - at > 4 or load_u8(end - 1) == 0:
        return 0
    return _stop_word(head(at, end - at))


@internal
def _stop_word(packed: int) -> int:
    """The bit of one of Gopher's eight stop words, given its bytes as a number, the first one lowest; else 0.

    Written out, for a tuple that is indexed is copied at each step: 25 ns a word.
    """
    first = (packed == _STOPS[0]) | (packed == _STOPS[1]) << 1 | (packed == _STOPS[2]) << 2 | (packed == _STOPS[3]) << 3
    second = (
        (packed == _STOPS[4]) | (packed == _STOPS[5]) << 1 | (packed == _STOPS[6]) << 2 | (packed == _STOPS[7]) << 3
    )
    return first | second << 4
