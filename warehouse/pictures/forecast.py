"""The forecast of exhaustion: what there is and what is asked for, year by year, and where they meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warehouse.pictures.style import BLUE, INK, MUTED, ORANGE, figure, png, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Band:
    """A quantity over the years, all above 0: its 10, 50 and 90 %; label: what it is, said beside it."""

    label: str
    years: Sequence[float]
    p10: Sequence[float]
    median: Sequence[float]
    p90: Sequence[float]


def exhaustion(
    stock: Band,
    demand: Band,
    *,
    dates: tuple[float | None, float | None, float | None],
    title: str,
    subtitle: str = "",
    note: str = "",
    further: Sequence[Band] = (),
    width_px: int = 1280,
) -> bytes:
    """A PNG of stock and demand on a log scale in tokens, the span in which they meet marked.

    dates: 10, 50 and 90 % of the year of full use, None where it lies beyond the years; further: stocks of which only
    the median is drawn, dashed.
    """
    with figure(title, subtitle=subtitle, note=note) as (made, axes):
        _mark(axes, dates, stock.years[-1])
        for band, colour in ((stock, BLUE), (demand, ORANGE)):
            axes.fill_between(band.years, band.p10, band.p90, color=colour, alpha=0.2, linewidth=0)
            axes.plot(band.years, band.median, color=colour)
        for band in further:
            axes.plot(band.years, band.median, color=BLUE, linewidth=1.6, linestyle=(0, (5, 3)))
        _scales(axes, stock, demand, further)
        for band, colour, below in ((stock, BLUE, 4), (demand, ORANGE, -4), *((each, BLUE, 4) for each in further)):
            _label(axes, band, colour, below)
        _date(axes, dates)
        return png(made, width_px=width_px)


def _mark(axes: Axes, dates: tuple[float | None, ...], last: float) -> None:
    low, median, high = dates
    if low is not None:
        axes.axvspan(low, last if high is None else high, color=MUTED, alpha=0.13, linewidth=0)
    if median is not None:
        axes.axvline(median, color=INK, linewidth=1.6)


def _scales(axes: Axes, *bands: Band | Sequence[Band]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True))
    first = bands[0]
    assert isinstance(first, Band)
    axes.set_xlim(first.years[0], first.years[-1])
    axes.set_ylabel("tokens")


def _label(axes: Axes, band: Band, colour: str, points: int) -> None:
    axes.annotate(
        band.label,
        (band.years[0], band.median[0]),
        xytext=(8, points),
        textcoords="offset points",
        color=colour,
        weight="bold",
        va="bottom" if points > 0 else "top",
    )


def _date(axes: Axes, dates: tuple[float | None, ...]) -> None:
    low, median, high = dates
    if median is None:
        return
    until = "later" if high is None else f"{high:.0f}"
    axes.annotate(
        f" median {int(median)}\n 80 %: {low:.0f} to {until}",
        (median, 0.03),
        xycoords=("data", "axes fraction"),
        va="bottom",
        weight="bold",
    )
