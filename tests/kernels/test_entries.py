"""Entries found in texts against the same in plain Python, and against C4's expression as datatrove writes it."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.kernels.entries import among, entries, find, hashes
from warehouse.kernels.texts import texts

MARKED = ["e\u0301", "\u0301", "İ", "Σ", "\u03c2"]
PIECES = [
    "foo",
    "FOO",
    "a",
    "b",
    "_",
    "9",
    " ",
    "  ",
    "-",
    "@",
    "$",
    ".*",
    "é",
    "É",
    "пло",
    "ПЛО",
    "日",
    "🖕",
    "\u212a",
]
TEXT = st.lists(st.sampled_from([*PIECES, *MARKED, "\n", "\U0001d4b3"]), max_size=30).map("".join)
ENTRY = st.lists(st.sampled_from([*PIECES, *MARKED]), max_size=4).map("".join)
PLAIN = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def low(text: str) -> str:
    return "".join(char.lower()[0] for char in text).replace("\u03c2", "\u03c3")


def part_of_word(char: str) -> bool:
    return char == "_" or unicodedata.category(char)[:1] in ("L", "M", "N")


def twin(text: str, listed: list[str], *, anywhere: bool) -> list[int]:
    """Places and entries that stand there alone, and different entries."""
    text, places = f"\n{low(text)}\n", []
    for entry in filter(None, {low(each) for each in listed}):
        at = [place for place in range(len(text)) if text.startswith(entry, place)]
        beside = [(text[place - 1] + text[place + len(entry)]) if not anywhere else "" for place in at]
        places += [entry for both in beside if not any(map(part_of_word, both))]
    return [len(places), len(set(places))]


def found(given_texts: list[str | None], listed: list[str], *, anywhere: bool = False) -> list[list[int]]:
    held = entries(texts(pa.array(listed, pa.string())), anywhere=anywhere)
    column = texts(pa.array(given_texts, pa.string()))
    rows: list[list[int]] = find(column, held, np.arange(column.count)).tolist()
    return rows


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), TEXT), min_size=1, max_size=5), st.lists(ENTRY, max_size=8), st.booleans())
def test_entries_are_found_where_they_stand_alone_or_anywhere(
    given_texts: list[str | None], listed: list[str], anywhere: bool
) -> None:
    some = [each for each in listed if "\n" not in each]
    wanted = [twin(text or "", some, anywhere=anywhere) for text in given_texts]
    assert found(given_texts, some, anywhere=anywhere) == wanted


@settings(deadline=None)
@given(PLAIN, st.lists(st.sampled_from(PIECES).filter(str.strip), min_size=1, max_size=6))
def test_a_text_has_an_entry_where_the_expression_of_c4_meets_it(text: str, listed: list[str]) -> None:
    words = "|".join(re.escape(each.lower()) for each in listed)
    meets = re.search(rf"(?:\W|^)({words})(?:\W|$)", text.lower())
    assert (found([text], listed)[0][0] > 0) == (meets is not None)
    anywhere = re.search(words, text.lower())
    assert (found([text], listed, anywhere=True)[0][0] > 0) == (anywhere is not None)


def test_a_word_longer_than_every_entry_and_a_text_beside_the_end_of_memory_are_read_no_further() -> None:
    assert found(["ж" * 100_000 + " foo", "foo", "fo"], ["foo"]) == [[1, 1], [1, 1], [0, 0]]
    assert found(["one two, ONE TWO; one  two onetwo"], ["one two", "one", "two three"]) == [[5, 2]]


@settings(deadline=None)
@given(st.lists(TEXT, max_size=20), st.lists(TEXT, max_size=9))
def test_a_text_is_among_others_as_a_whole_or_from_a_full_stop_on(held: list[str], asked: list[str]) -> None:
    dotted = [text.replace("-", ".") for text in [*asked, *held]]
    keys, column = hashes(texts(pa.array(held, pa.string()))), texts(pa.array(dotted, pa.string()))
    assert among(column, keys).tolist() == [int(text in held and text != "") for text in dotted]
    ends = [[text.split(".", at)[-1] for at in range(text.count(".") + 1)] for text in dotted]
    wanted = [sum(end in held and end != "" for end in own) for own in ends]
    assert among(column, keys, upwards=True).tolist() == wanted
