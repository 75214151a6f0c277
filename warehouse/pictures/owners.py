"""Quantities of owners over the quarters: computing power, electric power and the carbon of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from warehouse.pictures.style import GREY, INK, ORANGE, PALETTE, figure, png, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Series = Mapping[str, Sequence[float]]
"""Owner -> one value a quarter."""

OWNERS = 4
"""Owners with a colour of their own; the rest are one."""


def compute(
    quarters: Sequence[date], owned: Series, *, title: str, subtitle: str = "", note: str = "", width_px: int = 1280
) -> bytes:
    """A PNG of what each owner has, stacked, in H100 equivalents; the greatest at the last quarter first."""
    with figure(title, subtitle=subtitle, note=note) as (made, axes):
        _stack(axes, quarters, owned)
        axes.set_ylabel("H100 equivalents")
        return png(made, width_px=width_px)


def power(
    quarters: Sequence[date],
    installed_gw: Series,
    tco2e: Sequence[float],
    *,
    title: str,
    subtitle: str = "",
    note: str = "",
    width_px: int = 1280,
) -> bytes:
    """A PNG of two panels: power installed by owner in gigawatts, and million tonnes of CO2e of each quarter."""
    with figure(title, subtitle=subtitle, note=note, height_in=7.0) as (made, axes):
        box = axes.get_position()
        axes.set_position((box.x0, box.y0 + box.height * 0.46, box.width, box.height * 0.54))
        below = made.add_axes((box.x0, box.y0, box.width, box.height * 0.36))
        _stack(axes, quarters, installed_gw)
        axes.set_ylabel("GW installed")
        below.bar(_days(quarters), [tonnes / 1e6 for tonnes in tco2e], width=80, align="edge", color=ORANGE)
        below.xaxis_date()
        below.set_ylabel("Mt CO2e a quarter")
        below.grid(axis="x", visible=False)
        below.set_xlim(*axes.get_xlim())
        return png(made, width_px=width_px)


def _stack(axes: Axes, quarters: Sequence[date], owned: Series) -> None:
    from matplotlib.ticker import FuncFormatter

    shown = _greatest(owned)
    colours = [*PALETTE[:OWNERS], GREY][: len(shown)] if len(shown) > OWNERS else list(PALETTE[: len(shown)])
    days = _days(quarters)
    axes.stackplot(days, list(shown.values()), colors=colours, alpha=0.9, linewidth=0)
    axes.xaxis_date()
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.set_xlim(days[0], days[-1] + 85)
    handles = [axes.plot([], [], color=colour, linewidth=9)[0] for colour in colours]
    names = list(shown)
    axes.legend(handles[::-1], names[::-1], loc="upper left", frameon=False, labelcolor=INK, fontsize=12)


def _days(quarters: Sequence[date]) -> list[float]:
    """Matplotlib's dates: days since 1970."""
    from matplotlib.dates import date2num

    return [float(date2num(quarter)) for quarter in quarters]  # type: ignore[no-untyped-call]


def _greatest(owned: Series) -> dict[str, Sequence[float]]:
    """The owners with the most at the end, then one for all others."""
    ordered = sorted(owned, key=lambda owner: (-owned[owner][-1], owner))
    first, rest = ordered[:OWNERS], ordered[OWNERS:]
    shown: dict[str, Sequence[float]] = {owner: owned[owner] for owner in first}
    if rest:
        shown["all others"] = [sum(values) for values in zip(*(owned[owner] for owner in rest), strict=True)]
    return shown
