"""What every picture shares: size, type, colours, the place of title and note, and the way to bytes.

The smallest type is 23 pixels at a width of 1,280, and still 7 at 400. The first picture of a process takes 1.2 CPU s,
most of it the import of matplotlib, each further one 0.5.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN: Final = 8.0
INK, MUTED, GRID = "#1d2733", "#5b6672", "#e3e7eb"
BLUE, ORANGE, GREEN, PURPLE, GREY = PALETTE = ("#1f6fb2", "#d9601a", "#2b8a57", "#7a56a6", "#8a949e")
"""Apart also for the colour-blind, and in print."""
_STYLE: Final[dict[Any, Any]] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same letters everywhere
    "font.size": 13,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.formatter.useoffset": False,
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "lines.linewidth": 2.4,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextmanager
def figure(title: str, *, subtitle: str = "", note: str = "", height_in: float = 5.2) -> Iterator[tuple[Figure, Axes]]:
    """A figure of 8 inches width and its axes, under the shared style; title and subtitle above, a muted note below.

    Each of the texts may have several lines. Draw, and give it to ``png``, inside the block.
    """
    _keep_fonts()
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        made = Figure(figsize=(WIDTH_IN, height_in))
        FigureCanvasAgg(made)
        top = _above(made, title, subtitle, height_in)
        bottom = (0.42 + 0.21 * (note.count("\n") + 1) * bool(note)) / height_in
        axes = made.add_axes((0.13, bottom, 0.835, top - bottom))
        made.text(0.02, 0.1 / height_in, note, size=10.5, color=MUTED, va="bottom", linespacing=1.3)
        yield made, axes


def _above(made: Figure, title: str, subtitle: str, height_in: float) -> float:
    """Title and subtitle at the top; the share of the height below them."""
    lines, more = title.count("\n") + 1, (subtitle.count("\n") + 1) * bool(subtitle)
    made.text(0.02, 1 - 0.12 / height_in, title, size=16, weight="bold", va="top", linespacing=1.2)
    below = 0.2 + 0.29 * lines
    made.text(0.02, 1 - below / height_in, subtitle, size=11.5, color=MUTED, va="top", linespacing=1.25)
    return 1 - (below + 0.22 * more + 0.32) / height_in


def png(made: Figure, *, width_px: int = 1280) -> bytes:
    """The figure as a PNG of this width, without date or version: equal figures give equal bytes.

    128 colours: 44 kB where all of them take 133, so that a picture fits into a page or into metadata.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    made.set_dpi(width_px / WIDTH_IN)
    drawn: Any = FigureCanvasAgg(made)
    drawn.draw()
    image, file = Image.frombuffer("RGBA", drawn.get_width_height(), drawn.buffer_rgba()), BytesIO()
    image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return file.getvalue()


def _keep_fonts() -> None:
    """Where no MPLCONFIGDIR is stated and the home cannot be written, the list of fonts lies with the state."""
    home = Path.home() / ".cache"
    if "MPLCONFIGDIR" in os.environ or os.access(home if home.is_dir() else home.parent, os.W_OK):
        return
    state = os.environ.get("WAREHOUSE_STATE") or tempfile.gettempdir()
    folder = Path(state) / f"matplotlib-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["MPLCONFIGDIR"] = str(folder)


def short(number: float) -> str:
    """A number in words: 3.2k, 5.1M, 40B, 320T; three digits at most."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size * 0.9995:
            return f"{number / size:.3g}{unit}" if number < 999.5 * size else f"{number / size:,.0f}{unit}"
    return f"{number:.3g}"
