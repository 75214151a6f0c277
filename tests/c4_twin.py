"""C4's rules of lines in plain Python, for who counts lines and for who leaves them out."""

from __future__ import annotations

import re

from word_shapes import spaced

from warehouse.contracts import Words
from warehouse.kernels.characters import _TERMINALS
from warehouse.kernels.scripts import ranges

POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


TERMINALS = {chr(point) for part in ranges(_TERMINALS) for point in part}


def ends(line: str, mode: Words) -> bool:
    """Whether a line ends a sentence for C4; in ``unicode`` also by the marks of other scripts."""
    others = TERMINALS | {"\u300d", "\u300f"} if mode == "unicode" else set()
    if line and line[-1] in others and not line[-1].isascii():
        return True
    return line.endswith((".", "?", "!", '"', "'")) and not line.endswith("...")


def c4_line(line: str, *, needs_mark: bool, mode: Words = "spacy_en") -> str:
    """The name of the first C4 rule that the line breaks, else kept."""
    words = (spaced(line) if mode == "unicode" else line).split()
    if any(len(word) > 1000 for word in words):
        return "long_word"
    line = CITATION.sub("", line)
    lower = line.translate(ASCII_LOWER)
    broken = {
        "no_terminal": needs_mark and not ends(line, mode),
        "few_words": len(words) < 3,
        "lorem_ipsum": "lorem ipsum" in lower,
        "javascript": "javascript" in lower,
        "curly_bracket": "{" in line,
        "policy": any(phrase in lower for phrase in POLICIES),
    }
    return next((name for name, breaks in broken.items() if breaks), "kept")


def c4_left(text: str, *, needs_mark: bool, mode: Words = "spacy_en") -> str:
    """The text that C4's filter leaves of a document: its kept lines without citations."""
    stripped = map(str.strip, text.splitlines())
    kept = (line for line in stripped if c4_line(line, needs_mark=needs_mark, mode=mode) == "kept")
    return "\n".join(CITATION.sub("", line) for line in kept).strip()
