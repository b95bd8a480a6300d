"""The η–V plane: how much every source varies against how sure that is, and the few that stand out in both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from app.domain.plots import Sheet
from app.domain.variability.candidates import Fit
from app.services.pictures import style
from app.services.plots import names
from app.services.plots.canvas import MOST_SHAPES, Canvas, canvas, fitted, frame, printable, save, say

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from numpy.typing import NDArray

ASPECT = 0.8
LEFT, RIGHT, BOTTOM, TOP = 74.0, 22.0, 60.0, 74.0
# Height of the histogram of η, width of that of V, and the gap between them and the plane [px].
HISTOGRAM, GAP = 92.0, 8.0
FEWEST_BINS, MOST_BINS = 12, 40
# More names would hide what they name; more letters of one, too.
MOST_NAMES, LONGEST_PX, _PX_PER_NAME = 15, 160.0, 45.0
# Beyond so many sources their density is shown, not each.
MOST_POINTS = 5000
THRESHOLD_LINE = (0, (5, 3))
# No metric is as large, nor as small and not zero.
_SMALLEST, _LARGEST = 1e-30, 1e30
# Decades of an axis: the fewest, and the fewest with ticks at powers of ten alone.
_FEWEST, _MANY = 1.2, 2.2


class VariabilityScene(NamedTuple):
    """The sources that have both metrics.

    Parameters
    ----------
    ids
        Their names.
    eta, v
        Reduced χ² about the weighted mean, and coefficient of variation, shape (N,). Where one of them is not
        positive and finite it has no logarithm, and the source is not shown.
    eta_fit, v_fit
        What was fitted, ``None`` where there was too little to fit.
    n_sigma
        Thresholds stand so many standard deviations above the mean.
    flux_type
        Of which flux the metrics are, ``None`` for the integrated one where a source has any, else the peak.
    """

    ids: Sequence[str]
    eta: NDArray[np.float64]
    v: NDArray[np.float64]
    eta_fit: Fit | None
    v_fit: Fit | None
    n_sigma: float
    flux_type: str | None


class _Shown(NamedTuple):
    where: list[int]
    eta: NDArray[np.float64]
    v: NDArray[np.float64]
    stands_out: NDArray[np.bool_]


def draw_variability(scene: VariabilityScene, sheet: Sheet, format: str, file: IO[bytes]) -> None:
    """Write the plane with both histograms as PNG or SVG."""
    with canvas(sheet, ASPECT) as paper:
        beside = 0.0 if paper.is_small else HISTOGRAM + GAP
        plane = paper.axes(LEFT, BOTTOM, RIGHT + beside, TOP + beside)
        shown = _shown(scene)
        frame(plane, paper.theme)
        plane.set(xlabel="η, reduced χ²", ylabel="V = s / mean flux")
        if shown.where:
            _draw_plane(paper, plane, scene, shown)
        else:
            say(plane, "No source has both metrics", paper.theme)
            plane.set(xticks=[], yticks=[])
        if shown.where and beside:
            _draw_histograms(paper, plane, scene, shown)
        paper.title("Variability of sources", _facts(scene, shown), 16.0)
        save(paper, sheet, format, "Variability of sources: V against η", file)


def _shown(scene: VariabilityScene) -> _Shown:
    import numpy as np

    eta, v = np.asarray(scene.eta, dtype=float), np.asarray(scene.v, dtype=float)
    usable = (eta > _SMALLEST) & (v > _SMALLEST) & (eta < _LARGEST) & (v < _LARGEST)
    eta, v = eta[usable], v[usable]
    fits = scene.eta_fit, scene.v_fit
    stands_out = np.zeros(len(eta), dtype=bool)
    if fits[0] is not None and fits[1] is not None:
        stands_out = (eta > fits[0].threshold) & (v > fits[1].threshold)
    return _Shown(np.flatnonzero(usable).tolist(), eta, v, stands_out)


def _draw_plane(paper: Canvas, axes: Axes, scene: VariabilityScene, shown: _Shown) -> None:
    axes.set(xscale="log", yscale="log", xlim=_limits(shown.eta, scene.eta_fit), ylim=_limits(shown.v, scene.v_fit))
    _tick(axes.xaxis, axes.get_xlim())
    _tick(axes.yaxis, axes.get_ylim())
    axes.grid(True, axis="x")
    steady = ~shown.stands_out
    if len(shown.where) > MOST_POINTS:
        _draw_density(paper, axes, shown.eta[steady], shown.v[steady])
    else:
        _draw_points(axes, shown.eta[steady], shown.v[steady], paper.colours[0], "o", 4.4, 0.55)
    candidates = shown.eta[shown.stands_out], shown.v[shown.stands_out]
    _draw_points(axes, *candidates, paper.colours[1], "D", 6.6, 1.0, edge=paper.theme.paper)
    _draw_thresholds(paper, axes, scene)
    if not paper.is_small:
        _write_names(paper, axes, scene, shown)


def _draw_points(
    axes: Axes, x: Any, y: Any, colour: str, marker: str, size: float, alpha: float, edge: str = "none"
) -> None:
    axes.plot(
        x, y, linestyle="none", marker=marker, markersize=size if len(x) <= MOST_SHAPES else size * 0.6,
        markerfacecolor=colour, markeredgecolor=edge, markeredgewidth=0.6, alpha=alpha, rasterized=len(x) > MOST_SHAPES,
        zorder=3.0 if marker == "D" else 2.0,
    )  # fmt: skip


def _draw_density(paper: Canvas, axes: Axes, eta: NDArray[np.float64], v: NDArray[np.float64]) -> None:
    """Numbers of sources in small cells, on a logarithmic scale of one colour."""
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    edges = [np.geomspace(*limits, 161) for limits in (axes.get_xlim(), axes.get_ylim())]
    counts, _, _ = np.histogram2d(eta, v, bins=edges)
    ink = paper.colours[0]
    faint = LinearSegmentedColormap.from_list("faint", [_mixed(paper.theme.paper, ink, share) for share in (0.22, 1.0)])
    counts[counts == 0] = np.nan
    axes.pcolormesh(*edges, counts.T, cmap=faint, norm=LogNorm(1.0, max(2.0, np.nanmax(counts))), rasterized=True)


def _draw_thresholds(paper: Canvas, axes: Axes, scene: VariabilityScene) -> None:
    if scene.eta_fit is None or scene.v_fit is None:
        return
    ink = paper.theme.ink
    line: dict[str, Any] = {"linewidth": 1.2, "linestyle": THRESHOLD_LINE, "zorder": 2.5}
    axes.axvline(scene.eta_fit.threshold, color=ink, **line)
    axes.axhline(scene.v_fit.threshold, color=ink, **line)
    axes.annotate(
        f"η > {scene.eta_fit.threshold:.3g}", (scene.eta_fit.threshold, 0.0), xycoords=("data", "axes fraction"),
        xytext=(4, 5), textcoords="offset points", color=ink, size=names.SIZE_PX * 0.72, va="bottom",
    )  # fmt: skip
    axes.annotate(
        f"V > {scene.v_fit.threshold:.3g}", (0.0, scene.v_fit.threshold), xycoords=("axes fraction", "data"),
        xytext=(5, 4), textcoords="offset points", color=ink, size=names.SIZE_PX * 0.72, va="bottom",
    )  # fmt: skip


def _write_names(paper: Canvas, axes: Axes, scene: VariabilityScene, shown: _Shown) -> None:
    """Names beside the strongest candidates, where one hides neither another nor what that names."""
    import numpy as np

    chosen = np.flatnonzero(shown.stands_out)
    chosen = chosen[np.argsort(-shown.eta[chosen] * shown.v[chosen], kind="stable")]
    box = axes.get_window_extent()
    scale = paper.figure.dpi / style.DPI
    width, height = box.width / scale, box.height / scale
    pixels = axes.transData.transform(np.column_stack([shown.eta[chosen], shown.v[chosen]]))
    places = (pixels - [box.x0, box.y0]) / scale
    most = min(MOST_NAMES, int(width / _PX_PER_NAME))
    texts = [fitted(printable(scene.ids[shown.where[n]]), LONGEST_PX) for n in chosen[:most]]
    plate = {"facecolor": paper.theme.paper, "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
    for name in names.placed(texts, [(float(x), float(y)) for x, y in places[:most]], width, height):
        axes.text(
            name.x / width, name.y / height, name.text, transform=axes.transAxes, ha=name.ha, va="center",
            size=names.SIZE_PX * 0.72, color=paper.theme.ink, parse_math=False, zorder=4.0, bbox=plate,
        )  # fmt: skip


def _draw_histograms(paper: Canvas, plane: Axes, scene: VariabilityScene, shown: _Shown) -> None:
    """Numbers of sources along both axes, with what was fitted to them."""
    right, above = paper.width - RIGHT - HISTOGRAM, paper.height - TOP - HISTOGRAM
    top = paper.axes(LEFT, above, RIGHT + HISTOGRAM + GAP, TOP, sharex=plane)
    side = paper.axes(right, BOTTOM, RIGHT, TOP + HISTOGRAM + GAP, sharey=plane)
    for axes, values, fit, upright in ((top, shown.eta, scene.eta_fit, True), (side, shown.v, scene.v_fit, False)):
        _draw_histogram(paper, axes, values, fit, upright=upright)
    top.tick_params(which="both", labelbottom=False)
    side.tick_params(which="both", labelleft=False)
    if scene.eta_fit is not None and scene.v_fit is not None:
        _draw_legend(paper, scene)


def _draw_legend(paper: Canvas, scene: VariabilityScene) -> None:
    """What the lines are, in the corner between the histograms."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=paper.colours[1], linewidth=1.6, label="Gaussian"),
        Line2D([], [], color=paper.theme.ink, linewidth=1.2, linestyle=THRESHOLD_LINE, label=f"{scene.n_sigma:g}σ"),
    ]
    paper.figure.legend(
        handles=handles, loc="upper left", frameon=False, borderaxespad=0.0, handlelength=1.7, handletextpad=0.5,
        bbox_to_anchor=((paper.width - RIGHT - HISTOGRAM - 4.0) / paper.width, 1.0 - TOP / paper.height),
    )  # fmt: skip


def _draw_histogram(paper: Canvas, axes: Axes, values: NDArray[np.float64], fit: Fit | None, *, upright: bool) -> None:
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    limits = axes.get_xlim() if upright else axes.get_ylim()
    edges = np.geomspace(*limits, min(MOST_BINS, max(FEWEST_BINS, 2 * math.isqrt(len(values)))) + 1)
    counts, _ = np.histogram(values, edges)
    orientation: Any = "vertical" if upright else "horizontal"
    axes.stairs(
        counts, edges, fill=True, orientation=orientation, color=_mixed(paper.theme.paper, paper.colours[0], 0.5)
    )
    line: dict[str, Any] = {"color": paper.theme.ink, "linewidth": 1.2}
    if fit is not None and fit.std_log10 > 0:
        where = np.geomspace(*limits, 400)
        curve = _gaussian(np.log10(where), fit, values) * math.log10(edges[1] / edges[0])
        axes.plot(*((where, curve) if upright else (curve, where)), color=paper.colours[1], linewidth=1.6)
    if fit is not None:
        (axes.axvline if upright else axes.axhline)(fit.threshold, linestyle=THRESHOLD_LINE, **line)
    frame(axes, paper.theme)
    (axes.yaxis if upright else axes.xaxis).set_major_locator(MaxNLocator(nbins=2, integer=True))
    axes.grid(False)


def _gaussian(log10: NDArray[np.float64], fit: Fit, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sources per decade that the fit expects, if those within three standard deviations are the ones it describes."""
    import numpy as np

    described = np.count_nonzero(np.abs(np.log10(values) - fit.mean_log10) <= 3.0 * fit.std_log10)
    height = described / (fit.std_log10 * math.sqrt(2.0 * math.pi))
    curve: NDArray[np.float64] = height * np.exp(-0.5 * ((log10 - fit.mean_log10) / fit.std_log10) ** 2)
    return curve


def _limits(values: NDArray[np.float64], fit: Fit | None) -> tuple[float, float]:
    """From the smallest to the largest value, the threshold among them, with some air."""
    import numpy as np

    log10 = np.log10(values)
    ends = [log10.min(), log10.max()]
    if fit is not None and _SMALLEST < fit.threshold < _LARGEST:
        ends.append(math.log10(fit.threshold))
    low, high = min(ends), max(ends)
    air = max(0.06 * (high - low), (_FEWEST - (high - low)) / 2.0)
    return float(10.0 ** (low - air)), float(10.0 ** (high + air))


def _tick(axis: Axis, limits: tuple[float, float]) -> None:
    """Numbers at powers of ten, at 2 and 5 times them too where there are few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    few = math.log10(limits[1] / limits[0]) < _MANY
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axis.set_major_formatter(FuncFormatter(_written))
    axis.set_minor_formatter(NullFormatter())


def _written(value: float, _: int) -> str:
    exponent = math.floor(math.log10(value) + 1e-9)
    return f"{value:g}" if -4 <= exponent <= 4 else f"${value / 10.0**exponent:g}\\times 10^{{{exponent}}}$"


def _facts(scene: VariabilityScene, shown: _Shown) -> list[str]:
    facts = [
        f"{len(shown.where):,} sources",
        f"{scene.flux_type} flux" if scene.flux_type else "integrated flux, else peak",
    ]
    if scene.eta_fit is None or scene.v_fit is None:
        return [*facts, "too few to tell which of them stand out"]
    n = int(shown.stands_out.sum())
    candidates = f"{n:,} candidate{'s' * (n != 1)} beyond {scene.n_sigma:g}σ in both"
    left_out = len(scene.ids) - len(shown.where)
    return [facts[0], candidates, facts[1], f"{left_out:,} without a logarithm not shown" if left_out else ""]


def _mixed(paper: str, ink: str, share: float) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    pairs = zip(to_rgb(paper), to_rgb(ink), strict=True)
    red, green, blue = ((1.0 - share) * light + share * dark for light, dark in pairs)
    return red, green, blue
