"""Which source gives each position of a mixture, and how many each gave before: pure functions of shares and position.

Shares are integers. A Huffman tree over them deals the positions out: of the first n that reach a node, its left side
gets n * left / (left + right), rounded, so both the source at a position and its count so far are closed forms of some
divisions a level. Won: no table and no state; any positions at once, 35 ns each with four sources;
and a bound: **at every prefix of a phase each source has less than 2 samples more or fewer than its share**, however
many sources there are (at most 1/2 where there are two). Proof: a node's rounding adds at most 1/2, what it inherits
is scaled by its part of its parent, and in a Huffman tree two such parts multiply to at most 1/2 (an uncle weighs at
least as much as its heavier nephew), so the error is below (1 + 1 + 1/2 + 1/2 + 1/4 + ...) / 2 = 2. Lost: sources
alternate in a fixed pattern, so the composition of a batch does not vary as it does where each source is drawn.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from math import gcd

import numpy as np
import numpy.typing as npt

from warehouse.errors import UsageError

WHOLE = 1 << 30
"""Shares sum to this at most, so that products with a remainder stay below 2^62."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Node:
    """``part`` of each ``whole`` positions that come here go left; a side is a node or the number of a source."""

    left: Node | int
    right: Node | int
    part: int
    whole: int

    def taken(self, positions: Numbers) -> Numbers:
        """How many of the first ``positions`` went left: int64."""
        rounds, rest = np.divmod(positions, self.whole)
        found: Numbers = rounds * self.part + (2 * self.part * rest + self.whole) // (2 * self.whole)
        return found

    def taken_of(self, position: int) -> int:
        """``taken`` of one position of any size."""
        return (2 * self.part * position + self.whole) // (2 * self.whole)


def whole_shares(weights: Sequence[float | Fraction]) -> tuple[int, ...]:
    """Weights as coprime integers: exact where whole ones sum to at most 2^30, else rounded to 2^-30 of the sum.

    Rounded shares move a source by at most one sample in 10^9. A weight of 0 gives nothing. Raises UsageError for
    weights that are negative, not finite, all 0, or too small to be told from 0.
    """
    try:
        exact = [Fraction(weight) for weight in weights]
    except (OverflowError, ValueError, TypeError):
        raise refused(weights) from None
    total = sum(exact)
    if total <= 0 or min(exact) < 0:
        raise refused(weights)
    scale = Fraction(1) if total <= WHOLE and all(weight.denominator == 1 for weight in exact) else WHOLE / total
    scaled = [weight * scale for weight in exact]
    shares = [int(value) for value in scaled]
    missing = int(total * scale) - sum(shares)
    for each in sorted(range(len(shares)), key=lambda each: shares[each] - scaled[each])[:missing]:
        shares[each] += 1
    if any(weight and not share for weight, share in zip(exact, shares, strict=True)):
        raise refused(weights)
    return tuple(share // gcd(*shares) for share in shares)


def refused(weights: object) -> UsageError:
    """The error for weights that give no shares."""
    return UsageError(
        f"weights {weights!r:.120}", allowed="finite numbers from 0 on, one above 0; each 0 or 1e-9 of all"
    )


def tempered(sizes: Sequence[int], temperature: float) -> tuple[int, ...]:
    """Shares in proportion to size^(1 / temperature): 1 as they are, infinity all equal.

    In decimal arithmetic, so that every machine finds the same. Source: Arivazhagan et al. 2019, arXiv:1907.05019,
    section 4.1. Raises UsageError for a temperature that is not above 0.
    """
    if not temperature > 0:
        raise UsageError(
            f"temperature {temperature!r}", allowed="a number above 0; 1 follows the sizes, inf levels them"
        )
    if temperature == 1:
        return whole_shares(sizes)
    exact, largest = Context(prec=28), max(sizes)
    power = exact.divide(1, Decimal(temperature))
    return whole_shares([Fraction(exact.power(exact.divide(size, largest), power)) for size in sizes])


@lru_cache(maxsize=64)
def tree(shares: tuple[int, ...]) -> Node | int:
    """The Huffman tree of the shares above 0; ties go to what was there first."""
    heap: list[tuple[int, int, Node | int]] = [(share, number, number) for number, share in enumerate(shares) if share]
    heapq.heapify(heap)
    for number in range(len(shares), len(shares) + len(heap) - 1):
        (right_share, _, right), (left_share, _, left) = heapq.heappop(heap), heapq.heappop(heap)
        whole = left_share + right_share
        heapq.heappush(heap, (whole, number, Node(left, right, left_share, whole)))
    return heap[0][2]


def dealt(shares: tuple[int, ...], positions: Numbers) -> tuple[Numbers, Numbers]:
    """The source at each of ``positions``, and how many positions before it had the same: int64, as long."""
    sources, ranks = np.empty(positions.size, np.int64), np.empty(positions.size, np.int64)
    waiting = [(tree(shares), positions, np.arange(positions.size))]
    while waiting:
        node, reached, places = waiting.pop()
        if isinstance(node, int):
            sources[places], ranks[places] = node, reached
            continue
        gone = node.taken(reached)
        left = node.taken(reached + 1) > gone
        waiting += [(node.left, gone[left], places[left]), (node.right, (reached - gone)[~left], places[~left])]
    return sources, ranks


def counts(shares: tuple[int, ...], position: int) -> tuple[int, ...]:
    """How many of the first ``position`` positions each source gives; their sum is ``position``."""
    found, waiting = [0] * len(shares), [(tree(shares), position)]
    while waiting:
        node, reached = waiting.pop()
        if isinstance(node, int):
            found[node] = reached
        else:
            gone = node.taken_of(reached)
            waiting += [(node.left, gone), (node.right, reached - gone)]
    return tuple(found)
