"""The engine: a stock and a demand, each a trend with uncertain level and rate, and when demand has passed the stock.

    P(run out by year t) = mean over 100 quantiles S of the stock at t of P(demand at t >= S)

as the published model has it. A date is the last quarter of a year at which that chance is still below a level; the
published grid has steps of 0.242 years. 97 quarters of 20,000 draws take 0.4 CPU s, all scenarios together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from warehouse.runway.distributions import F8
from warehouse.runway.published import CI

STEPS_PER_YEAR = 4
STOCK_QUANTILES = (np.arange(100) + 0.5) / 100


@dataclass(frozen=True, slots=True)
class Trend:
    """Draws of tokens at a time and of what becomes of them: levels and rates, float64 (draws,).

    grows: "times" 10 ** rate a year (rates in orders of magnitude), or "plus" rate tokens a year.
    """

    levels: F8
    rates: F8
    at: float
    grows: Literal["times", "plus"] = "times"

    def tokens(self, years: F8) -> F8:
        """float64 (years, draws)."""
        passed = (years - self.at)[:, None]
        if self.grows == "times":
            return self.levels * 10.0 ** (self.rates * passed)
        return self.levels + self.rates * np.maximum(passed, 0.0)


@dataclass(frozen=True, slots=True)
class Side:
    """A trend over the years: quantiles (years, 100) for a stock, all draws in order (years, draws) for a demand;
    band (years, 3): its 10, 50 and 90 %.
    """

    tokens: F8
    band: F8


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario in one whole year; tokens, and the chance that the stock is used in full by that year."""

    scenario: str
    year: int
    stock_p10: float
    stock_median: float
    stock_p90: float
    demand_p10: float
    demand_median: float
    demand_p90: float
    run_out_probability: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """When a scenario's stock is used in full, as a decimal year: 10, 50 and 90 %; None: later than the last year.

    said: what the scenario assumes; demand: median tokens at the median date.
    """

    scenario: str
    said: str
    p10: float | None
    median: float | None
    p90: float | None
    demand: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """A forecast of one scope ("world", "own"): its outcomes, its rows, what it assumes, its identity.

    identity: 16 hexadecimal digits that change with any input; first: the year from which dates are looked for.
    """

    scope: str
    identity: str
    first: float
    last: float
    outcomes: tuple[Outcome, ...]
    rows: tuple[Row, ...]
    assumptions: tuple[str, ...]

    def outcome(self, scenario: str) -> Outcome:
        """The outcome of one scenario."""
        return next(each for each in self.outcomes if each.scenario == scenario)

    def probability(self, scenario: str, year: int) -> float:
        """The chance that its stock is used in full by a whole year of the forecast."""
        return next(row.run_out_probability for row in self.rows if (row.scenario, row.year) == (scenario, year))


def quarters(first: float, last: float) -> F8:
    """The quarters of years from the one that ``first`` lies in to ``last``."""
    begin = np.floor(first * STEPS_PER_YEAR)
    return np.arange(begin, round(last * STEPS_PER_YEAR) + 1) / STEPS_PER_YEAR


def stock_side(trend: Trend, years: F8) -> Side:
    """A stock as its 100 quantiles, year by year."""
    ordered = np.sort(trend.tokens(years), axis=1)
    return Side(_quantiles(ordered, STOCK_QUANTILES), _quantiles(ordered, np.array(CI)))


def demand_side(trend: Trend, years: F8) -> Side:
    """A demand as its draws in order, year by year."""
    ordered = np.sort(trend.tokens(years), axis=1)
    return Side(ordered, _quantiles(ordered, np.array(CI)))


def _quantiles(ordered: F8, at: F8) -> F8:
    """Linear quantiles of rows in order: float64 (rows, at)."""
    place = at * (ordered.shape[1] - 1)
    below = np.floor(place).astype(np.intp)
    above, part = np.minimum(below + 1, ordered.shape[1] - 1), place - below
    return np.asarray(ordered[:, below] * (1 - part) + ordered[:, above] * part)


def run_out(stock: Side, demand: Side, *, stock_times: float = 1.0, demand_times: float = 1.0) -> F8:
    """float64 (years,): the chance that demand has reached the stock, each made larger by a factor."""
    draws, limits = demand.tokens.shape[1], stock.tokens * (stock_times / demand_times)
    reached = [draws - np.searchsorted(row, limit, "left") for row, limit in zip(demand.tokens, limits, strict=True)]
    return np.asarray(np.mean(np.array(reached) / draws, axis=1))


def date_at(years: F8, probability: F8, level: float) -> float | None:
    """The last year at which the chance is below ``level``: the first where it never is, None where it always is."""
    below = np.flatnonzero(probability < level)
    if not below.size:
        return float(years[0])
    return float(years[below[-1]]) if below[-1] + 1 < years.size else None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A stock and a demand, each made larger by a factor."""

    name: str
    said: str
    stock: Side
    demand: Side
    stock_times: float = 1.0
    demand_times: float = 1.0


def outcomes(scenarios: Iterable[Scenario], years: F8) -> tuple[tuple[Outcome, ...], tuple[Row, ...]]:
    """What becomes of each scenario, and its rows: whole years only, tokens to 6 significant digits."""
    made = [_outcome(each, years) for each in scenarios]
    return tuple(outcome for outcome, _ in made), tuple(row for _, rows in made for row in rows)


def _outcome(scenario: Scenario, years: F8) -> tuple[Outcome, tuple[Row, ...]]:
    chance = run_out(
        scenario.stock, scenario.demand, stock_times=scenario.stock_times, demand_times=scenario.demand_times
    )
    low, median, high = (date_at(years, chance, level) for level in CI)
    bands = np.hstack([scenario.stock.band * scenario.stock_times, scenario.demand.band * scenario.demand_times])
    used = None if median is None else _rounded(bands[np.searchsorted(years, median), 4])
    return Outcome(scenario.name, scenario.said, low, median, high, used), tuple(
        _rows(scenario.name, years, bands, chance)
    )


def _rows(name: str, years: F8, bands: F8, chance: F8) -> Iterator[Row]:
    for at in np.flatnonzero(years == np.floor(years)):
        stock, demand = np.split(bands[at], 2)
        yield Row(name, int(years[at]), *_rounded3(stock), *_rounded3(demand), round(float(chance[at]), 6))


def _rounded3(band: F8) -> tuple[float, float, float]:
    low, median, high = map(_rounded, band)
    return low, median, high


def _rounded(value: float) -> float:
    """To 6 significant digits: the last ones of exp and pow differ between processors."""
    return float(f"{value:.6g}")
