"""Painting the survey: point sources through an elliptical beam, in noise that the beam has smoothed as well."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.domain.time import iso_from_unix
from app.services.beams import Beam
from app.services.demo.survey import (
    BANDWIDTH_HZ,
    CELL_ARCSEC,
    FREQ_HZ,
    IMAGE_SIZE,
    OBSERVATION_S,
    Observation,
    Source,
    sources_of,
)

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Pixels = NDArray[numpy.float64]

FWHM_TO_SIGMA = 1.0 / math.sqrt(8.0 * math.log(2.0))
PRIMARY_BEAM_FWHM_DEG = 3.2
SIDELOBE = 0.08
STAMP_PX = 40
PROCESSING_S = 1800.0


@dataclass(frozen=True, kw_only=True)
class Painting:
    """One image to make.

    ``layers`` tells what the pixels hold: ``sources``, ``noise``, ``sidelobes`` (of an image never cleaned), ``psf``
    (the beam alone), ``pbcor`` (the primary beam divided out), ``blank`` (NaN outside two overlapping fields).
    """

    name: str
    observation: Observation
    layers: frozenset[str] = frozenset({"sources", "noise"})
    axes: int = 2
    shape: tuple[int, int] = (IMAGE_SIZE, IMAGE_SIZE)
    unit: str = "Jy/beam"
    quiet: float = 1.0
    beam_in_history: bool = False
    extra: tuple[Source, ...] = field(default=())


def beam_of(observation: Observation) -> Beam:
    """The restoring beam of an observation; it turns a little from day to day as flagging changes the baselines."""
    stretch = 1.0 + 0.02 * math.sin(observation.epoch + observation.field.ra_deg)
    angle_deg = (30.0 + observation.field.ra_deg / 4.0 + 1.5 * observation.epoch) % 180.0
    return Beam(round(14.2 * stretch, 3), round(11.6 / stretch, 3), round(angle_deg, 2))


def noise_jy(painting: Painting) -> float:
    """Noise put into an image [Jy/beam]: half a milli-jansky, up to a third more on some days."""
    worse = zlib.crc32(painting.observation.name.encode()) % 1000 / 3000.0
    return 0.0005 * (1.0 + worse) * painting.quiet


def paint(painting: Painting, directory: Path) -> Path:
    """Write one image; gives its path."""
    import numpy as np
    from astropy.io import fits
    from astropy.wcs import WCS

    header = _header(painting)
    pixels = _pixels(painting, WCS(header, fix=False))
    scale = {"Jy/beam": 1.0, "mJy/beam": 1e3}[painting.unit]
    data = (pixels * scale).astype(np.float32).reshape((1,) * (painting.axes - 2) + painting.shape)
    hdu = fits.PrimaryHDU(data)
    hdu.header.extend(_full_header(header, painting), update=True)
    path = directory / painting.name
    hdu.writeto(path, overwrite=True)
    return path


def gaussian(dx: Any, dy: Any, beam: Beam, cell_arcsec: float = CELL_ARCSEC) -> Pixels:
    """The beam, 1 at its centre, at offsets in pixels (x grows to the west, y to the north)."""
    import numpy as np

    angle = math.radians(beam.pa_deg)
    along = dy * math.cos(angle) - dx * math.sin(angle)
    across = dy * math.sin(angle) + dx * math.cos(angle)
    major, minor = (axis * FWHM_TO_SIGMA / cell_arcsec for axis in (beam.major_arcsec, beam.minor_arcsec))
    value: Pixels = np.exp(-0.5 * ((along / major) ** 2 + (across / minor) ** 2))
    return value


def _pixels(painting: Painting, wcs: Any) -> Pixels:
    import numpy as np

    beam, layers = beam_of(painting.observation), painting.layers
    pixels = np.zeros(painting.shape)
    if "psf" in layers:
        ny, nx = painting.shape
        dx, dy = _offsets(painting.shape, nx // 2, ny // 2)
        return _response(dx, dy, beam, sidelobes=True)
    if "sources" in layers:
        sources = (*sources_of(painting.observation.field), *painting.extra)
        _add_sources(pixels, sources, painting, wcs.sub([1, 2]))
    if "noise" in layers:
        pixels += _smooth_noise(painting, beam)
    if "pbcor" in layers:
        pixels /= _primary_beam(painting.shape)
    if "blank" in layers:
        pixels[_outside_two_fields(painting.shape)] = np.nan
    return pixels


def _add_sources(pixels: Pixels, sources: Iterable[Source], painting: Painting, wcs: Any) -> None:
    beam, epoch = beam_of(painting.observation), painting.observation.epoch
    ny, nx = painting.shape
    sidelobes = "sidelobes" in painting.layers
    reach = max(nx, ny) if sidelobes else STAMP_PX
    for source in sources:
        x, y = sky_to_pixel(wcs, source.ra_deg, source.dec_deg, painting.observation.field.frame)
        left, right = max(0, int(x) - reach), min(nx, int(x) + reach)
        low, high = max(0, int(y) - reach), min(ny, int(y) + reach)
        if left < right and low < high:
            dx, dy = _offsets((high - low, right - left), x - left, y - low)
            pixels[low:high, left:right] += source.flux_jy(epoch) * _response(dx, dy, beam, sidelobes=sidelobes)


def sky_to_pixel(wcs: Any, ra_deg: float, dec_deg: float, frame: str = "ICRS") -> tuple[float, float]:
    """Pixel, counted from 0, of an ICRS position in an image of the given frame."""
    if frame != "ICRS":
        from astropy.coordinates import SkyCoord

        sky = SkyCoord(ra_deg, dec_deg, unit="deg", frame="icrs").transform_to(frame.lower())
        ra_deg, dec_deg = sky.ra.deg, sky.dec.deg
    x, y = wcs.wcs_world2pix(ra_deg, dec_deg, 0)
    return float(x), float(y)


def _offsets(shape: tuple[int, int], x: float, y: float) -> tuple[Any, Any]:
    import numpy as np

    rows, columns = np.indices(shape)
    return columns - x, rows - y


def _response(dx: Any, dy: Any, beam: Beam, *, sidelobes: bool) -> Pixels:
    """What a point source of 1 Jy looks like: the beam, and rings around it where nothing was cleaned."""
    import numpy as np

    response = gaussian(dx, dy, beam)
    if sidelobes:
        widths = np.hypot(dx, dy) * CELL_ARCSEC / beam.major_arcsec
        response += SIDELOBE * (1.0 - response) * np.cos(2.0 * np.pi * widths / 2.4) * np.exp(-widths / 5.0)
    return response


def _smooth_noise(painting: Painting, beam: Beam) -> Pixels:
    """Noise with the beam's correlation, as synthesis images have it."""
    import numpy as np

    ny, nx = painting.shape
    white = np.random.default_rng(zlib.crc32(painting.name.encode())).standard_normal(painting.shape)
    kernel = np.fft.ifftshift(gaussian(*_offsets(painting.shape, nx // 2, ny // 2), beam))
    smooth = np.fft.irfft2(np.fft.rfft2(white) * np.fft.rfft2(kernel), s=painting.shape)
    noise: Pixels = smooth * (noise_jy(painting) / smooth.std())
    return noise


def _primary_beam(shape: tuple[int, int]) -> Pixels:
    import numpy as np

    ny, nx = shape
    dx, dy = _offsets(shape, nx // 2, ny // 2)
    sigma_px = PRIMARY_BEAM_FWHM_DEG * 3600.0 * FWHM_TO_SIGMA / CELL_ARCSEC
    response: Pixels = np.exp(-0.5 * (np.hypot(dx, dy) / sigma_px) ** 2)
    return response


def _outside_two_fields(shape: tuple[int, int]) -> Any:
    import numpy as np

    ny, nx = shape
    radius = 0.49 * ny
    distances = [np.hypot(*_offsets(shape, centre, ny / 2)) for centre in (radius, nx - radius)]
    return np.minimum(*distances) > radius


def _header(painting: Painting) -> Any:
    """The world coordinates."""
    from astropy.io import fits

    ny, nx = painting.shape
    target = painting.observation.field
    axes = [
        ("RA---SIN", target.ra_deg, nx // 2 + 1, -CELL_ARCSEC / 3600.0, "deg"),
        ("DEC--SIN", target.dec_deg, ny // 2 + 1, CELL_ARCSEC / 3600.0, "deg"),
        ("FREQ", FREQ_HZ, 1, BANDWIDTH_HZ, "Hz"),
        ("STOKES", 1.0, 1, 1.0, ""),
    ]
    header = fits.Header()
    for number, (kind, value, pixel, step, unit) in enumerate(axes[: painting.axes], start=1):
        header[f"CTYPE{number}"] = kind
        header[f"CRVAL{number}"] = value
        header[f"CRPIX{number}"] = float(pixel)
        header[f"CDELT{number}"] = step
        header[f"CUNIT{number}"] = unit
    header["RADESYS"] = target.frame
    if target.frame != "ICRS":
        header["EQUINOX"] = 2000.0
    return header


def _full_header(header: Any, painting: Painting) -> Any:
    """The world coordinates and everything else an imager writes."""
    observation, beam = painting.observation, beam_of(painting.observation)
    full = header.copy()
    full["BUNIT"] = painting.unit
    major_deg, minor_deg = beam.major_arcsec / 3600.0, beam.minor_arcsec / 3600.0
    if painting.beam_in_history:
        full["HISTORY"] = f"AIPS   CLEAN BMAJ= {major_deg:.8E} BMIN= {minor_deg:.8E} BPA= {beam.pa_deg:.2f}"
    else:
        full["BMAJ"], full["BMIN"], full["BPA"] = major_deg, minor_deg, beam.pa_deg
    if painting.axes == 2:
        full["RESTFRQ"] = FREQ_HZ
    full["OBJECT"] = observation.field.name
    full["TELESCOP"] = "DSA-110"
    full["TIMESYS"] = "UTC"
    full["DATE-OBS"] = observation.name
    full["DATE"] = (iso_from_unix(observation.start_s + PROCESSING_S) or "").removesuffix("Z")
    full["EXPTIME"] = OBSERVATION_S
    full["MSNAME"] = observation.ms_name
    full["ORIGIN"] = "synthetic survey"
    return full
