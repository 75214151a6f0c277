"""Draws of what is known as an interval: float64 (draws,), the same for the same seed.

The draws of a quantity are the midpoint quantiles of its distribution in an order of its own (a Latin hypercube: McKay,
Beckman, Conover 1979). Every single quantity is then exact, and only how quantities meet is left to chance: over 30
seeds the world's median stock varies by 0.5 % (standard deviation), where independent draws vary by 1.2 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """What lies between low and high with this chance, as much below as above."""

    low: float
    high: float
    chance: float = 0.9


@cache
def standard_quantiles(draws: int) -> F8:
    """The standard normal's quantiles at (i + 1/2) / draws, ascending."""
    inverse = NormalDist().inv_cdf
    return np.array([inverse((number + 0.5) / draws) for number in range(draws)])


def normal(chance: np.random.Generator, draws: int, interval: Interval) -> F8:
    """Draws of the normal distribution with this interval."""
    z = NormalDist().inv_cdf((1 + interval.chance) / 2)
    middle, sigma = (interval.low + interval.high) / 2, (interval.high - interval.low) / (2 * z)
    return middle + sigma * chance.permutation(standard_quantiles(draws))


def lognormal(chance: np.random.Generator, draws: int, interval: Interval) -> F8:
    """Draws of the lognormal distribution with this interval, both ends above 0."""
    logs = Interval(float(np.log(interval.low)), float(np.log(interval.high)), interval.chance)
    return np.exp(normal(chance, draws, logs))
