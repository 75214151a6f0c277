"""The published rules on a text in plain Python: (reason, value, threshold) of the first that fails, or None."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import twins
from c4_twin import CITATION, c4_line

Verdict = tuple[str, float, float]
Rule = tuple[str, float, str, float]


def first_failing(rules: Iterable[Rule]) -> Verdict | None:
    fails: dict[str, Callable[[float, float], bool]] = {"<": lambda a, b: a < b, ">": lambda a, b: a > b}
    return next(((why, value, limit) for why, value, sign, limit in rules if fails[sign](value, limit)), None)


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def gopher_quality(text: str) -> Iterator[Rule]:
    words = twins.cut(text, "spacy_en")
    plain = [word for word in words if any(char not in twins.PUNCTUATION for char in word)]
    mean = share(sum(map(len, plain)), len(plain))
    lines = [line.strip() for line in text.splitlines()]
    alpha = share(sum(any(map(str.isalpha, word)) for word in words), len(words))
    yield "gopher_short_doc", len(plain), "<", 50
    yield "gopher_long_doc", len(plain), ">", 100_000
    yield "gopher_below_avg_threshold", mean, "<", 3
    yield "gopher_above_avg_threshold", mean, ">", 10
    yield "gopher_too_many_hashes", share(text.count("#"), len(words)), ">", 0.1
    yield "gopher_too_many_ellipsis", share(text.count("...") + text.count("\u2026"), len(words)), ">", 0.1
    yield "gopher_too_many_bullets", share(sum(x.startswith(("\u2022", "-")) for x in lines), len(lines)), ">", 0.9
    ends = share(sum(line.endswith(("...", "\u2026")) for line in lines), len(lines))
    yield "gopher_too_many_end_ellipsis", ends, ">", 0.3
    yield "gopher_below_alpha_threshold", alpha, "<", 0.8
    yield "gopher_enough_stop_words", len(twins.STOP_WORDS & set(words)), "<", 2


def gopher_repetition(text: str) -> Iterator[Rule]:
    measured, chars = twins.lines(text), len(text)
    yield "dup_para_frac", measured["duplicate_paragraphs"] / measured["paragraphs"], ">", 0.3
    yield "dup_para_char_frac", share(measured["duplicate_paragraph_chars"], chars), ">", 0.2
    yield "dup_line_frac", measured["duplicate_lines"] / measured["split_lines"], ">", 0.3
    yield "dup_line_char_frac", share(measured["duplicate_line_chars"], chars), ">", 0.2
    words = twins.cut(text, "spacy_en")
    for n, limit in ((2, 0.2), (3, 0.18), (4, 0.16)):
        yield f"top_{n}_gram", share(twins.top(words, n), chars), ">", limit
    for n, limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)):
        yield f"duplicated_{n}_n_grams", share(twins.duplicates(words, n), chars), ">", limit


def c4(text: str, *, needs_mark: bool) -> Iterator[Rule]:
    lines = [line.strip() for line in text.splitlines()]
    outcomes = [c4_line(line, needs_mark=needs_mark) for line in lines]
    kept = [CITATION.sub("", line) for line, how in zip(lines, outcomes, strict=True) if how == "kept"]
    yield "lorem_ipsum", outcomes.count("lorem_ipsum"), ">", 0
    yield "curly_bracket", outcomes.count("curly_bracket"), ">", 0
    yield "too_few_sentences", sum(twins.sentences(line, "spacy_en") for line in kept), "<", 5


def fineweb(text: str) -> Iterator[Rule]:
    lines = [line for line in text.split("\n") if line.strip()]
    copies = twins.repeats(lines)[1]
    yield "empty", len(lines), "<", 1
    yield "line_punct_ratio", share(sum(x.endswith(tuple(twins.TERMINALS)) for x in lines), len(lines)), "<", 0.12
    yield "short_line_ratio", share(sum(len(line) <= 30 for line in lines), len(lines)), ">", 0.67
    yield "char_dup_ratio", share(copies, len(text.replace("\n", ""))), ">", 0.01
    yield "list_ratio", share(text.count("\n"), len(twins.cut(text, "spacy_en"))), ">", 0.3


def decide(text: str) -> dict[str, Verdict | None]:
    """The verdict of each published rule set, duplicates apart."""
    chains = {
        "gopher": (*gopher_quality(text), *gopher_repetition(text)),
        "c4": c4(text, needs_mark=True),
        "fineweb": (
            *gopher_repetition(text),
            *gopher_quality(text),
            *c4(text, needs_mark=False),
            *fineweb(text),
        ),
    }
    return {name: first_failing(chain) for name, chain in chains.items()}
