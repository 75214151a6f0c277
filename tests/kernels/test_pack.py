"""Best-fit-decreasing against a direct search, and the laws of a packing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.errors import UsageError
from warehouse.kernels.pack import best_fit


def searched(lengths: list[int], capacity: int) -> list[int]:
    """The definition: longest first, the fullest bin that still holds it, of equals the one filled last."""
    rooms: list[tuple[int, int]] = []  # (room, when filled) of each bin
    where = [0] * len(lengths)
    for clock, piece in enumerate(sorted(range(len(lengths)), key=lambda i: -lengths[i])):
        fits = [(room, -filled, at) for at, (room, filled) in enumerate(rooms) if room >= lengths[piece]]
        at = min(fits)[2] if fits else len(rooms)
        if not fits:
            rooms.append((capacity, clock))
        rooms[at] = (rooms[at][0] - lengths[piece], clock)
        where[piece] = at
    return where


@st.composite
def packings(draw: st.DrawFn) -> tuple[list[int], int]:
    capacity = draw(st.sampled_from([1, 2, 63, 64, 65, 130, 2048, 4096, 70_000]))
    return draw(st.lists(st.integers(1, capacity), max_size=60)), capacity


@given(packings())
@settings(max_examples=150, deadline=None)
def test_every_piece_lies_where_a_direct_search_puts_it(packing: tuple[list[int], int]) -> None:
    lengths, capacity = packing
    bins = best_fit(np.array(lengths, np.int32), capacity)
    assert bins.dtype == np.int64
    assert bins.tolist() == searched(lengths, capacity)


def test_no_bin_overflows_and_few_stay_empty() -> None:
    lengths = np.random.default_rng(0).integers(1, 2049, 20_000).astype(np.int32)
    bins = best_fit(lengths, 2048)
    filled = np.bincount(bins, weights=lengths)
    assert filled.max() <= 2048
    assert lengths.sum() / (filled.size * 2048) > 0.99


def test_a_read_only_array_and_an_empty_one_are_packed() -> None:
    lengths = np.array([3, 4], np.int32)
    lengths.setflags(write=False)
    assert best_fit(lengths, 7).tolist() == [0, 0]
    assert best_fit(np.array([], np.int32), 7).tolist() == []


@pytest.mark.parametrize("lengths", [[0], [8], [-1, 3]])
def test_a_length_outside_the_capacity_is_refused(lengths: list[int]) -> None:
    with pytest.raises(UsageError, match="1 to the capacity, 7"):
        best_fit(np.array(lengths, np.int32), 7)
