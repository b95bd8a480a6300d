"""What plots show, before anything is drawn."""

from __future__ import annotations

import math
from typing import Any

import pytest

from app.domain.plots import BOTH, LAST_MJD, Epoch
from app.domain.statistics import Day
from app.services.plots.curves import LightCurveScene, facts_of, scene_of
from app.services.plots.names import SIZE_PX, placed
from app.services.plots.timeline import panels


def epoch(**columns: Any) -> Epoch:
    given = {"image_path": "/a", "mjd": 60000.0, "flux_jy": 0.01, "flux_err_jy": 0.001, "peak_jyb": 0.009}
    return Epoch(**{**given, "peak_err_jyb": 0.0008, **columns})


def shown(epochs: list[Epoch], flux_type: str | None = None) -> LightCurveScene:
    return scene_of("S", epochs, {}, flux_type)


def types(scene: LightCurveScene) -> list[str]:
    return [series.flux_type for series in scene.series]


def test_integrated_flux_is_shown_unless_asked_and_peak_where_there_is_no_other() -> None:
    assert types(shown([epoch()])) == ["integrated"]
    assert types(shown([epoch(flux_jy=None)])) == ["peak"]
    assert types(shown([epoch()], "peak")) == ["peak"]
    assert types(shown([epoch()], BOTH)) == ["integrated", "peak"]
    assert types(shown([epoch(peak_jyb=None)], BOTH)) == ["integrated"]
    assert types(shown([epoch(peak_jyb=None)], "peak")) == []


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf, -math.inf, "faint", b"1", 1e300])
def test_flux_that_is_no_number_is_left_out_and_told(nothing: Any) -> None:
    scene = shown([epoch(flux_jy=nothing), epoch(mjd=60001.0)])
    assert [point.mjd for point in scene.series[0].points] == [60001.0]
    assert scene.left_out == 1
    assert facts_of(scene)[-1] == "1 without flux or time not shown"


@pytest.mark.parametrize("mjd", [None, math.nan, "then", -1.0, LAST_MJD + 1.0, 1e300])
def test_time_that_no_calendar_axis_shows_is_left_out(mjd: Any) -> None:
    assert len(shown([epoch(mjd=mjd), epoch()]).series[0].points) == 1


@pytest.mark.parametrize("error", [None, 0.0, -0.001, math.nan, math.inf, "none", 1e-200])
def test_flux_whose_error_says_nothing_is_shown_without(error: Any) -> None:
    (series,) = shown([epoch(flux_err_jy=error), epoch(flux_jy=0.03)]).series
    assert [point.error for point in series.points] == [None, 0.001]
    assert series.mean == pytest.approx(0.03), "and does not weigh"


def test_negative_and_zero_fluxes_are_fluxes() -> None:
    (series,) = shown([epoch(flux_jy=-0.002), epoch(flux_jy=0.0)]).series
    assert sorted(point.flux for point in series.points) == [-0.002, 0.0]


def test_point_has_the_grade_of_its_image() -> None:
    epochs = [epoch(image_path=path, mjd=60000.0 + n) for n, path in enumerate("abc")]
    scene = scene_of("S", epochs, {"a": "good", "b": "fail"}, BOTH)
    for series in scene.series:
        assert [point.grade for point in series.points] == ["good", "fail", None]


def test_points_stand_in_the_order_of_time() -> None:
    (series,) = shown([epoch(mjd=60002.0), epoch(mjd=60001.0)]).series
    assert [point.mjd for point in series.points] == [60001.0, 60002.0]


def test_facts_tell_number_variability_and_dates() -> None:
    pairs = [(10.0, 0.5), (12.0, 0.6), (9.0, 0.5), (14.0, 0.7)]
    epochs = [epoch(flux_jy=flux, flux_err_jy=error, mjd=60000.5 + n) for n, (flux, error) in enumerate(pairs)]
    assert facts_of(shown(epochs)) == ["N = 4, V = 0.197, η = 13.5", "2023-02-25 to 2023-02-28"]
    assert facts_of(shown(epochs[:1])) == ["N = 1", "2023-02-25"]
    assert facts_of(shown(epochs, BOTH))[1].startswith("peak: N = 4, V = 0")


def test_plot_without_points_says_why() -> None:
    assert shown([]).message == "No measurement between these dates"
    assert shown([epoch(flux_jy=None, peak_jyb=None)]).message == "None of 1 measurements has a usable flux and time"
    assert shown([epoch(peak_jyb=None)], "peak").message == "None of 1 measurements has a usable peak flux and time"


def test_timeline_stacks_failed_jobs_on_completed_ones() -> None:
    days = [Day("2025-11-01", 1, 2, 30, {"completed": 4, "failed": 1}), Day("2025-11-02", 0, 1, 5, {"completed": 2})]
    made = {panel.name: panel for panel in panels(days)}
    assert {name: panel.total for name, panel in made.items()} == {
        "Measurement sets": 1, "Images": 3, "Photometry": 35, "Jobs": 7,
    }  # fmt: skip
    assert [(bars.name, bars.values) for bars in made["Jobs"].stacked] == [("completed", (4, 2)), ("failed", (1, 0))]


def test_names_hide_neither_each_other_nor_what_they_name() -> None:
    places = [(60.0 + 9.0 * n, 60.0 + 7.0 * n) for n in range(12)]
    names = [f"J12000{n}.5+371248" for n in range(12)]
    written = placed(names, places, 400.0, 300.0)
    assert written[0].text == names[0]
    assert len(written) >= 6
    boxes = []
    for name in written:
        wide = 0.6 * SIZE_PX * len(name.text)
        left = {"left": name.x, "right": name.x - wide, "center": name.x - wide / 2}[name.ha]
        boxes.append((left, left + wide, name.y - 4.0, name.y + 4.0))
    for n, one in enumerate(boxes):
        assert 0 <= one[0] <= one[1] <= 400
        assert 0 <= one[2] <= one[3] <= 300
        assert not any(one[0] < x < one[1] and one[2] < y < one[3] for x, y in places)
        for other in boxes[n + 1 :]:
            assert one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2]


def test_name_that_fits_nowhere_is_left_out() -> None:
    assert placed(["a name much longer than the room"], [(20.0, 20.0)], 60.0, 40.0) == []
