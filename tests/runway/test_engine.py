"""The engine against its definition in plain Python: draws, chances, dates, and what repeats are worth."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.runway.distributions import Interval, lognormal, normal
from warehouse.runway.exhaustion import Trend, date_at, demand_side, quarters, run_out, stock_side
from warehouse.runway.repetition import R, effective_tokens, epochs_for
from warehouse.runway.world import bootstrap_slopes

YEARS = quarters(2026.1, 2030)
FEW = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(FEW, st.floats(1e-3, 1e12), st.floats(1.01, 1e3), st.sampled_from([0.8, 0.9, 0.95]))
def test_draws_have_their_interval_and_their_median_whatever_the_seed(
    seed: int, low: float, times: float, chance: float
) -> None:
    drawn = lognormal(np.random.default_rng(seed), 2000, Interval(low, low * times, chance))
    tail = (1 - chance) / 2
    np.testing.assert_allclose(
        np.quantile(np.log(drawn), [tail, 0.5, 1 - tail]),
        [math.log(low), math.log(low) + math.log(times) / 2, math.log(low * times)],
        atol=0.01 * math.log(times) + 1e-9,
    )


def test_draws_are_those_of_the_standard_librarys_normal_distribution() -> None:
    drawn = np.sort(normal(np.random.default_rng(3), 999, Interval(-1, 3, 0.9)))
    reference = statistics.NormalDist(1, 2 / statistics.NormalDist().inv_cdf(0.95))
    np.testing.assert_allclose(drawn, [reference.inv_cdf((i + 0.5) / 999) for i in range(999)])


def quantile(values: list[float], at: float) -> float:
    """Linear, as numpy has it, in plain Python."""
    ordered, place = sorted(values), at * (len(values) - 1)
    below = math.floor(place)
    above = min(below + 1, len(values) - 1)
    return ordered[below] * (1 - (place - below)) + ordered[above] * (place - below)


@settings(max_examples=25, deadline=None)
@given(FEW, st.sampled_from([1.0, 0.5, 3.7]), st.sampled_from([1.0, 2.2]))
def test_the_chance_of_running_out_is_that_of_its_definition(
    seed: int, stock_times: float, demand_times: float
) -> None:
    chance = np.random.default_rng(seed)
    stock = Trend(chance.lognormal(0, 1, 17), chance.normal(0.05, 0.05, 17), 2026.0)
    demand = Trend(chance.lognormal(-1, 1, 23), chance.normal(0.4, 0.2, 23), 2026.0)
    found = run_out(
        stock_side(stock, YEARS), demand_side(demand, YEARS), stock_times=stock_times, demand_times=demand_times
    )
    for year, share in zip(YEARS, found, strict=True):
        held, asked = (
            [times * level * 10 ** (rate * (year - 2026)) for level, rate in zip(each.levels, each.rates, strict=True)]
            for each, times in ((stock, stock_times), (demand, demand_times))
        )
        limits = [quantile(held, (number + 0.5) / 100) for number in range(100)]
        reference = sum(sum(value >= limit for value in asked) for limit in limits) / 100 / len(asked)
        assert share == pytest.approx(reference, abs=0.02)  # a draw that meets a limit to the last bit


def test_bands_are_numpys_quantiles() -> None:
    trend = Trend(np.random.default_rng(0).lognormal(0, 1, 101), np.zeros(101), 2026.0)
    expected = np.quantile(trend.levels, [0.1, 0.5, 0.9])
    for side in (stock_side(trend, YEARS), demand_side(trend, YEARS)):
        np.testing.assert_allclose(side.band[0], expected)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=17), st.floats(0.01, 0.99))
def test_a_date_is_the_last_quarter_before_the_chance_stays_at_the_level(chances: list[float], level: float) -> None:
    years = 2026 + np.arange(len(chances)) / 4
    found = date_at(years, np.array(chances), level)
    if found is None:
        assert chances[-1] < level
    else:
        place = int((found - 2026) * 4)
        assert all(chance >= level for chance in chances[place + 1 :])
        assert chances[place] < level or place == 0


def test_quarters_begin_with_the_one_that_now_lies_in() -> None:
    assert quarters(2026.9, 2027.5).tolist() == [2026.75, 2027.0, 2027.25, 2027.5]


def test_slopes_of_resamples_are_those_of_numpys_fit() -> None:
    chance = np.random.default_rng(1)
    x, y = chance.normal(size=12), chance.normal(size=12)
    picked = np.random.default_rng(5).integers(0, 12, (20, 12))
    expected = [np.polyfit(x[each], y[each], 1)[0] for each in picked]
    np.testing.assert_allclose(bootstrap_slopes(x, y, 5, 20), expected)


def test_four_epochs_are_almost_free_and_no_number_is_worth_more_than_the_plateau() -> None:
    assert effective_tokens(1, 1) == 1
    assert effective_tokens(1, 4) == pytest.approx(3.726, abs=1e-3)
    assert effective_tokens(1, 4) / 4 > 0.93
    assert effective_tokens(1, 1e6) == pytest.approx(1 + R)


@settings(max_examples=60, deadline=None)
@given(st.floats(1, 1e15), st.floats(1, 200), st.floats(1, 200))
def test_worth_rises_with_epochs_but_never_faster_than_they_do(unique: float, one: float, two: float) -> None:
    few, many = sorted((one, two))
    assert unique <= effective_tokens(unique, few) <= effective_tokens(unique, many)
    assert effective_tokens(unique, many) <= unique * many * (1 + 1e-12)


@settings(max_examples=60, deadline=None)
@given(st.floats(1, 1e12), st.floats(1, 60))
def test_epochs_for_a_worth_give_that_worth(unique: float, epochs: float) -> None:
    found = epochs_for(unique, effective_tokens(unique, epochs))
    assert found == pytest.approx(epochs, rel=1e-6)
    assert epochs_for(unique, unique * (1 + R)) is None
    assert epochs_for(0, 1) is None
