"""The world's forecast comes out as it was published, within the tolerances that the published inputs allow."""

from __future__ import annotations

import csv
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from warehouse.runway import Forecast, published, world
from warehouse.runway.world import compute_demand, growth_interval, historical_demand, stocks

INTERVAL = (0.025, 0.5, 0.975)


@pytest.fixture(scope="module")
def forecast() -> Forecast:
    return world()


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("raw", published.RAW_TOKENS),
        ("quality", published.QUALITY_TOKENS),
        ("effective", published.EFFECTIVE_TOKENS),
    ],
)
def test_stocks_are_within_5_percent_of_the_published_ones(name: str, tokens: tuple[float, float, float]) -> None:
    found = np.quantile(getattr(stocks(np.random.default_rng(0)), name), INTERVAL)
    np.testing.assert_allclose(found, tokens, rtol=0.05)


def test_full_use_is_within_1_5_years_of_the_published_median_and_its_interval_ends_as_published(
    forecast: Forecast,
) -> None:
    base = forecast.outcome("base")
    assert base.p10 is not None and base.median is not None and base.p90 is not None
    assert base.median == pytest.approx(2028, abs=1.5)
    assert 2031 <= base.p90 <= 2033
    assert base.p10 == pytest.approx(2026, abs=1.5)
    assert forecast.probability("base", 2032) >= 0.8
    assert base.demand == pytest.approx(4e14, rel=0.25)


@pytest.mark.parametrize(("scenario", "year"), [("overtrained_5x", 2027), ("overtrained_100x", 2025)])
def test_overtraining_brings_full_use_forward_as_published(forecast: Forecast, scenario: str, year: int) -> None:
    assert forecast.outcome(scenario).median == pytest.approx(year, abs=1.5)


def test_demand_at_2024_and_its_growth_are_the_published_intervals() -> None:
    chance = np.random.default_rng(0)
    history, compute = historical_demand(chance), compute_demand(chance)
    np.testing.assert_allclose(np.quantile(history.levels, (0.05, 0.95)), [3e12, 13e12], rtol=1e-3)
    np.testing.assert_allclose(np.quantile(history.rates, (0.025, 0.975)), [0.27, 0.48], atol=1e-3)
    parameters = np.sqrt(1e25 / 6 / 20), np.sqrt(1e26 / 6 / 20)
    np.testing.assert_allclose(np.quantile(compute.levels, (0.05, 0.95)), [20 * each for each in parameters], rtol=1e-3)


def test_the_same_seed_gives_the_same_forecast_and_another_seed_moves_no_date_by_more_than_a_quarter(
    forecast: Forecast,
) -> None:
    assert world.__wrapped__(seed=0) == forecast
    other = world(seed=1)
    assert other.identity != forecast.identity and other.rows != forecast.rows
    for one, two in zip(forecast.outcomes, other.outcomes, strict=True):
        assert one.median is not None and two.median is not None
        assert abs(one.median - two.median) <= 0.25


def test_more_epochs_or_synthetic_text_delay_and_overtraining_hastens(forecast: Forecast) -> None:
    medians = {each.scenario: each.median or 9999 for each in forecast.outcomes}
    assert medians["one_epoch"] < medians["base"] <= medians["four_epochs"]
    assert medians["base"] < medians["base_and_synthetic"] <= medians["base"] + 1
    assert medians["overtrained_100x"] < medians["overtrained_5x"] < medians["base"]


def test_the_stand_in_is_said(forecast: Forecast) -> None:
    assert any("stand-in" in each and "not public" in each for each in forecast.assumptions)


def test_the_growth_of_the_published_history_is_the_published_growth(shared_data: Path) -> None:
    with (shared_data / "data_stock_epoch/dataset_sizes.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["category"] == "Language" and row["dataset"]]
    rows = [row for row in rows if row["date"] > "2010"]
    assert len(rows) == 80
    years = [date.fromisoformat(row["date"]).toordinal() / 365.25 for row in rows]
    low, middle, high = growth_interval(years, [float(row["dataset"]) * 0.8 for row in rows])
    assert middle == pytest.approx(0.38, abs=0.02)
    assert (low, high) == (
        pytest.approx(published.DATASET_GROWTH.low, abs=0.02),
        pytest.approx(published.DATASET_GROWTH.high, abs=0.02),
    )


def test_the_years_that_the_sample_states_are_the_published_ones(checkout: Path) -> None:
    with (checkout / "sample/infrastructure_facts/infrastructure_facts.csv").open() as file:
        years = {row["variable"]: float(row["date"]) for row in csv.DictReader(file)}
    names = ("low", "median", "high")
    assert tuple(years[f"public_text_exhausted_{name}"] for name in names) == published.FULL_USE


def test_rows_are_whole_years_in_order_with_quantiles_in_order(forecast: Forecast) -> None:
    for scenario in {row.scenario for row in forecast.rows}:
        own = [row for row in forecast.rows if row.scenario == scenario]
        assert [row.year for row in own] == list(range(2015, 2040))
        chances = [row.run_out_probability for row in own]
        assert chances == sorted(chances)
        for row in own:
            values = list(asdict(row).values())
            assert sorted(values[2:5]) == values[2:5] and sorted(values[5:8]) == values[5:8]
