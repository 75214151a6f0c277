"""The charset of bytes that state none: a byte order mark, UTF-8 where they are that, else uchardet's guess.

uchardet (through resiliparse, 10 ms a MB) was right for 32 of 33 texts of some 100 to 200 characters, 16 languages in
25 charsets (tests/sources/charsets.txt); charset-normalizer for 30. It calls KOI8-U KOI8-R, which differ in box lines:
both are read as KOI8-U. UTF-16 without a mark is known by its zero bytes, in CSV and JSON; text is binary then. Not
won: a few words are a guess among the sets that have such letters (one Cyrillic letter is read as Windows-1252; ISO
8859-2 and Windows-1250 share most of theirs), and UTF-16 with neither mark nor ASCII is not known. A recipe's
``dialect.encoding`` states what is known.
"""

from __future__ import annotations

import codecs
import re

from resiliparse.parse.encoding import detect_encoding

MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
ISO_2022 = re.compile(rb"\x1b[$(]")
"""What only ISO 2022 has; its bytes are ASCII, and so always UTF-8 too."""
SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "koi8-r": "koi8-u",
    "tis-620": "cp874",
}
SIBLINGS = {"iso8859-2": "cp1250", "iso8859-5": "cp1251", "iso8859-6": "cp1256", "iso8859-7": "cp1253"}
SIBLINGS |= {"iso8859-4": "cp1257", "iso8859-8": "cp1255", "iso8859-13": "cp1257", "iso8859-15": "cp1252"}
"""What a set is taken for where its text has control characters of 0x80 to 0x9F, which stand in no text."""
CONTROLS = re.compile("[\x80-\x9f]")


UTF16_BYTES = 1 << 16
"""Looked at for UTF-16 without a mark."""


def guessed(raw: bytes) -> str | None:
    """Python's name of the charset, never with a mark; None where nothing is likely.

    Bytes of which as many characters are valid beyond ASCII as are not UTF-8 are UTF-8 that was damaged.
    """
    if not ISO_2022.search(raw) and _is_utf8(raw):
        return "utf-8"
    name = _looked_up(str(detect_encoding(raw, html5_compatible=False)).lower())
    if name is None:
        return None
    if name in SIBLINGS and CONTROLS.search(raw.decode(name, "replace")):
        return SIBLINGS[name]
    return SUPERSETS.get(name, name)


def unmarked_utf16(raw: bytes) -> str | None:
    """``utf-16-le`` or ``utf-16-be`` where the bytes are that without a mark, as text with ASCII in it shows: one byte
    in eight or more is zero, nine in ten of those at odd (little-endian) or even places, and they decode, line feeds
    among them to line feeds: a few NUL in a small text of one byte each are none.
    """
    head = raw[: min(len(raw) & ~1, UTF16_BYTES)]
    for name, zeros in (("utf-16-le", head[1::2].count(0)), ("utf-16-be", head[::2].count(0))):
        if head.count(0) * 8 >= len(head) > 0 and zeros * 10 >= head.count(0) * 9 and _decodes(head, name):
            return name
    return None


def _decodes(raw: bytes, name: str) -> bool:
    try:
        text = codecs.getincrementaldecoder(name)().decode(raw)
    except UnicodeDecodeError:
        return False
    return "\n" in text or b"\n" not in raw


def _is_utf8(raw: bytes) -> bool:
    """Whether it is, a character cut at its end aside, or was before it was damaged."""
    decoder = codecs.getincrementaldecoder("utf-8")
    try:
        return decoder().decode(raw) is not None
    except UnicodeDecodeError:
        text = decoder("replace").decode(raw)
    return len(text) - len(text.encode("ascii", "ignore")) >= 2 * text.count("\ufffd")


def _looked_up(name: str) -> str | None:
    try:
        found = codecs.lookup(name).name
    except LookupError:
        return None
    return "iso8859-1" if found == "ascii" else found
