"""The definitions of the signals in plain Python, one short function a family: what the kernels are compared with."""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections import Counter

import spacy_twin
from c4_twin import ASCII_LOWER, CITATION, POLICIES, TERMINALS, c4_left, c4_line
from fontTools.unicodedata import script as unicode_script
from word_shapes import PART, is_word, shape

from warehouse.contracts import Words
from warehouse.kernels.characters import _PUNCTUATION
from warehouse.kernels.scripts import ranges

PUNCTUATION = {chr(point) for part in ranges(_PUNCTUATION) for point in part} | TERMINALS
STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
WORD = re.compile(rf"{PART}(?:[.'\u2019][wm]+)*|\.+|-+|~+|.", re.DOTALL)
FED = ("split_lines", "duplicate_lines", "duplicate_line_chars", "terminal_lines", "short_lines")
FED += ("paragraphs", "duplicate_paragraphs")
FINEWEB = ("newlines", "filled_lines", "terminal_lines", "short_lines", "duplicate_filled_chars")
BOILERPLATE = (*POLICIES, "privacy overview", "privacy & cookies policy", "privacy and cookies policy")
URL = re.compile(r"https?://(?:[A-Za-z0-9$\-_@.&+/:=?#~!*(),]|%[0-9A-Fa-f]{2})+")
BULLETS = "\u2022\u2023\u2043\u204c\u204d\u2219\u25cb\u25cf\u25d8\u25e6\u29be\u29bf"
SYMBOLS = {"#", "...", "[...]", "(...)", "…", "[…]", "-»"}
UNSPACED = [
    *("漢字", "々", "\u3007", "ひらがな", "カタカナー", "ｶﾞ", "か\u3099", "カ\u3099", "ゝ", "ヽ", "\u3031"),
    *(
        "ไทย",
        "กำ",
        "ที่",
        "เ",
        "ລາວ",
        "ຂໍ້",
        "ខ្មែរ",
        "မြန်မာ",
        "က္က",
        "๑๒",
        "한국",
        "\uff46\uff55\uff4c\uff4c",
        "\uff11\uff12",
    ),
    *("abc", "don't", "A", "7", "3.14", "_", "a.", "'", "\u0301", "é", "\u200b", "。", "\uff01", "、", "「", "」", " "),
]
"""Pieces of text without spaces, and what may stand beside them."""
ELLIPSES = ("...", "[...]", "(...)", "…", "[…]", "-»", "read more", "read more..")


def cut(text: str, mode: Words) -> list[str]:
    if mode == "spacy_en":
        return spacy_twin.cut(text)
    if mode == "whitespace":
        return text.split()
    words: list[str] = []
    for chunk in text.split():
        words += [chunk[slice(*found.span())] for found in WORD.finditer("".join(map(shape, chunk)))]
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
        "nemo_plain_chars": len(re.findall("[a-zA-Z0-9\n?!,.]", text)),
        "bracket_chars": sum(char in "()[]{}⟨⟩" for char in text),
        "curly_brackets": text.count("{"),
        "url_chars": sum(map(len, URL.findall(text))),
        "dolma_symbol_words": sum("#" in word or "…" in word for word in text.split()),
        "nemo_symbol_words": sum(word in SYMBOLS for word in text.split()),
    }


def all_repeated(parts: list[str]) -> list[str]:
    counts = Counter(parts)
    return [part for part in parts if counts[part] > 1]


def comments(filled: list[str]) -> list[str]:
    found, block = [], ""
    for line in map(str.strip, filled):
        before, after = block, line
        if not block and line.startswith(("/*", "<!--")):
            block, after = ("*/", line[2:]) if line[0] == "/" else ("-->", line[4:])
        opened = block
        block = "" if block in after else block
        if before or opened or line.startswith(("#", "//", "--")):
            found.append(line)
    return found


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
        "dolma_repeated_lines": len(all_repeated(text.split("\n"))),
        "dolma_repeated_line_chars": sum(map(len, all_repeated(text.split("\n")))),
        "dolma_bullet_lines": sum(line.startswith(("*", "-")) for line in text.split("\n")),
        "dolma_ellipsis_lines": sum(line.endswith("…") for line in text.split("\n")),
        "nemo_duplicate_lines": repeats(filled)[0],
        "nemo_bullet_lines": sum(line.strip()[0] in BULLETS for line in filled),
        "nemo_ellipsis_lines": sum(line.strip().translate(ASCII_LOWER).endswith(ELLIPSES) for line in filled),
        "nemo_unended_lines": sum(line.strip()[-1] not in ".?!\"'" for line in filled),
        "nemo_paragraphs": len(text.split("\n\n")),
        "nemo_duplicate_paragraphs": repeats(text.split("\n\n"))[0],
        "nemo_duplicate_paragraph_chars": repeats(text.split("\n\n"))[1],
        "comment_chars": sum(map(len, comments(filled))),
        "xml_headers": int("<?xml version=" in text[:100]),
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
        outcomes = [c4_line(line, needs_mark=needs_mark, mode=mode) for line in stripped]
        found |= {f"{prefix}{rule}_lines": outcomes.count(rule) for rule in rules}
        kept = [line for line, outcome in zip(stripped, outcomes, strict=True) if outcome == "kept"]
        found[f"{prefix}sentences"] = sum(sentences(CITATION.sub("", line), mode) for line in kept)
        if needs_mark:
            found |= {f"c4_{rule}_lines": outcomes.count(rule) for rule in ("long_word", "no_terminal")}
    lower = [line.translate(ASCII_LOWER) for line in stripped]
    paragraphs = text.translate(ASCII_LOWER).split("\n\n")
    return found | {
        "lorem_ipsum_lines": sum("lorem ipsum" in line for line in lower),
        "javascript_lines": sum("javascript" in line for line in lower),
        "nemo_boilerplate_paragraphs": sum(any(phrase in part for phrase in BOILERPLATE) for part in paragraphs),
    }


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


def places_met_before(words: list[str], n: int) -> int:
    """Characters of the n-grams met before, with the spaces in each run of words that is new, n - 1 at most."""
    met, chars, reached = set(), 0, 0
    for index in range(len(words) - n + 1):
        gram = tuple(words[index : index + n])
        if gram in met:
            fresh = words[max(index, reached) : index + n]
            chars += len("".join(fresh)) + min(len(fresh), n - 1)
            reached = index + n
        met.add(gram)
    return chars


def share_repeated(words: list[str], n: int) -> float:
    grams = ["".join(words[i : i + n]) for i in range(len(words) - n + 1)]
    counts = Counter(tuple(words[i : i + n]) for i in range(len(grams)))
    again = [gram for i, gram in enumerate(grams) if counts[tuple(words[i : i + n])] > 1]
    return sum(map(len, again)) / max(sum(map(len, grams)), 1)


def split_words(words: list[str]) -> dict[str, float]:
    return {
        "split_words": len(words),
        "alpha_split_words": sum(any(char.isalpha() for char in word) for word in words),
        "stop_split_words": sum(word in STOP_WORDS for word in words),
        "median_split_word": statistics.median([min(len(word), 255) for word in words] or [0]),
        **{f"nemo_duplicate_{n}_gram_chars": places_met_before(words, n) for n in range(5, 11)},
        **{f"dolma_repeated_{n}_gram_share": share_repeated(words, n) for n in range(5, 11)},
    }


def words(text: str, mode: Words) -> dict[str, float]:
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
        **split_words(text.split()),
    }


def what_c4_leaves(text: str, mode: Words) -> dict[str, int]:
    left = c4_left(text, needs_mark=False, mode=mode)
    found = {"words": len(cut(left, mode)), "chars": len(left)} | {name: lines(left)[name] for name in FINEWEB}
    return {f"c4_open_left_{name}": value for name, value in found.items()}


def signals(text: str, mode: Words) -> dict[str, float]:
    fed = lines(text.replace("\r\n", "\n"))
    returns = {"carriage_returns": text.count("\r\n"), **{f"feed_{name}": fed[name] for name in FED}}
    return profile(text) | lines(text) | returns | c4(text, mode) | words(text, mode) | what_c4_leaves(text, mode)


def script(text: str) -> str:
    """The script of most letters, by fontTools' copy of Unicode's Scripts.txt; of equals the first by name."""
    counts = Counter(unicode_script(char) for char in text if char.isalpha())
    del counts["Zyyy"], counts["Zinh"]
    return min(counts, key=lambda code: (-counts[code], code), default="Zyyy")


def paragraphs(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if len(line.strip().encode()) >= 20]
