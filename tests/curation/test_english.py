"""The words of spaCy's English tokenizer: golden chunks, a twin in Python's ``re``, and the facts both rest on.

english_chunks.txt: one chunk a line, cut by spaces into the tokens that spaCy 3.8.18's blank "en" makes of it alone;
about 300 chosen by shape (URLs, quotes, units, emoticons, not ASCII) among the 635,704 distinct chunks of books, mail,
web pages and Python packages that are not letters only, 150 at random from special cases and marks put together, 60 by
hand. The kernel cuts all of those 635,704, and 194,575 tokens of random texts, as spaCy does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import spacy_twin
from english_words import Held, cut
from hypothesis import example, given, settings
from hypothesis import strategies as st

from warehouse.kernels import characters, english, sentences
from warehouse.kernels.english_table import LONGEST, block

GOLDEN = [line.split(" ") for line in (Path(__file__).parent / "english_chunks.txt").read_text("utf-8").splitlines()]
MARKS = [
    *".,:;!?()[]{}<>-_'\"~*^+=/#@$%&|\\\u00a7\u00b0\u00b2\u20ac\u00a3\u2026\u2014\u2013",
    *"\u2019\u2018\u201c\u201d\u00ab\u00bb\u200b",
    *("..", "---", "\u2014\u2014", "US$", "A$", "\u00b0F."),
]
PARTS = [
    *(
        "http://",
        "ftp://",
        "www.",
        "a@b",
        "example.com",
        "x.org/",
        "192.168.1.1",
        "172.16.",
        "8.8.8.8",
        ":8080",
        "/p?q=1",
    ),
    *(
        "1",
        "2",
        "10",
        "3.14",
        "a",
        "B",
        "Ab",
        "AB",
        "word",
        "é",
        "É",
        "я",
        "Я",
        "日本",
        "。",
        "☺",
        "🙂",
        "\u0663",
        "ª",
        "ß",
    ),
    *(
        "km",
        "m/s",
        "km/h",
        "GB",
        "mm²",
        "K",
        "'s",
        "\u2019S",
        "n't",
        "'re",
        "e.g",
        "U.S",
        "Mr",
        "Jan",
        "p.m",
        "\u0301",
        "com",
    ),
]
SPECIAL = sorted(spacy_twin.SPECIAL)
CHUNKS = st.lists(st.one_of(st.sampled_from(MARKS), st.sampled_from(PARTS), st.sampled_from(SPECIAL)), max_size=7)
GAPS = st.sampled_from([" ", " ", " ", "  ", "\n", "\u00a0", "\t "])
TEXTS = st.one_of(
    st.lists(st.tuples(CHUNKS.map("".join), GAPS), max_size=8).map(lambda parts: "".join(map("".join, parts))),
    st.text(max_size=30),
)


@pytest.mark.parametrize("cutter", [cut, spacy_twin.cut])
def test_hard_chunks_have_the_tokens_that_spacy_makes_of_them(cutter: object) -> None:
    assert callable(cutter)
    assert [cutter("".join(tokens)) for tokens in GOLDEN] == GOLDEN


def test_every_special_case_has_its_own_tokens_alone_and_in_brackets() -> None:
    assert [cut(chunk) for chunk in SPECIAL] == [spacy_twin.SPECIAL[chunk] for chunk in SPECIAL]
    assert [cut(f"({chunk}),") for chunk in SPECIAL] == [spacy_twin.cut(f"({chunk}),") for chunk in SPECIAL]


@given(TEXTS)
@settings(max_examples=1500, deadline=None)
@example("x:) )")
@example("(x:) ) y:)")
@example("172.1\u0663.0.1")
def test_words_and_sentences_are_those_of_the_expressions_of_spacy(text: str) -> None:
    words = cut(text)
    assert words == spacy_twin.cut(text)
    held = Held(text)
    assert english.count_words(block().ctypes.data, held.begin, held.end, held.spare) == len(words)
    memo = np.zeros((sentences.MEMO, 2), np.int64)
    tools = block().ctypes.data, held.spare, memo.ctypes.data
    for _ in range(2):
        assert sentences.by_words(held.begin, held.end, characters.CLASSES, *tools) == spacy_twin.sentences(text)


@pytest.mark.parametrize("chunk", ["(" * 50_000, "a.b@" * 20_000, ":)" * 20_000, "1.2" * 20_000 + "km"])
def test_a_chunk_of_any_length_is_cut_in_time_that_grows_with_it(chunk: str) -> None:
    assert "".join(cut(chunk)) == chunk


def test_no_string_of_the_table_is_longer_than_it_says() -> None:
    assert max(len(chunk.encode()) for chunk in SPECIAL) == LONGEST
