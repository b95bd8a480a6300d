"""Photometry: one row per measurement of a source in an image."""

from __future__ import annotations

from typing import NamedTuple

# A double near MJD 60000 resolves 0.6 µs, so two ways to compute the same time may differ by that much.
MJD_RESOLUTION_D = 1e-11


class Measurement(NamedTuple):
    """A measurement of a source.

    Position in ICRS degrees, ``mjd`` of the observation, ``flux_jy`` and its error in Jy where integrated and in
    Jy/beam where only the peak was measured. A flux, an error or a time that is not known or not finite is ``None``.
    ``measured_at`` is when the measurement was made, in Unix seconds.
    """

    id: int
    image_path: str
    ra_deg: float
    dec_deg: float
    mjd: float | None
    flux_jy: float | None
    flux_err_jy: float | None
    snr: float | None
    measured_at: float | None


class LightCurve(NamedTuple):
    """Measurements of a source in the order of their observation."""

    source_id: str
    data_points: list[Measurement]
