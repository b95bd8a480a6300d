"""Measuring a radio image: noise, peak and dynamic range, and the facts of its header."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, Any, NamedTuple

from app.domain.errors import FitsUnreadable
from app.services.fits import RadioImage

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Pixels = NDArray[numpy.floating[Any]]

NOISE_SAMPLE = 2_000_000
CLIP_SIGMA = 4.0
CLIP_ROUNDS = 20
# Of white noise, the standard deviation over the median absolute deviation: 1 / Φ⁻¹(3/4).
MAD_TO_SIGMA = 1.4826022185056018

_DURATION_KEYWORDS = ("EXPTIME", "EXPOSURE", "INTTIME", "TELAPSE", "DURATION")


class Measurement(NamedTuple):
    """An image's facts under the names of the columns that hold them; ``None`` where the file does not tell.

    Beam axes and cell in arcsec, angles in degrees (ICRS), ``noise_jy`` in Jy/beam, the integration in seconds.
    """

    beam_major_arcsec: float | None
    beam_minor_arcsec: float | None
    beam_pa_deg: float | None
    noise_jy: float | None
    dynamic_range: float | None
    field_name: str | None
    center_ra_deg: float | None
    center_dec_deg: float | None
    imsize_x: int
    imsize_y: int
    cellsize_arcsec: float | None
    freq_ghz: float | None
    bandwidth_mhz: float | None
    integration_sec: float | None


class Statistics(NamedTuple):
    """Robust noise and highest pixel of a plane, in its own unit."""

    noise: float
    peak: float


def measure(image: RadioImage) -> tuple[Measurement, list[str]]:
    """Measure an open image; gives the facts, and what a person should know about those that are missing.

    Raises
    ------
    FitsUnreadable
        No pixel holds a value, or the file is broken.
    """
    statistics = pixel_statistics(image)
    scale = image.jy_per_unit()
    beam, band, centre = image.beam(), image.band(), image.centre_deg()
    durations = (image.number(keyword) for keyword in _DURATION_KEYWORDS)
    measurement = Measurement(
        beam_major_arcsec=beam.major_arcsec if beam else None,
        beam_minor_arcsec=beam.minor_arcsec if beam else None,
        beam_pa_deg=beam.pa_deg if beam else None,
        noise_jy=None if scale is None else statistics.noise * scale,
        dynamic_range=statistics.peak / statistics.noise if statistics.noise > 0 else None,
        field_name=image.text("OBJECT"),
        center_ra_deg=centre[0] if centre else None,
        center_dec_deg=centre[1] if centre else None,
        imsize_x=image.nx,
        imsize_y=image.ny,
        cellsize_arcsec=image.cellsize_arcsec(),
        freq_ghz=band.freq_ghz,
        bandwidth_mhz=band.bandwidth_mhz,
        integration_sec=next((seconds for seconds in durations if seconds is not None and seconds > 0), None),
    )
    return measurement, _remarks(image, measurement)


def pixel_statistics(image: RadioImage) -> Statistics:
    """Noise and peak of an image's plane, in one pass and bounded memory.

    The peak is that of every finite pixel. The noise is estimated from at most some two million of them, taken at a
    fixed stride (the same pixels every time), by :func:`robust_sigma`. Exact zeros are blanks where anything else is
    there: mosaics and masked images are padded with them.

    Raises
    ------
    FitsUnreadable
        No pixel is finite.
    """
    import numpy as np

    stride = _stride(image.nx, image.ny)
    peak, samples, offset = -np.inf, [], 0
    for band in image.bands():
        finite = band[np.isfinite(band)]
        if finite.size:
            peak = max(peak, float(finite.max()))
        flat = band.ravel()
        samples.append(flat[(-offset) % stride :: stride].astype(np.float64))
        offset += flat.size
    if peak == -np.inf:
        raise FitsUnreadable("No pixel of the image holds a value: all are blank (NaN)")
    values = np.concatenate(samples)
    values = values[np.isfinite(values)]
    return Statistics(robust_sigma(values[values != 0.0]), peak)


def robust_sigma(values: Pixels) -> float:
    """Standard deviation of the noise under sources: the scaled median absolute deviation, clipped until it settles.

    Parameters
    ----------
    values
        Finite pixel values, any shape.

    Returns
    -------
    float
        1.4826 · median(|x − median(x)|) of the values within 4 σ of their median; 0 for none or all alike.
    """
    import numpy as np

    sigma = 0.0
    for _ in range(CLIP_ROUNDS):
        if values.size == 0:
            break
        deviation = np.abs(values - np.median(values))
        sigma = MAD_TO_SIGMA * float(np.median(deviation))
        kept = values[deviation <= CLIP_SIGMA * sigma]
        if sigma == 0.0 or kept.size == values.size:
            break
        values = kept
    return sigma


def _stride(nx: int, ny: int) -> int:
    """Step between sampled pixels; it shares no factor with the row length, lest it sample a few columns only."""
    stride = max(1, -(-nx * ny // NOISE_SAMPLE))
    while gcd(stride, nx) > 1:
        stride += 1
    return stride


def _remarks(image: RadioImage, measurement: Measurement) -> list[str]:
    remarks = []
    if measurement.noise_jy is None:
        remarks.append(f"its unit is {image.text('BUNIT')}, not Jy/beam: no noise")
    if measurement.beam_major_arcsec is None:
        remarks.append("no beam in its header, BEAMS table or HISTORY")
    if measurement.center_ra_deg is None:
        remarks.append("no usable celestial coordinates")
    return remarks
