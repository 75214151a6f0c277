"""The law of a mixture: the closed form of a recursion in plain integers, and near each share at every prefix."""

from __future__ import annotations

from fractions import Fraction
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.errors import UsageError
from warehouse.loader.interleaving import WHOLE, Node, counts, dealt, tempered, tree, whole_shares

LENGTH = 1500
lopsided = st.one_of(st.floats(0.001, 1), st.floats(1e-6, 1e-3), st.integers(0, 9), st.just(1))
weights = st.lists(lopsided, min_size=1, max_size=12).filter(any)


def twin(shares: tuple[int, ...], length: int) -> list[int]:
    """Sources one position after another, each node counting what it sent left so far."""
    sent: dict[int, list[int]] = {}

    def side(node: Node | int) -> int:
        while isinstance(node, Node):
            gone, passed = sent.setdefault(id(node), [0, 0])
            left = Fraction(node.part * (passed + 1), node.whole) + Fraction(1, 2) >= gone + 1
            sent[id(node)] = [gone + left, passed + 1]
            node = node.left if left else node.right
        return node

    return [side(tree(shares)) for _ in range(length)]


@given(weights=weights)
@settings(max_examples=40, deadline=None)
def test_sources_and_counts_are_those_of_dealing_one_position_after_another(weights: list[float]) -> None:
    shares = whole_shares(weights)
    expected = twin(shares, 300)
    sources, ranks = dealt(shares, np.arange(300))
    assert sources.tolist() == expected
    seen = {source: count() for source in range(len(shares))}
    assert ranks.tolist() == [next(seen[source]) for source in expected]
    assert counts(shares, 299) == tuple(expected[:299].count(source) for source in range(len(shares)))


@given(weights=weights)
@settings(max_examples=60, deadline=None)
def test_at_every_prefix_each_source_is_less_than_two_samples_from_its_share(weights: list[float]) -> None:
    shares = whole_shares(weights)
    given_so_far = (dealt(shares, np.arange(LENGTH))[0][:, None] == np.arange(len(shares))).cumsum(axis=0)
    wished = np.arange(1, LENGTH + 1)[:, None] * np.array(shares) / sum(shares)
    assert np.abs(given_so_far - wished).max() < (2 if len(shares) > 2 else 0.5 + 1e-9)


@given(weights=weights)
@settings(max_examples=100, deadline=None)
def test_two_parts_of_the_tree_one_below_the_other_are_at_most_a_half(weights: list[float]) -> None:
    """What the proof of the bound rests on."""

    def weight(node: Node | int) -> int:
        return node.whole if isinstance(node, Node) else shares[node]

    shares = whole_shares(weights)
    waiting = [tree(shares)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Node):
            for child in (node.left, node.right):
                waiting.append(child)
                if isinstance(child, Node):
                    assert 2 * max(weight(child.left), weight(child.right)) <= node.whole


@given(weights=weights, first=st.integers(0, 1 << 60))
@settings(max_examples=60, deadline=None)
def test_a_slice_far_out_agrees_with_the_counts_before_and_behind_it(weights: list[float], first: int) -> None:
    shares = whole_shares(weights)
    sources, ranks = dealt(shares, np.arange(first, first + 200))
    before, behind = counts(shares, first), counts(shares, first + 200)
    assert sum(before) == first
    for source in range(len(shares)):
        assert ranks[sources == source].tolist() == list(range(before[source], behind[source]))


@given(weights=weights, order=st.randoms())
@settings(max_examples=30, deadline=None)
def test_a_position_does_not_depend_on_which_are_asked_for_with_it(weights: list[float], order) -> None:
    shares = whole_shares(weights)
    some = np.array(order.sample(range(1000), 50))
    whole, ranks = dealt(shares, np.arange(1000))
    assert np.array_equal(dealt(shares, some), (whole[some], ranks[some]))


@given(weights=weights)
@settings(max_examples=100, deadline=None)
def test_shares_are_the_weights_to_one_part_in_2_to_the_30(weights: list[float]) -> None:
    shares, exact = whole_shares(weights), [Fraction(weight) for weight in weights]
    assert sum(shares) <= WHOLE
    for share, weight in zip(shares, exact, strict=True):
        assert abs(Fraction(share, sum(shares)) - weight / sum(exact)) < Fraction(1, WHOLE)


def test_whole_weights_are_kept_exactly_and_temperature_levels_sizes() -> None:
    assert whole_shares([7, 2.0, 0, 1]) == (7, 2, 0, 1) and whole_shares([30, 10]) == (3, 1)
    assert tempered([900, 100], 1) == (9, 1)
    three = tempered([900, 100], 2)
    assert abs(three[0] / three[1] - 3) < 1e-8
    assert tempered([900, 100], float("inf")) == (1, 1)


@pytest.mark.parametrize(
    "weights", [[], [0, 0], [1, -1], [float("nan")], [float("inf"), 1], [1, 1e-12], ["a"]], ids=str
)
def test_weights_that_give_no_shares_are_refused(weights: list[float]) -> None:
    with pytest.raises(UsageError, match="weights"):
        whole_shares(weights)


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature: float) -> None:
    with pytest.raises(UsageError, match="temperature"):
        tempered([1, 2], temperature)
