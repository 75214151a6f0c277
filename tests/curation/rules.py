"""The published rules on a text in plain Python: (reason, value, threshold) of the first that fails, or None."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import twins
from c4_twin import CITATION, c4_left, c4_line

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


def dolma(text: str) -> Iterator[Rule]:
    words, lines = text.split(), text.split("\n")
    repeated = twins.all_repeated(lines)
    yield "word_count_min", len(words), "<", 50
    yield "word_count_max", len(words), ">", 100_000
    yield "median_word_length_min", twins.split_words(words)["median_split_word"], "<", 3
    yield "median_word_length_max", twins.split_words(words)["median_split_word"], ">", 10
    yield "symbol_to_word_ratio", share(sum("#" in word or "\u2026" in word for word in words), len(words)), ">", 0.1
    yield "words_with_alpha_character", share(sum(any(map(str.isalpha, x)) for x in words), len(words)), "<", 0.8
    yield "required_word_count", sum(word in twins.STOP_WORDS for word in words), "<", 2
    yield "lines_starting_with_bullet_point", share(sum(x.startswith(("*", "-")) for x in lines), len(lines)), ">", 0.9
    yield "lines_ending_with_ellipsis", share(sum(x.endswith("\u2026") for x in lines), len(lines)), ">", 0.3
    yield "duplicate_lines", share(len(repeated), len(lines)), ">", 0.3
    yield "characters_in_duplicate_lines", share(len("".join(repeated)), len("".join(words))), ">", 0.3
    for n, limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)):
        yield f"duplicate_{n}grams", twins.share_repeated(words, n), ">", limit
    yield "has_curly_brace", text.count("{"), ">", 0
    yield "has_lorem_ipsum", sum("lorem ipsum" in line.lower() for line in text.splitlines()), ">", 0
    yield "has_javascript", sum("javascript" in line.lower() for line in text.splitlines()), ">", 0


def nemo(text: str) -> Iterator[Rule]:
    words, chars = text.split(), len(text)
    filled, paragraphs = [line for line in text.split("\n") if line.strip()], text.split("\n\n")
    boilerplate = sum(any(phrase in part.lower() for phrase in twins.BOILERPLATE) for part in paragraphs)
    others = chars - len(re.findall("[a-zA-Z0-9\n?!,.]", text))
    yield "alpha_numeric", share(others, chars) if text else 1, ">", 0.25
    yield "symbol_to_word", share(sum(word in twins.SYMBOLS for word in words), len(words)), ">", 0.1
    yield "numbers_ratio", share(sum(map(str.isdecimal, text)), chars), ">", 0.15
    yield "urls_ratio", share(sum(map(len, twins.URL.findall(text))), chars), ">", 0.2
    yield "white_space", share(sum(map(str.isspace, text)), chars), ">", 0.25
    yield "parentheses_ratio", share(sum(char in "()[]{}\u27e8\u27e9" for char in text), chars), ">", 0.1
    latin = "lorem ipsum" in text.lower()
    yield "boilerplate_string_ratio", 1 if latin else boilerplate / len(paragraphs), ">", 0.4
    yield "repeated_lines", share(len(set(filled)), len(filled)) if filled else 1, "<", 0.7
    yield "repeated_paragraphs", len(set(paragraphs)) / len(paragraphs), "<", 0.7
    joined = text.replace("\n", "")
    yield "repeated_lines_char", share(len(joined) - twins.repeats(filled)[1], len(joined)) if joined else 1, "<", 0.8
    whole = "".join(paragraphs)
    yield "repeated_paragraphs_char", share(len("".join(set(paragraphs))), len(whole)) if whole else 1, "<", 0.8
    yield "word_count_min", len(words), "<", 50
    yield "word_count_max", len(words), ">", 100_000
    yield "punctuation", share(sum(x.strip()[-1] not in ".?!\"'" for x in filled), len(filled)), ">", 0.85
    yield "words_without_alphabets", share(sum(any(map(str.isalpha, x)) for x in words), len(words)), "<", 0.8
    yield "common_english_words", sum(word in twins.STOP_WORDS for word in words), "<", 2
    yield "mean_word_length_min", share(len("".join(words)), len(words)), "<", 3
    yield "mean_word_length_max", share(len("".join(words)), len(words)), ">", 10
    yield "max_word_length", sum(any(len(x) > 1000 for x in line.split()) for line in text.splitlines()), ">", 0
    yield "ellipsis", share(sum(x.strip().lower().endswith(twins.ELLIPSES) for x in filled), len(filled)), ">", 0.3
    cut = twins.cut(text, "spacy_en")
    for n, limit in ((2, 0.2), (3, 0.18), (4, 0.16)):
        yield f"repeating_top_{n}grams", share(twins.top(cut, n), chars), ">", limit
    for n, limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)):
        yield f"repeating_dup_{n}gram", share(twins.places_met_before(words, n), chars), ">", limit
    yield "bullet_ratio", share(sum(x.strip()[0] in twins.BULLETS for x in filled), len(filled)), ">", 0.9


def decide(text: str) -> dict[str, Verdict | None]:
    """The verdict of each published rule set, duplicates apart."""
    chains = {
        "gopher": (*gopher_quality(text), *gopher_repetition(text)),
        "c4": c4(text, needs_mark=True),
        "fineweb": (
            *gopher_repetition(text),
            *gopher_quality(text),
            *c4(text, needs_mark=False),
            *fineweb(c4_left(text, needs_mark=False)),
        ),
        "dolma": dolma(text),
        "nemo": nemo(text),
    }
    return {name: first_failing(chain) for name, chain in chains.items()}
