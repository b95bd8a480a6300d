"""What came on each day: measurement sets, images, photometry, and jobs that ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from app.domain.plots import Sheet
from app.domain.statistics import Day
from app.services.pictures import style
from app.services.plots.canvas import Canvas, canvas, dates, frame, save

if TYPE_CHECKING:
    import numpy
    from matplotlib.axes import Axes

ASPECT = 0.72
LEFT, RIGHT, BOTTOM, TOP, GAP = 60.0, 22.0, 46.0, 86.0, 34.0
# Beyond so many days bars touch, and ticks stand at months rather than every so many days.
_NARROW, _WHOLE_DAYS = 90, 60
_POINTS = style.FONT_PX * 0.9 * 72.0 / style.DPI


class Bars(NamedTuple):
    """Numbers a day under one name; hatched ones are told from others without colour too."""

    name: str
    values: tuple[int, ...]
    colour: int
    hatch: str = ""


class Panel(NamedTuple):
    """A diagram of its own, because numbers of images and of measurements differ by orders of magnitude."""

    name: str
    stacked: tuple[Bars, ...]

    @property
    def total(self) -> int:
        """All that came."""
        return sum(sum(bars.values) for bars in self.stacked)


def panels(days: Sequence[Day]) -> tuple[Panel, ...]:
    """Diagrams of some days, in the order in which the pipeline makes what they show."""

    def of(name: str) -> tuple[int, ...]:
        return tuple(getattr(day, name) for day in days)

    def jobs(state: str) -> tuple[int, ...]:
        return tuple(day.jobs.get(state, 0) for day in days)

    return (
        Panel("Measurement sets", (Bars("", of("ms"), 0),)),
        Panel("Images", (Bars("", of("images"), 0),)),
        Panel("Photometry", (Bars("", of("photometry"), 0),)),
        Panel("Jobs", (Bars("completed", jobs("completed"), 2), Bars("failed", jobs("failed"), 1, "////"))),
    )


def draw_timeline(days: Sequence[Day], sheet: Sheet, format: str, file: IO[bytes]) -> None:
    """Write the days as PNG or SVG; at least one day."""
    first, last = date.fromisoformat(days[0].date), date.fromisoformat(days[-1].date)
    with canvas(sheet, ASPECT) as paper:
        shown = panels(days)
        span = f"{first} to {last} (UTC)" if first != last else f"{first} (UTC)"
        paper.title("What came in", [f"{len(days)} day{'s' * (len(days) > 1)}", span], 16.0)
        step = (paper.height - TOP - BOTTOM + GAP) / len(shown)
        for number, panel in enumerate(shown):
            top = TOP + number * step
            axes = paper.axes(LEFT, paper.height - top - max(step - GAP, 8.0), RIGHT, top)
            _draw(paper, axes, panel, first.toordinal() - date(1970, 1, 1).toordinal())
            axes.tick_params(labelbottom=number == len(shown) - 1)
        save(paper, sheet, format, f"What came in, {span}", file)


def _draw(paper: Canvas, axes: Axes, panel: Panel, first_day: int) -> None:
    """Bars around the middle of their day, one on another."""
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    frame(axes, paper.theme)
    n = len(panel.stacked[0].values)
    below = np.zeros(n)
    for bars in panel.stacked:
        _stack(paper, axes, bars, first_day, below)
        below += bars.values
    axes.set_xlim(first_day - 0.5, first_day + n - 0.5)
    axes.set_ylim(0.0, max(1.0, 1.12 * below.max()))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    room = paper.width - LEFT - RIGHT
    dates(axes, room)
    if n <= _WHOLE_DAYS:
        _tick_days(axes, first_day, n, most=max(2.0, room / 60.0))
    axes.set_title(f"{panel.name}: {panel.total:,}", loc="left", size=_POINTS, pad=4.0)
    if panel.stacked[0].name:
        axes.legend(
            loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1, borderpad=0.0, frameon=False,
            ncols=len(panel.stacked), fontsize=_POINTS, handlelength=1.2, handletextpad=0.4, columnspacing=1.2,
        )  # fmt: skip


def _tick_days(axes: Axes, first_day: int, n: int, most: float) -> None:
    from matplotlib.dates import DateFormatter

    axes.set_xticks(range(first_day, first_day + n, math.ceil(n / most)))
    if n == 1:
        axes.xaxis.set_major_formatter(DateFormatter("%Y-%m-%d"))  # type: ignore[no-untyped-call]


def _stack(paper: Canvas, axes: Axes, bars: Bars, first_day: int, below: numpy.ndarray) -> None:
    import numpy as np

    n = len(bars.values)
    look: dict[str, Any] = {
        "facecolor": paper.colours[bars.colour], "edgecolor": paper.theme.paper, "hatch": bars.hatch, "linewidth": 0.0,
        "label": f"{bars.name} {sum(bars.values):,}",
    }  # fmt: skip
    days = first_day + np.arange(n)
    if n > _NARROW:
        axes.stairs(below + bars.values, np.append(days - 0.5, days[-1] + 0.5), baseline=below, fill=True, **look)
    else:
        axes.bar(days, bars.values, bottom=below, width=0.82, **look)
