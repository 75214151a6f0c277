"""Pictures: equal values give equal bytes, of the width asked for, small, and without a home that can be written."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from warehouse.pictures import Band, exhaustion
from warehouse.pictures.style import short

YEARS = [2026.5, 2027.0, 2028.0, 2029.0]
STOCK = Band("stock", YEARS, [5e6] * 4, [6e6] * 4, [7e6] * 4)
DEMAND = Band("demand", YEARS, [1e6, 2e6, 4e6, 8e6], [1e6, 3e6, 6e6, 1e7], [1e6, 4e6, 9e6, 2e7])
DATES = {"here": (2027.25, 2028.0, None), "there": (2027.0, 2028.0, 2029.0)}


def size(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_equal_values_give_equal_bytes_and_others_do_not() -> None:
    one = exhaustion(STOCK, DEMAND, dates=DATES, title="A title", note="A note")
    assert exhaustion(STOCK, DEMAND, dates=DATES, title="A title", note="A note") == one
    assert exhaustion(STOCK, DEMAND, dates=DATES, title="Another", note="A note") != one
    assert size(one) == (1280, 832)
    assert len(one) < 60_000
    assert b"tEXt" not in one and b"tIME" not in one


@pytest.mark.parametrize("dates", [(None, None, None), (2027.0, None, None)])
def test_dates_beyond_the_years_are_no_error(dates: tuple[float | None, float | None, float | None]) -> None:
    drawn = exhaustion(STOCK, DEMAND, dates={"here": dates}, title="T", further=[STOCK], names="right", width_px=400)
    assert size(drawn) == (400, 260)


def test_a_home_that_cannot_be_written_costs_no_warning(tmp_path: Path) -> None:
    code = (
        "from warehouse.pictures.style import figure, png\n"
        "with figure('T') as (made, axes):\n    axes.plot([1, 2])\n    assert png(made)[:4] == b'\\x89PNG'\n"
        "import matplotlib; print(matplotlib.get_cachedir())"
    )
    environment = {key: value for key, value in os.environ.items() if key not in ("MPLCONFIGDIR", "XDG_CACHE_HOME")}
    environment |= {"HOME": "/proc/no/home", "WAREHOUSE_STATE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)


def test_importing_pictures_does_not_load_matplotlib() -> None:
    code = "import sys, warehouse.pictures, warehouse.answers.runway; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_numbers_in_words_have_three_digits_at_most() -> None:
    numbers = (0.5, 999, 2644, 999_999, 5.1e6, 40e9, 320e12, 1.5e16)
    assert [short(number) for number in numbers] == ["0.5", "999", "2.64k", "1M", "5.1M", "40B", "320T", "15,000T"]
