"""The words that spaCy 3.8.18's blank English tokenizer makes, which datatrove's thresholds were set for.

Every chunk between white space is cut alone: special cases, else prefixes and suffixes are taken off until none is
left, the rest is a URL or is cut at its infixes; afterwards a special case whose tokens came apart ("x:)") is one
again. Every regular expression of spaCy is a function in english_affixes or english_urls that reads the flags of
english_table; the behaviour is that of spaCy's tokenizer (MIT licence, Copyright ExplosionAI GmbH), the code is not.

Won: fast on chunks never met before, so that the memos of ``words`` and ``sentences`` can be small and start empty with
each batch (tried: one of 16,384 entries of 64 bytes won nothing, for the wait for memory takes as long as the cutting);
equal to spaCy on 635,704 distinct chunks that are not letters only. Lost: 13 s more of compiling at install time; other
languages get English words too.

Tokens come as int64 addresses of their ends in ``spare``. It holds, from its address on: the addresses of its second
and third part, the bounds of the document, the address of the function that cuts a chunk, 1 if chunks around the last
one had a say (else 0), then the ends of a chunk's tokens (8 bytes for each byte of the chunk). The other parts are the
same for the tokens around a chunk, and the bytes of those.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from warehouse.kernels.blocks import HALF, among, beyond_ascii, digits_in, one_page
from warehouse.kernels.characters import last, read, skip_plain
from warehouse.kernels.english_affixes import middle, prefix, suffix
from warehouse.kernels.english_strings import find, held, kind, slot_of, special, split_special
from warehouse.kernels.english_table import (
    BARE,
    BORDERS,
    LONGEST,
    PAIRS,
    SLOTS,
    SPACE,
    UNIT,
)
from warehouse.kernels.english_urls import url
from warehouse.kernels.jit import by_address, compiled, internal
from warehouse.kernels.memory import (
    call,
    load_i32,
    load_i64,
    load_u8,
    ones,
    store_i64,
    store_u8,
    trailing_zeros,
)

_upper, _lower = among(range(0x41, 0x5B), HALF), among(range(0x61, 0x7B), HALF)
_dots, _commas, _hyphens_in = among(b".", HALF), among(b",", HALF), among(b"-", HALF)
_quotes, _tails = among(b"\"',`", HALF), among(b"#/:?", HALF)
_operators, _joints = among(b"*+-^", HALF), among(b"-/:<=>~", HALF)

_CUT = 32  # where the address of ``_words_of`` lies in ``spare``
TOGETHER = 40  # where it lies whether the words of the last chunk depend on what stands around it
TOKENS = 48  # where the ends of a chunk's tokens begin in ``spare``
_MOST_TOKENS = 11  # of one special case that came apart


def spare_for(longest: int) -> npt.NDArray[np.uint8]:
    """Memory for chunks of documents of at most ``longest`` bytes; the part that no chunk needs is never touched."""
    spare = np.empty(TOKENS + 17 * (longest + 1), np.uint8)
    second = spare.ctypes.data + TOKENS + 8 * (longest + 1)
    spare[:16].view(np.int64)[:] = second, second + 8 * (longest + 1)
    spare[_CUT:TOGETHER].view(np.int64)[:] = _words_of()
    return spare


@compiled
def tokenise(english: int, begin: int, end: int, out: int) -> int:
    """How many tokens a chunk without white space has before special cases are put together; their ends at ``out``."""
    count, taken, stop = 0, 0, end
    top = out + 8 * (end - begin)
    slot = special(english, begin, end)
    while slot < 0 and begin < end:
        front = prefix(english, begin, end)
        slot = special(english, begin + front, end) if front else -1
        back = suffix(english, begin + front, end) if slot < 0 else 0
        if back:
            slot = special(english, begin, end - back)
            front = front if slot < 0 else 0
        if front:
            begin += front
            store_i64(out + 8 * count, begin)
            count += 1
        if back:
            end -= back
            taken += 1
            store_i64(top - 8 * taken, end)
        if not front and not back:
            break
        if front and back:
            slot = special(english, begin, end)
    if slot >= 0:
        count += split_special(english, slot, begin, end, out + 8 * count)
    elif begin < end:
        count += _core(english, begin, end, out + 8 * count)
    return _append(top, taken, stop, out, count)


@internal
def _core(english: int, begin: int, end: int, out: int) -> int:
    """Tokens of what is left without prefixes and suffixes and is no special case: a URL, or parts between infixes."""
    if end - begin <= HALF and one_page(begin, HALF):
        within = (1 << end - begin) - 1
        dots, hyphens = _dots(begin) & within, _hyphens_in(begin) & within
        if not (beyond_ascii(begin) & within or dots & dots << 1 or hyphens & hyphens << 1):
            return _core_ascii(english, begin, end, dots, hyphens, out)
    if url(english, begin, end):
        store_i64(out, end)
        return 1
    return middle(english, begin, end, out)


@internal
def _core_ascii(english: int, begin: int, end: int, dots: int, hyphens: int, out: int) -> int:
    """``_core`` of at most 32 bytes of ASCII without a run of full stops or hyphens, whose places are given.

    What ``_between`` says of an infix of one byte, of all at once; and only what a top level domain may end, or with
    three full stops, is looked at as a URL.
    """
    within = (1 << end - begin) - 1
    upper, lower = _upper(begin) & within, _lower(begin) & within
    alpha = upper | lower
    tops = ((dots << 1 & lower) + lower) & ~lower & (_tails(begin) | within + 1)
    if dots and (tops or ones(dots) > 2) and url(english, begin, end):
        store_i64(out, end)
        return 1
    digits, quotes = digits_in(begin) & within, _quotes(begin) & within
    found = dots & (lower | quotes) << 1 & (upper | quotes) >> 1
    found |= _commas(begin) & alpha << 1 & alpha >> 1
    found |= _operators(begin) & digits << 1 & (digits | hyphens) >> 1
    found |= _joints(begin) & (alpha | digits) << 1 & alpha >> 1
    return _apart(begin, end, found, out)


@internal
def _apart(begin: int, end: int, found: int, out: int) -> int:
    """How many tokens the infixes ``found``, of a byte each, make of begin..end; their ends at ``out``."""
    count, start = 0, begin
    while found:
        at = begin + trailing_zeros(found)
        store_i64(out + 8 * count, at)
        count += at > start
        store_i64(out + 8 * count, at + 1)
        count += 1
        start = at + 1
        found &= found - 1
    store_i64(out + 8 * count, end)
    return count + (start < end)


@internal
def _append(top: int, taken: int, stop: int, out: int, count: int) -> int:
    """Tokens with the suffixes, whose starts lie below ``top``, the first one (last of the chunk) highest."""
    for index in range(taken - 1, -1, -1):
        store_i64(out + 8 * count, load_i64(top - 8 * index) if index else stop)
        count += 1
    return count


@compiled
def chunk_end(english: int, at: int, end: int) -> int:
    """Where the chunk that starts at ``at`` ends: at white space."""
    at = skip_plain(at, end, 0x21)
    while at < end:
        character = read(at, end)
        if kind(english, character) & SPACE:
            break
        at = skip_plain(at + (character & 7), end, 0x21)
    return at


@compiled
def chunk_start(english: int, begin: int, at: int) -> int:
    """Where the chunk that ends at ``at`` starts."""
    while at > begin:
        character = last(begin, at)
        if kind(english, character) & SPACE:
            break
        at -= character & 7
    return at


@compiled
def words_of(english: int, begin: int, end: int, spare: int) -> int:
    """How many words the chunk begin..end has; their ends lie at spare + TOKENS. spare holds the document's bounds."""
    return call(load_i64(spare + _CUT), english, begin, end, spare)


@by_address
def _words_of(english: int, begin: int, end: int, spare: int) -> int:
    """``words_of``, compiled once: called by its address, it is no part of the functions that need it."""
    out = spare + TOKENS
    count = tokenise(english, begin, end, out)
    together = count > 1 and _changes(english, begin, out, count)
    store_i64(spare + TOGETHER, int(together))
    return _together(english, begin, end, count, spare) if together else count


@internal
def _match(english: int, base: int, ends: int, first: int, tokens: int) -> int:
    """The slot of the special case that came apart into just these tokens, else -1."""
    begin = load_i64(ends + 8 * first - 8) if first else base
    stop = load_i64(ends + 8 * (first + tokens) - 8)
    slot = find(english, begin, stop)
    if slot < 0:
        return -1
    bits = 0
    for index in range(first, first + tokens):
        bits |= 1 << (load_i64(ends + 8 * index) - begin - 1)
    return slot if load_i32(english + BARE + 4 * slot) == bits else -1


@internal
def _changes(english: int, begin: int, ends: int, count: int) -> bool:
    """Whether a special case came apart within these tokens and is to be cut otherwise than they are."""
    for first in range(count - 1):
        start = load_i64(ends + 8 * first - 8) if first else begin
        if not held(english, PAIRS, load_u8(start), load_u8(load_i64(ends + 8 * first))):
            continue
        for tokens in range(2, min(_MOST_TOKENS, count - first) + 1):
            if load_i64(ends + 8 * (first + tokens) - 8) - start > LONGEST:
                break
            slot = _match(english, begin, ends, first, tokens)
            if slot >= 0 and _rule_bits(english, slot) != load_i32(english + BARE + 4 * slot):
                return True
    return False


@internal
def _rule_bits(english: int, slot: int) -> int:
    """Where the tokens of a special case end: bit i for byte i + 1."""
    place = english + SLOTS + 32 * slot
    tokens, at = load_i32(place + 20) & (UNIT - 1), load_i32(place + 24)
    bits = 1 << (load_i32(place + 16) - 1)
    if tokens > 1:
        bits |= 1 << (at - 1)
    if tokens > 2:
        bits |= 1 << (at + load_i32(place + 28) - 1)
    return bits


@internal
def _together(english: int, begin: int, end: int, count: int, spare: int) -> int:
    """Words of a chunk with special cases put together, which tokens across single spaces around it may hinder."""
    ends, base = load_i64(spare), load_i64(spare + 8)
    left, right = _reach(english, begin, end, load_i64(spare + 16), load_i64(spare + 24))
    tokens, packed, at, first, shift = 0, base, left, left, left
    while at < right:
        stop = chunk_end(english, at, right)
        if at == begin:
            first, shift = tokens, packed - begin
        fresh = tokenise(english, at, stop, ends + 8 * tokens)
        for index in range(tokens, tokens + fresh):
            store_i64(ends + 8 * index, load_i64(ends + 8 * index) + packed - at)
        for place in range(at, stop):
            store_u8(packed + place - at, load_u8(place))
        tokens, packed, at = tokens + fresh, packed + stop - at, stop + 1
    return _rewrite(english, base, ends, tokens, first, first + count, shift, spare + TOKENS)


@internal
def _reach(english: int, begin: int, end: int, left: int, right: int) -> tuple[int, int]:
    """The chunks around one that single spaces join to it, as far as one special case may lie across each space."""
    for _ in range(_MOST_TOKENS):
        if begin - 2 < left or not _crossed(english, begin - 1):
            break
        start = chunk_start(english, left, begin - 1)
        if start == begin - 1:
            break
        begin = start
    for _ in range(_MOST_TOKENS):
        if end + 1 >= right or not _crossed(english, end):
            break
        stop = chunk_end(english, end + 1, right)
        if stop == end + 1:
            break
        end = stop
    return begin, end


@internal
def _crossed(english: int, at: int) -> bool:
    """Whether a special case may lie across what stands at ``at``: a single space, by the bytes before and after it."""
    return load_u8(at) == 0x20 and held(english, BORDERS, load_u8(at - 1), load_u8(at + 1))


@internal
def _hindered(english: int, base: int, ends: int, count: int, first: int, tokens: int) -> bool:
    """Whether a longer match, or one as long that starts earlier, holds the first or last of these tokens."""
    final = first + tokens - 1
    for start in range(max(0, first - _MOST_TOKENS), final + 1):
        for size in range(tokens + (start >= first), min(_MOST_TOKENS, count - start) + 1):
            holds = start <= first < start + size or start <= final < start + size
            if holds and _match(english, base, ends, start, size) >= 0:
                return True
    return False


@internal
def _rewrite(english: int, base: int, ends: int, count: int, first: int, stop: int, shift: int, out: int) -> int:
    """How many words the tokens first..stop make; their ends, less ``shift``, at ``out``."""
    words = 0
    while first < stop:
        slot, tokens = _accepted(english, base, ends, count, first)
        if slot >= 0 and first + tokens <= stop:
            start = load_i64(ends + 8 * first - 8) if first else base
            words += split_special(
                english, slot, start - shift, load_i64(ends + 8 * (first + tokens) - 8) - shift, out + 8 * words
            )
            first += tokens
        else:
            store_i64(out + 8 * words, load_i64(ends + 8 * first) - shift)
            words += 1
            first += 1
    return words


@internal
def _accepted(english: int, base: int, ends: int, count: int, first: int) -> tuple[int, int]:
    """(slot, tokens) of the match that starts at a token and is not hindered, else (-1, 0)."""
    for tokens in range(min(_MOST_TOKENS, count - first), 1, -1):
        slot = _match(english, base, ends, first, tokens)
        if slot >= 0 and not _hindered(english, base, ends, count, first, tokens):
            return slot, tokens
    return -1, 0


@compiled
def marked(english: int, begin: int, at: int, end: int, digest: int) -> bool:
    """Whether a chunk is the letters begin..at, whose hash_word is ``digest``, and a mark, and these are its words."""
    if at - begin < 2 or at >= end or (at + 1 < end and load_u8(at + 1) != 0x20 and load_u8(at + 1) != 0x0A):
        return False
    if load_u8(at) not in (0x2C, 0x2E, 0x3A, 0x3B, 0x21, 0x22, 0x29, 0x3F) or load_u8(at - 1) < 0x61:
        return False
    return slot_of(english, begin, at, digest) < 0 and find(english, begin, at + 1) < 0


@compiled
def count_words(english: int, begin: int, end: int, spare: int) -> int:
    """How many words a document has."""
    store_i64(spare + 16, begin)
    store_i64(spare + 24, end)
    at, words = begin, 0
    while at < end:
        character = read(at, end)
        if kind(english, character) & SPACE:
            at += character & 7
            continue
        stop = chunk_end(english, at, end)
        words += words_of(english, at, stop, spare)
        at = stop
    return words
