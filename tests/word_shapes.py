"""How a text that is written without spaces falls into words, by the names of its characters."""

from __future__ import annotations

import re
import unicodedata

PART = "am*|k[km]*|[wm]+"
SINGLE = ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "HANGZHOU NUMERAL", "IDEOGRAPHIC NUMBER ZERO")
SINGLE += ("IDEOGRAPHIC ITERATION", "VERTICAL IDEOGRAPHIC ITERATION", "OLD CHINESE ITERATION", "HIRAGANA", "HENTAIGANA")
SINGLE += ("THAI", "LAO", "KHMER", "MYANMAR")


def is_word(char: str) -> bool:
    return char == "_" or unicodedata.category(char)[0] in "LMN"


def shape(char: str) -> str:
    """A single word, katakana, m of marks, w of other words, else the character itself."""
    if not is_word(char) or char == "_":
        return "w" if char == "_" else char
    category, name = unicodedata.category(char), unicodedata.name(char, "")
    if category[0] == "M":
        return "m"
    if category == "Nl" or category[0] == "L":
        if name.startswith(SINGLE):
            return "a"
        if name.startswith(("KATAKANA", "HALFWIDTH KATAKANA", "VERTICAL KANA")):
            return "k"
    return "w"


def spaced(line: str) -> str:
    """The line with a space on both sides of each word that needs none to be one."""
    found = re.finditer("am*|k[km]*", "".join(map(shape, line)))
    places = sorted({place for match in found for place in match.span()})
    return " ".join(line[start:stop] for start, stop in zip([0, *places], [*places, len(line)], strict=True))
