"""Regions of the sky and the footprints of images."""

from __future__ import annotations

import math
import random

import pytest

from app.domain.regions import (
    Circle,
    Footprint,
    Polygon,
    Range,
    bounding_circle,
    meets,
    region_of,
    separation_deg,
)

FIELD = Footprint(180.0, 37.0, 2.0, 1.0)
ACROSS_ZERO = Footprint(0.2, 16.0, 2.0, 2.0)
POLE = Footprint(40.0, 89.8, 2.0, 2.0)


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("CIRCLE 180.0 37 0.5", Circle(180.0, 37.0, 0.5)),
        ("circle 0 -90 0", Circle(0.0, -90.0, 0.0)),
        ("RANGE 12 12.5 34 36", Range(12.0, 12.5, 34.0, 36.0)),
        ("RANGE 0 360.0 89.0 +Inf", Range(0.0, 360.0, 89.0, 90.0)),
        ("RANGE -Inf +Inf -Inf +Inf", Range(0.0, 360.0, -90.0, 90.0)),
        ("POLYGON 12 34 14 34 14 36", Polygon(((12.0, 34.0), (14.0, 34.0), (14.0, 36.0)))),
    ],
)
def test_region_is_read_as_the_standards_write_it(text: str, region: object) -> None:
    assert region_of(text) == region


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("BOX 1 2 3 4", "no shape known"),
        ("CIRCLE 1 2", "a radius"),
        ("CIRCLE 1 two 3", "decimal degrees"),
        ("CIRCLE 361 2 3", "between 0 and 360"),
        ("CIRCLE NaN 2 3", "between 0 and 360"),
        ("CIRCLE 1 91 3", "between -90 and 90"),
        ("CIRCLE 1 2 -3", "radius"),
        ("CIRCLE 1 2 Inf", "radius"),
        ("RANGE 350 10 0 1", "two ranges"),
        ("RANGE NaN 10 0 1", "NaN"),
        ("RANGE 1 2 3", "two declinations"),
        ("POLYGON 1 2 3 4", "three pairs"),
        ("POLYGON 1 2 3 4 5 6 7", "three pairs"),
        ("POLYGON 0 0 120 0 240 0", "half of the sky"),
    ],
)
def test_what_is_no_region_is_told_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        region_of(text)


@pytest.mark.parametrize(
    ("text", "footprint", "met"),
    [
        ("CIRCLE 180 37 0", FIELD, True),
        ("CIRCLE 181.2 37 0.01", FIELD, True),
        ("CIRCLE 181.3 37 0.01", FIELD, False),
        ("CIRCLE 181.3 37 0.1", FIELD, True),
        ("CIRCLE 0 -37 10", FIELD, False),
        ("CIRCLE 0 -37 180", FIELD, True),
        ("CIRCLE 359.5 16 0.001", ACROSS_ZERO, True),
        ("CIRCLE 1.1 16 0.001", ACROSS_ZERO, True),
        ("CIRCLE 220 89.9 0.001", POLE, True),
        ("RANGE 180 180.0001 30 40", FIELD, True),
        ("RANGE 0 360 36.4 36.45", FIELD, False),
        ("RANGE 0 360 36.4 36.51", FIELD, True),
        ("RANGE 358 359.3 15 17", ACROSS_ZERO, True),
        ("RANGE 1 2 15 17", ACROSS_ZERO, True),
        ("RANGE 2 358 15 17", ACROSS_ZERO, False),
        ("RANGE 200 201 89 90", POLE, True),
        ("POLYGON 170 30 190 30 190 45 170 45", FIELD, True),
        ("POLYGON 170 30 170 45 190 45 190 30", FIELD, True),
        ("POLYGON 180 37 180.01 37 180.01 37.01", FIELD, True),
        ("POLYGON 170 36.99 190 36.99 190 37.01 170 37.01", FIELD, True),
        ("POLYGON 175 36.9 185 36.9 185 37.1 175 37.1", FIELD, True),
        ("POLYGON 0 -37 1 -37 1 -36", FIELD, False),
        ("POLYGON 350 10 10 10 10 20 350 20", ACROSS_ZERO, True),
        ("POLYGON 0 80 120 80 240 80", POLE, True),
    ],
)
def test_region_meets_what_an_image_shows(text: str, footprint: Footprint, met: bool) -> None:
    assert meets(region_of(text), footprint) is met


def test_polygon_that_passes_north_of_the_field_on_great_circles_misses_it() -> None:
    """Between corners at a declination of 36 a great circle 20 degrees long bulges to 36.4."""
    assert not meets(region_of("POLYGON 170 36.0 190 36.0 190 36.1 170 36.1"), Footprint(180.0, 36.05, 0.1, 0.1))


def test_circle_is_met_exactly_where_a_dense_grid_of_the_image_has_a_point_in_it() -> None:
    chance = random.Random(7)
    for _ in range(25):
        footprint = Footprint(chance.uniform(0, 360), chance.uniform(-88, 88), 3.0, 2.0)
        circle = Circle(
            (footprint.centre[0] + chance.uniform(-4, 4)) % 360,
            max(-90, footprint.centre[1] + chance.uniform(-2, 2)),
            0.8,
        )
        steps = [step / 15 - 1.0 for step in range(31)]
        nearest = min(
            separation_deg(footprint._position(x * footprint.half_l, y * footprint.half_m), circle[:2])
            for x in steps
            for y in steps
        )
        if abs(nearest - circle.radius_deg) > 0.1:
            assert meets(circle, footprint) is (nearest < circle.radius_deg)


def test_corners_go_round_against_the_clock_as_seen_on_the_sky() -> None:
    (ra1, dec1), (ra2, dec2), (ra3, dec3), (ra4, dec4) = FIELD.corners
    assert ra1 > 180.0 > ra2
    assert ra4 > 180.0 > ra3
    assert max(dec1, dec2) < 37.0 < min(dec3, dec4)
    assert separation_deg((ra1, dec1), (ra4, dec4)) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        "CIRCLE 10 20 3",
        "RANGE 350 360 80 90",
        "RANGE 10 100 -30 50",
        "POLYGON 350 10 10 10 10 20",
        "POLYGON 0 80 120 80 240 80",
    ],
)
def test_bounding_circle_holds_the_region(text: str) -> None:
    region = region_of(text)
    circle = bounding_circle(region)
    assert circle is not None
    if isinstance(region, Range):
        steps = [step / 20 for step in range(21)]
        edge = [
            (
                region.ra_min_deg + x * (region.ra_max_deg - region.ra_min_deg),
                region.dec_min_deg + y * (region.dec_max_deg - region.dec_min_deg),
            )
            for x in steps
            for y in steps
        ]
    else:
        edge = list(region.vertices) if isinstance(region, Polygon) else [(10.0, 23.0)]
    assert all(separation_deg(circle[:2], point) <= circle.radius_deg + 1e-9 for point in edge)


def test_most_of_the_sky_has_no_bounding_circle() -> None:
    assert bounding_circle(region_of("RANGE 0 360 -2 2")) is None


def test_image_whose_size_is_not_known_is_a_point() -> None:
    point = Footprint(180.0, 37.0, 0.0, 0.0)
    assert meets(Circle(180.0, 37.0, 0.0), point)
    assert not meets(Circle(180.0, 37.1, 0.05), point)
    assert math.isclose(point.bounds().ra_min_deg, 180.0)
