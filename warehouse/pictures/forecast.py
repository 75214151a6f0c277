"""The forecast of exhaustion: what there is and what is asked for, year by year, and where they meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warehouse.pictures.style import BLUE, INK, MUTED, ORANGE, figure, png, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Dates = tuple[float | None, float | None, float | None]
"""10, 50 and 90 % of the year of full use, as decimal years; None where it lies beyond the years of the picture."""


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
    dates: Mapping[str, Dates],
    title: str,
    subtitle: str = "",
    note: str = "",
    further: Sequence[Band] = (),
    width_px: int = 1280,
) -> bytes:
    """A PNG of stock and demand in tokens on a log scale, the time at which they meet marked.

    dates: when that is, by who says so, the first of them marked in the plot; further: stocks drawn dashed, without
    their band.
    """
    with figure(title, subtitle=subtitle, note=note) as (made, axes):
        _scales(axes, [stock, demand, *further])
        _mark(axes, next(iter(dates.values())))
        for band, colour in ((stock, BLUE), (demand, ORANGE)):
            axes.fill_between(band.years, band.p10, band.p90, color=colour, alpha=0.2, linewidth=0)
            axes.plot(band.years, band.median, color=colour)
        for band in further:
            axes.plot(band.years, band.median, color=BLUE, linewidth=1.6, linestyle=(0, (5, 3)))
            _label(axes, band.label, (band.years[0], band.median[0]), BLUE)
        _label(axes, stock.label, (stock.years[0], stock.p90[0]), BLUE)
        at = round(len(demand.years) * 0.27)
        _label(axes, demand.label, (demand.years[at], demand.p10[at]), ORANGE, below=True)
        for place, (who, when) in enumerate(dates.items()):
            _span(axes, who, when, INK if place == 0 else MUTED, 0.05 + 0.08 * (len(dates) - 1 - place))
        return png(made, width_px=width_px)


def _scales(axes: Axes, bands: Sequence[Band]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(numticks=9))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True))
    axes.set_xlim(bands[0].years[0], bands[0].years[-1])
    least, most = min(min(band.p10) for band in bands), max(max(band.p90) for band in bands)
    room = (most / least) ** 0.12
    axes.set_ylim(least / room, most * room)
    axes.set_title("tokens, log scale", loc="left", size=11.5, color=MUTED, pad=6)


def _mark(axes: Axes, dates: Dates) -> None:
    low, median, high = dates
    if low is not None:
        axes.axvspan(low, axes.get_xlim()[1] if high is None else high, color=MUTED, alpha=0.12, linewidth=0)
    if median is not None:
        axes.axvline(median, color=INK, linewidth=1.4)


def _label(axes: Axes, text: str, point: tuple[float, float], colour: str, *, below: bool = False) -> None:
    axes.annotate(
        text,
        point,
        xytext=(8, -6 if below else 4),
        textcoords="offset points",
        color=colour,
        weight="bold",
        va="top" if below else "bottom",
    )


def _span(axes: Axes, who: str, dates: Dates, colour: str, height: float) -> None:
    """An interval and its median as a bar near the foot of the plot, with who states it on its left."""
    low, median, high = dates
    if low is None:
        return
    last, across = axes.get_xlim()[1], axes.get_xaxis_transform()
    axes.plot([low, last if high is None else high], [height, height], color=colour, transform=across, linewidth=3)
    if median is not None:
        axes.plot([median], [height], marker="o", markersize=8, color=colour, transform=across)
    axes.annotate(
        who,
        (low, height),
        xycoords=across,
        xytext=(-6, 0),
        textcoords="offset points",
        color=colour,
        weight="bold",
        size=11.5,
        ha="right",
        va="center",
    )
