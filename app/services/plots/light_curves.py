"""Light curves: flux against time, with errors, by type of flux and by the quality of the image it comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from app.domain.plots import FLUX_TYPES, Sheet
from app.domain.qa import Grade
from app.domain.time import UNIX_EPOCH_MJD
from app.services.pictures import style
from app.services.plots.canvas import MOST_SHAPES, Canvas, canvas, dates, frame, save, say
from app.services.plots.curves import LightCurveScene, Point, Series, facts_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ASPECT = 0.56
LEFT, RIGHT, BOTTOM, TOP = 76.0, 22.0, 84.0, 112.0
# Where there is room for the essential only.
SMALL_LEFT, SMALL_BOTTOM, SMALL_TOP = 62.0, 46.0, 66.0

# Diameter of a marker [pt].
SIZE = 6.6

_UNITS = ((1e-3, 1e6, "µJy"), (1.0, 1e3, "mJy"), (math.inf, 1.0, "Jy"))
_SHAPES = {"integrated": "o", "peak": "s"}
# A marker is as full as its image is good.
_FILLS: Mapping[Grade | None, tuple[str, str]] = {
    "good": ("full", "image good"),
    "warn": ("bottom", "image warn"),
    "fail": ("none", "image fail"),
    None: ("none", "not graded"),
}
# Both types of one image stand beside each other, so far from their time [px].
_ASIDE = {"integrated": -4.5, "peak": 4.5}
MEAN_LINE = (0, (5, 3))
_DAY_MARGIN = 1.0 / 1440.0


def draw_light_curve(scene: LightCurveScene, sheet: Sheet, format: str, file: IO[bytes]) -> None:
    """Write a light curve as PNG or SVG."""
    with canvas(sheet, ASPECT) as paper:
        small = paper.is_small
        left, bottom, top = (SMALL_LEFT, SMALL_BOTTOM, SMALL_TOP) if small else (LEFT, BOTTOM, TOP)
        axes = paper.axes(left, bottom, RIGHT, top)
        frame(axes, paper.theme)
        paper.title(scene.title, facts_of(scene), left if small else 16.0)
        if scene.series:
            _draw(paper, axes, scene)
            _axes_of_time(paper, axes, scene)
        else:
            say(axes, scene.message, paper.theme)
            axes.set(xticks=[], yticks=[])
        save(paper, sheet, format, f"Light curve of {scene.title}", file)


def _draw(paper: Canvas, axes: Axes, scene: LightCurveScene) -> None:
    brightest = max(abs(point.flux) for series in scene.series for point in series.points)
    factor, unit = next((factor, unit) for bound, factor, unit in _UNITS if brightest < bound)
    axes.set_ylabel(_label(scene, unit, small=paper.is_small))
    for series in scene.series:
        colour = paper.colours[FLUX_TYPES.index(series.flux_type)]
        aside = _ASIDE[series.flux_type] if len(scene.series) > 1 else 0.0
        _draw_series(paper, axes, series, factor, colour, aside)
        if series.mean is not None:
            axes.axhline(series.mean * factor, color=colour, linewidth=1.0, linestyle=MEAN_LINE, alpha=0.8, zorder=1.5)
    low, high = _range(scene, factor)
    axes.set_ylim(low, high)
    if low < 0.0 < high:
        axes.axhline(0.0, color=paper.theme.muted, linewidth=0.8, zorder=1.2)
    if not paper.is_small:
        _draw_legend(paper, scene)


def _draw_series(paper: Canvas, axes: Axes, series: Series, factor: float, colour: str, aside: float) -> None:
    from matplotlib.transforms import ScaledTranslation

    figure = paper.figure
    shifted = axes.transData + ScaledTranslation(aside / style.DPI, 0.0, figure.dpi_scale_trans)
    many = len(series.points) > MOST_SHAPES
    common: dict[str, Any] = {"transform": shifted, "rasterized": many, "linestyle": "none"}
    sure = [point for point in series.points if point.error is not None]
    if sure:
        axes.errorbar(
            *_xy(sure, factor), yerr=[factor * (point.error or 0.0) for point in sure], ecolor=colour,
            elinewidth=0.5 if many else 1.2, alpha=0.35 if many else 1.0, capsize=0.0 if many else 2.5, capthick=1.2,
            **common,
        )  # fmt: skip
    size = 3.0 if many else SIZE if len(series.points) <= 200 else 4.5
    for grade in _FILLS:
        points = [point for point in series.points if point.grade == grade]
        for marker in _markers(series.flux_type, grade, colour, paper.theme.paper, size):
            axes.plot(*_xy(points, factor), **common, **marker)


def _markers(flux_type: str, grade: Grade | None, colour: str, paper: str, size: float) -> list[dict[str, Any]]:
    """How the points of a grade are drawn: a shape, and for those of a failed image a cross in it."""
    fill, _ = _FILLS[grade]
    shape: dict[str, Any] = {
        "marker": _SHAPES[flux_type], "markersize": size, "markeredgecolor": colour, "markeredgewidth": 1.2,
        "markerfacecolor": colour if fill != "none" else paper, "markerfacecoloralt": paper, "zorder": 3.0,
        "fillstyle": fill if fill != "none" else "full",
    }  # fmt: skip
    cross = {"marker": "x", "markersize": size * 0.62, "markeredgecolor": colour, "markeredgewidth": 1.2, "zorder": 3.1}
    return [shape, cross] if grade == "fail" else [shape]


def _draw_legend(paper: Canvas, scene: LightCurveScene) -> None:
    """One line below everything: types of flux in their colours, grades in grey, as far as they occur."""
    from matplotlib.lines import Line2D

    handles: list[Any] = []
    labels = []
    for series in scene.series:
        colour = paper.colours[FLUX_TYPES.index(series.flux_type)]
        handles.append(_sample(series.flux_type, "good", colour, paper.theme.paper))
        labels.append(series.flux_type)
    if any(series.mean is not None for series in scene.series):
        handles.append(Line2D([], [], color=paper.theme.muted, linewidth=1.0, linestyle=MEAN_LINE))
        labels.append("weighted mean")
    present = {point.grade for series in scene.series for point in series.points}
    for grade, (_, label) in _FILLS.items():
        if grade in present:
            handles.append(_sample(scene.series[0].flux_type, grade, paper.theme.muted, paper.theme.paper))
            labels.append(label)
    paper.figure.legend(
        handles, labels, loc="lower left", bbox_to_anchor=(8.0 / paper.width, 4.0 / paper.height), borderaxespad=0.0,
        ncols=len(labels), frameon=False, handletextpad=0.3, columnspacing=1.3, handlelength=2.0,
    )  # fmt: skip


def _sample(flux_type: str, grade: Grade | None, colour: str, paper: str) -> Any:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], linestyle="none", **marker) for marker in _markers(flux_type, grade, colour, paper, SIZE)]
    return lines[0] if len(lines) == 1 else tuple(lines)


def _axes_of_time(paper: Canvas, axes: Axes, scene: LightCurveScene) -> None:
    """UTC dates below, Modified Julian Dates above."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    days = [point.mjd - UNIX_EPOCH_MJD for series in scene.series for point in series.points]
    margin = max(0.04 * (max(days) - min(days)), _DAY_MARGIN) if max(days) > min(days) else 0.5
    axes.set_xlim(min(days) - margin, max(days) + margin)
    room = paper.width - LEFT - RIGHT
    dates(axes, room)
    if paper.is_small:
        return
    axes.set_xlabel("Date (UTC)")
    above = axes.secondary_xaxis("top", functions=(_mjd, _day))
    above.tick_params(color=paper.theme.muted)
    above.xaxis.set_major_locator(MaxNLocator(nbins=max(2, int(room / 130.0)), min_n_ticks=2))
    above.xaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    above.set_xlabel("MJD (UTC)", labelpad=6.0)


def _mjd(day: Any) -> Any:
    return day + UNIX_EPOCH_MJD


def _day(mjd: Any) -> Any:
    return mjd - UNIX_EPOCH_MJD


def _range(scene: LightCurveScene, factor: float) -> tuple[float, float]:
    """From the lowest end of an error bar to the highest, with some air."""
    ends = [
        (point.flux + sign * (point.error or 0.0)) * factor
        for series in scene.series for point in series.points for sign in (-1.0, 1.0)
    ]  # fmt: skip
    low, high = min(ends), max(ends)
    air = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return low - air, high + air


def _label(scene: LightCurveScene, unit: str, *, small: bool) -> str:
    types = [series.flux_type for series in scene.series]
    names = {"integrated": f"{'flux' if small else 'flux density'} [{unit}]", "peak": f"peak [{unit}/beam]"}
    label = ", ".join(names[each] for each in types)
    return label[0].upper() + label[1:]


def _xy(points: Sequence[Point], factor: float) -> tuple[list[float], list[float]]:
    return [point.mjd - UNIX_EPOCH_MJD for point in points], [point.flux * factor for point in points]
