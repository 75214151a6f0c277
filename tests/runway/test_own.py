"""The own corpus's forecast: real fits where there are times enough, what is missing where not, plans that add up."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from warehouse.errors import RecipeError, UsageError
from warehouse.runway import Corpus, Settings, Source, changed, effective_tokens, load_settings, own
from warehouse.runway.own import decimal_year, growth_of, plan

STEADY = (0.0, 0.0)


def source(name: str, months: tuple[int, ...], kept: tuple[int, ...]) -> Source:
    times = tuple(datetime(2026, month, 1, tzinfo=UTC) for month in months)
    return Source(name, times, kept, len(months), 2 * len(months), 2 * kept[-1])


def settings(**values: object) -> Settings:
    return changed(Settings(growth=STEADY, bytes_per_token=1.0), **values)


THREE = source("crawl", (1, 4, 7), (1000, 2000, 2900))
ONE = source("books", (7,), (5000,))
TWO = source("mail", (2, 5), (10, 20))


@pytest.mark.parametrize(("source", "times", "short"), [(ONE, "1 time ", "2 more are"), (TWO, "2 times ", "1 more is")])
def test_with_fewer_than_three_times_it_says_what_is_missing_and_guesses_nothing(
    source: Source, times: str, short: str
) -> None:
    found = growth_of(source, 1.0)
    assert found.tokens_per_year is None and found.standard_error is None
    assert times in found.missing and f"{short} missing" in found.missing
    assert all(f"{at:%Y-%m-%d}" in found.missing for at in source.known_at)
    forecast = own(Corpus("house", (source,)), settings(target_tokens=1)).forecast
    assert any(found.missing == each for each in forecast.assumptions)
    stocks = {(row.stock_p10, row.stock_p90) for row in forecast.rows if row.scenario == "once"}
    assert stocks == {(source.kept_bytes[-1], source.kept_bytes[-1])}


@budget(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=3, max_size=12))
def test_growth_is_the_standard_librarys_least_squares(steps: list[int]) -> None:
    kept = tuple(sum(steps[: number + 1]) for number in range(len(steps)))
    months = tuple(range(1, len(steps) + 1))
    found = growth_of(source("crawl", months, kept), 4.0)
    years = [decimal_year(datetime(2026, month, 1, tzinfo=UTC)) for month in months]
    slope, begin = statistics.linear_regression(years, [each / 4 for each in kept])
    assert found.tokens_per_year == pytest.approx(slope, rel=1e-6, abs=1e-3)
    off = [each / 4 - begin - slope * year for each, year in zip(kept, years, strict=True)]
    spread = sum((year - statistics.fmean(years)) ** 2 for year in years)
    error = (sum(each * each for each in off) / (len(kept) - 2) / spread) ** 0.5
    assert found.standard_error == pytest.approx(error, rel=1e-3, abs=max(1.0, slope * 1e-6))
    assert not found.missing


def test_a_corpus_that_grows_steadily_runs_out_when_a_steady_target_says_so() -> None:
    grows = source("crawl", (1, 4, 7, 10), (1000, 1250, 1500, 1750))
    corpus = Corpus("house", (grows,))
    never = own(corpus, settings(target_tokens=1500))
    assert [each.median for each in never.forecast.outcomes] == [None, None, None]
    rate = never.growth[0].tokens_per_year
    assert rate == pytest.approx(1000, rel=0.02)
    doubling = own(corpus, Settings(growth=(0.30103, 0.30103), bytes_per_token=1.0, target_tokens=1500))
    once = doubling.forecast.outcome("once")
    # 1750 + 1000 t = 1500 * 2 ** t at t = 0.72, from 2026-10-01
    assert once.median is not None and once.median <= decimal_year(doubling.known_at) + 0.72 <= once.median + 0.25


def test_a_target_beyond_the_corpus_is_short_now_and_epochs_and_synthetic_text_delay_that() -> None:
    found = own(Corpus("house", (ONE,)), Settings(bytes_per_token=1.0, target_tokens=6000))
    dates = [each.median for each in found.forecast.outcomes]
    assert dates[0] is not None and dates[0] <= found.forecast.first
    assert dates[1] is not None and dates[2] is not None and dates[0] < dates[1] < dates[2]
    assert found.kept_share == 0.5 and found.unique_tokens == 5000


def test_equal_corpora_have_the_same_forecast_and_one_byte_more_another_identity() -> None:
    one, again = (own(Corpus("house", (THREE, ONE)), settings()) for _ in range(2))
    assert one == again
    more = source("books", (7,), (5001,))
    assert own(Corpus("house", (THREE, more)), settings()).forecast.identity != one.forecast.identity


@budget(max_examples=60, deadline=None)
@given(st.integers(1, 10**12), st.integers(1, 10**13), st.floats(1, 40), st.floats(0, 0.3))
def test_a_plan_adds_up_to_its_target_within_its_limits(unique: int, target: int, epochs: float, share: float) -> None:
    asked = settings(target_tokens=target, epochs=epochs, synthetic_share=share)
    found = plan(float(unique), asked)
    parts = (found.unique, found.repeated, found.synthetic, found.missing)
    assert all(part >= -1e-6 * target for part in parts)
    assert sum(parts) == pytest.approx(target, rel=1e-9)
    assert found.unique <= unique and 1 <= found.epochs <= epochs * (1 + 1e-12)
    assert found.synthetic_made <= share * (found.synthetic_made + found.unique) * (1 + 1e-9)
    assert found.unique + found.repeated == pytest.approx(effective_tokens(found.unique, found.epochs), rel=1e-9)
    if found.synthetic > target * 1e-6:
        assert found.epochs == pytest.approx(epochs), "no synthetic text before the epochs are used"
    if found.missing > target * 1e-6:
        assert found.synthetic_made == pytest.approx(share / (1 - share) * found.unique, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("synthetic_share", 0.31),
        ("synthetic_share", -0.1),
        ("epochs", 0.5),
        ("target_tokens", 0),
        ("horizon_years", 99),
    ],
)
def test_a_value_beyond_its_limits_is_refused_with_them(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name} came as") as caught:
        changed(Settings(), **{name: value})
    assert " to " in caught.value.allowed


def test_parameters_on_the_command_line_take_the_place_of_a_stated_target() -> None:
    assert Settings().target == 20 * 124_000_000
    stated = changed(Settings(), target_tokens=7)
    assert stated.target == 7
    assert changed(stated, parameters=3).target == 60
    assert changed(stated, epochs=2).target == 7


def test_a_file_of_settings_is_read_and_a_wrong_one_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "runway.yaml"
    path.write_text("parameters: 5\ngrowth: [0, 0.5]\nepochs: 2\nrule_set: c4\n")
    assert load_settings([path]) == Settings(parameters=5, growth=(0.0, 0.5), epochs=2.0, rule_set="c4")
    assert load_settings([]) == Settings()
    for wrong in ("epochs: many", "synthetic_share: 0.5", "growth: [1]", "growth: [0.5, 0.1]", "parameter: 5"):
        path.write_text(f"parameters: 5\n{wrong}\n")
        with pytest.raises(RecipeError, match=r"runway\.yaml:2: "):
            load_settings([path])
