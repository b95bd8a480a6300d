"""What every figure of this service has in common: fonts, colours, and the one way to draw and save it.

    with style.drawing("light", width_px=900, height_px=700) as figure:
        axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        ...
        style.save(figure, file)

Figures are drawn one at a time in a process: matplotlib's settings, font and text caches are global. Nothing is lost by
it, as drawing holds Python's own lock anyway.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, cast

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FONT_PX = 13.0
DPI = 100.0
# Sizes above which everything grows along, and below which everything shrinks, but not beyond legibility.
COMFORTABLE_PX, CRAMPED_PX, SMALLEST_SCALE = 900.0, 600.0, 0.65

# Colours that remain distinct to every eye and in print (Okabe & Ito), for lines and points.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


class Theme(NamedTuple):
    """Colours of paper, ink, what is less important, and pixels without a value."""

    paper: str
    ink: str
    muted: str
    blank: str


THEMES = {
    "light": Theme(paper="#ffffff", ink="#1c2128", muted="#59636e", blank="#d4dae0"),
    "dark": Theme(paper="#12161c", ink="#e8ebef", muted="#9aa4b0", blank="#39424d"),
}

_drawing = threading.Lock()


def keep_caches_in(directory: Path) -> None:
    """Tell matplotlib, before it is imported, where to keep its list of fonts.

    Without a writable home it would make a temporary directory in each worker, and search for fonts in each anew.
    """
    os.environ.setdefault("MPLCONFIGDIR", str(directory))


@contextmanager
def drawing(theme: str, *, width_px: float, height_px: float, scale: float = 1.0) -> Iterator[Figure]:
    """A new figure in a theme; this thread alone draws until the end of the block.

    Parameters
    ----------
    theme
        One of :data:`THEMES`.
    width_px, height_px
        Size before it is magnified by ``scale``, letters, lines and all.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with _drawing, matplotlib.rc_context(cast(Any, _settings(THEMES[theme]))):
        figure = Figure(figsize=(width_px / DPI, height_px / DPI), dpi=DPI * scale)
        FigureCanvasAgg(figure)
        yield figure


def save(figure: Figure, file: IO[bytes], format: Literal["png", "svg"] = "png") -> None:
    """Write a figure as it stands; equal figures give equal bytes."""
    metadata: Mapping[str, Any] = {"Software": None} if format == "png" else {"Date": None}
    figure.savefig(file, format=format, metadata=dict(metadata))


def scale_for(size_px: float) -> float:
    """Magnification of a picture of that size: letters stay readable in small ones and grow with large ones."""
    return max(size_px / COMFORTABLE_PX, min(1.0, max(SMALLEST_SCALE, size_px / CRAMPED_PX)))


def _settings(theme: Theme) -> dict[str, Any]:
    points = FONT_PX * 72.0 / DPI
    ink = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "xtick.labelcolor",
           "ytick.labelcolor")  # fmt: skip
    paper = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    return {
        **dict.fromkeys(ink, theme.ink),
        **dict.fromkeys(paper, theme.paper),
        "font.family": "DejaVu Sans",
        "font.size": points,
        "axes.titlesize": points * 1.15,
        "axes.labelsize": points,
        "xtick.labelsize": points * 0.9,
        "ytick.labelsize": points * 0.9,
        "legend.fontsize": points * 0.85,
        "axes.linewidth": 0.8,
        "grid.color": theme.muted,
        "grid.alpha": 0.35,
        "grid.linewidth": 0.6,
        "legend.facecolor": theme.paper,
        "legend.edgecolor": theme.muted,
        "legend.framealpha": 0.85,
        "axes.prop_cycle": _cycler(),
        "svg.hashsalt": "contimg",
        "svg.fonttype": "path",
    }


def _cycler() -> Any:
    from cycler import cycler

    return cycler(color=SERIES)
