"""How long this warehouse's own corpus lasts: what the rules keep, against a target that grows as the world's does.

The stock grows by the same number of tokens a year, as least squares over the distinct known times of each source have
it; never by a factor, as the world's does: three equal monthly batches would then grow by 2.9 orders of magnitude a
year. Below three times there is no fit: the source is held where it is, and ``missing`` says what is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from warehouse.contracts import digest
from warehouse.runway.corpus import Corpus, Source
from warehouse.runway.distributions import F8, Interval, normal
from warehouse.runway.exhaustion import Forecast, Scenario, Side, Trend, demand_side, outcomes, quarters, stock_side
from warehouse.runway.recipe import Settings
from warehouse.runway.repetition import effective_tokens, epochs_for

__all__ = ["LEAST_TIMES", "Growth", "OwnForecast", "Plan", "own"]

DRAWS: Final = 10_000
VERSION: Final = 1
LEAST_TIMES: Final = 3
"""A line through two points leaves nothing to tell its error by."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A source's tokens now, the share of its bytes that is kept, and its growth in tokens a year with standard error.

    Both are None where ``missing`` says why; times: distinct known times.
    """

    source: str
    tokens: float
    documents: int
    kept_share: float
    times: int
    first_known_at: datetime
    last_known_at: datetime
    tokens_per_year: float | None
    standard_error: float | None
    missing: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a target D is made of, in tokens: unique + repeated + synthetic + missing = target.

    repeated: what further epochs are worth, of ``repeated_seen`` tokens that are read again; epochs: passes over unique
    and synthetic text; synthetic: worth of ``synthetic_made`` tokens, at most the allowed share of one pass.
    """

    target: float
    unique: float
    epochs: float
    repeated: float
    repeated_seen: float
    synthetic: float
    synthetic_made: float
    missing: float


@dataclass(frozen=True, slots=True)
class OwnForecast:
    """The forecast of a corpus, how each source grows, and the plan for the target of now.

    known_at: when the last of the corpus became known, which is now to the forecast.
    """

    forecast: Forecast
    known_at: datetime
    unique_tokens: float
    kept_share: float
    growth: tuple[Growth, ...]
    plan: Plan


def own(corpus: Corpus, settings: Settings, *, seed: int = 0, draws: int = DRAWS) -> OwnForecast:
    """The forecast of a corpus of one source or more, exactly the same for equal inputs and seed."""
    chance, now = np.random.default_rng(seed), decimal_year(corpus.known_at)
    years = quarters(now, np.floor(now) + settings.horizon_years)
    growth = tuple(growth_of(source, settings.bytes_per_token) for source in corpus.sources)
    stock = stock_side(_stock(chance, draws, growth, now), years)
    demand = demand_side(_demand(chance, draws, settings, now), years)
    results, rows = outcomes(_scenarios(stock, demand, settings), years)
    forecast = Forecast(
        "own",
        _identity(corpus, settings, seed, draws),
        now,
        float(years[-1]),
        results,
        rows,
        _assumed(settings, growth),
    )
    unique, held = corpus.kept_bytes / settings.bytes_per_token, sum(source.bytes for source in corpus.sources)
    share = corpus.kept_bytes / held if held else 0.0
    return OwnForecast(forecast, corpus.known_at, unique, share, growth, plan(unique, settings))


def decimal_year(moment: datetime) -> float:
    """2026.5 for the middle of 2026."""
    begin, end = (datetime(moment.year + more, 1, 1, tzinfo=UTC) for more in (0, 1))
    return moment.year + (moment - begin) / (end - begin)


def growth_of(source: Source, bytes_per_token: float) -> Growth:
    """How a source grows, where it has been known at three times or more."""
    tokens = np.array(source.kept_bytes) / bytes_per_token
    rate, error = least_squares(np.array([decimal_year(at) for at in source.known_at]), tokens)
    return Growth(
        source.name,
        float(tokens[-1]),
        source.kept_documents,
        source.kept_bytes[-1] / source.bytes if source.bytes else 0.0,
        len(source.known_at),
        source.known_at[0],
        source.known_at[-1],
        rate,
        error,
        _missing(source) if rate is None else "",
    )


def least_squares(years: F8, tokens: F8) -> tuple[float, float] | tuple[None, None]:
    """Slope and its standard error; None for fewer than three times."""
    if years.size < LEAST_TIMES:
        return None, None
    across = years - years.mean()
    slope = across @ tokens / (across @ across)
    off = tokens - tokens.mean() - slope * across
    return float(slope), float(np.sqrt(off @ off / (years.size - 2) / (across @ across)))


def _missing(source: Source) -> str:
    known = len(source.known_at)
    short = LEAST_TIMES - known
    times = " and ".join(f"{at:%Y-%m-%d %H:%M:%S}" for at in source.known_at)
    return (
        f"{source.name} is known at {known} {'time' if known == 1 else 'times'} ({times}); a fit needs {LEAST_TIMES}, "
        f"so {short} more {'is' if short == 1 else 'are'} missing and it is held constant"
    )


def _stock(chance: np.random.Generator, draws: int, growth: tuple[Growth, ...], now: float) -> Trend:
    """All sources together; a slope's error is Student's t of times - 2 degrees of freedom, and none shrinks."""
    rates = np.zeros(draws)
    for each in growth:
        if each.tokens_per_year is not None and each.standard_error is not None:
            error = each.standard_error * chance.standard_t(each.times - 2, draws)
            rates += np.maximum(each.tokens_per_year + error, 0)
    return Trend(np.full(draws, sum(each.tokens for each in growth)), rates, now, "plus")


def _demand(chance: np.random.Generator, draws: int, settings: Settings, now: float) -> Trend:
    return Trend(np.full(draws, settings.target), normal(chance, draws, Interval(*settings.growth, 0.95)), now)


def _scenarios(stock: Side, demand: Side, settings: Settings) -> Iterator[Scenario]:
    epochs, share = effective_tokens(1, settings.epochs), settings.synthetic_share
    repeats = f"{settings.epochs:g} epochs, worth {epochs:.2f} times the text"
    yield Scenario("once", "every token once", stock, demand)
    yield Scenario("repeated", repeats, stock, demand, epochs)
    yield Scenario(
        "repeated_and_synthetic",
        f"{repeats}, and {share:.0%} synthetic as good as real",
        stock,
        demand,
        epochs / (1 - share),
    )


def _assumed(settings: Settings, growth: tuple[Growth, ...]) -> tuple[str, ...]:
    stated = "as stated" if settings.target_tokens else f"20 x {settings.parameters:,} parameters"
    low, high = settings.growth
    grows = f"growing by {low:g} to {high:g} orders of magnitude a year (95 %)" if low or high else "not growing"
    return (
        f"target {settings.target:,.0f} tokens, {stated}, {grows}",
        f"{settings.bytes_per_token:g} bytes a token; unique text that rule set {settings.rule_set} keeps",
        "each source grows by the same tokens a year, nothing is deleted",
        *(each.missing for each in growth if each.missing),
    )


def plan(unique: float, settings: Settings) -> Plan:
    """What the target is made of: unique text first, then further epochs, then synthetic text, each to its limit."""
    target, share = settings.target, settings.synthetic_share
    used = min(unique, target)
    epochs = min(settings.epochs, epochs_for(used, target) or settings.epochs) if used else 1.0
    worth = effective_tokens(used, epochs)
    made = min(share / (1 - share) * used, max(target - worth, 0) / effective_tokens(1, epochs))
    synthetic = effective_tokens(made, epochs)
    return Plan(
        target=target,
        unique=used,
        epochs=epochs,
        repeated=worth - used,
        repeated_seen=used * (epochs - 1),
        synthetic=synthetic,
        synthetic_made=made,
        missing=max(target - worth - synthetic, 0.0),
    )


def _identity(corpus: Corpus, settings: Settings, seed: int, draws: int) -> str:
    """16 hexadecimal digits over all that the forecast is made of."""
    sources = [repr(asdict(source)) for source in corpus.sources]
    return digest("own", str(VERSION), str(seed), str(draws), repr(settings), corpus.rule_set, *sources)[:16]
