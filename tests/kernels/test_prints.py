"""Laws of prints: the same runs of 13 words and content hashes as a plain search finds, in any columns of texts."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from warehouse.kernels.prints import known, meet, met, prints
from warehouse.kernels.texts import texts

WORD = re.compile(r"\w+", re.ASCII)
TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "B", "c1", ", ", " ", "\n", "the", "d_e"]), max_size=60).map("".join), max_size=6
)
HASH = "0123456789abcdef" * 2
OTHER = "f" * 32


def runs(text: str) -> set[tuple[str, ...]]:
    words = [word.lower() for word in WORD.findall(text)]
    return {tuple(words[at : at + 13]) for at in range(len(words) - 12)}


@given(TEXTS, TEXTS)
def test_a_text_is_met_where_it_shares_a_run_of_13_words(own: list[str], others: list[str]) -> None:
    gone, column = (texts(pa.array(given_, pa.string())) for given_ in (own, others))
    found = prints(gone)
    wanted = set().union(*map(runs, own))
    assert len(found) == len(wanted)
    assert (np.diff(found) > 0).all()
    marks = known(found, frozenset())
    assert met(column, marks).tolist() == [2 * bool(runs(text) & wanted) for text in others]
    there = np.zeros(found.size, np.uint8)
    meet(column, marks, there)
    assert there.sum() == len(wanted & set().union(*map(runs, others)))


@given(st.lists(st.sampled_from([HASH, OTHER, "0", "a", "g", " ", "A", HASH[:31]]), max_size=9).map("".join))
def test_a_content_hash_is_met_where_it_stands_alone(text: str) -> None:
    marks = known(np.zeros(0, np.int64), frozenset([HASH, "7" * 32]))
    found = re.findall(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", text)
    assert met(texts(pa.array(["", text, "x"])), marks).tolist() == [0, int(HASH in found), 0]
