"""How long the data lasts: the world's public text, and what the published snapshot keeps; both as pictures too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from warehouse.errors import NotFound
from warehouse.pictures import Band, exhaustion
from warehouse.pictures.style import short
from warehouse.project import Project
from warehouse.publish import connect_current
from warehouse.query import Connection
from warehouse.runway import FULL_USE, Forecast, OwnForecast, Row, Settings, corpus, own, world

Triple = tuple[float | None, float | None, float | None]
DRAWN_YEARS = 14


@dataclass(frozen=True, slots=True)
class Runway:
    """Both forecasts; own is None where ``missing`` says why. published: the years of the world's as published."""

    world: Forecast
    published: tuple[float, float, float]
    own: OwnForecast | None
    missing: str


def runway(project: Project, settings: Settings, *, env: str = "prod") -> Runway:
    """Both forecasts, the own one of what the environment has published. Raises UsageError for another rule set."""
    try:
        with connect_current(project.published, env) as con:
            return Runway(world(), FULL_USE, own_forecast(con, settings), "")
    except NotFound as error:
        return Runway(world(), FULL_USE, None, str(error))


def own_forecast(con: Connection, settings: Settings) -> OwnForecast:
    """The forecast of the snapshot on this connection. Raises NotFound where it keeps no document."""
    return own(corpus(con, rule_set=settings.rule_set), settings)


def in_years(dates: Triple) -> str:
    """An interval and its median in calendar years: ``between 2027 and 2031 (80 % CI), median 2029``."""
    low, median, high = ("later" if date is None else str(int(date)) for date in dates)
    if dates[0] is None:
        return "later"
    return f"between {low} and {high} (80 % CI)" + ("" if dates[1] is None else f", median {median}")


@cache
def world_picture(forecast: Forecast, *, width_px: int = 1280) -> bytes:
    """Stock and demand of the world's public text, as published beside it: PNG."""
    base = forecast.outcome("base")
    rows = [row for row in _rows(forecast, "base") if row.year >= 2020][: DRAWN_YEARS + 1]
    published = in_years(FULL_USE).replace(" (80 % CI)", "")
    return exhaustion(
        _band("stock of public text", rows, "stock"),
        _band("largest training set", rows, "demand"),
        dates={"this model": (base.p10, base.median, base.p90), "published": FULL_USE},
        title="If trends continue, public text is used in full\n" + in_years((base.p10, base.median, base.p90)),
        subtitle=f"Epoch AI's model re-implemented; published: {published}",
        note="Bands: 80 % of 10,000 draws. Stock: usable text of the indexed web, repeats worth 2 to 5 times.\n"
        "Demand: the largest training set, and what the largest run asks for (growth of compute: a stand-in).",
        width_px=width_px,
    )


def own_picture(found: OwnForecast, *, width_px: int = 1280) -> bytes:
    """What the corpus holds, repeated and with synthetic text too, against its target: PNG."""
    once, most = (found.forecast.outcome(name) for name in ("once", "repeated_and_synthetic"))
    now, unique, target = found.forecast.first, found.unique_tokens, found.plan.target
    last = found.forecast.last if most.p90 is None else max(now + 5, most.p90 + 3)
    rows, further = (
        [row for row in _rows(found.forecast, name) if row.year <= last] for name in ("once", "repeated_and_synthetic")
    )
    times = further[0].stock_median / rows[0].stock_median
    return exhaustion(
        _band("unique text", rows, "stock", begin=(now, unique)),
        _band("target", rows, "demand", begin=(now, target)),
        dates={most.scenario: (most.p10, most.median, most.p90)},
        title=f"This corpus has {short(unique)} unique tokens for a target of {short(target)};\n"
        f"repeated and with synthetic text it lasts {lasts(found.forecast, most.median)}",
        subtitle=f"Read once, the text lasts {lasts(found.forecast, once.median)}",
        note=f"Now is {found.known_at:%Y-%m-%d}, when the last document became known. Bands: 80 % of 10,000 draws.\n"
        f"Dashed: {most.said}.",
        further=[_band("with epochs and synthetic text", further, "stock", begin=(now, unique * times))],
        names="right",
        width_px=width_px,
    )


def lasts(forecast: Forecast, date: float | None) -> str:
    """How long a stock lasts, in words: ``until 2029.25``, ``beyond 2041``, or that it is short already."""
    if date is None:
        return f"beyond {forecast.last:.0f}"
    return f"until {date:.2f}" if date > forecast.first else "no longer than now"


def _rows(forecast: Forecast, scenario: str) -> list[Row]:
    return [row for row in forecast.rows if row.scenario == scenario]


def _band(label: str, rows: Sequence[Row], side: str, *, begin: tuple[float, float] | None = None) -> Band:
    """A band over the rows, from a certain value at a time before them."""
    first = [] if begin is None else [begin]
    years = [*(year for year, _ in first), *(float(row.year) for row in rows)]
    return Band(label, years, *([*(value for _, value in first), *_column(rows, side, name)] for name in _NAMES))


_NAMES = ("p10", "median", "p90")


def _column(rows: Sequence[Row], side: str, name: str) -> list[float]:
    return [getattr(row, f"{side}_{name}") for row in rows]
