"""Regions of the sky as the Virtual Observatory writes them, the footprints of images, and whether they meet.

All angles are ICRS degrees.

Notes
-----
A footprint is a rectangle of direction cosines (l east, m north) about an image's centre, as in the SIN projection in
which radio images are made (Calabretta & Greisen 2002, A&A 395, 1077). Whether it meets a circle or a polygon is worked
out on the sphere, with the sides of a footprint taken as great circles, from which those of an image of five degrees
depart by a few seconds of arc. A range is compared with the least range that holds the footprint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from app.domain.sky import ARCSEC_PER_DEGREE, separation_arcsec

Position = tuple[float, float]
Vector = tuple[float, float, float]

# Half of a footprint's side as a direction cosine: beyond it, corners would lie off the projected sphere.
_LARGEST_COSINE = 0.7
_STEPS_PER_SIDE = 8
# Widest half of a range in right ascension for which its corners are the points farthest from its centre.
_WIDEST_HALF_DEG = 60.0


class Circle(NamedTuple):
    """Everything within a radius of a position."""

    ra_deg: float
    dec_deg: float
    radius_deg: float


class Range(NamedTuple):
    """Everything between two right ascensions and two declinations."""

    ra_min_deg: float
    ra_max_deg: float
    dec_min_deg: float
    dec_max_deg: float


class Polygon(NamedTuple):
    """What great circles between at least three positions enclose: less than half of the sky, either way round."""

    vertices: tuple[Position, ...]


Region = Circle | Range | Polygon


class Footprint:
    """What an image shows, north up.

    Parameters
    ----------
    ra_deg, dec_deg
        Centre.
    width_deg, height_deg
        Full size; 0 where it is not known, which makes it a point.
    """

    def __init__(self, ra_deg: float, dec_deg: float, width_deg: float, height_deg: float) -> None:
        self.centre: Position = (ra_deg, dec_deg)
        self.half_l = min(math.radians(width_deg) / 2, _LARGEST_COSINE)
        self.half_m = min(math.radians(height_deg) / 2, _LARGEST_COSINE)

    @cached_property
    def corners(self) -> tuple[Position, ...]:
        """South-east, south-west, north-west, north-east: against the clock as seen on the sky."""
        signs = ((1, -1), (-1, -1), (-1, 1), (1, 1))
        return tuple(self._position(l_sign * self.half_l, m_sign * self.half_m) for l_sign, m_sign in signs)

    def holds(self, position: Position) -> bool:
        """Whether it shows a position."""
        east, north, front = _cosines(self.centre, position)
        return front > 0 and abs(east) <= self.half_l and abs(north) <= self.half_m

    def nearest_to(self, position: Position) -> Position:
        """The point of it that is nearest to a position."""
        east, north, front = _cosines(self.centre, position)
        if front <= 0:
            return min((self.centre, *self.corners), key=lambda corner: separation_deg(corner, position))
        return self._position(max(-self.half_l, min(self.half_l, east)), max(-self.half_m, min(self.half_m, north)))

    def bounds(self) -> Range:
        """The least range that holds it; right ascensions may lie outside 0 to 360."""
        outline = self._outline()
        ra_deg = self.centre[0]
        east = [(ra - ra_deg + 180.0) % 360.0 - 180.0 for ra, _ in outline]
        south, north = min(dec for _, dec in outline), max(dec for _, dec in outline)
        poles = [pole for pole in (-90.0, 90.0) if self.holds((0.0, pole))]
        if poles:
            return Range(0.0, 360.0, min(south, *poles), max(north, *poles))
        return Range(ra_deg + min(east), ra_deg + max(east), south, north)

    def _outline(self) -> list[Position]:
        steps = [2.0 * step / _STEPS_PER_SIDE - 1.0 for step in range(_STEPS_PER_SIDE + 1)]
        sides = [(side, along) for side in (-1.0, 1.0) for along in steps]
        across = [(along * self.half_l, side * self.half_m) for side, along in sides]
        upward = [(side * self.half_l, along * self.half_m) for side, along in sides]
        return [self._position(east, north) for east, north in across + upward]

    def _position(self, east: float, north: float) -> Position:
        front = math.sqrt(max(0.0, 1.0 - east * east - north * north))
        dec = math.radians(self.centre[1])
        dec_deg = math.degrees(math.asin(max(-1.0, min(1.0, north * math.cos(dec) + front * math.sin(dec)))))
        turn = math.atan2(east, front * math.cos(dec) - north * math.sin(dec))
        return (self.centre[0] + math.degrees(turn)) % 360.0, dec_deg


def region_of(text: str) -> Region:
    """A region as ``POS`` writes it: ``CIRCLE ra dec radius``, ``RANGE ra1 ra2 dec1 dec2``, ``POLYGON ra1 dec1 …``.

    Raises
    ------
    ValueError
        It is none, with what is wrong about it.
    """
    shape, *words = text.split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        raise ValueError("coordinates are decimal degrees") from None
    makers: dict[str, Callable[[Sequence[float]], Region]]
    makers = {"CIRCLE": circle_of, "RANGE": _range_of, "POLYGON": polygon_of}
    make = makers.get(shape.upper())
    if make is None:
        raise ValueError(f"{shape[:40]!r} is no shape known here, which are CIRCLE, RANGE and POLYGON")
    return make(numbers)


def circle_of(numbers: Sequence[float]) -> Circle:
    """A circle of right ascension, declination and radius; raises ValueError."""
    if len(numbers) != 3:
        raise ValueError("a circle is a right ascension, a declination and a radius")
    circle = Circle(*numbers)
    _check(circle[:2])
    if not 0.0 <= circle.radius_deg <= 180.0:
        raise ValueError("the radius lies between 0 and 180")
    return circle


def polygon_of(numbers: Sequence[float]) -> Polygon:
    """A polygon of right ascensions and declinations in turn; raises ValueError."""
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError("a polygon is at least three pairs of right ascension and declination")
    vertices = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    for vertex in vertices:
        _check(vertex)
    polygon = Polygon(vertices)
    middle = _middle(polygon)
    if middle is None or any(separation_deg(middle, vertex) >= 90.0 for vertex in vertices):
        raise ValueError("a polygon is smaller than half of the sky")
    return polygon


def bounding_circle(region: Region) -> Circle | None:
    """A circle that holds a region; ``None`` where that would be most of the sky."""
    if isinstance(region, Circle):
        return region
    if isinstance(region, Polygon):
        middle, farthest = _middle(region), region.vertices
    else:
        half_deg = (region.ra_max_deg - region.ra_min_deg) / 2.0
        if half_deg > _WIDEST_HALF_DEG:
            return None
        middle = (region.ra_min_deg + half_deg) % 360.0, (region.dec_min_deg + region.dec_max_deg) / 2.0
        farthest = tuple((ra, dec) for ra in region[:2] for dec in region[2:])
    assert middle is not None  # seen to when the polygon was made
    return Circle(*middle, max(separation_deg(middle, position) for position in farthest))


def meets(region: Region, footprint: Footprint) -> bool:
    """Whether an image shows any of a region."""
    if isinstance(region, Circle):
        centre = region[:2]
        return separation_deg(footprint.nearest_to(centre), centre) <= region.radius_deg
    if isinstance(region, Polygon):
        return _meets_polygon(region, footprint)
    bounds = footprint.bounds()
    if bounds.dec_max_deg < region.dec_min_deg or bounds.dec_min_deg > region.dec_max_deg:
        return False
    turns = (-360.0, 0.0, 360.0)
    return any(
        bounds.ra_min_deg + turn <= region.ra_max_deg and bounds.ra_max_deg + turn >= region.ra_min_deg
        for turn in turns
    )


def separation_deg(one: Position, other: Position) -> float:
    """Angular separation of two positions."""
    return (separation_arcsec(*one, *other) or 0.0) / ARCSEC_PER_DEGREE


def _range_of(numbers: Sequence[float]) -> Range:
    if len(numbers) != 4:
        raise ValueError("a range is two right ascensions and two declinations")
    if any(map(math.isnan, numbers)):
        raise ValueError("NaN bounds nothing")
    ra_min, ra_max, dec_min, dec_max = numbers
    if ra_min > ra_max or dec_min > dec_max:
        raise ValueError("the first bound is the smaller one; across right ascension 0 it takes two ranges")
    # Infinity stands for no bound.
    found = Range(
        0.0 if ra_min == -math.inf else ra_min,
        360.0 if ra_max == math.inf else ra_max,
        -90.0 if dec_min == -math.inf else dec_min,
        90.0 if dec_max == math.inf else dec_max,
    )
    _check((found.ra_min_deg, found.dec_min_deg))
    _check((found.ra_max_deg, found.dec_max_deg))
    return found


def _check(position: Position) -> None:
    if not (0.0 <= position[0] <= 360.0 and -90.0 <= position[1] <= 90.0):
        raise ValueError("right ascensions lie between 0 and 360, declinations between -90 and 90")


def _meets_polygon(polygon: Polygon, footprint: Footprint) -> bool:
    if any(map(footprint.holds, polygon.vertices)) or _inside(polygon, footprint.centre):
        return True
    if any(_inside(polygon, corner) for corner in footprint.corners):
        return True
    sides = _sides(polygon.vertices)
    return any(_cross(side, other) for side in _sides(footprint.corners) for other in sides)


def _inside(polygon: Polygon, position: Position) -> bool:
    """Whether the polygon goes round a position, on whose side of the sky it lies."""
    middle = _middle(polygon)
    if middle is None or separation_deg(middle, position) > 90.0:
        return False
    bearings = [_bearing(position, vertex) for vertex in (*polygon.vertices, polygon.vertices[0])]
    turned = sum((after - before + math.pi) % math.tau - math.pi for before, after in pairwise(bearings))
    return abs(turned) > math.pi


def _middle(polygon: Polygon) -> Position | None:
    x, y, z = (sum(parts) for parts in zip(*map(_vector, polygon.vertices), strict=True))
    if math.hypot(x, y, z) < 1e-9:
        return None
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))


def _sides(vertices: Sequence[Position]) -> list[tuple[Vector, Vector]]:
    return list(pairwise(map(_vector, (*vertices, vertices[0]))))


def _cross(one: tuple[Vector, Vector], other: tuple[Vector, Vector]) -> bool:
    """Whether two arcs of great circles, each shorter than half of one, have a point in common."""
    normal, other_normal = _product(*one), _product(*other)
    ends = [_dot(normal, end) for end in other]
    other_ends = [_dot(other_normal, end) for end in one]
    apart = ends[0] * ends[1] > 0 or other_ends[0] * other_ends[1] > 0
    # Great circles meet twice, on opposite sides of the sky.
    return not apart and _dot(one[0], other[0]) + _dot(one[1], other[1]) > 0


def _cosines(centre: Position, position: Position) -> Vector:
    """Direction cosines of a position: east, north, and towards the viewer."""
    delta = math.radians(position[0] - centre[0])
    here, there = math.radians(centre[1]), math.radians(position[1])
    east = math.cos(there) * math.sin(delta)
    north = math.sin(there) * math.cos(here) - math.cos(there) * math.sin(here) * math.cos(delta)
    front = math.sin(here) * math.sin(there) + math.cos(here) * math.cos(there) * math.cos(delta)
    return east, north, front


def _bearing(position: Position, other: Position) -> float:
    east, north, _ = _cosines(position, other)
    return math.atan2(east, north)


def _vector(position: Position) -> Vector:
    ra, dec = map(math.radians, position)
    return math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)


def _product(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
