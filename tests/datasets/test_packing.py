"""Packing loses and repeats no token, keeps samples within their length, and orders pieces as they lie in the .bin."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.datasets.indexes import padded
from warehouse.datasets.packing import arrange


@pytest.mark.parametrize("packing", ["best_fit", "concatenate"])
@given(lengths=st.lists(st.integers(1, 70), max_size=60), capacity=st.integers(2, 33))
@settings(max_examples=60, deadline=None)
def test_every_token_lies_in_one_place(packing: str, lengths: list[int], capacity: int) -> None:
    pieces = arrange(np.array(lengths, np.int64), capacity, packing)  # type: ignore[arg-type]
    seen = {
        (sample, position)
        for sample, position, length in zip(pieces.sample, pieces.position, pieces.length, strict=True)
        for position in range(position, position + length)
    }
    tokens = [
        token
        for start, length in zip(pieces.start, pieces.length, strict=True)
        for token in range(start, start + length)
    ]
    assert sorted(tokens) == list(range(sum(lengths))) and len(seen) == sum(lengths)
    assert all(0 <= position < capacity for _, position in seen)
    ends = np.cumsum(lengths)
    for start, length, document, offset in zip(
        pieces.start, pieces.length, pieces.document, pieces.offset, strict=True
    ):
        assert ends[document] - lengths[document] + offset == start and start + length <= ends[document]
    assert sorted(zip(pieces.sample, pieces.position, strict=True)) == list(
        zip(pieces.sample, pieces.position, strict=True)
    )
    assert set(pieces.sample.tolist()) == set(range(pieces.samples))


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=60), capacity=st.integers(2, 33))
@settings(max_examples=40, deadline=None)
def test_best_fit_cuts_only_documents_longer_than_a_sample(lengths: list[int], capacity: int) -> None:
    pieces = arrange(np.array(lengths, np.int64), capacity, "best_fit")
    assert np.bincount(pieces.document).tolist() == [-(-length // capacity) for length in lengths]


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=60), capacity=st.integers(2, 33))
@settings(max_examples=40, deadline=None)
def test_concatenate_fills_every_sample_but_the_last(lengths: list[int], capacity: int) -> None:
    pieces = arrange(np.array(lengths, np.int64), capacity, "concatenate")
    assert pieces.samples == -(-sum(lengths) // capacity)
    assert pieces.start.tolist() == sorted(pieces.start.tolist())


@given(lengths=st.lists(st.integers(1, 40), max_size=40), capacity=st.integers(2, 33))
@settings(max_examples=40, deadline=None)
def test_the_index_covers_whole_samples(lengths: list[int], capacity: int) -> None:
    pieces = arrange(np.array(lengths, np.int64), capacity, "best_fit")
    sizes, firsts = padded(pieces, capacity)
    assert firsts[0] == 0 and firsts[-1] == sizes.size and firsts.size == pieces.samples + 1
    assert [int(sizes[a:b].sum()) for a, b in pairwise(firsts)] == [capacity] * pieces.samples
