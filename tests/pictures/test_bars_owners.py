"""Pictures: the width that was asked for, equal bytes for equal values, and no value that stops one."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date

import pytest

from warehouse import pictures

QUARTERS = [date(2024 + at // 4, 1 + at % 4 * 3, 1) for at in range(6)]
OWNED = {f"owner {at}": [float(at * quarter) for quarter in range(6)] for at in range(8)}
DRAWN: dict[str, Callable[[int], bytes]] = {
    "funnel": lambda width: pictures.funnel([("too_short", 40), ("copies", 7)], 53, title="t", width_px=width),
    "costs": lambda width: pictures.costs([("a/b", 1.5), ("c/d", 0.0)], title="t", subtitle="s", width_px=width),
    "compute": lambda width: pictures.compute(QUARTERS, OWNED, title="t", note="n", width_px=width),
    "power": lambda width: pictures.power(QUARTERS, OWNED, [1e6] * 6, title="t", width_px=width),
}


def width(png: bytes) -> int:
    """Pixels, from the header (PNG specification, 11.2.2)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return int(struct.unpack(">I", png[16:20])[0])


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_as_wide_as_asked_and_equal_values_give_equal_bytes(name: str) -> None:
    first, again = DRAWN[name](640), DRAWN[name](640)
    assert width(first) == 640
    assert first == again


@pytest.mark.parametrize(
    "drawn",
    [
        lambda: pictures.funnel([], 0, title="nothing yet"),
        lambda: pictures.funnel([(f"reason_{at}", at) for at in range(60)], 0, title="all fell"),
        lambda: pictures.funnel([("$x^2$ _ \\frac", 3)], 1, title="50 % of $5 {braces}"),
        lambda: pictures.costs([("only/one", 0.0)], title="free"),
        lambda: pictures.compute(QUARTERS[:1], {"one": [1.0]}, title="one quarter"),
        lambda: pictures.power(QUARTERS[:1], {"one": [0.0]}, [0.0], title="no power"),
    ],
)
def test_no_value_stops_a_picture(drawn: Callable[[], bytes]) -> None:
    assert width(drawn()) == 1280
