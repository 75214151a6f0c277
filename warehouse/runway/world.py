"""How long the world's public text lasts: Epoch AI's model v2, re-implemented from its published numbers.

Won: median stocks within 3 % of the published, and what epochs, synthetic text or overtraining change, in 0.3 CPU s.
Lost: the median, 2029.25, comes out 1.25 years after the published 2028: the projection of compute is not public, and a
stand-in takes its place (COMPUTE_GROWTH in published.py). The history of data sets is public but has no licence; its
growth alone is used, which ``growth_interval`` computes where the history is at hand: 0.37 [0.27, 0.48].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from warehouse.contracts import digest
from warehouse.runway import published
from warehouse.runway.distributions import F8, Interval, lognormal, normal
from warehouse.runway.exhaustion import Forecast, Scenario, Side, Trend, demand_side, outcomes, quarters, stock_side
from warehouse.runway.repetition import effective_tokens

DRAWS: Final = 10_000
SEED: Final = 0
VERSION: Final = 1
"""Of the model; raised when equal inputs give other rows."""
FIRST, LAST = 2015.0, 2039.0
EPOCHS: Final = 4
SYNTHETIC_SHARE: Final = 0.30

ASSUMPTIONS: Final = (
    "trends continue; public human text of the indexed web, deduplicated, every language",
    "stock 2024: 75 to 1,000 billion pages of 6.1 to 8.2 kB, 2 to 5 bytes a token, 10 to 40 % of it worth training on, "
    "repeats worth 2 to 5 times (95 % intervals)",
    "demand, half of it: the largest data set, 3 to 13 trillion tokens at 2024 (90 %), grows by 0.27 to 0.48 orders of "
    "magnitude a year (95 %)",
    "demand, the other half: what is best for the largest training run, 20 tokens a parameter, D = sqrt(20 C / 6)",
    "stand-in: the published projection of compute is not public; here C is 1e25 to 1e26 FLOP at 2024 and grows by "
    "0.45 to 0.70 orders of magnitude a year (90 %); dates come out some 1.3 years later than published",
)


@dataclass(frozen=True, slots=True)
class Stocks:
    """Tokens in 2024, float64 (draws,): the raw indexed web, what of it is worth training on, and with repeats.

    growth: of each, in orders of magnitude a year.
    """

    raw: F8
    quality: F8
    effective: F8
    growth: F8


def stocks(chance: np.random.Generator, draws: int = DRAWS) -> Stocks:
    """Draws of the world's stocks. A token has at least one byte: half a percent of the draws are less as published."""
    pages = lognormal(chance, draws, published.PAGES) * lognormal(chance, draws, published.PAGE_BYTES)
    raw = pages / np.maximum(6 - lognormal(chance, draws, published.BYTES_BELOW_SIX), 1)
    quality = raw * lognormal(chance, draws, published.QUALITY)
    effective = quality * lognormal(chance, draws, published.REPETITION)
    sizes = lognormal(chance, draws, published.PAGE_BYTES_GROWTH)
    growth = np.log10(sizes * lognormal(chance, draws, published.PAGES_GROWTH))
    return Stocks(raw, quality, effective, growth)


def historical_demand(chance: np.random.Generator, draws: int = DRAWS) -> Trend:
    """Tokens of the largest training set, as data sets have grown."""
    levels = lognormal(chance, draws, published.LARGEST_DATASET)
    return Trend(levels, normal(chance, draws, published.DATASET_GROWTH), published.BASE_YEAR)


def compute_demand(chance: np.random.Generator, draws: int = DRAWS) -> Trend:
    """Tokens that are best for the largest training run: C = 6 N D and D = 20 N (Hoffmann et al. 2022), so
    D = sqrt(20 C / 6).
    """
    compute = lognormal(chance, draws, published.LARGEST_COMPUTE)
    growth = normal(chance, draws, published.COMPUTE_GROWTH)
    return Trend(np.sqrt(20 * compute / 6), growth / 2, published.BASE_YEAR)


def mixture(one: Trend, other: Trend) -> Trend:
    """Both with the same weight: the draws of one, then of the other."""
    return Trend(np.concatenate([one.levels, other.levels]), np.concatenate([one.rates, other.rates]), one.at)


@cache
def world(*, seed: int = SEED, draws: int = DRAWS) -> Forecast:
    """The forecast of the world's public text, exactly the same for the same seed."""
    chance, years = np.random.default_rng(seed), quarters(FIRST, LAST)
    found, historical = stocks(chance, draws), historical_demand(chance, draws)
    both = mixture(historical, compute_demand(chance, draws))
    sides = [
        stock_side(Trend(level, found.growth, published.BASE_YEAR), years) for level in (found.effective, found.quality)
    ]
    demands = [demand_side(trend, years) for trend in (both, historical)]
    results, rows = outcomes(_scenarios(*sides, *demands), years)
    return Forecast("world", identity(seed, draws), FIRST, LAST, results, rows, ASSUMPTIONS)


def _scenarios(effective: Side, quality: Side, both: Side, historical: Side) -> list[Scenario]:
    epochs, synthetic = effective_tokens(1, EPOCHS), 1 / (1 - SYNTHETIC_SHARE)
    return [
        Scenario("base", "as published: repeats worth 2 to 5 times", effective, both),
        Scenario("historical", "demand by the growth of data sets alone", effective, historical),
        Scenario("one_epoch", "every token once", quality, both),
        Scenario("four_epochs", f"4 epochs, worth {epochs:.2f} times the data (Muennighoff)", quality, both, epochs),
        Scenario("base_and_synthetic", "base, and 30 % synthetic as good as real", effective, both, synthetic),
        Scenario("overtrained_5x", "5 times the compute that is best: tokens x sqrt(5)", effective, both, 1, 5**0.5),
        Scenario("overtrained_100x", "100 times: tokens x 10", effective, both, 1, 10.0),
    ]


def identity(seed: int, draws: int) -> str:
    """16 hexadecimal digits that change with the model's version, its inputs, seed and draws."""
    inputs = {name: repr(value) for name, value in vars(published).items() if isinstance(value, Interval)}
    return digest("world", str(VERSION), str(seed), str(draws), repr(sorted(inputs.items())))[:16]


def growth_interval(
    years: ArrayLike, tokens: ArrayLike, *, seed: int = SEED, resamples: int = DRAWS
) -> tuple[float, float, float]:
    """Growth of a history in orders of magnitude a year: 2.5, 50 and 97.5 % of the slopes of log10(tokens) on years
    over bootstrap resamples.
    """
    slopes = bootstrap_slopes(np.asarray(years, float), np.log10(np.asarray(tokens, float)), seed, resamples)
    low, middle, high = np.quantile(slopes, [0.025, 0.5, 0.975])
    return float(low), float(middle), float(high)


def bootstrap_slopes(x: F8, y: F8, seed: int, resamples: int) -> F8:
    """float64 (resamples,): least-squares slopes of y on x over points drawn with replacement."""
    picked = np.random.default_rng(seed).integers(0, x.size, (resamples, x.size))
    across, up = x[picked], y[picked]
    across -= across.mean(axis=1, keepdims=True)
    return np.asarray((across * up).sum(axis=1) / (across * across).sum(axis=1))
