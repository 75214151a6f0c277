"""What spaCy's English tokenizer knows, as one block of memory: a table of character flags, then one of strings.

The facts lie in ``english.txt``: code points of its character classes, units of measure, special cases cut into their
tokens, and how affixes alone would cut those (so that a special case found apart is put together again). They are those
of spaCy 3.8.18 (MIT licence, Copyright ExplosionAI GmbH), checked there by tests/curation/test_english.py.

The block, from its address on::

    0          uint16 flags of each code point
    0x220000   64 Ki bits: hashes (low 16 bits) of the strings below
    0x222000   4096 slots of 32 bytes: int64 hash, int64 place of the bytes in the block, int32 bytes (0: empty),
               int32 tokens, int32 bytes of the first, int32 bytes of the second token; the sign bits see ``UNIT``
    0x242000   4096 times int32: by slot, where affixes end a token: bit i for byte i + 1 (0: never put together)
    0x246000   64 Ki bits: the first bytes of the first (low) and second token of strings that affixes cut so
    0x248000   64 Ki bits: the last byte of a token (low) and the first one of the token after it in such strings
    0x24a000   64 Ki bits: the first (low) and last byte of the strings below
    0x24c000   the strings
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from warehouse.kernels import characters
from warehouse.kernels.hashing import hash_word

ALPHA = 1  # spaCy's ALPHA, which is not str.isalpha: its scripts are blocks of code points, marks and digits included
LOWER = 2
UPPER = 4
QUOTE = 8
AFFIX = 16  # always a prefix and a suffix by itself
PREFIX = 32  # always a prefix by itself
STOPPED = 64  # a full stop after it, at the end, is a token
CURRENCY = 128
ICON = 256
INFIX = 512  # may begin an infix
IDENTIFIER = 1024  # Python's \w, full stop, plus, hyphen: of a URL's scheme
HOST = 2048  # of a label in a URL
SENTENCE = 4096  # ends a sentence, as a token by itself
UNIT_END = 8192  # may end a unit of measure
DIGIT = 16384  # Python's \d
SPACE = 32768  # str.isspace

FILTER = 0x220000
SLOTS = 0x222000
BARE = 0x242000
PAIRS = 0x246000
BORDERS = 0x248000
ENDS = 0x24A000
STRINGS = 0x24C000
SLOT_COUNT = 4096
LONGEST = 29  # bytes of the longest string
UNIT = 1 << 30  # set in a slot's tokens: the string is a unit of measure


def sections() -> dict[str, str]:
    """The parts of english.txt by name."""
    text = resources.files(__package__).joinpath("english.txt").read_text("utf-8")
    parts = (part.partition(":\n") for part in text.split("\n\n"))
    return {name: body for name, _, body in parts}


def points(text: str) -> list[int]:
    """Code points written in hexadecimal: ``only``, ``first-last``, ``first-last/step``."""
    found: list[int] = []
    for part in text.split():
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        found += range(int(first, 16), int(last or first, 16) + 1, int(step or 1))
    return found


def _flags(facts: dict[str, str]) -> npt.NDArray[np.uint16]:
    """uint16[0x110000]: the flags of each code point."""
    table = np.zeros(0x110000, np.uint16)
    for name, flag in {
        "uncased": ALPHA | LOWER | UPPER | STOPPED,
        "lower": ALPHA | LOWER | STOPPED,
        "upper": ALPHA | UPPER,
        "alpha": ALPHA,
        "icon": ICON | AFFIX | PREFIX | INFIX,
        "quote": QUOTE | AFFIX | PREFIX | STOPPED,
        "punctuation": AFFIX | PREFIX | STOPPED,
        "currency": CURRENCY | PREFIX,
        "sentence": SENTENCE,
    }.items():
        table[points(facts[name])] |= flag
    for chars, flag in {
        "0123456789%\u00b2-+|(?:)": STOPPED,
        "\u00a7%=\u2014\u2013": PREFIX,
        "\u2014\u2013\u2026": AFFIX,
        ".\u2026+-*^,\u2013\u2014~:<>=/": INFIX,
        "_.+-": IDENTIFIER,
        "".join({unit[-1] for unit in facts["unit"].split()}): UNIT_END,
    }.items():
        table[[ord(char) for char in chars]] |= flag
    table[[*range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B), *range(0xA1, 0x10000)]] |= HOST
    table[characters.TABLE & characters.DIGIT > 0] |= DIGIT
    table[characters.TABLE & characters.SPACE > 0] |= SPACE
    table[[point for point in range(0x40000) if chr(point).isalnum()]] |= IDENTIFIER
    return table


def _strings(facts: dict[str, str]) -> dict[bytes, list[int]]:
    """[tokens, bytes of the first, bytes of the second, ends by affixes] of each special case and unit."""
    found: dict[bytes, list[int]] = {}
    for line in facts["special"].splitlines():
        sizes = [len(token.encode()) for token in line.split()]
        found[line.replace(" ", "").encode()] = [len(sizes), sizes[0], (*sizes, 0)[1], 0]
    for line in facts["apart"].splitlines():
        ends = np.cumsum([len(token.encode()) for token in line.split()])
        found[line.replace(" ", "").encode()][3] = int((1 << (ends - 1)).sum())
    for unit in facts["unit"].split():
        found.setdefault(unit.encode(), [0, 0, 0, 0])[0] |= UNIT
    return found


@cache
def block() -> npt.NDArray[np.uint8]:
    """The whole block, as drawn above. Kernels take its address as an argument: compiled code must freeze none."""
    facts = sections()
    strings = _strings(facts)
    pool = np.frombuffer(b"".join(strings), np.uint8)
    block = np.concatenate([_flags(facts).view(np.uint8), np.zeros(STRINGS - FILTER, np.uint8), pool])
    slots, bare = block[SLOTS:BARE].view(np.int32).reshape(-1, 8), block[BARE:PAIRS].view(np.int32)
    place, address = STRINGS, block.ctypes.data
    for string, (tokens, first, second, ends) in strings.items():
        digest = hash_word(address + place, address + place + len(string))
        outer = string[0] | string[-1] << 8
        block[FILTER + (digest & 0xFFFF) // 8] |= np.uint8(1 << (digest & 7))
        block[ENDS + outer // 8] |= np.uint8(1 << (outer & 7))
        slot = digest >> 16 & SLOT_COUNT - 1
        while slots[slot, 4]:
            slot = slot + 1 & SLOT_COUNT - 1
        slots[slot, :4] = np.array([digest, place], np.int64).view(np.int32)
        slots[slot, 4:] = len(string), tokens, first, second
        if ends:
            pair = string[0] | string[(ends & -ends).bit_length()] << 8
            block[PAIRS + pair // 8] |= np.uint8(1 << (pair & 7))
            for stop in (bit + 1 for bit in range(len(string) - 1) if ends >> bit & 1):
                border = string[stop - 1] | string[stop] << 8
                block[BORDERS + border // 8] |= np.uint8(1 << (border & 7))
        bare[slot] = ends - (1 << 32) if ends >> 31 else ends
        place += len(string)
    return block
