"""The forecast of exhaustion: what there is and what is asked for, year by year, and where they meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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
    names: Literal["left", "right"] = "left",
    width_px: int = 1280,
) -> bytes:
    """A PNG of stock and demand in tokens on a log scale, the time at which they meet marked.

    dates: when that is, by who says so; the first is marked in the plot, and where there are several each is a bar.
    further: stocks drawn dashed, without their band. names: the end of the stocks at which their names stand: where the
    demand is not.
    """
    with figure(title, subtitle=subtitle, note=note) as (made, axes):
        _scales(axes, [stock, demand, *further])
        _mark(axes, next(iter(dates.values())))
        for band, colour in ((stock, BLUE), (demand, ORANGE)):
            axes.fill_between(band.years, band.p10, band.p90, color=colour, alpha=0.2, linewidth=0)
            axes.plot(band.years, band.median, color=colour)
        for band in further:
            axes.plot(band.years, band.median, color=BLUE, linewidth=1.6, linestyle=(0, (5, 3)))
            _name(axes, band.label, band.years, band.median, BLUE, at=names)
        _name(axes, stock.label, stock.years, stock.p90, BLUE, at=names)
        _name_demand(axes, demand, above=names == "right")
        for place, (who, when) in enumerate(dates.items() if len(dates) > 1 else ()):
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


def _name(axes: Axes, text: str, x: Sequence[float], y: Sequence[float], colour: str, *, at: str) -> None:
    """A name above the first point of a line, or below its last."""
    if at == "left":
        _write(axes, text, (x[0], y[0]), colour=colour, points=(8, 4), sides=("left", "bottom"))
    else:
        _write(axes, text, (x[-1], y[-1]), colour=colour, points=(-8, -6), sides=("right", "top"))


def _name_demand(axes: Axes, demand: Band, *, above: bool) -> None:
    """Beside the rising band: above it in the middle, or below it in the first third."""
    at = round(len(demand.years) * (0.55 if above else 0.27))
    if above:
        _write(
            axes,
            demand.label,
            (demand.years[at], demand.p90[at]),
            colour=ORANGE,
            points=(-8, 6),
            sides=("right", "bottom"),
        )
    else:
        _write(
            axes, demand.label, (demand.years[at], demand.p10[at]), colour=ORANGE, points=(8, -6), sides=("left", "top")
        )


def _write(
    axes: Axes,
    text: str,
    point: tuple[float, float],
    *,
    colour: str,
    points: tuple[int, int],
    sides: tuple[Literal["left", "right"], Literal["top", "bottom"]],
) -> None:
    axes.annotate(
        text,
        point,
        xytext=points,
        textcoords="offset points",
        color=colour,
        weight="bold",
        ha=sides[0],
        va=sides[1],
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
