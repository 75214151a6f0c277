"""The words that spaCy 3.8.18's blank English tokenizer makes, which datatrove's thresholds were set for.

Every chunk between white space is cut alone: special cases, else prefixes and suffixes are taken off until none is
left, the rest is a URL or is cut at its infixes; afterwards a special case whose tokens came apart ("x:)") is one
again. Every regular expression of spaCy is a function here that reads the flags of english_table; the behaviour is that
of spaCy's tokenizer (MIT licence, Copyright ExplosionAI GmbH), the code is not.

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
from warehouse.kernels.characters import find_byte, last, letters, read, skip_plain
from warehouse.kernels.english_table import (
    AFFIX,
    ALPHA,
    BARE,
    BORDERS,
    CURRENCY,
    DIGIT,
    ENDS,
    FILTER,
    HOST,
    ICON,
    IDENTIFIER,
    INFIX,
    LONGEST,
    LOWER,
    PAIRS,
    PREFIX,
    QUOTE,
    SLOT_COUNT,
    SLOTS,
    SPACE,
    STOPPED,
    UNIT,
    UNIT_END,
    UPPER,
)
from warehouse.kernels.hashing import hash_word
from warehouse.kernels.jit import by_address, compiled, internal
from warehouse.kernels.memory import (
    call,
    load_i32,
    load_i64,
    load_u8,
    load_u16,
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
def kind(english: int, character: int) -> int:
    """The flags of a character as ``read`` gives it."""
    return load_u16(english + 2 * (character >> 3))


@compiled
def slot_of(english: int, begin: int, end: int, digest: int) -> int:
    """Which slot holds the string begin..end, whose hash_word is ``digest``; -1: it is none."""
    if not load_u8(english + FILTER + ((digest & 0xFFFF) >> 3)) >> (digest & 7) & 1:
        return -1
    slot = digest >> 16 & (SLOT_COUNT - 1)
    while True:
        place = english + SLOTS + 32 * slot
        size = load_i32(place + 16)
        if size == 0:
            return -1
        if load_i64(place) == digest and size == end - begin and _equal(begin, english + load_i64(place + 8), size):
            return slot
        slot = (slot + 1) & (SLOT_COUNT - 1)


@internal
def _held(english: int, table: int, low: int, high: int) -> bool:
    """Whether a table of 64 Ki bits has two bytes."""
    pair = low | high << 8
    return load_u8(english + table + (pair >> 3)) >> (pair & 7) & 1 != 0


@internal
def _equal(left: int, right: int, size: int) -> bool:
    for at in range(size):
        if load_u8(left + at) != load_u8(right + at):
            return False
    return True


@compiled
def find(english: int, begin: int, end: int) -> int:
    """``slot_of`` a string of at least one byte."""
    if end - begin > LONGEST or not _held(english, ENDS, load_u8(begin), load_u8(end - 1)):
        return -1
    return slot_of(english, begin, end, hash_word(begin, end))


@compiled
def special(english: int, begin: int, end: int) -> int:
    """The slot of the special case that begin..end is; -1: it is none."""
    slot = find(english, begin, end) if begin < end else -1
    return slot if slot >= 0 and load_i32(english + SLOTS + 32 * slot + 20) & (UNIT - 1) != 0 else -1


@compiled
def split_special(english: int, slot: int, begin: int, end: int, out: int) -> int:
    """How many tokens the special case in ``slot`` has; their ends at ``out``."""
    place = english + SLOTS + 32 * slot
    tokens = load_i32(place + 20) & (UNIT - 1)
    store_i64(out, begin + load_i32(place + 24))
    store_i64(out + 8 * (tokens > 2), begin + load_i32(place + 24) + load_i32(place + 28) * (tokens > 2))
    store_i64(out + 8 * tokens - 8, end)
    return tokens


@compiled
def digit(at: int, end: int) -> bool:
    """Whether one of 0-9 lies at ``at``."""
    return at < end and 0x30 <= load_u8(at) <= 0x39


@compiled
def dots(begin: int, end: int) -> int:
    """How many full stops begin..end starts with, if at least two; else 0."""
    at = begin
    while at < end and load_u8(at) == 0x2E:
        at += 1
    return at - begin if at - begin > 1 else 0


@compiled
def prefix(english: int, begin: int, end: int) -> int:
    """Bytes of the prefix of begin..end, which is not empty; 0: it has none."""
    character = read(begin, end)
    if kind(english, character) & PREFIX:
        return character & 7
    byte = character >> 3
    if byte == 0x2B:
        return 0 if digit(begin + 1, end) else 1
    if byte == 0x2E:
        return dots(begin, end)
    if byte in (0x41, 0x43) and begin + 1 < end and load_u8(begin + 1) == 0x24:
        return 2
    if byte == 0x55 and begin + 2 < end and load_u8(begin + 1) == 0x53 and load_u8(begin + 2) == 0x24:
        return 3
    return 0


@compiled
def suffix(english: int, begin: int, end: int) -> int:
    """Bytes of the longest suffix of begin..end; 0: it has none."""
    if begin >= end:
        return 0
    character = last(begin, end)
    if kind(english, character) & AFFIX:
        return _ellipses(begin, end) if character >> 3 == 0x2026 else character & 7
    if character >> 3 == 0x2E:
        return _stop(english, begin, end)
    return _possessive(begin, end, character) or _counted(english, begin, end, character)


@internal
def _possessive(begin: int, end: int, character: int) -> int:
    """Bytes of an apostrophe and the s at the end, which is ``character``; 0: there is none."""
    if character >> 3 not in (0x53, 0x73) or end - begin < 2:
        return 0
    before = last(begin, end - 1)
    return 1 + (before & 7) if before >> 3 in (0x27, 0x2019) else 0


@internal
def _counted(english: int, begin: int, end: int, character: int) -> int:
    """Bytes of what is a suffix after a digit: a currency sign, a plus, a unit of measure; ``character`` ends it."""
    flags = kind(english, character)
    if flags & CURRENCY:
        return _currency(begin, end, character & 7)
    if character >> 3 == 0x2B:
        return int(end - begin >= 2 and digit(end - 2, end))
    return _unit(english, begin, end) if flags & UNIT_END else 0


@internal
def _ellipses(begin: int, end: int) -> int:
    """Bytes of one U+2026 at the end, of two where there are two."""
    return 6 if end - begin >= 6 and last(begin, end - 3) >> 3 == 0x2026 else 3


@internal
def _stop(english: int, begin: int, end: int) -> int:
    """Bytes of full stops at the end that are a suffix."""
    at = end - 1
    while at > begin and load_u8(at - 1) == 0x2E:
        at -= 1
    if end - at > 1:
        return end - at
    if at == begin:
        return 0
    before = last(begin, at)
    flags = kind(english, before)
    if flags & STOPPED:
        return 1
    at -= before & 7
    if at == begin:
        return 0
    earlier = last(begin, at)
    if flags & UPPER and kind(english, earlier) & UPPER:
        return 1
    return int(earlier >> 3 == 0xB0 and before >> 3 in (0x46, 0x43, 0x4B))


@internal
def _currency(begin: int, end: int, size: int) -> int:
    """Bytes of the currency sign of ``size`` bytes at the end, with US, C or A before a dollar; a digit precedes it."""
    if load_u8(end - 1) == 0x24:
        if end - begin >= 4 and load_u8(end - 2) == 0x53 and load_u8(end - 3) == 0x55 and digit(end - 4, end):
            return 3
        if end - begin >= 3 and load_u8(end - 2) in (0x41, 0x43) and digit(end - 3, end):
            return 2
    return size if end - size > begin and digit(end - size - 1, end) else 0


@internal
def _unit(english: int, begin: int, end: int) -> int:
    """Bytes of what follows the last digit, if that is a unit of measure."""
    at = end
    while at > begin and end - at < LONGEST and not digit(at - 1, end):
        at -= 1
    if at in (begin, end) or not digit(at - 1, end):
        return 0
    slot = find(english, at, end)
    return end - at if slot >= 0 and load_i32(english + SLOTS + 32 * slot + 20) & UNIT else 0


@compiled
def infix(english: int, begin: int, at: int, end: int) -> int:
    """Bytes of the infix that starts at ``at`` in begin..end; 0: none does."""
    character = read(at, end)
    flags = kind(english, character)
    if not flags & INFIX:
        return 0
    if flags & ICON or character >> 3 == 0x2026:
        return character & 7
    stops = dots(at, end)
    if stops or at == begin or at + (character & 7) == end:
        return stops
    return _between(english, begin, at, end, character)


@internal
def _between(english: int, begin: int, at: int, end: int, character: int) -> int:
    """Bytes of the infix at ``at`` that what stands on both its sides makes one; 0: it is none."""
    point, after = character >> 3, at + (character & 7)
    left, right = kind(english, last(begin, at)), kind(english, read(after, end))
    if point == 0x2E:
        return int(left & (LOWER | QUOTE) != 0 and right & (UPPER | QUOTE) != 0)
    if point == 0x2C:
        return int(left & ALPHA != 0 and right & ALPHA != 0)
    number = digit(at - 1, end)
    if number and point in (0x2B, 0x2D, 0x2A, 0x5E) and (digit(after, end) or load_u8(after) == 0x2D):
        return 1
    if not (number or left & ALPHA):
        return 0
    if point in (0x3A, 0x3C, 0x3E, 0x3D, 0x2F):
        return int(right & ALPHA != 0)
    return _hyphens(english, at, end, character)


@internal
def _hyphens(english: int, at: int, end: int, character: int) -> int:
    """Bytes of a hyphen (up to three of -, up to two of U+2014) before a letter."""
    point, size = character >> 3, character & 7
    if point not in (0x2D, 0x2013, 0x2014, 0x7E):
        return 0
    most = 3 if point == 0x2D else 2 if point == 0x2014 else 1
    stop = at + size
    for _ in range(most - 1):
        if stop < end and read(stop, end) == character:
            stop += size
    return stop - at if stop < end and kind(english, read(stop, end)) & ALPHA else 0


@compiled
def middle(english: int, begin: int, end: int, out: int) -> int:
    """How many tokens infixes make of begin..end; their ends at ``out``. An infix at its very start makes none."""
    count, start, at = 0, begin, begin
    while at < end:
        size = letters(at, end)
        if size:
            at += size
            continue
        size = infix(english, begin, at, end)
        if size == 0:
            at += read(at, end) & 7
            continue
        if at > begin:
            if at > start:
                store_i64(out + 8 * count, at)
                count += 1
            store_i64(out + 8 * count, at + size)
            count += 1
            start = at + size
        at += size
    if start < end:
        store_i64(out + 8 * count, end)
        count += 1
    return count


@compiled
def url(english: int, begin: int, end: int) -> bool:
    """Whether all of begin..end is a URL: perhaps a scheme, perhaps anything and @, a host, perhaps a port and path."""
    if find_byte(begin + 1, end - 2, 0x2E) >= end - 2:
        return False
    if _host(english, begin, end):
        return True
    after = _scheme(english, begin, end)
    if after and _host(english, after, end):
        return True
    for at in range(begin + 1, end - 1):
        if load_u8(at) == 0x40 and _host(english, at + 1, end):
            return True
    return False


@internal
def _run(english: int, at: int, end: int, flags: int) -> tuple[int, int]:
    """(how many characters of a kind at..end starts with, where they end)."""
    size = 0
    while at < end:
        character = read(at, end)
        if not kind(english, character) & flags:
            break
        at += character & 7
        size += 1
    return size, at


@internal
def _scheme(english: int, begin: int, end: int) -> int:
    """The address after a scheme of at least two characters and ://, else 0."""
    size, at = _run(english, begin, end, IDENTIFIER)
    found = size >= 2 and end - at > 3 and load_u8(at) == 0x3A and load_u8(at + 1) == 0x2F and load_u8(at + 2) == 0x2F
    return at + 3 if found else 0


@internal
def _host(english: int, begin: int, end: int) -> bool:
    """Whether a public IPv4 address or a name, then a port or path or nothing, is all of begin..end."""
    if digit(begin, end) and _address(english, begin, end):
        return True
    at, labels = begin, 0
    while at < end:
        if labels and _top(english, at, end):
            return True
        at = _label(english, at, end)
        labels += 1
        if at == 0:
            return False
    return False


@internal
def _label(english: int, at: int, end: int) -> int:
    """The address after a label of 1 to 64 characters and its full stop, else 0."""
    size, flags = 0, 0
    while at < end:
        character = read(at, end)
        point = character >> 3
        if point == 0x2E:
            return at + 1 if flags & HOST and size <= 64 else 0
        flags = kind(english, character)
        if not (flags & HOST or (size and point in (0x2D, 0x5F))):
            return 0
        size += 1
        at += character & 7
    return 0


@internal
def _top(english: int, at: int, end: int) -> bool:
    """Whether 2 to 63 lower-case letters and what may follow a host are all of at..end."""
    size, at = _run(english, at, end, LOWER)
    return 2 <= size <= 63 and _tail(english, at, end)


@internal
def _tail(english: int, at: int, end: int) -> bool:
    """Whether at..end is empty, a port of 2 to 5 digits, a path that starts with one of / ? #, or both."""
    if at < end and load_u8(at) == 0x3A:
        size, at = _run(english, at + 1, end, DIGIT)
        if size < 2 or size > 5:
            return False
    return at == end or load_u8(at) in (0x2F, 0x3F, 0x23)


@internal
def _address(english: int, begin: int, end: int) -> bool:
    """Whether a public IPv4 address and what may follow it are all of begin..end."""
    first, at = _octet(english, begin, end)
    if load_u8(begin) == 0x30 or not 1 <= first <= 223 or at == end or load_u8(at) != 0x2E:
        return False
    second, at = _octet(english, at + 1, end)
    if second < 0 or at == end or load_u8(at) != 0x2E or _private(first, second):
        return False
    third, at = _octet(english, at + 1, end)
    if third < 0 or at == end or load_u8(at) != 0x2E:
        return False
    start = at + 1
    fourth, at = _octet(english, start, end)
    return 1 <= fourth <= 254 and digit(start, end) and load_u8(start) != 0x30 and _tail(english, at, end)


@internal
def _private(first: int, second: int) -> bool:
    """Whether an address that starts so belongs to a private or local network."""
    if first in (10, 127) or (first == 172 and 16 <= second <= 31):
        return True
    return (first == 169 and second == 254) or (first == 192 and second == 168)


@internal
def _octet(english: int, at: int, end: int) -> tuple[int, int]:
    """(number, address after it) of one to three digits up to 255, three of them not from 0; -1 where there is none.

    A digit that is not ASCII counts as 9, which is right wherever the expression of spaCy allows one.
    """
    number = size = 0
    while at < end and size < 4:
        character = read(at, end)
        if not kind(english, character) & DIGIT:
            break
        number = number * 10 + (character >> 3) - 0x30 if character >> 3 < 0x80 else number * 10 + 9
        size += 1
        at += character & 7
    return (number if 1 <= size <= 3 and number <= 255 and (size < 3 or number >= 100) else -1), at


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
        if not _held(english, PAIRS, load_u8(start), load_u8(load_i64(ends + 8 * first))):
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
        if begin - 2 < left or load_u8(begin - 1) != 0x20 or not _held(english, BORDERS, load_u8(begin - 2), load_u8(begin)):
            break
        start = chunk_start(english, left, begin - 1)
        if start == begin - 1:
            break
        begin = start
    for _ in range(_MOST_TOKENS):
        if end + 1 >= right or load_u8(end) != 0x20 or not _held(english, BORDERS, load_u8(end - 1), load_u8(end + 1)):
            break
        stop = chunk_end(english, end + 1, right)
        if stop == end + 1:
            break
        end = stop
    return begin, end


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
