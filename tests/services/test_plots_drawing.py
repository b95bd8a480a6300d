"""Plots, looked at by what matplotlib was told to draw and by the bytes that came out."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from app.domain.plots import BOTH, Epoch, Sheet
from app.domain.statistics import Day
from app.domain.variability.candidates import Fit
from app.services.pictures import style
from app.services.plots import canvas
from app.services.plots.curves import scene_of
from app.services.plots.light_curves import draw_light_curve
from app.services.plots.timeline import draw_timeline
from app.services.plots.variability import VariabilityScene, draw_variability

SVG = "{http://www.w3.org/2000/svg}"
GRADES: dict[str, Any] = {"a": "good", "b": "warn", "c": "fail"}
EPOCHS = [
    Epoch(path, 60979.5 + n, 0.010 + 0.001 * n, 0.0015, 0.009, 0.0004) for n, path in enumerate(["a", "b", "c", "d"])
]


def light_curve(epochs: list[Epoch] = EPOCHS, flux_type: str | None = BOTH, title: str = "S", **sheet: Any) -> bytes:
    made = io.BytesIO()
    format = sheet.pop("format", "png")
    draw_light_curve(scene_of(title, epochs, GRADES, flux_type), Sheet(**sheet), format, made)
    return made.getvalue()


def days(count: int) -> list[Day]:
    first = np.datetime64("2025-10-20")
    return [Day(str(first + n), n % 4, n % 7, 20 * n, {"completed": 3, "failed": n % 2}) for n in range(count)]


def timeline(count: int = 14, format: str = "png", **sheet: Any) -> bytes:
    made = io.BytesIO()
    draw_timeline(days(count), Sheet(**sheet), format, made)
    return made.getvalue()


def sources(n: int = 300, planted: int = 3, **changed: Any) -> VariabilityScene:
    random = np.random.default_rng(7)
    eta, v = 10 ** random.normal(0.0, 0.1, n), 10 ** random.normal(-1.0, 0.1, n)
    eta[:planted], v[:planted] = np.linspace(30, 300, planted), np.linspace(0.8, 2.0, planted)
    fits = Fit(0.0, 0.1, 10**0.5), Fit(-1.0, 0.1, 10**-0.5)
    return VariabilityScene([f"S{k:05d}" for k in range(n)], eta, v, *fits, 5.0, "integrated")._replace(**changed)


def variability(scene: VariabilityScene | None = None, format: str = "png", **sheet: Any) -> bytes:
    made = io.BytesIO()
    draw_variability(sources() if scene is None else scene, Sheet(**sheet), format, made)
    return made.getvalue()


PLOTS: dict[str, Callable[..., bytes]] = {
    "light curve": light_curve, "timeline": timeline, "variability": variability,
}  # fmt: skip


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that would have been saved."""
    figures: list[Figure] = []
    monkeypatch.setattr(style, "save", lambda figure, *_: figures.append(figure))
    return figures


def days_of(line: Line2D) -> list[float]:
    return [float(day) for day in np.asarray(line.get_xdata(), dtype=float)]


def texts(svg: bytes) -> str:
    """What an SVG says: matplotlib puts every text into a comment beside its shapes."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    root = ElementTree.fromstring(svg, parser=parser)
    return "\n".join(element.text or "" for element in root.iter() if callable(element.tag))


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("size", [(200, None), (1500, 210)])
def test_png_has_the_size_asked_for(plot: str, size: tuple[int, int | None]) -> None:
    picture = Image.open(io.BytesIO(PLOTS[plot](width_px=size[0], height_px=size[1])))
    assert picture.width == size[0]
    assert picture.height == (size[1] or picture.height)
    assert picture.height >= 190


@pytest.mark.parametrize("plot", PLOTS)
def test_svg_has_the_size_asked_for_a_title_and_nothing_that_runs_or_loads(plot: str) -> None:
    made = PLOTS[plot](format="svg", width_px=1200, height_px=700)
    root = ElementTree.fromstring(made)
    assert (root.get("width"), root.get("height")) == ("1200", "700")
    assert root[0].tag == f"{SVG}title"
    assert root[0].text
    tags = {element.tag for element in root.iter()}
    assert not {tag for tag in tags if "script" in tag or "foreignObject" in tag or tag == f"{SVG}image"}
    values = [value for element in root.iter() for name, value in element.items() if "rdf" not in name]
    assert not [value for value in values if "http" in value or "javascript" in value]
    assert not [name for element in root.iter() for name in element.attrib if name.lower().startswith("on")]
    assert b"<!DOCTYPE" not in made


def test_hostile_name_is_shown_as_it_is() -> None:
    name = 'J12</title><script>alert(1)</script>--> $\\frac{1}{0}$ & "\x00\x1b'
    made = light_curve(title=name, format="svg")
    assert b"<script" not in made
    assert (
        ElementTree.fromstring(made)[0].text
        == f"Light curve of {name[:-2]}\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
    )
    assert light_curve(title="$" * 5000)[:4] == b"\x89PNG"


ELSEWHERE = """
import hashlib
from tests.services.test_plots_drawing import PLOTS
for name, plot in PLOTS.items():
    print(name, hashlib.sha256(plot(format="svg")).hexdigest())
"""


def test_equal_plots_are_equal_bytes_in_every_process() -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], cwd=root, capture_output=True, text=True, check=True)
    here = [f"{name} {hashlib.sha256(plot(format='svg')).hexdigest()}" for name, plot in PLOTS.items()]
    assert done.stdout.splitlines() == here


def test_error_bars_end_inside_the_frame(drawn: list[Figure]) -> None:
    light_curve(flux_type="integrated")
    axes = drawn[0].axes[0]
    low, high = axes.get_ylim()
    (bars,) = [each for each in axes.collections if len(each.get_paths()) == len(EPOCHS)]
    ends = np.array([np.asarray(path.vertices)[:, 1] for path in bars.get_paths()])
    assert np.allclose(ends, [[1e3 * (e.flux_jy - 0.0015), 1e3 * (e.flux_jy + 0.0015)] for e in EPOCHS])  # type: ignore[operator]
    assert low < ends.min()
    assert ends.max() < high


@pytest.mark.parametrize(("flux_jy", "unit"), [(0.0004, "µJy"), (0.02, "mJy"), (3.0, "Jy")])
def test_unit_makes_short_numbers(drawn: list[Figure], flux_jy: float, unit: str) -> None:
    light_curve([EPOCHS[0]._replace(flux_jy=flux_jy)], "integrated")
    light_curve([EPOCHS[0]._replace(peak_jyb=flux_jy)], "peak")
    assert [figure.axes[0].get_ylabel() for figure in drawn] == [f"Flux density [{unit}]", f"Peak [{unit}/beam]"]


def test_time_is_told_as_utc_below_and_mjd_above() -> None:
    shown = texts(light_curve([epoch._replace(mjd=60979.0 + n) for n, epoch in enumerate(EPOCHS)], format="svg"))
    for wanted in ("Date (UTC)", "MJD (UTC)", "60979", "60982", "31", "2025-Nov", "Nov"):
        assert wanted in shown, wanted


def test_points_stand_at_their_times(drawn: list[Figure]) -> None:
    light_curve(flux_type="integrated")
    x = sorted(x for line in drawn[0].axes[0].lines if line.get_marker() == "o" for x in days_of(line))
    assert np.allclose(x, date2num(np.datetime64("2025-10-31T12:00")) + np.arange(4))  # type: ignore[no-untyped-call]


def test_types_of_flux_differ_in_shape_and_colour_and_grades_in_filling(drawn: list[Figure]) -> None:
    light_curve()
    shapes = {line.get_marker(): line.get_markeredgecolor() for line in drawn[0].axes[0].lines if days_of(line)}
    assert shapes["o"] != shapes["s"]
    looks = {
        (line.get_fillstyle(), line.get_markerfacecolor())
        for line in drawn[0].axes[0].lines
        if line.get_marker() == "o"
    }
    assert len(looks) == 3, "full, half, empty"
    assert "x" in shapes, "and a cross through those of a failed image"
    labels = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert labels == ["integrated", "peak", "weighted mean", "image good", "image warn", "image fail", "not graded"]


def test_legend_names_what_occurs_only(drawn: list[Figure]) -> None:
    light_curve([EPOCHS[0]._replace(flux_err_jy=None)], "integrated")
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["integrated", "image good"]


def test_light_curve_without_points_says_so() -> None:
    assert "No measurement between these dates" in texts(light_curve([], format="svg"))
    assert light_curve([EPOCHS[0]._replace(flux_jy=None, peak_jyb=None)])[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    "epochs",
    [
        EPOCHS[:1],
        [EPOCHS[0]] * 2,
        [EPOCHS[0]._replace(flux_jy=0.0, flux_err_jy=None)],
        [EPOCHS[0]._replace(flux_jy=9e59), EPOCHS[1]._replace(flux_jy=-9e59, flux_err_jy=1e-59)],
        [EPOCHS[0]._replace(mjd=0.0), EPOCHS[1]._replace(mjd=300_000.0)],
        [EPOCHS[0], EPOCHS[1]._replace(mjd=60979.5 + 1e-9)],
        [EPOCHS[0]._replace(flux_jy=1.0), EPOCHS[1]._replace(flux_jy=1.0 + 1e-15)],
    ],
)
def test_odd_light_curves_are_drawn(epochs: list[Epoch]) -> None:
    assert light_curve(epochs)[:4] == b"\x89PNG"


def test_svg_of_thousands_of_points_stays_small() -> None:
    random = np.random.default_rng(1)
    epochs = [
        Epoch("a", 60000.0 + n / 9, float(f), 0.001, None, None) for n, f in enumerate(random.normal(1, 0.1, 2500))
    ]
    made = light_curve(epochs, "integrated", format="svg")
    assert len(made) < 400_000
    assert b"data:image/png;base64" in made
    crowd = variability(sources(6000), "svg")
    assert len(crowd) < 400_000
    assert "S00000" in texts(crowd), "and candidates keep their names"


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2)."""
    light = []
    for colour in (one, other):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


@pytest.mark.parametrize("theme", style.THEMES)
def test_colours_in_use_stand_out_from_the_paper(theme: str) -> None:
    with canvas.canvas(Sheet(theme=theme), 1.0) as paper:
        for colour in paper.colours[:3]:
            assert contrast(colour, paper.theme.paper) >= 3.0, colour


@pytest.mark.parametrize("count", [1, 60, 365])
def test_timeline_shows_every_day_once(drawn: list[Figure], count: int) -> None:
    timeline(count)
    for axes in drawn[0].axes:
        assert axes.get_xlim()[1] - axes.get_xlim()[0] == count
    titles = [axes.get_title(loc="left") for axes in drawn[0].axes]
    assert titles[0] == f"Measurement sets: {sum(n % 4 for n in range(count))}"
    legend = drawn[0].axes[3].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [f"completed {3 * count:,}", f"failed {count // 2}"]


def test_candidates_are_those_beyond_both_thresholds_and_have_names() -> None:
    scene = sources()
    scene.eta[10], scene.v[10] = 100.0, 0.1  # sure, but not much
    scene.eta[11], scene.v[11] = 1.0, 1.0  # much, but not sure
    shown = texts(variability(scene, "svg"))
    assert "3 candidates beyond 5σ in both" in shown
    assert {line for line in shown.split() if line.startswith("S0")} == {"S00000", "S00001", "S00002"}
    assert f"η &gt; {10**0.5:.3g}" in shown or f"η > {10**0.5:.3g}" in shown


def test_histograms_count_every_source_and_carry_the_fits(drawn: list[Figure]) -> None:
    variability(sources(planted=0))
    _, top, side = drawn[0].axes
    for axes, mean, upright in ((top, 1.0, True), (side, 0.1, False)):
        assert axes.patches[0].get_data().values.sum() == 300  # type: ignore[attr-defined]
        curve = axes.lines[0]
        where, height = (curve.get_xdata(), curve.get_ydata()) if upright else (curve.get_ydata(), curve.get_xdata())
        assert np.asarray(where)[np.argmax(height)] == pytest.approx(mean, rel=0.05)
        area = np.trapezoid(np.asarray(height), np.log10(np.asarray(where, dtype=float)))
        edges = np.log10(axes.patches[0].get_data().edges)  # type: ignore[attr-defined]
        assert area / (edges[1] - edges[0]) == pytest.approx(300, rel=0.03)


def test_sources_without_a_logarithm_are_left_out_and_told() -> None:
    scene = sources()
    scene.eta[50:54] = 0.0, -1.0, np.nan, np.inf
    shown = texts(variability(scene, "svg"))
    assert "296 sources" in shown
    assert "4 without a logarithm not shown" in shown


@pytest.mark.parametrize(("n", "wanted"), [(0, "No source has both metrics"), (2, "too few to tell which")])
def test_too_few_sources_are_shown_without_thresholds(n: int, wanted: str) -> None:
    assert wanted in texts(variability(sources(n, 0, eta_fit=None, v_fit=None), "svg"))


@pytest.mark.parametrize("values", [[1e-300, 1e300], [1.0, 1.0], [5e-324, 1.7e308]])
def test_odd_metrics_are_drawn(values: list[float]) -> None:
    eta = np.array(values)
    assert variability(sources(2, 0, eta=eta, v=eta[::-1]))[:4] == b"\x89PNG"
    nothing = Fit(0.0, 0.0, 1.0)
    assert variability(sources(2, 0, eta=eta, v=eta, eta_fit=nothing, v_fit=nothing))[:4] == b"\x89PNG"
