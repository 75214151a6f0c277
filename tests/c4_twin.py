"""C4's rules of lines in plain Python, for who counts lines and for who leaves them out."""

from __future__ import annotations

import re

POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def c4_line(line: str, *, needs_mark: bool) -> str:
    """The name of the first C4 rule that the line breaks, else kept."""
    words = line.split()
    if any(len(word) > 1000 for word in words):
        return "long_word"
    line = CITATION.sub("", line)
    lower = line.translate(ASCII_LOWER)
    broken = {
        "no_terminal": needs_mark and (not line.endswith((".", "?", "!", '"', "'")) or line.endswith("...")),
        "few_words": len(words) < 3,
        "lorem_ipsum": "lorem ipsum" in lower,
        "javascript": "javascript" in lower,
        "curly_bracket": "{" in line,
        "policy": any(phrase in lower for phrase in POLICIES),
    }
    return next((name for name, breaks in broken.items() if breaks), "kept")


def c4_left(text: str, *, needs_mark: bool) -> str:
    """The text that C4's filter leaves of a document: its kept lines without citations."""
    kept = (line.strip() for line in text.splitlines() if c4_line(line.strip(), needs_mark=needs_mark) == "kept")
    return "\n".join(CITATION.sub("", line) for line in kept).strip()
