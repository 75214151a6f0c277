"""Bars: documents through the rules, and what each asset costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from warehouse.pictures.style import BLUE, GREEN, GRID, INK, MUTED, ORANGE, figure, png, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = 12
"""Bars at most; what is left is one more, ``all others``."""


def funnel(
    dropped: Sequence[tuple[str, float]], kept: float, *, title: str, subtitle: str = "", width_px: int = 1280
) -> bytes:
    """A PNG of a waterfall: all documents, those that each reason takes away (the most first), those kept.

    dropped: reason and number of documents.
    """
    taken = _shortened(dropped)
    total = kept + sum(count for _, count in taken)
    names = ["all documents", *(name for name, _ in taken), "kept"]
    left = [0, *(total - sum(count for _, count in taken[: at + 1]) for at in range(len(taken))), 0]
    widths = [total, *(count for _, count in taken), kept]
    colours = [MUTED, *(ORANGE for _ in taken), GREEN]
    with figure(title, subtitle=subtitle, height_in=_height(names, subtitle)) as (made, axes):
        axes.barh(range(len(names)), widths, left=left, color=colours, height=0.72)
        for at, (start, width) in enumerate(zip(left, widths, strict=True)):
            share = f"  {width / max(total, 1):.0%}" if at else ""
            _beside(axes, at, (start, start + width), whole=total, text=f"{width:,.0f}{share}")
        _rows(axes, names, total)
        return png(made, width_px=width_px)


def costs(assets: Sequence[tuple[str, float]], *, title: str, subtitle: str = "", width_px: int = 1280) -> bytes:
    """A PNG of the CPU seconds of each asset, the most costly first."""
    shown = _shortened(assets)
    names, values = [name for name, _ in shown], [value for _, value in shown]
    with figure(title, subtitle=subtitle, height_in=_height(names, subtitle)) as (made, axes):
        axes.barh(range(len(names)), values, color=BLUE, height=0.72)
        for at, value in enumerate(values):
            _beside(axes, at, (0, value), whole=max(values), text=f"{value:,.1f} s")
        _rows(axes, names, max(values, default=1))
        return png(made, width_px=width_px)


def _shortened(rows: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """The rows with the greatest values, and one with the sum of all others."""
    ordered = sorted(rows, key=lambda row: (-row[1], row[0]))
    if len(ordered) <= ROWS:
        return ordered
    rest = ordered[ROWS - 1 :]
    return [*ordered[: ROWS - 1], (f"{len(rest)} others", sum(value for _, value in rest))]


def _height(names: Sequence[str], subtitle: str) -> float:
    return 1.2 + 0.4 * len(names) + 0.25 * bool(subtitle)


def _beside(axes: Axes, at: int, bar: tuple[float, float], *, whole: float, text: str) -> None:
    """The number after its bar; where there is no room for it, before the bar or, in one that fills the row, in it."""
    start, end = bar
    after, before = end < 0.8 * whole, start > 0.2 * whole
    axes.annotate(
        text,
        (end if after or not before else start, at),
        xytext=(6 if after else -6, 0),
        textcoords="offset points",
        ha="left" if after else "right",
        va="center",
        color=INK if after or before else "white",
        size=13,
    )


def _rows(axes: Axes, names: Sequence[str], whole: float) -> None:
    from matplotlib.ticker import FuncFormatter

    axes.set_yticks(range(len(names)), names, color=INK, size=13)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=GRID)
    axes.set_xlim(0, (whole or 1) * 1.02)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.set_position(_room(axes, names))


def _room(axes: Axes, names: Sequence[str]) -> tuple[float, float, float, float]:
    """The place of the axes with room for the longest name on the left."""
    box = axes.get_position()
    left = 0.03 + 0.0128 * max(map(len, names), default=0)
    return left, box.y0, 0.965 - left, box.height
