"""The whole sky in one ellipse: where the survey has pointed, and with which grade.

Notes
-----
The projection of Hammer (1892), of equal areas, with right ascension growing to the left as it does on the sky:
x = 2√2 cos δ sin(λ/2) / z, y = √2 sin δ / z, z = √(1 + cos δ cos(λ/2)), λ the right ascension from the centre.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from app.console.formats import is_known

CENTRE_RA_DEG = 180.0
WIDTH, HEIGHT, MARGIN = 720, 372, 6
_SCALE = (WIDTH / 2 - MARGIN) / (2 * math.sqrt(2))
_MIDDLE_Y = HEIGHT / 2
# Pointings nearer to each other than the first of these are drawn as one; than a later one, where there are too many.
CELLS_DEG = (1.0, 2.0, 4.0, 8.0, 16.0)
MOST_MARKS = 400
# More names would hide each other.
MOST_NAMES = 12


class Place(NamedTuple):
    """A place on the map [px]."""

    x: float
    y: float


class Label(NamedTuple):
    """What is written at a place, and which part of the text stands there."""

    x: float
    y: float
    text: str
    anchor: str = "middle"


class Pointing(NamedTuple):
    """Images that point to about the same place: the newest one's position [deg] and grade, and how many there are."""

    x: float
    y: float
    ra_deg: float
    dec_deg: float
    grade: str
    field: str
    n: int


class SkyMap(NamedTuple):
    """What the map consists of; ``lines`` are paths of SVG."""

    outline: str
    lines: Sequence[str]
    labels: Sequence[Label]
    pointings: Sequence[Pointing]
    n_images: int
    cell_deg: float
    with_names: bool
    width: int = WIDTH
    height: int = HEIGHT


def project(ra_deg: float, dec_deg: float) -> Place:
    """Where a position (ICRS, deg) lies on the map [px]."""
    away = (ra_deg - CENTRE_RA_DEG + 180.0) % 360.0 - 180.0
    return _place(away, dec_deg)


def sky_map(images: Iterable[dict[str, Any]]) -> SkyMap:
    """The map of some images, newest first; what has no position is left out."""
    placed = [image for image in images if is_known(image["ra_deg"]) and is_known(image["dec_deg"])]
    for cell_deg in CELLS_DEG:
        pointings = _pointings(placed, cell_deg)
        if len(pointings) <= MOST_MARKS:
            break
    return SkyMap(_OUTLINE, _GRATICULE, _LABELS, pointings, len(placed), cell_deg, len(pointings) <= MOST_NAMES)


def _pointings(images: Iterable[dict[str, Any]], cell_deg: float) -> list[Pointing]:
    together: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for image in images:
        shrink = max(math.cos(math.radians(image["dec_deg"])), 1e-3)
        cell = round(image["dec_deg"] / cell_deg), round(image["ra_deg"] % 360.0 * shrink / cell_deg)
        together.setdefault(cell, []).append(image)
    # The newest on top.
    return [_pointing(found[0], len(found)) for found in reversed(together.values())]


def _pointing(newest: dict[str, Any], n: int) -> Pointing:
    ra_deg, dec_deg = newest["ra_deg"] % 360.0, newest["dec_deg"]
    place = project(ra_deg, dec_deg)
    return Pointing(*place, ra_deg, dec_deg, newest["qa_grade"] or "ungraded", newest["field_name"] or "", n)


def _place(away_deg: float, dec_deg: float) -> Place:
    half, dec = math.radians(away_deg) / 2, math.radians(dec_deg)
    z = math.sqrt(1 + math.cos(dec) * math.cos(half))
    x = 2 * math.sqrt(2) * math.cos(dec) * math.sin(half) / z
    y = math.sqrt(2) * math.sin(dec) / z
    return Place(round(WIDTH / 2 - x * _SCALE, 1), round(_MIDDLE_Y - y * _SCALE, 1))


def _beside(dec_deg: float) -> Place:
    """A place for a label at the right edge of the map."""
    edge = _place(-180, dec_deg)
    return Place(edge.x + 5, edge.y + 4)


def _path(places: Iterable[Place]) -> str:
    return "M" + "L".join(f"{place.x:g},{place.y:g}" for place in places)


def _meridian(away_deg: float) -> list[Place]:
    return [_place(away_deg, dec) for dec in range(-90, 91, 5)]


_OUTLINE = _path([*_meridian(-180), *reversed(_meridian(180))]) + "Z"
_GRATICULE = [
    *(_path(_meridian(away)) for away in range(-120, 121, 60)),
    *(_path([_place(away, dec) for away in range(-180, 181, 6)]) for dec in range(-60, 61, 30)),
]
_LABELS = [
    *(Label(*_place(away, -2.5), f"{(CENTRE_RA_DEG + away) % 360 / 15:g}h") for away in range(-120, 121, 60)),
    *(Label(*_beside(dec), f"{dec:+d}°".replace("-", "\u2212"), "start") for dec in (-60, -30, 30, 60)),
]
