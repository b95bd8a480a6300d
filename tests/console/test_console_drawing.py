"""How the console writes numbers, positions and times, and where its drawings put things."""

from __future__ import annotations

import math
import time

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from app.console import charts, formats
from app.console.axes import Axis, date_ticks, decade_ticks, linear_ticks, spanning
from app.console.sky import HEIGHT, MOST_MARKS, WIDTH, project, sky_map
from app.domain.photometry import Measurement
from app.domain.time import iso_from_unix
from tests.support.pipeline import BASE_UNIX_S, Pipeline


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.516483, "0.5165"), (0.5, "0.5000"), (12.0, "12.00"), (338.0, "338.0"), (1234.56, "1235"),
        (123456.0, "123456"), (0, "0"), (-1.4461, "−1.446"), (3.2e-7, "3.200e−07"), (0.00012, "0.0001200"),
        (4.5e9, "4.500e+09"), (9999.96, "10000"), (None, formats.MISSING), (math.nan, formats.MISSING),
        (math.inf, formats.MISSING), ("text", formats.MISSING),
    ],
)  # fmt: skip
def test_number_has_four_digits_that_mean_something(value: object, shown: str) -> None:
    assert formats.number(value) == shown


@pytest.mark.parametrize(
    ("ra_deg", "dec_deg", "shown"),
    [
        (0.0, 0.0, "00:00:00.00 +00:00:00.0"),
        (359.9999999, -0.0000001, "00:00:00.00 +00:00:00.0"),
        (0.0, -0.00002, "00:00:00.00 −00:00:00.1"),
        (202.7845, 30.5092, "13:31:08.28 +30:30:33.1"),
        (-15.0, -89.99999, "23:00:00.00 −90:00:00.0"),
        (83.6331, 22.0145, "05:34:31.94 +22:00:52.2"),
        (179.99999, 59.99999, "12:00:00.00 +60:00:00.0"),
    ],
)
def test_position_is_sexagesimal_and_never_has_sixty_of_anything(ra_deg: float, dec_deg: float, shown: str) -> None:
    assert f"{formats.right_ascension(ra_deg)} {formats.declination(dec_deg)}" == shown


@pytest.mark.parametrize("word", [None, ""])
def test_a_state_that_nobody_wrote_is_unknown(word: str | None) -> None:
    assert formats.state(word) == formats.state("unknown")
    assert "None" not in formats.state(word)


def test_time_is_exact_and_says_its_julian_date() -> None:
    shown = formats.moment(1761918546)
    assert 'datetime="2025-10-31T13:49:06Z"' in shown
    assert "MJD 60979.57576" in shown
    assert formats.observed(60979.57576) == formats.moment(round((60979.57576 - 40587) * 86400))
    for nothing in (None, math.nan, math.inf, 1e18, "yesterday"):
        assert formats.moment(nothing) == formats.MISSING
        assert formats.observed(nothing) == formats.MISSING


@pytest.mark.parametrize(
    ("age_s", "shown"),
    [(0.4, "0 s ago"), (59, "59 s ago"), (3599, "59 min ago"), (7300, "2 h ago"), (86400 * 29.9, "29 d ago")],
)
def test_age_is_told_in_one_unit_and_the_exact_time_on_hover(age_s: float, shown: str) -> None:
    then = time.time() - age_s
    written = formats.ago(then).replace("\u00a0", " ")
    assert f">{shown}<" in written
    assert f'title="{(iso_from_unix(then) or "")[:10]} ' in written


def test_age_of_what_is_long_past_or_to_come_is_the_exact_time() -> None:
    for then in (time.time() + 60, time.time() - 31 * 86400, 0.0, None, math.nan):
        assert formats.ago(then) == formats.moment(then)


def test_sky_has_its_centre_in_the_middle_and_right_ascension_to_the_left() -> None:
    assert project(180.0, 0.0) == (WIDTH / 2, HEIGHT / 2)
    assert project(190.0, 0.0).x < WIDTH / 2 < project(170.0, 0.0).x
    assert project(180.0, 10.0).y < HEIGHT / 2 < project(180.0, -10.0).y
    assert project(-170.0, 20.0) == project(190.0, 20.0)


@given(st.floats(-720, 720), st.floats(-90, 90))
def test_every_position_lies_in_the_ellipse_of_the_map(ra_deg: float, dec_deg: float) -> None:
    place = project(ra_deg, dec_deg)
    across = (place.x - WIDTH / 2) / (WIDTH / 2)
    up = (place.y - HEIGHT / 2) / (WIDTH / 4)
    assert across**2 + up**2 <= 1.0


def test_pointings_near_each_other_are_one_mark_with_the_newest_grade() -> None:
    rows = [
        ("warn", 10.0, 20.0),
        ("good", 10.1, 20.1),
        ("good", 200.0, -40.0),
        ("fail", None, 1.0),
        (None, math.nan, 0),
    ]
    images = [{"qa_grade": grade, "ra_deg": ra, "dec_deg": dec, "field_name": None} for grade, ra, dec in rows]
    sky = sky_map(images)
    assert sorted((each.grade, each.n) for each in sky.pointings) == [("good", 1), ("warn", 2)]
    assert sky.n_images == 3
    many = sky_map([images[0] | {"ra_deg": n * 0.18, "dec_deg": 37.0} for n in range(2000)])
    assert len(many.pointings) <= 360
    assert many.cell_deg == 1.0
    everywhere = sky_map([images[0] | {"ra_deg": n * 37.7 % 360, "dec_deg": n * 0.09 - 90} for n in range(2000)])
    assert len(everywhere.pointings) <= MOST_MARKS
    assert sum(each.n for each in everywhere.pointings) == 2000


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_lie_on_the_axis_and_are_few(low: float, span: float) -> None:
    axis = Axis(low, low + span, 60, 700)
    ticks = linear_ticks(axis)
    assert len(ticks) <= 8
    assert all(59.5 <= tick.at <= 700.5 for tick in ticks)
    assert len(date_ticks(Axis(60000 + low / 1e3, 60000 + low / 1e3 + span, 60, 700))) <= 8


def test_decades_are_marked_as_powers_of_ten() -> None:
    assert [tick.text for tick in decade_ticks(Axis(-2.1, 2.1, 0, 100))] == ["0.01", "0.1", "1", "10", "100"]
    assert [tick.text for tick in decade_ticks(Axis(-0.1, 1.1, 0, 100))] == ["1", "2", "5", "10"]


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [-3.0], [1e-12, 2e-12], [-1.0, 1.0]])
def test_axis_has_a_length_whatever_is_on_it(values: list[float]) -> None:
    axis = spanning(values, 0, 100)
    assert axis.low < min(values)
    assert max(values) < axis.high


@pytest.fixture
def within(client: FlaskClient) -> Flask:
    """The application, for what makes links."""
    return client.application


def point(n: int, mjd: float | None, flux: float | None, error: float | None = 0.001) -> Measurement:
    return Measurement(n, f"/img/{n}.fits", 180.0, 37.0, mjd, flux, error, None, None)


def test_light_curve_leaves_out_what_it_cannot_draw_and_says_how_much(within: Flask) -> None:
    points = [point(1, 60000.0, 0.01), point(2, 60001.0, None), point(3, None, 0.02), point(4, 60002.0, 0.03, -1.0)]
    with within.test_request_context("/console/"):
        curve = charts.light_curve(points, {}, math.nan)
        many = charts.light_curve([point(n, 60000.0 + n, 0.01) for n in range(600)], {}, 0.01)
        nothing = charts.light_curve([point(1, None, None)], {}, None)
    assert [epoch.high is None for epoch in curve.epochs] == [False, True], "an error that is none has no bar"
    assert (curve.n_missing, curve.n_hidden, curve.mean_y) == (2, 0, None)
    assert (len(many.epochs), many.n_hidden) == (charts.MOST_POINTS, 100)
    assert (nothing.frame, nothing.n_missing) == (None, 1)


def test_plane_knows_which_sources_stand_out(within: Flask) -> None:
    sources = [charts.Metrics("a", 10.0, 1.0), charts.Metrics("b", 10.0, 0.01), charts.Metrics("c", None, 1.0),
               charts.Metrics("d", 0.0, 0.5), charts.Metrics("e", math.inf, 0.5)]  # fmt: skip
    with within.test_request_context("/console/"):
        plane = charts.plane(sources, 5.0, 0.1)
        free = charts.plane(sources, None, None)
    assert [star.stands_out for star in plane.stars] == [True, False]
    assert plane.n_missing == 3
    assert not any(star.stands_out for star in free.stars)
    assert (free.eta_x, free.v_y) == (None, None)


def test_timeline_ends_today_or_where_the_survey_did(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image(created_at=BASE_UNIX_S)
    assert f"end_date={(iso_from_unix(BASE_UNIX_S) or '')[:10]}" in client.get("/console/").text
    pipeline.make_image(created_at=time.time() - 3600)
    assert "end_date=" not in client.get("/console/").text
