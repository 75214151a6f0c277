"""Hashes of words against the words themselves, cut in plain Python."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.kernels.folded import hashes
from warehouse.kernels.texts import texts

PIECES = st.sampled_from(
    ["word", "WORD", "a", "_", "9", "é", "日本", "e\u0301", "\U0001d4b3", " ", "\n", "-", "x" * 70, "\r\n"]
)


def cut(text: str) -> list[str]:
    """Runs of letters, numbers, marks and underscores, A-Z as a-z."""
    kept = "".join(char if char.isalnum() or char in "_\u0301" else " " for char in text)
    return "".join(char.lower() if char.isascii() else char for char in kept).split()


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.lists(PIECES, max_size=40).map("".join)), max_size=6), st.integers(0, 3))
def test_words_have_one_hash_where_they_are_equal_and_no_other(given_texts: list[str | None], skip: int) -> None:
    column = pa.array(given_texts, pa.string()).slice(skip)
    found, counts = hashes(texts(column))
    words = [cut(text or "") for text in given_texts[skip:]]
    assert counts.tolist() == [len(each) for each in words]
    flat = sorted(zip((word for each in words for word in each), found.tolist(), strict=True))
    assert all((a == b) == (x == y) for (a, x), (b, y) in pairwise(flat))
