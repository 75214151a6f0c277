"""How many sentences a line has: by spaCy's sentencizer over its words, and by characters where words are others.

spaCy 3.8.18 (MIT licence): a sentence starts at the first token that is no punctuation after a token that is one of
``sentence`` in english.txt. White space but a single space between words is a token too, and no punctuation; datatrove
drops sentences of white space alone.
"""

from __future__ import annotations

from warehouse.kernels.blocks import BYTES, closing, one_page
from warehouse.kernels.characters import CATEGORY_P, SPACE, TERMINAL, WORD, find_mark, flags, letters, read, skip_space
from warehouse.kernels.english import TOGETHER, TOKENS, chunk_end, chunk_start, words_of
from warehouse.kernels.english_strings import find, kind
from warehouse.kernels.english_table import SENTENCE
from warehouse.kernels.hashing import hash_word
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import load_i64, load_u8, store_i64, trailing_zeros

MEMO = 1 << 12


@compiled
def by_characters(begin: int, end: int, classes: int) -> int:
    """Sentences of a line, at least 1: one more where something but punctuation or space follows a terminal mark.

    An ASCII mark with a word character right after it ("3.14", "a.b") ends nothing.
    """
    sentences, at = 1, begin
    while True:
        at = _mark(at, end)
        if at == end:
            return sentences
        character = read(at, end)
        at += character & 7
        if not flags(classes, character >> 3) & TERMINAL:
            continue
        if character >> 3 < 0x80 and at < end and flags(classes, read(at, end) >> 3) & WORD:
            continue
        at = _skip(at, end, classes, SPACE | CATEGORY_P)
        if at == end:
            return sentences
        sentences += 1


@internal
def _skip(at: int, end: int, classes: int, wanted: int) -> int:
    """Where the first character with none of these flags stands, or ``end``."""
    while at < end:
        character = read(at, end)
        if not flags(classes, character >> 3) & wanted:
            break
        at += character & 7
    return at


@internal
def _mark(at: int, end: int) -> int:
    """Where the first byte that may end a sentence stands, or ``end``: see ``closing``."""
    while at < end and one_page(at, BYTES + 1):
        bits = closing(at)
        if bits:
            return min(at + trailing_zeros(bits), end)
        at += BYTES
    return find_mark(at, end) if at < end else end


@compiled
def by_words(begin: int, end: int, classes: int, english: int, spare: int, memo: int) -> int:
    """Sentences of a line as spaCy's sentencizer finds them; ``spare`` as for ``english.words_of``.

    ``memo``: MEMO entries of 16 bytes, zero at first: hash of a chunk plus the state before it, what it does to both.

    ``state`` is 1 within a sentence, where only a mark counts, and 2 after its terminal mark.
    """
    store_i64(spare + 16, begin)
    store_i64(spare + 24, end)
    at = start = skip_space(classes, begin, end)
    sentences = int(at < end)
    while True:
        at = _mark(at, end)
        if at >= end:
            return sentences
        if load_u8(at) >= 0x80:
            character = read(at, end)
            if not kind(english, character) & SENTENCE:
                at += character & 7
                continue
        start = _chunk_start(english, start, at)
        stop, state = _closed(english, start, at, end), 2
        if stop == at:
            stop = chunk_end(english, at, end)
            fresh, state = _chunk(start, stop, classes, english, spare, memo, 1)
            sentences += fresh
        at = stop
        if state == 2:
            at, fresh = _after_mark(at, end, classes, english, spare, memo)
            sentences += fresh
        start = at


@internal
def _after_mark(at: int, end: int, classes: int, english: int, spare: int, memo: int) -> tuple[int, int]:
    """(where the search for marks goes on, sentences that begin before there) after a chunk with a terminal mark."""
    sentences = 0
    while True:
        after = skip_space(classes, at, end)
        if after == end:
            return end, sentences
        character = read(after, end)
        if after - at != 1 or load_u8(at) != 0x20 or not flags(classes, character >> 3) & CATEGORY_P:
            return after, sentences + 1
        at = chunk_end(english, after, end)
        fresh, state = _chunk(after, at, classes, english, spare, memo, 2)
        sentences += fresh
        if state == 1:
            return at, sentences


@internal
def _chunk_start(english: int, begin: int, at: int) -> int:
    """``chunk_start``, quickly over what is printable ASCII."""
    while at > begin and 0x20 < load_u8(at - 1) < 0x80:
        at -= 1
    return chunk_start(english, begin, at)


@internal
def _closed(english: int, begin: int, at: int, end: int) -> int:
    """Where the chunk that starts at ``begin`` ends, if its first mark, at ``at``, is a word by itself for certain and
    closing quotes and brackets alone follow it, each a word by itself; else ``at``.

    So is ! or ?, for no special case holds one. So is a full stop after a digit, a quote or a bracket, for no special
    case ends so, and one after letters that are no special case, with it or without, nor the end of one: they are one
    word.
    """
    stop = at + 1
    while stop < end and _closing_byte(load_u8(stop)):
        stop += 1
    if (stop < end and load_u8(stop) != 0x20) or load_u8(at) >= 0x80:
        return at
    if load_u8(at) != 0x2E:
        return stop
    word = at
    while word > begin and 0x61 <= load_u8(word - 1) | 0x20 <= 0x7A:
        word -= 1
    before = load_u8(word - 1) if word > begin else 0x20
    inside = before in (0x27, 0x2E) or before >= 0x80 or 0x30 <= before <= 0x39
    if word == at:
        return stop if _closing_byte(before) or 0x30 <= before <= 0x39 else at
    upper = load_u8(at - 1) < 0x61 and (at - word == 1 or load_u8(at - 2) >= 0x61)
    known = inside or upper or find(english, word, at + 1) >= 0 or find(english, word, at) >= 0
    return at if known else stop


@internal
def _closing_byte(byte: int) -> bool:
    """Whether a byte is one of the quotes and closing brackets of ASCII."""
    return byte in (0x22, 0x27, 0x29, 0x5D, 0x7D)


@internal
def _chunk(begin: int, end: int, classes: int, english: int, spare: int, memo: int, state: int) -> tuple[int, int]:
    """(sentences that begin in a chunk, state after it), from the memo if it was met in this state."""
    key = hash_word(begin, end) + state
    entry = memo + 16 * (key & (MEMO - 1))
    if load_i64(entry) != key:
        fresh, after = _cut(begin, end, classes, english, spare, state)
        if load_i64(spare + TOGETHER):
            return fresh, after
        store_i64(entry, key)
        store_i64(entry + 8, fresh << 2 | after)
    return load_i64(entry + 8) >> 2, load_i64(entry + 8) & 3


@internal
def _cut(begin: int, end: int, classes: int, english: int, spare: int, state: int) -> tuple[int, int]:
    """(sentences that begin in a chunk, state after it); one without a terminal mark need not be cut into its words."""
    store_i64(spare + TOGETHER, 0)
    if not _holds_mark(english, begin, end):
        fresh = state == 2 and not _all_punctuation(begin, end, classes)
        return int(fresh), 1 if fresh else state
    at, sentences = begin, 0
    for index in range(words_of(english, begin, end, spare)):
        stop = load_i64(spare + TOKENS + 8 * index)
        character = read(at, stop)
        ends = at + (character & 7) == stop and kind(english, character) & SENTENCE != 0
        if state == 2 and not ends and not _all_punctuation(at, stop, classes):
            sentences += 1
            state = 1
        if ends:
            state = 2
        at = stop
    return sentences, state


@internal
def _holds_mark(english: int, at: int, end: int) -> bool:
    """Whether a character that may end a sentence is among at..end."""
    while at < end:
        size = letters(at, end)
        if size:
            at += size
            continue
        character = read(at, end)
        if kind(english, character) & SENTENCE:
            return True
        at += character & 7
    return False


@internal
def _all_punctuation(at: int, end: int, classes: int) -> bool:
    """Whether every character of at..end is punctuation by its category."""
    while at < end:
        character = read(at, end)
        if not flags(classes, character >> 3) & CATEGORY_P:
            return False
        at += character & 7
    return True
