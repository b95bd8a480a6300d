"""Positions on the sky: separations, cones, and the windows in which an index finds what lies in one.

All angles are ICRS degrees unless a name says otherwise.

Notes
-----
A cone is looked up by *zones* of declination (Gray, Nieto-Santisteban & Szalay 2006, MSR-TR-2006-52): an index on
(zone, right ascension) leads to the few rows of each zone whose right ascension is near, and every row found is checked
by its exact separation. Right ascension 0 and the poles need no care beyond the windows computed here.
"""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple

ZONES_PER_DEGREE = 10
ARCSEC_PER_DEGREE = 3600.0
# Far more than rounding can amount to, far less than any separation that matters: about 0.4 milliarcsec.
_MARGIN_DEG = 1e-7

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_SEXAGESIMAL = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>\d{1,3})(?P<mark>[:hd\u00b0 ])\s*(?P<minutes>\d{1,2})"
    r"(?:(?:[:m\u2032' ])\s*(?P<seconds>\d{1,2}(?:\.\d*)?)?)?[s\u2033\"]?",
    re.ASCII,
)

Match = Literal["centre", "footprint"]


class Cone(NamedTuple):
    """A circle on the sky.

    Parameters
    ----------
    ra_deg, dec_deg
        Its centre; ``None`` while only the name of a source there is known.
    radius_deg
        Its radius, 0 to 180.
    name
        A source of ours that stands at the centre.
    match
        Whether a thing is in it by its centre, or an image by showing the centre of the cone, however far that is
        from the image's own.
    """

    ra_deg: float | None
    dec_deg: float | None
    radius_deg: float
    name: str | None = None
    match: Match = "centre"


class Window(NamedTuple):
    """Right ascensions of one zone, both ends included."""

    zone: int
    ra_min_deg: float
    ra_max_deg: float


def separation_arcsec(
    ra_deg: float | None, dec_deg: float | None, other_ra_deg: float, other_dec_deg: float
) -> float | None:
    """Angular separation of two positions [arcsec]; ``None`` where the first is not known.

    Notes
    -----
    The formula of Vincenty (1975), exact for coincident, small, right and antipodal separations alike.
    """
    if not (isinstance(ra_deg, float | int) and isinstance(dec_deg, float | int)):
        return None
    if not (math.isfinite(ra_deg) and math.isfinite(dec_deg)):
        return None
    delta = math.radians(other_ra_deg - ra_deg)
    first, second = math.radians(dec_deg), math.radians(other_dec_deg)
    sin_1, cos_1, sin_2, cos_2 = math.sin(first), math.cos(first), math.sin(second), math.cos(second)
    across = math.hypot(cos_2 * math.sin(delta), cos_1 * sin_2 - sin_1 * cos_2 * math.cos(delta))
    along = sin_1 * sin_2 + cos_1 * cos_2 * math.cos(delta)
    return math.degrees(math.atan2(across, along)) * ARCSEC_PER_DEGREE


def zone_of(dec_deg: float) -> int:
    """The zone that a declination lies in, as the canonical views compute it."""
    return int((dec_deg + 90.0) * ZONES_PER_DEGREE)


def windows(ra_deg: float, dec_deg: float, radius_deg: float) -> list[Window]:
    """Where an index must be looked at to find everything in a cone.

    Parameters
    ----------
    ra_deg, dec_deg
        Centre.
    radius_deg
        Radius.

    Returns
    -------
    list of Window
        They hold all of the cone and some of what lies around it. Right ascensions may be stored as 0 to 360 or as
        -180 to 180.
    """
    reach = radius_deg + _MARGIN_DEG
    south, north = max(dec_deg - reach, -90.0), min(dec_deg + reach, 90.0)
    spans = _spans(ra_deg, dec_deg, reach)
    return [Window(zone, *span) for zone in range(zone_of(south), zone_of(north) + 1) for span in spans]


def _spans(ra_deg: float, dec_deg: float, reach_deg: float) -> list[tuple[float, float]]:
    """Right ascensions of a cone."""
    if abs(dec_deg) + reach_deg >= 90.0:
        return [(-360.0, 720.0)]  # it holds a pole
    half = math.degrees(math.asin(math.sin(math.radians(reach_deg)) / math.cos(math.radians(dec_deg)))) + _MARGIN_DEG
    low, high = ra_deg % 360.0 - half, ra_deg % 360.0 + half
    return [(low + turn, high + turn) for turn in (-360.0, 0.0, 360.0) if high + turn >= -180.0 and low + turn <= 360.0]


def shows(
    ra_deg: float | None,
    dec_deg: float | None,
    width_arcsec: float | None,
    height_arcsec: float | None,
    other_ra_deg: float,
    other_dec_deg: float,
) -> bool:
    """Whether an image, north up, contains a position; not if where it points or how large it is is not known.

    Parameters
    ----------
    ra_deg, dec_deg
        Centre of the image.
    width_arcsec, height_arcsec
        Full size of the image.
    other_ra_deg, other_dec_deg
        The position.

    Notes
    -----
    Direction cosines (l, m) as in the SIN projection (Calabretta & Greisen 2002, A&A 395, 1077) in which radio images
    are made.
    """
    if ra_deg is None or dec_deg is None or not width_arcsec or not height_arcsec:
        return False
    try:
        delta = math.radians(other_ra_deg - ra_deg)
        centre, other = math.radians(dec_deg), math.radians(other_dec_deg)
        if math.sin(centre) * math.sin(other) + math.cos(centre) * math.cos(other) * math.cos(delta) <= 0:
            return False  # on the other side of the sky
    except (TypeError, ValueError):
        return False  # text in a column of numbers, or infinity
    east = math.cos(other) * math.sin(delta)
    north = math.sin(other) * math.cos(centre) - math.cos(other) * math.sin(centre) * math.cos(delta)
    half_width, half_height = (math.radians(size / ARCSEC_PER_DEGREE) / 2 for size in (width_arcsec, height_arcsec))
    return abs(east) <= half_width and abs(north) <= half_height


def angle_deg(text: str, *, hours: bool = False) -> float:
    """An angle written in decimal degrees or sexagesimally.

    Parameters
    ----------
    text
        ``83.63``, ``05:34:31.9``, ``5h34m31.9s``, ``+22d00m52s``, ``22 00 52``.
    hours
        Whether colons and blanks separate hours (right ascension) rather than degrees.

    Raises
    ------
    ValueError
        It is neither.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    found = _SEXAGESIMAL.fullmatch(text)
    if found is None:
        raise ValueError("neither decimal degrees nor sexagesimal (05:34:31.9 or 5h34m31.9s, +22:00:52 or +22d00m52s)")
    minutes, seconds = int(found["minutes"]), float(found["seconds"] or 0)
    if minutes >= 60 or seconds >= 60:
        raise ValueError("minutes and seconds are less than 60")
    value = int(found["whole"]) + minutes / 60 + seconds / 3600
    in_hours = found["mark"] == "h" or (hours and found["mark"] in ": ")
    return (-value if found["sign"] == "-" else value) * (15 if in_hours else 1)
