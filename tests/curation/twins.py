"""The definitions of the signals in plain Python, one short function a family: what the kernels are compared with."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

import spacy_twin
from c4_twin import ASCII_LOWER, CITATION, c4_line

from warehouse.kernels.characters import _PUNCTUATION, _TERMINALS, _ranges
from warehouse.kernels.words import Words

TERMINALS = {chr(point) for part in _ranges(_TERMINALS) for point in part}
PUNCTUATION = {chr(point) for part in _ranges(_PUNCTUATION) for point in part} | TERMINALS
STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
WORD = re.compile(r"w+(?:[.'\u2019]w+)*|\.+|-+|~+|.", re.DOTALL)


def is_word(char: str) -> bool:
    return char == "_" or unicodedata.category(char)[0] in "LMN"


def cut(text: str, mode: Words) -> list[str]:
    if mode == "spacy_en":
        return spacy_twin.cut(text)
    if mode == "whitespace":
        return text.split()
    words: list[str] = []
    for chunk in text.split():
        shape = "".join("w" if is_word(char) else char for char in chunk)
        words += [chunk[slice(*found.span())] for found in WORD.finditer(shape)]
    return words


def normalised(text: str) -> str:
    return " ".join(text.translate(ASCII_LOWER).split())


def profile(text: str) -> dict[str, int]:
    categories = Counter(unicodedata.category(char) for char in text)
    return {
        "chars": len(text),
        "bytes": len(text.encode()),
        "alpha_chars": sum(char.isalpha() for char in text),
        "digit_chars": sum(char.isdecimal() for char in text),
        "upper_chars": categories["Lu"],
        "space_chars": sum(char.isspace() for char in text),
        "punctuation_chars": sum(char in PUNCTUATION for char in text),
        "control_chars": sum(unicodedata.category(char) == "Cc" and not char.isspace() for char in text),
        "replacement_chars": text.count("\ufffd"),
        "hashes": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
    }


def repeats(parts: list[str]) -> tuple[int, int]:
    again = [part for index, part in enumerate(parts) if part in set(parts[:index])]
    return len(again), sum(map(len, again))


def lines(text: str) -> dict[str, int]:
    split, paragraphs = re.split("\n+", text), re.split("\n{2,}", text.strip())
    filled = [line for line in text.split("\n") if line.strip()]
    return {
        "newlines": text.count("\n"),
        "split_lines": len(split),
        "duplicate_lines": repeats(split)[0],
        "duplicate_line_chars": repeats(split)[1],
        "filled_lines": len(filled),
        "terminal_lines": sum(line[-1] in TERMINALS for line in filled),
        "short_lines": sum(len(line) <= 30 for line in filled),
        "duplicate_filled_chars": repeats(filled)[1],
        "long_lines": sum(len(line) >= 200 for line in text.split("\n")),
        "longest_line": max(map(len, text.split("\n"))),
        "paragraphs": len(paragraphs),
        "duplicate_paragraphs": repeats(paragraphs)[0],
        "duplicate_paragraph_chars": repeats(paragraphs)[1],
    }


def sentences(line: str, mode: Words) -> int:
    """One more wherever something but punctuation or space follows a terminal mark that joins no word to another."""
    if mode == "spacy_en":
        return spacy_twin.sentences(line)
    found, ended = 1, False
    for char, after in zip(line, line[1:] + " ", strict=False):
        if char in TERMINALS:
            ended = ended or not (char.isascii() and is_word(after))
        elif ended and not char.isspace() and unicodedata.category(char)[0] != "P":
            found, ended = found + 1, False
    return found


def c4(text: str, mode: Words) -> dict[str, int]:
    stripped = [line.strip() for line in text.splitlines()]
    found = {
        "lines": len(stripped),
        "bullet_lines": sum(line.startswith(("•", "-")) for line in stripped),
        "ellipsis_lines": sum(line.endswith(("...", "…")) for line in stripped),
    }
    rules = ("kept", "few_words", "lorem_ipsum", "javascript", "curly_bracket", "policy")
    for prefix, needs_mark in (("c4_", True), ("c4_open_", False)):
        outcomes = [c4_line(line, needs_mark=needs_mark) for line in stripped]
        found |= {f"{prefix}{rule}_lines": outcomes.count(rule) for rule in rules}
        kept = [line for line, outcome in zip(stripped, outcomes, strict=True) if outcome == "kept"]
        found[f"{prefix}sentences"] = sum(sentences(CITATION.sub("", line), mode) for line in kept)
        if needs_mark:
            found |= {f"c4_{rule}_lines": outcomes.count(rule) for rule in ("long_word", "no_terminal")}
    return found


def top(words: list[str], n: int) -> int:
    """most_common gives the first of equals."""
    grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    return sum(len(" ".join(gram)) * times for gram, times in grams.most_common(1))


def duplicates(words: list[str], n: int) -> int:
    met, chars, index = set(), 0, 0
    while index <= len(words) - n:
        gram = tuple(words[index : index + n])
        again = gram in met
        chars += again * len("".join(gram))
        index += n if again else 1
        met.add(gram)
    return chars


def words(text: str, mode: Words) -> dict[str, int]:
    found = cut(text, mode)
    plain = [word for word in found if not set(word) <= PUNCTUATION]
    return {
        "words": len(found),
        "word_chars": sum(map(len, found)),
        "plain_words": len(plain),
        "plain_word_chars": sum(map(len, plain)),
        "alpha_words": sum(any(char.isalpha() for char in word) for word in found),
        "stop_words": len(STOP_WORDS & set(found)),
        "longest_word": max(map(len, found), default=0),
        "distinct_words": len(set(found)),
        **{f"top_{n}_gram_chars": top(found, n) for n in (2, 3, 4)},
        **{f"duplicate_{n}_gram_chars": duplicates(found, n) for n in range(5, 11)},
    }


def signals(text: str, mode: Words) -> dict[str, int]:
    return profile(text) | lines(text) | c4(text, mode) | words(text, mode)


def paragraphs(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if len(line.strip().encode()) >= 20]
