"""The restoring beam of a radio image, wherever the imager wrote it."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

DEG_TO_ARCSEC = 3600.0

_VALUE = r"\s*=\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?)"
_CLEAN_NOTE = re.compile(rf"BMAJ{_VALUE}\s+BMIN{_VALUE}\s+BPA{_VALUE}", re.IGNORECASE)


class Beam(NamedTuple):
    """Restoring beam: full widths at half maximum [arcsec] and position angle from north through east [deg]."""

    major_arcsec: float
    minor_arcsec: float
    pa_deg: float


def beam_of(header: Any, hdus: Any) -> Beam | None:
    """The beam by ``BMAJ BMIN BPA``, else by a ``BEAMS`` table, else by the last ``CLEAN`` note in HISTORY.

    Parameters
    ----------
    header
        Header of the image, an astropy one.
    hdus
        Every HDU of the file: CASA writes the beams of a cube, a row for each plane, into a table of their own.
    """
    by_header = beam_from_degrees(number(header, "BMAJ"), number(header, "BMIN"), number(header, "BPA"))
    return by_header or _from_table(hdus) or _from_history(header)


def beam_from_degrees(major_deg: float | None, minor_deg: float | None, pa_deg: float | None) -> Beam | None:
    """A beam from degrees; ``None`` unless both axes are positive numbers. A missing angle is 0."""
    if major_deg is None or minor_deg is None or not (0 < major_deg < math.inf and 0 < minor_deg < math.inf):
        return None
    angle_deg = pa_deg if pa_deg is not None and math.isfinite(pa_deg) else 0.0
    return Beam(round(major_deg * DEG_TO_ARCSEC, 9), round(minor_deg * DEG_TO_ARCSEC, 9), angle_deg)


def number(header: Any, keyword: str) -> float | None:
    """A header card as a finite number, ``None`` where it is absent or something else."""
    try:
        value = float(header[keyword])
    except (KeyError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _from_table(hdus: Any) -> Beam | None:
    """The first usable row: the beams of one image's planes differ little."""
    from astropy.units import Unit

    try:
        table = hdus["BEAMS"]
        to_deg = [float(Unit(table.columns[name].unit or "deg").to("deg")) for name in ("BMAJ", "BMIN", "BPA")]
        rows = zip(*(table.data[name].tolist() for name in ("BMAJ", "BMIN", "BPA")), strict=True)
        beams = [beam_from_degrees(*(value * scale for value, scale in zip(row, to_deg, strict=True))) for row in rows]
    except (KeyError, ValueError, TypeError, AttributeError, OSError):
        return None
    return next((beam for beam in beams if beam is not None), None)


def _from_history(header: Any) -> Beam | None:
    """AIPS and its heirs note the beam as ``AIPS   CLEAN BMAJ=  3.4E-03 BMIN=  2.8E-03 BPA=  12.5``, in degrees."""
    notes = _CLEAN_NOTE.findall("\n".join(map(str, header.get("HISTORY", []))))
    if not notes:
        return None
    major_deg, minor_deg, pa_deg = (float(value.upper().replace("D", "E")) for value in notes[-1])
    return beam_from_degrees(major_deg, minor_deg, pa_deg)
