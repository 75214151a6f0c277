"""Where a text may hold personal data: addresses of mail and of computers, telephone, card, account and social security
numbers, and secrets: keys and tokens.

Everything is decided here but whether a telephone number is assigned (warehouse.curation.pii asks for those, which are
few). The grammar is ASCII; any other byte ends a match and is no obstacle to one. Three walks over each document: for
the beginnings of secrets and for ``@``, which blank what they find in a working copy, and for digits, taking at each
place the first kind that fits. So no two spans overlap, and what a mask leaves in a span's place is read as the same
shape again without being reported (a reserved address, zeros), which makes masking idempotent.

Won: 8 bytes a step where there is no ``@`` and no digit, with rows and masks 270 MB of books a CPU second, 197 of code,
83 of mail, whose spans stand 230 bytes apart; regular expressions with the same checks take 7.5, 0.13 and 0.23. Lost:
one more copy of the batch in memory.
"""

from __future__ import annotations

import string
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from warehouse.kernels import registries
from warehouse.kernels.jit import compiled, internal
from warehouse.kernels.memory import load_i32, load_i64, load_u8, load_u16, store_i64, store_u8
from warehouse.kernels.texts import Counts, Texts

EMAIL, IPV4, IPV6, PRIVATE4, PRIVATE6, IBAN, CARD, SSN, SECRET, SPOKEN, INTERNATIONAL, NATIONAL = range(12)
SAID_TOO = (12, 13)
"""Codes of what is found. PRIVATE: an address of a network of one's own. SPOKEN: a telephone number by a word
before it; INTERNATIONAL and NATIONAL: one that is not yet looked up; SAID_TOO: the same two where such a word stands
before it as well.
"""

WORD = 1  # [A-Za-z0-9_]
DIGIT = 2
LETTER = 4
UPPER = 8
LOCAL = 16  # of an address before the @
DOMAIN = 32  # of a domain name, the full stop included
HEX = 64
GAP = 128  # between groups of a telephone number
BASE32 = 256  # of an AWS key id: A-Z and 2-7
TOKEN = 512  # [A-Za-z0-9_-]: base64url
STARTS = 1024  # a secret may start with it
BASE64 = 2048  # of a key in PEM
AROUND = 4096  # of its headers, of the quotes and line ends that stand about it in source code

HIDDEN_IP, HIDDEN = 0xFE, 0xFF
"""Stand in the working copy for each byte of an address that was found, one of IP as digits, one of mail as letters;
bytes of no text in UTF-8.
"""

LOCAL_BYTES = 64  # RFC 5321, 4.5.3.1
DOMAIN_BYTES = 253
LABEL_BYTES = 63
PHONE_DIGITS = 15  # ITU-T E.164, 6
FEWEST_PHONE_DIGITS = 8
FEWEST_BYTES = 6
"""No span is shorter: a@b.de."""
VERSION_PARTS = 32
"""1.2.3.4 is a version or a section: no part reaches 32. One routable address in 4,096 looks like that; it is one after
ADDRESS_WORDS.
"""
ADDRESS_WORDS = "addr address addresses dns gateway ip ips ipv nameserver netmask ping resolver"

IPV6_BYTES = 39

FEWEST_SPOKEN_DIGITS = 7
WORD_BYTES = 64
"""How far before a number the word may end that makes it a telephone number, or an address."""
SPOKEN_WORDS = """
call called calling cell cellphone contact desk dial fax hotline landline mobile phone phones reach ring sms tel
telephone telephones whatsapp
"""
PEM_BYTES = 16_384
"""Of a private key between its first and its last line."""
FEWEST_KEY_BYTES = 16
"""Of base64 in one piece, somewhere in a private key."""

NEWLINE, SPACE, OPEN, CLOSE, PLUS, DASH, DOT, COLON, EQUALS, ZERO = b"\n ()+-.:=0"
FEWEST_SECRET_BYTES = 16
LOW_24 = 0xFFFFFF
LABELS = UPPER | DIGIT
_AKIA, _ASIA, _GITH, _EYJ, _GH, _GITHUB_P, _AT, _BEGIN, _IN, _PRIVATE, _KEY, _DASHES, _END = (
    int.from_bytes(word.encode(), "little")
    for word in (
        *("AKIA", "ASIA", "gith", "eyJ", "gh", "github_p", "at_"),
        *("-----BEG", "IN ", "PRIVATE ", " KEY", "----", "-----END"),
    )
)
_GITHUB = tuple(b"pousr")
_NO_PHONE = tuple(b".,-/$#=")
"""Before amounts, shares and parts of other numbers."""

_HIGH = -0x7F7F7F7F7F7F7F80  # 0x80 in each byte
_LOW = 0x7F7F7F7F7F7F7F7F
_ONES = 0x0101010101010101
_COMPARES = tuple(b"=<>~!")
_EXAMPLE = registries.packed("example")
_RESERVED = tuple(registries.packed(name) for name in ("com", "net", "org"))


def _classes() -> npt.NDArray[np.uint16]:
    """uint16[256]: the flags of each byte."""
    table = np.zeros(256, np.uint16)
    digits, letters = string.digits, string.ascii_letters
    for flag, members in (
        (WORD, digits + letters + "_"),
        (DIGIT, digits),
        (LETTER, letters),
        (UPPER, string.ascii_uppercase),
        (LOCAL, digits + letters + "._%+-"),
        (DOMAIN, digits + letters + ".-"),
        (HEX, string.hexdigits),
        (GAP, " ./-"),
        (BASE32, string.ascii_uppercase + "234567"),
        (TOKEN, digits + letters + "_-"),
        (STARTS, "Aeg-"),
        (BASE64, digits + letters + "+/="),
        (AROUND, string.whitespace + ":,-\"'\\"),
    ):
        table[np.frombuffer(members.encode(), np.uint8)] |= flag
    table[HIDDEN_IP], table[HIDDEN] = WORD | DIGIT, WORD | LETTER
    return table


def _codes(words: str) -> npt.NDArray[np.int64]:
    """int64[n]: the words packed, ascending."""
    return np.array(sorted(map(registries.packed, words.split())), np.int64)


class _Tables(NamedTuple):
    """Addresses of the tables, and where those of ascending codes end."""

    classes: int
    domains: int
    domains_end: int
    lengths: int
    spoken: int
    spoken_end: int
    addressed: int
    addressed_end: int


_KEEP = (
    *(_classes(), registries.iban_lengths()),
    *(registries.domain_codes(), _codes(SPOKEN_WORDS), _codes(ADDRESS_WORDS)),
)
_CLASSES, _LENGTHS, *_SORTED = (table.ctypes.data for table in _KEEP)
_RANGES = [(first, first + table.nbytes) for first, table in zip(_SORTED, _KEEP[2:], strict=True)]
_TABLES = _Tables(_CLASSES, *_RANGES[0], _LENGTHS, *_RANGES[1], *_RANGES[2])


def rows(column: Texts) -> Counts:
    """int64[found, 4] by document and place: document (row of the column), code, first byte and the byte after."""
    out = np.empty((column.bytes // FEWEST_BYTES + 1, 4), np.int64)
    copy, shift = _copied(column)
    found = _documents(
        column.offsets,
        copy.ctypes.data - shift,
        column.count,
        _TABLES,
        out.ctypes.data,
    )
    return out[:found][np.lexsort((out[:found, 2], out[:found, 0]))]


def _copied(column: Texts) -> tuple[npt.NDArray[np.uint8], int]:
    """The bytes of all texts with 8 zeros after them, and the offset of their first one."""
    copy = np.zeros(column.bytes + 8, np.uint8)
    if not column.bytes:
        return copy, 0
    offsets, wide = column.keep
    first = int(offsets[0])
    copy[:-8] = np.frombuffer(wide.buffers()[2], np.uint8, column.bytes, first)
    return copy, first


def slices(column: Texts, found: Counts) -> list[bytes]:
    """The text of each of these rows, in UTF-8."""
    if not len(found):
        return []
    offsets, wide = column.keep
    memory = memoryview(wide.buffers()[2])
    return [bytes(memory[offsets[row] + start : offsets[row] + stop]) for row, _, start, stop in found]


@compiled
def _documents(offsets: int, data: int, texts: int, tables: _Tables, out: int) -> int:
    """How many rows were written at ``out``."""
    found = 0
    for index in range(texts):
        begin = data + load_i64(offsets + 8 * index)
        end = data + load_i64(offsets + 8 * index + 8)
        found += _secrets(begin, end, index, tables.classes, out + 32 * found)
        found += _addresses(begin, end, index, tables, out + 32 * found)
        found += _numbers(begin, end, index, tables, out + 32 * found)
    return found


@internal
def _store(out: int, document: int, code: int, start: int, stop: int) -> int:
    store_i64(out, document)
    store_i64(out + 8, code)
    store_i64(out + 16, start)
    store_i64(out + 24, stop)
    return 1


@internal
def _kind(classes: int, byte: int) -> int:
    """The flags of a byte."""
    return load_u16(classes + 2 * byte)


@internal
def _flags(classes: int, at: int, begin: int, end: int) -> int:
    """The flags of the byte at ``at``, 0 outside the document."""
    return _kind(classes, load_u8(at)) if begin <= at < end else 0


@internal
def _byte(at: int, begin: int, end: int) -> int:
    """The byte at ``at``, 0 outside the document."""
    return load_u8(at) if begin <= at < end else 0


@internal
def _addresses(begin: int, end: int, document: int, tables: _Tables, out: int) -> int:
    """Mail addresses; each, reserved ones too, is hidden from the next walk, which meets letters there."""
    found, at, floor = 0, begin, begin
    while at < end:
        if at + 8 <= end:
            other = load_i64(at) ^ (0x40 * _ONES)
            if not (other - _ONES) & ~other & _HIGH:
                at += 8
                continue
        if load_u8(at) != 0x40:
            at += 1
            continue
        start = _local(floor, at, tables.classes)
        name = _domain(at + 1, end, tables.classes, tables.domains, tables.domains_end) if start < at else 0
        if not name:
            at += 1
            continue
        stop = abs(name)
        if name > 0:
            found += _store(out + 32 * found, document, EMAIL, start - begin, stop - begin)
        _hide(start, stop, HIDDEN)
        at = floor = stop
    return found


@internal
def _hide(start: int, stop: int, byte: int) -> None:
    for place in range(start, stop):
        store_u8(place, byte)


@internal
def _local(floor: int, at: int, classes: int) -> int:
    """Where the part before the @ at ``at`` starts; ``at`` itself if there is none."""
    start = at
    while start > floor and _kind(classes, load_u8(start - 1)) & LOCAL:
        if load_u8(start - 1) == DOT and (start == at or load_u8(start) == DOT):
            break
        start -= 1
        if at - start > LOCAL_BYTES:
            return at
    while start < at and not _kind(classes, load_u8(start)) & WORD:
        start += 1
    return start


@internal
def _domain(begin: int, end: int, classes: int, domains: int, domains_end: int) -> int:
    """Where the domain name from ``begin`` ends, negative where it is reserved for examples; 0: it is none."""
    stop = begin
    while stop < end and _kind(classes, load_u8(stop)) & DOMAIN:
        stop += 1
        if stop - begin > DOMAIN_BYTES:
            return 0
    while stop > begin and not _kind(classes, load_u8(stop - 1)) & WORD:
        stop -= 1
    label, before, at = begin, 0, begin
    while at < stop:
        if load_u8(at) == DOT:
            size = at - label
            if size < 1 or size > LABEL_BYTES or load_u8(label) == DASH or load_u8(at - 1) == DASH:
                return 0
            before = _packed(label, at, classes)
            label = at + 1
        at += 1
    last = _packed(label, stop, classes)
    if label == begin or not last or not _among(domains, domains_end, last):
        return 0
    reserved = before == _EXAMPLE and (last in _RESERVED)
    return -stop if reserved else stop


@internal
def _packed(begin: int, end: int, classes: int) -> int:
    """registries.packed of the letters begin..end in lower case; 0 for anything else or more than 12."""
    value = 0
    if end - begin > 12:
        return 0
    for at in range(begin, end):
        if not _kind(classes, load_u8(at)) & LETTER:
            return 0
        value = value << 5 | load_u8(at) & 0x1F
    return value


@internal
def _among(first: int, end: int, value: int) -> bool:
    """Whether the ascending int64 from ``first`` to ``end`` hold ``value``."""
    low, high = 0, (end - first) // 8
    while low < high:
        middle = (low + high) // 2
        if load_i64(first + 8 * middle) < value:
            low = middle + 1
        else:
            high = middle
    return first + 8 * low < end and load_i64(first + 8 * low) == value


@internal
def _numbers(begin: int, end: int, document: int, tables: _Tables, out: int) -> int:
    """Everything else, by the first digit of each run of digits."""
    classes, found, at, floor = tables.classes, 0, begin, begin
    while at < end:
        if at + 8 <= end:
            word = load_i64(at) ^ (0x30 * _ONES)
            if not ~(((word & _LOW) + 0x76 * _ONES) | word) & _HIGH:
                at += 8
                continue
        if not _kind(classes, load_u8(at)) & DIGIT:
            at += 1
            continue
        before = _byte(at - 1, begin, end)
        start, stop, code = at, 0, IPV4
        kind = _kind(classes, before)
        if before == COLON or kind & (HEX | LETTER) == HEX | LETTER:
            start, code = _first_group(at, floor, classes), PRIVATE6
            stop = _ipv6(start, begin, end, classes)
        if not stop and kind & UPPER:
            start, stop, code = at - 2, _account(at - 2, begin, end, classes, tables.lengths), IBAN
        elif not stop and not kind & WORD:
            if before == PLUS and not _flags(classes, at - 2, begin, end) & WORD:
                start, code = at - 1, INTERNATIONAL
                stop = _international(at, end, classes, FEWEST_PHONE_DIGITS)
            if not stop:
                start, stop, code = at, _ipv6(at, begin, end, classes), IPV6
            if not stop:
                stop, code = _ipv4(at, begin, end, tables)
            if not stop:
                stop, code = _card(at, begin, end, classes), CARD
            if not stop:
                stop, code = _security(at, begin, end, classes), SSN
            if not stop and before == OPEN:
                start, stop, code = at - 1, _national(at - 1, begin, end, classes), NATIONAL
            if not stop:
                start, stop, code = at, _national(at, begin, end, classes), NATIONAL
            if not stop and before == OPEN:
                start, stop, code = at - 1, _spoken(at - 1, begin, end, tables), SPOKEN
            if not stop:
                start, stop, code = at, _spoken(at, begin, end, tables), SPOKEN
        if stop > 0:
            if code >= INTERNATIONAL and _said(start, stop, begin, tables):
                code += 2
            found += _store(out + 32 * found, document, code, start - begin, stop - begin)
        if stop and (code in (IPV6, PRIVATE6) or (code in (IPV4, PRIVATE4) and load_u8(start) != ZERO)):
            _hide(start, abs(stop), HIDDEN_IP)
        if stop:
            at = floor = abs(stop)
        else:
            at = _run(at, end, classes)
    return found


@internal
def _first_group(at: int, floor: int, classes: int) -> int:
    """Where the hexadecimal digits and colons before ``at`` start, at most as many as an address of IPv6 has."""
    start = max(floor, at - IPV6_BYTES)
    while at > start and (_kind(classes, load_u8(at - 1)) & HEX or load_u8(at - 1) == COLON):
        at -= 1
    return at


@internal
def _run(at: int, end: int, classes: int) -> int:
    """Where the digits from ``at`` on end."""
    while at < end and _kind(classes, load_u8(at)) & DIGIT:
        at += 1
    return at


@internal
def _ipv4(at: int, begin: int, end: int, tables: _Tables) -> tuple[int, int]:
    """The end of an address and its code; negative for one that is nobody's, and for versions; 0: it is none."""
    start, classes = at, tables.classes
    before, second = _byte(at - 1, begin, end), _byte(at - 2, begin, end)
    if before == DOT or (before == DASH and _flags(classes, at - 2, begin, end) & WORD):
        return 0, IPV4
    if before == EQUALS and second in _COMPARES:
        return 0, IPV4
    value, most = 0, 0
    for part in range(4):
        stop = _run(at, min(end, at + 4), classes)
        octet = 0
        for place in range(at, stop):
            octet = 10 * octet + load_u8(place) - 0x30
        if stop == at or stop - at > 3 or octet > 255 or (load_u8(at) == 0x30 and stop - at > 1):
            return 0, IPV4
        if part < 3 and _byte(stop, begin, end) != DOT:
            return 0, IPV4
        value, most, at = value << 8 | octet, max(most, octet), stop + 1
    stop = at - 1
    after, further = _byte(stop, begin, end), _flags(classes, stop + 1, begin, end)
    if _kind(classes, after) & WORD or (after == DOT and further & WORD):
        return 0, IPV4
    if after in (DASH, PLUS) and further & LETTER:
        return 0, IPV4
    reach = reached(value)
    named = most >= VERSION_PARTS or _after(start, begin, tables, tables.addressed, tables.addressed_end)
    return (stop if reach and named else -stop), (PRIVATE4 if reach == 1 else IPV4)


@compiled
def reached(value: int) -> int:
    """2: an IPv4 address of one host of the internet, 1: of a network of one's own, 0: nobody's.

    By the special-purpose registry of IANA: private are RFC 1918, 6598 and 3927, nobody's are loopback, documentation,
    benchmarking and the like, and multicast.
    """
    first, two, three = value >> 24, value >> 16, value >> 8
    if first == 10 or two in (0xA9FE, 0xC0A8) or two >> 6 == 0x6440 >> 6 or two >> 4 == 0xAC10 >> 4:
        return 1
    if first in (0, 127) or first >= 224 or two >> 1 == 0xC612 >> 1:
        return 0
    return 0 if three in (0xC00000, 0xC00002, 0xC63364, 0xCB0071) else 2


@internal
def _ipv6(at: int, begin: int, end: int, classes: int) -> int:
    """The end of an address of 2000::/3, of a network of one's own (fc00::/7, fe80::/10) or of eight groups that begins
    with a digit, negative for the ranges of documentation; 0: it is none.
    """
    before, worldwide, own = _byte(at - 1, begin, end), load_u8(at) & 0xFE == 0x32, False
    if before in (COLON, DOT) or _kind(classes, before) & WORD:
        return 0
    groups = short = first = second = 0
    while True:
        number, stop = 0, at
        while stop - at < 4 and _flags(classes, stop, begin, end) & HEX:
            digit = load_u8(stop)
            number = number << 4 | (digit & 15 if digit < 0x40 else (digit & 7) + 9)
            stop += 1
        groups += 1
        if groups == 1:
            if stop - at < 4:
                return 0
            first = number
            own = first >> 9 == 0xFC00 >> 9 or first >> 6 == 0xFE80 >> 6
            if first >= 0xA000 and not own:
                return 0
        elif groups == 2 and not short:
            second = number
        colons = 0
        while colons < 2 and _byte(stop + colons, begin, end) == COLON:
            colons += 1
        goes_on = _flags(classes, stop + colons, begin, end) & HEX
        if colons == 2:
            if short or not (worldwide or own):
                return 0
            short = 1
            stop += 0 if goes_on else 2
        if not colons or not goes_on:
            break
        at = stop + colons
    if (groups < 3 - own or groups > 7) if short else groups != 8:
        return 0
    after = _byte(stop, begin, end)
    if _kind(classes, after) & WORD or (after == DOT and _flags(classes, stop + 1, begin, end) & WORD):
        return 0
    if after == COLON and colons != 1:
        return 0
    return -stop if (first == 0x2001 and second == 0xDB8) or (first == 0x3FFF and second < 0x1000) else stop


@internal
def _account(at: int, begin: int, end: int, classes: int, lengths: int) -> int:
    """The end of an IBAN (ISO 13616), in one piece or in groups of four; 0: it is none."""
    if not _flags(classes, at, begin, end) & UPPER or _flags(classes, at - 1, begin, end) & WORD:
        return 0
    length = load_u8(lengths + 26 * (load_u8(at) - 65) + load_u8(at + 1) - 65)
    grouped = _byte(at + 4, begin, end) == SPACE
    rest = head = 0
    for index in range(length):
        if grouped and index and index % 4 == 0:
            if _byte(at, begin, end) != SPACE:
                return 0
            at += 1
        letter, kind = _byte(at, begin, end), _flags(classes, at, begin, end)
        if not kind & (UPPER | DIGIT) or (index >= 2 and index < 4 and not kind & DIGIT):
            return 0
        value = letter - 0x30 if kind & DIGIT else letter - 55
        if index < 4:
            head = head * (10 if kind & DIGIT else 100) + value
        else:
            rest = (rest * (10 if kind & DIGIT else 100) + value) % 97
        at += 1
    valid = length > 0 and (rest * 1_000_000 + head) % 97 == 1
    return at if valid and not _flags(classes, at, begin, end) & WORD else 0


@internal
def _card(at: int, begin: int, end: int, classes: int) -> int:
    """The end of a card number (ISO/IEC 7812): in one piece, 4-4-4-4, 4-6-5 or 4-6-4; 0: it is none."""
    before, stop = _byte(at - 1, begin, end), _run(at, min(end, at + 20), classes)
    gap = _byte(stop, begin, end)
    grouped = stop - at == 4 and gap in (SPACE, DASH)
    if before == DOT or (before == (gap if grouped else DASH) and _flags(classes, at - 2, begin, end) & DIGIT):
        return 0
    if grouped:
        groups, six, place = 1, False, stop
        while groups < 4 and _byte(place, begin, end) == gap:
            stop = _run(place + 1, min(end, place + 8), classes)
            size = stop - place - 1
            if groups == 1 and size == 6:
                six = True
            elif size != 4 and not (six and size == 5):
                return 0
            groups += 2 if six and groups == 2 else 1
            place = stop
        if groups < 4:
            return 0
        further = _run(stop + 1, min(end, stop + 6), classes) if _byte(stop, begin, end) == SPACE else stop
        if gap == SPACE and further - stop == 5:
            return 0
    after, further = _byte(stop, begin, end), _flags(classes, stop + 1, begin, end)
    if _kind(classes, after) & WORD or (after in (DOT, DASH) and further & DIGIT):
        return 0
    return stop if _checked(at, stop, classes) else 0


@internal
def _checked(at: int, stop: int, classes: int) -> bool:
    """Luhn's sum, and an issuer's first digits with one of its lengths, of the digits at..stop."""
    size = first = total = 0
    place = stop - 1
    while place >= at:
        if _kind(classes, load_u8(place)) & DIGIT:
            digit = load_u8(place) - 0x30
            total += digit if size % 2 == 0 else digit * 2 - 9 * (digit > 4)
            size += 1
        place -= 1
    for index in range(4):
        first = 10 * first + load_u8(at + index) - 0x30
    return total % 10 == 0 and issued(first, size)


@compiled
def issued(first: int, size: int) -> bool:
    """Whether numbers of Visa, Mastercard, Amex, Diners, Discover, JCB or UnionPay begin so with ``size`` digits."""
    if first // 1000 == 4:
        return size in (13, 16, 19)
    two, three, long = first // 100, first // 10, 16 <= size <= 19
    if 51 <= two <= 55 or 2221 <= first <= 2720:
        return size == 16
    if two in (34, 37) or first in (2131, 1800):
        return size == 15
    if 300 <= three <= 305 or two in (36, 38, 39):
        return size == 14
    return long and (first == 6011 or 644 <= three <= 649 or two in (62, 65) or 3528 <= first <= 3589)


@internal
def _international(at: int, end: int, classes: int, fewest: int) -> int:
    """The end of the groups of at most 15 digits from ``at``, negative for less than ``fewest``; 0: there is none.

    Groups stand side by side or with one of " ./-" between them; the one after the country code may be in parentheses.
    """
    digits, stop, place = 0, 0, at
    while place < end:
        inside = load_u8(place) == OPEN
        group = _run(place + inside, min(end, place + inside + PHONE_DIGITS + 1), classes)
        size = group - place - inside
        if not size or digits + size > PHONE_DIGITS:
            break
        if inside and (digits > 3 or size > 4 or _byte(group, at, end) != CLOSE):
            break
        if not inside and _flags(classes, group, at, end) & WORD:
            break
        digits, stop = digits + size, group + inside
        place = stop + (_flags(classes, stop, at, end) & GAP != 0)
    return stop if digits >= fewest else -stop


@internal
def _national(at: int, begin: int, end: int, classes: int) -> int:
    """The end of a number as North America writes it, (212) 555-0123, 1 or 001 before it or not; 0: it is none."""
    if _flags(classes, at - 1, begin, end) & WORD:
        return 0
    numbered = _flags(classes, at - 2, begin, end) & DIGIT
    if numbered and _flags(classes, at - 1, begin, end) & GAP and _byte(at - 1, begin, end) != SPACE:
        return 0
    place = at
    prefix = _run(at, min(end, at + 4), classes)
    ones = prefix > at and load_u8(prefix - 1) == 0x31 and _flags(classes, prefix, begin, end) & GAP
    if ones and (prefix - at == 1 or (prefix - at == 3 and load_u8(at) == 0x30 and load_u8(at + 1) == 0x30)):
        place = prefix + 1
    inside = _byte(place, begin, end) == OPEN
    stop = _three(place + inside, begin, end, classes)
    if not stop or (inside and _byte(stop, begin, end) != CLOSE):
        return 0
    stop += inside
    first = _byte(stop, begin, end)
    if _kind(classes, first) & GAP:
        stop += 1
    elif not inside:
        return 0
    stop = _three(stop, begin, end, classes)
    second = _byte(stop, begin, end) if stop else 0
    if not _kind(classes, second) & GAP or (not inside and first not in (second, SPACE)):
        return 0
    last = _run(stop + 1, min(end, stop + 6), classes)
    if last - stop != 5:
        return 0
    if first == SPACE and second == SPACE and not inside:
        spaced = _byte(last, begin, end) == SPACE and _flags(classes, last + 1, begin, end) & DIGIT
        if spaced or (numbered and _byte(at - 1, begin, end) == SPACE):
            return 0
    if _byte(last, begin, end) == 0x78:
        extension = _run(last + 1, min(end, last + 8), classes)
        last = extension if extension > last + 1 else last
    after = _byte(last, begin, end)
    if _kind(classes, after) & WORD or (
        after != SPACE and _kind(classes, after) & GAP and (_flags(classes, last + 1, begin, end) & DIGIT)
    ):
        return 0
    return last


@internal
def _three(at: int, begin: int, end: int, classes: int) -> int:
    """The end of three digits of which the first is 2 to 9; 0: they are not there."""
    if not _byte(at, begin, end) >= 0x32:
        return 0
    stop = _run(at, min(end, at + 4), classes)
    return stop if stop - at == 3 else 0


@internal
def _security(at: int, begin: int, end: int, classes: int) -> int:
    """The end of a US social security number, 3-2-4, of an area, group and serial number that exist; 0: it is none."""
    before, area, group = _byte(at - 1, begin, end), at + 3, at + 6
    if before == DOT or (before == DASH and _flags(classes, at - 2, begin, end) & DIGIT):
        return 0
    if _run(at, min(end, at + 4), classes) != area or _byte(area, begin, end) != DASH:
        return 0
    if _run(area + 1, min(end, area + 4), classes) != group or _byte(group, begin, end) != DASH:
        return 0
    stop = _run(group + 1, min(end, group + 6), classes)
    after = _byte(stop, begin, end)
    if stop != group + 5 or _kind(classes, after) & WORD:
        return 0
    if after in (DOT, DASH) and _flags(classes, stop + 1, begin, end) & DIGIT:
        return 0
    first = _number(at, area)
    known = 0 < first < 900 and first != 666 and _number(area + 1, group) > 0 and _number(group + 1, stop) > 0
    return stop if known else 0


@internal
def _number(at: int, stop: int) -> int:
    """The value of the digits at..stop."""
    value = 0
    for place in range(at, stop):
        value = 10 * value + load_u8(place) - ZERO
    return value


@internal
def _spoken(at: int, begin: int, end: int, tables: _Tables) -> int:
    """The end of 7 to 15 digits in groups, no date, after a word that makes them a telephone number; 0: it is none."""
    before, classes = _byte(at - 1, begin, end), tables.classes
    if before in _NO_PHONE or _kind(classes, before) & WORD:
        return 0
    if before == SPACE and _flags(classes, at - 2, begin, end) & DIGIT:
        return 0
    stop = _international(at, end, classes, FEWEST_SPOKEN_DIGITS)
    return stop if stop > 0 and not _dated(at, stop, classes) and _said(at, stop, begin, tables) else 0


@internal
def _dated(at: int, stop: int, classes: int) -> bool:
    """Whether these are three groups, the first or the last of four digits and the others of two at most."""
    groups = first = middle = size = 0
    for place in range(at, stop + 1):
        if place < stop and _kind(classes, load_u8(place)) & DIGIT:
            size += 1
            continue
        if size:
            groups += 1
            first, middle = (size if groups == 1 else first), (size if groups == 2 else middle)
        last, size = (size if size else 0), 0
    return groups == 3 and middle <= 2 and ((first == 4 and last <= 2) or (first <= 2 and last == 4))


@internal
def _said(start: int, stop: int, begin: int, tables: _Tables) -> bool:
    """Whether one of SPOKEN_WORDS stands before ``start``, and the digits are no mask.

    A mask's first four digits are 0, or all but one are.
    """
    zeros = others = 0
    for place in range(start, stop):
        if _kind(tables.classes, load_u8(place)) & DIGIT:
            zeros += others == 0 and load_u8(place) == ZERO
            others += load_u8(place) != ZERO
    return zeros < 4 and others > 1 and _after(start, begin, tables, tables.spoken, tables.spoken_end)


@internal
def _after(start: int, begin: int, tables: _Tables, first: int, last: int) -> bool:
    """Whether one of the packed words from ``first`` to ``last`` stands before ``start``, at most WORD_BYTES before it.

    On its line, or on the one before if the number begins its line. Addresses between do not count, so that their
    masks, longer or shorter, change nothing; 0.0.0.0 does, which the mask of a number may look like.
    """
    at, passed, own_line, alone = start, 0, True, True
    while at > begin and passed < WORD_BYTES:
        if load_u8(at - 1) == NEWLINE:
            if not own_line or not alone:
                return False
            own_line = False
        end = at
        while at > begin and _kind(tables.classes, load_u8(at - 1)) & LETTER:
            at -= 1
            passed += load_u8(at) < HIDDEN_IP
        if at < end and _among(first, last, _packed(at, end, tables.classes)):
            return True
        if at == end:
            at -= 1
            passed += load_u8(at) < HIDDEN_IP
        alone = alone and not _kind(tables.classes, load_u8(at)) & WORD
    return False


@internal
def _secrets(begin: int, end: int, document: int, classes: int, out: int) -> int:
    """Keys and tokens; each, masked ones too, is overwritten with !, which is in no address and no number."""
    found, at, inside = 0, begin, False
    while at < end:
        kind = _kind(classes, load_u8(at))
        start = stop = 0
        if kind & STARTS and not inside and at + FEWEST_SECRET_BYTES <= end:
            start, stop = _secret(at, end, classes)
        if not stop:
            inside = kind & TOKEN != 0
            at += 1
            continue
        if _filled(start, stop, classes):
            found += _store(out + 32 * found, document, SECRET, start - begin, stop - begin)
        for place in range(start, stop):
            store_u8(place, 0x21)
        at = stop
    return found


@internal
def _secret(at: int, end: int, classes: int) -> tuple[int, int]:
    """Where the secret that begins at ``at`` starts and ends; 0, 0: none does."""
    stop = _access_key(at, end, classes)
    if not stop:
        stop = _token(at, end, classes)
    if not stop:
        stop = _web_token(at, end, classes)
    if stop:
        return at, stop
    body = _key_begins(at, end, classes)
    stop = _key_ends(body, end, classes) if body else 0
    return (body, stop) if stop else (0, 0)


@internal
def _filled(at: int, stop: int, classes: int) -> bool:
    """Whether a secret is more than the words that name its kind and zeros: what masks leave."""
    at += _prefix(at)
    while at < stop:
        if load_u8(at) == DOT and load_i32(at + 1) & LOW_24 == _EYJ:
            at += 4
            continue
        if _kind(classes, load_u8(at)) & (LETTER | DIGIT) and load_u8(at) != ZERO:
            return True
        at += 1
    return False


@internal
def _prefix(at: int) -> int:
    """How many bytes name the kind of the secret at ``at``."""
    first = load_i32(at)
    if first in (_AKIA, _ASIA):
        return 4
    if first == _GITH:
        return 11
    if first & LOW_24 == _EYJ:
        return 3
    return 4 if first & 0xFFFF == _GH else 0


@internal
def _access_key(at: int, end: int, classes: int) -> int:
    """The end of the identifier of an AWS access key: AKIA or ASIA and 16 of A-Z and 2-7; 0: it is none."""
    if load_i32(at) not in (_AKIA, _ASIA) or at + 20 > end:
        return 0
    zeros = load_u8(at + 4) == ZERO
    for place in range(at + 4, at + 20):
        if load_u8(place) != ZERO if zeros else not _kind(classes, load_u8(place)) & BASE32:
            return 0
    return at + 20 if not _flags(classes, at + 20, at, end) & TOKEN else 0


@internal
def _alphanumeric(at: int, end: int, classes: int) -> int:
    """Where the letters and digits from ``at`` on end."""
    while at < end and _kind(classes, load_u8(at)) & (LETTER | DIGIT):
        at += 1
    return at


@internal
def _token(at: int, end: int, classes: int) -> int:
    """The end of a GitHub token: gh, one of pousr, _ and 36 to 251 more, or github_pat_, 22, _ and 59; 0: none."""
    first = load_i32(at)
    if first == _GITH:
        if load_i64(at) != _GITHUB_P or load_i32(at + 8) & LOW_24 != _AT:
            return 0
        middle = _alphanumeric(at + 11, end, classes)
        if middle != at + 33 or middle >= end or load_u8(middle) != 0x5F:
            return 0
        stop = _alphanumeric(middle + 1, end, classes)
        fits = stop == middle + 60
    else:
        if first & 0xFFFF != _GH or first >> 24 != 0x5F or (first >> 16 & 0xFF) not in _GITHUB:
            return 0
        stop = _alphanumeric(at + 4, end, classes)
        fits = 40 <= stop - at <= 255
    return stop if fits and not _flags(classes, stop, at, end) & TOKEN else 0


@internal
def _web_token(at: int, end: int, classes: int) -> int:
    """The end of a signed JSON Web Token (RFC 7519): two objects and a signature in base64url; 0: it is none."""
    if load_i32(at) & LOW_24 != _EYJ:
        return 0
    stop = _base64(at, end, classes)
    if stop - at < 10 or stop + 6 > end or load_u8(stop) != DOT or load_i32(stop + 1) & LOW_24 != _EYJ:
        return 0
    stop = _base64(stop + 1, end, classes)
    if stop >= end or load_u8(stop) != DOT:
        return 0
    last = _base64(stop + 1, end, classes)
    return last if last > stop + 1 else 0


@internal
def _base64(at: int, end: int, classes: int) -> int:
    """Where the bytes of base64url from ``at`` on end."""
    while at < end and _kind(classes, load_u8(at)) & TOKEN:
        at += 1
    return at


@internal
def _key_begins(at: int, end: int, classes: int) -> int:
    """Where the first line of a private key (RFC 7468) ends; 0: there is none."""
    if load_i64(at) != _BEGIN or load_i32(at + 8) & LOW_24 != _IN:
        return 0
    place = at + 11
    while place < end and place - at < 64 and (load_u8(place) == SPACE or _kind(classes, load_u8(place)) & LABELS):
        place += 1
    if place < at + 22 or place + 5 > end or load_i64(place - 11) != _PRIVATE or load_i32(place - 4) != _KEY:
        return 0
    return place + 5 if load_i32(place) == _DASHES and load_u8(place + 4) == DASH else 0


@internal
def _key_ends(at: int, end: int, classes: int) -> int:
    """Where the last line of a private key begins; 0: it does not within PEM_BYTES, or what stands before is no key."""
    run = longest = 0
    for place in range(at, min(end - 8, at + PEM_BYTES) + 1):
        kind = _kind(classes, load_u8(place))
        if kind & AROUND and load_i64(place) == _END:
            return place if longest >= FEWEST_KEY_BYTES else 0
        if not kind & (BASE64 | AROUND):
            return 0
        run = run + 1 if kind & BASE64 else 0
        longest = max(longest, run)
    return 0
