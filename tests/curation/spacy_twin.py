"""spaCy's English tokenizer and sentencizer with Python's ``re``, from the facts in english.txt."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby

from warehouse.kernels.english_table import points, sections

FACTS = sections()
SPECIAL = {line.replace(" ", ""): line.split() for line in FACTS["special"].splitlines()}
APART = {tuple(line.split()) for line in FACTS["apart"].splitlines()}
MOST = max(map(len, APART))
SENTENCE_ENDS = {chr(point) for point in points(FACTS["sentence"])}


def of(*names: str) -> str:
    """The characters of some classes, to stand within brackets: as ranges, for re tries those beyond U+FFFF in turn."""
    found = sorted({point for name in names for point in points(FACTS[name])})
    runs = [list(run) for _, run in groupby(enumerate(found), key=lambda each: each[1] - each[0])]
    return "".join(f"{re.escape(chr(run[0][1]))}-{re.escape(chr(run[-1][1]))}" for run in runs)


LOWER, UPPER, ALPHA = of("lower", "uncased"), of("upper", "uncased"), of("lower", "upper", "uncased", "alpha")
QUOTE, PUNCTUATION, CURRENCY, ICON = of("quote"), of("punctuation"), of("currency"), of("icon")
MONEY = rf"(?:US\$|[CA]\$|[{CURRENCY}])"
UNITS = "|".join(map(re.escape, FACTS["unit"].split()))
PREFIX = re.compile(rf"[§%=\u2014\u2013]|\+(?![0-9])|[{PUNCTUATION}…]|\.\.+|[{QUOTE}]|{MONEY}|[{ICON}]")
SUFFIX = re.compile(
    rf"(?:[{PUNCTUATION}]|……|\.\.+|[{QUOTE}]|[{ICON}]|['\u2019][sS]|[\u2014\u2013]|(?<=[0-9])\+|(?<=°[FfCcKk])\.|(?<=[0-9]){MONEY}"
    rf"|(?<=[0-9])(?:{UNITS})|(?<=[0-9{LOWER}%²\-+|(?:){PUNCTUATION}{QUOTE}])\.|(?<=[{UPPER}][{UPPER}])\.)$"
)
INFIX = re.compile(
    rf"\.\.+|…|[{ICON}]|(?<=[0-9])[+\-*^](?=[0-9-])|(?<=[{LOWER}{QUOTE}])\.(?=[{UPPER}{QUOTE}])|(?<=[{ALPHA}]),(?=[{ALPHA}])"
    rf"|(?<=[{ALPHA}0-9])(?:-{{1,3}}|\u2013|\u2014{{1,2}}|~)(?=[{ALPHA}])|(?<=[{ALPHA}0-9])[:<>=/](?=[{ALPHA}])"
)
HOST = r"A-Za-z0-9\u00a1-\uffff"
ADDRESS = (
    r"(?!(?:10|127)(?:\.\d{1,3}){3})(?!(?:169\.254|192\.168)(?:\.\d{1,3}){2})(?!172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2})"
    r"(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3])(?:\.(?:1?\d{1,2}|2[0-4]\d|25[0-5])){2}\.(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-4])"
)
NAME = rf"(?:(?:[{HOST}][{HOST}_-]{{0,62}})?[{HOST}]\.)+[{LOWER}]{{2,63}}"
URL = re.compile(rf"(?:[\w+\-.]{{2,}}://)?(?:\S+@)?(?:{ADDRESS}|{NAME})(?::\d{{2,5}})?(?:[/?#]\S*)?")


def affixes(chunk: str) -> list[str]:
    """Tokens of a chunk before special cases are put together."""
    front: list[str] = []
    back: list[str] = []
    before = ""
    while chunk and chunk != before and chunk not in SPECIAL:
        before = chunk
        prefix = found.group() if (found := PREFIX.match(chunk)) else ""
        if prefix and chunk[len(prefix) :] in SPECIAL:
            front, chunk = [*front, prefix], chunk[len(prefix) :]
            break
        suffix = found.group() if (found := SUFFIX.search(chunk[len(prefix) :])) else ""
        if suffix and chunk[: -len(suffix)] in SPECIAL:
            back, chunk = [suffix, *back], chunk[: -len(suffix)]
            break
        front += [prefix] * bool(prefix)
        back = [suffix] * bool(suffix) + back
        chunk = chunk[len(prefix) : len(chunk) - len(suffix)]
    return front + core(chunk) + back


def core(chunk: str) -> list[str]:
    if chunk in SPECIAL:
        return SPECIAL[chunk]
    if URL.fullmatch(chunk):
        return [chunk]
    parts, start = [], 0
    for found in INFIX.finditer(chunk):
        if found.start() > 0:
            parts += [chunk[start : found.start()], found.group()]
            start = found.end()
    return [part for part in (*parts, chunk[start:]) if part]


@cache
def cached(chunk: str) -> tuple[str, ...]:
    return tuple(affixes(chunk))


def apart(text: str) -> list[tuple[str, bool]]:
    """(token, whether a space follows) of a text, white space but single spaces included."""
    tokens: list[tuple[str, bool]] = []
    for run in re.findall(r"\s+|\S+", text):
        if not run.isspace():
            tokens += [(token, False) for token in cached(run)]
            continue
        single = run[0] == " " and bool(tokens)
        if single:
            tokens[-1] = (tokens[-1][0], True)
        tokens += [(run[single:], False)] if run[single:] else []
    return tokens


def tokens(text: str) -> list[str]:
    """All tokens of a text: longest matches of special cases first, then leftmost; one that meets another is none."""
    found = apart(text)
    words = [token for token, _ in found]
    spans = [
        (i, i + n) for n in range(2, MOST + 1) for i in range(len(words) - n + 1) if tuple(words[i : i + n]) in APART
    ]
    seen: set[int] = set()
    kept: dict[int, int] = {}
    for start, stop in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
        if start not in seen and stop - 1 not in seen:
            kept[start] = stop
        seen.update(range(start, stop))
    return list(rewritten(found, kept))


def rewritten(found: list[tuple[str, bool]], kept: dict[int, int]) -> Iterator[str]:
    at = 0
    while at < len(found):
        stop = kept.get(at, at + 1)
        whole = not any(space for _, space in found[at : stop - 1])
        words = [token for token, _ in found[at:stop]]
        yield from SPECIAL["".join(words)] if at in kept and whole else words
        at = stop


def cut(text: str) -> list[str]:
    return [token for token in tokens(text) if not token.isspace()]


def sentences(line: str) -> int:
    """Sentences that are not white space alone."""
    texts, ended = [""], False
    for token in tokens(line):
        if ended and token not in SENTENCE_ENDS and not all(unicodedata.category(char)[0] == "P" for char in token):
            texts.append("")
            ended = False
        ended = ended or token in SENTENCE_ENDS
        texts[-1] += token
    return sum(bool(text.strip()) for text in texts)
