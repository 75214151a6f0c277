"""The order of an epoch is a shuffle: a bijection, and not to be told from a random one."""

from __future__ import annotations

import hashlib
from math import isqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.loader import permuted
from warehouse.loader.permutation import inverted


@given(n=st.integers(1, 5000), key=st.text(max_size=8))
@settings(max_examples=60, deadline=None)
def test_every_position_has_one_sample_and_every_sample_one_position(n: int, key: str) -> None:
    assert np.array_equal(np.sort(permuted(np.arange(n), n=n, key=key)), np.arange(n))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 15, 16, 17, 255, 256, 257, 65_535, 65_536, 65_537, 1_000_003])
def test_it_is_a_bijection_at_the_edges_of_its_grid(n: int) -> None:
    assert np.array_equal(
        np.bincount(permuted(np.arange(n), n=n, key="edge").astype(np.int64), minlength=n), np.ones(n)
    )


@given(n=st.integers(1, 1 << 60), first=st.integers(0, 1 << 60))
@settings(max_examples=40, deadline=None)
def test_a_slice_far_out_stays_in_range_and_repeats_nothing_without_an_index_in_memory(n: int, first: int) -> None:
    first %= n
    found = permuted(np.arange(first, min(first + 500, n), dtype=np.uint64), n=n, key="far")
    assert found.max() < n and np.unique(found).size == found.size


@given(n=st.integers(1, 1 << 62), key=st.text(max_size=8), first=st.integers(0, 1 << 62))
@settings(max_examples=150, deadline=None)
def test_the_inverse_leads_every_sample_back_to_its_position(n: int, key: str, first: int) -> None:
    first %= n
    positions = np.arange(first, min(first + 300, n), dtype=np.uint64)
    assert np.array_equal(inverted(permuted(positions, n=n, key=key), n=n, key=key), positions)
    assert np.array_equal(permuted(inverted(positions, n=n, key=key), n=n, key=key), positions)


@given(n=st.integers(1, 3000), seed=st.integers(0, 1 << 63))
@settings(max_examples=60, deadline=None)
def test_the_inverse_is_the_argsort_of_the_whole_order(n: int, seed: int) -> None:
    order = permuted(np.arange(n), n=n, key=f"{seed}")
    assert np.array_equal(inverted(np.arange(n), n=n, key=f"{seed}"), np.argsort(order))


@given(cut=st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_the_order_does_not_depend_on_how_it_is_asked_for(cut: int) -> None:
    parts = [permuted(part, n=1000, key="k") for part in (np.arange(cut), np.arange(cut, 1000))]
    assert np.array_equal(np.concatenate(parts), permuted(np.arange(1000), n=1000, key="k"))


def twin(position: int, n: int, key: str) -> int:
    """The same permutation in plain integers, from its description."""
    rows = isqrt(n - 1) + 1
    columns = -(-n // rows)
    raw = hashlib.shake_128(key.encode()).digest(48)
    keys = [int.from_bytes(raw[8 * i : 8 * i + 8], "little") for i in range(6)]

    def mixed(value: int) -> int:
        value %= 1 << 64
        for multiplier in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            value = ((value ^ (value >> 33)) * multiplier) % (1 << 64)
        return value ^ (value >> 33)

    while True:
        sides, sizes = list(divmod(position, columns)), (rows, columns)
        for number, word in enumerate(keys):
            side = number % 2
            growth = ((mixed(sides[1 - side] + word) >> 32) * sizes[side]) >> 32
            sides[side] = (sides[side] + growth) % sizes[side]
        position = sides[0] * columns + sides[1]
        if position < n:
            return position


@pytest.mark.parametrize("n", [7, 1000, 123_457])
def test_the_arrays_agree_with_plain_integers(n: int) -> None:
    positions = np.arange(0, n, max(n // 200, 1))
    assert permuted(positions, n=n, key="x").tolist() == [twin(int(p), n, "x") for p in positions]


def z_score(order: np.ndarray, cells: int = 64) -> float:
    """Chi-square of (position cell, sample cell) counts as a standard normal: 0 for a random permutation."""
    n = order.size
    table = np.histogram2d(np.arange(n), order.astype(float), bins=cells, range=[[0, n], [0, n]])[0]
    expected = n / cells**2
    freedom = (cells - 1) ** 2
    return float((((table - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom))


@pytest.mark.parametrize("n", [65_536, 50_000, 100_003])
def test_over_seeds_the_order_is_as_even_as_a_random_one(n: int) -> None:
    """12 seeds: |mean z| of a random permutation stays below 3 / sqrt(12), a single one below 4."""
    scores = [z_score(permuted(np.arange(n), n=n, key=f"{seed}/0")) for seed in range(12)]
    assert abs(np.mean(scores)) < 3 / np.sqrt(12), scores
    assert np.abs(scores).max() < 4, scores


def test_neighbours_are_not_related() -> None:
    """Lag-1 correlation times sqrt(n) is a standard normal for a random permutation."""
    n = 65_536
    for seed in range(8):
        order = permuted(np.arange(n), n=n, key=f"{seed}").astype(float)
        assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) * np.sqrt(n) < 4


def test_seeds_and_epochs_do_not_share_orders() -> None:
    orders = {
        permuted(np.arange(100), n=100, key=f"{seed}/{epoch}").tobytes() for seed in range(5) for epoch in range(5)
    }
    assert len(orders) == 25


def test_small_orders_all_occur_about_equally_often() -> None:
    counts: dict[bytes, int] = {}
    for seed in range(6000):
        order = permuted(np.arange(4), n=4, key=str(seed)).tobytes()
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    assert min(counts.values()) > 100 and max(counts.values()) < 600
