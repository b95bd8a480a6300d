"""FITS cut out of FITS: a square on the sky, with every axis, the coordinates and the beam of the whole."""

from __future__ import annotations

import math
from typing import IO, Any

from app.domain.errors import CutoutTooLarge, NoCoordinates, OutsideImage
from app.services.fits import RadioImage
from app.services.pictures.planes import Window

# What describes the file rather than the image, or is said anew.
_DROPPED = (
    "XTENSION", "EXTNAME", "EXTVER", "PCOUNT", "GCOUNT", "CHECKSUM", "DATASUM", "EXTEND", "INHERIT", "DATAMIN",
    "DATAMAX",
)  # fmt: skip
_SCALING = ("BSCALE", "BZERO", "BLANK")
_NEGLIGIBLE_PX = 1e-6
_ALTERNATIVES = ("", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def window_around(image: RadioImage, ra_deg: float, dec_deg: float, size_arcsec: float) -> Window:
    """Pixels of a square around a position, trimmed to the image.

    Parameters
    ----------
    image
        An open image.
    ra_deg, dec_deg
        Centre, ICRS [deg].
    size_arcsec
        Side of the square [arcsec], along the image's own axes.

    Raises
    ------
    NoCoordinates
        The image has no celestial coordinates.
    OutsideImage
        No pixel of the square lies in the image.
    """
    centre = _pixel_of(image, ra_deg, dec_deg)
    sides = [size_arcsec / 3600.0 / scale for scale in _pixel_scales_deg(image)]
    spans = [_span(at, side, length) for at, side, length in zip(centre, sides, (image.nx, image.ny), strict=True)]
    if any(span.stop <= span.start for span in spans):
        raise _outside(ra_deg, dec_deg)
    return Window(y=spans[1], x=spans[0])


def bound(image: RadioImage, window: Window, most_pixels: int) -> None:
    """Raise CutoutTooLarge where the window, times every other axis, holds more pixels than that."""
    ny, nx = window.shape
    pixels = nx * ny * math.prod(image.lengths) // (image.nx * image.ny)
    if pixels > most_pixels:
        raise CutoutTooLarge(
            f"The cut-out would hold {pixels:,} pixels; at most {most_pixels:,} are given",
            pixels=pixels,
            most=most_pixels,
        )


def write_cutout(image: RadioImage, window: Window, origin: str, file: IO[bytes]) -> None:
    """Write the window of an open image as FITS.

    The axes of the file stay, those of length one too; coordinates, beam and unit are those of the whole, and a table
    of beams comes along. Scaled integers become the numbers they stand for.

    Parameters
    ----------
    image
        An open image.
    window
        What to write.
    origin
        Name of the whole image's file, noted in HISTORY.
    """
    from astropy.io import fits

    data = image.block(window.y, window.x)
    hdu = fits.PrimaryHDU(data, header=_header(image, window, origin, scaled=data.dtype.kind == "f"))
    beams = image.table("BEAMS")
    hdus = [hdu] if beams is None else [hdu, beams.copy()]
    fits.HDUList(hdus).writeto(file, output_verify="silentfix+ignore")


def _header(image: RadioImage, window: Window, origin: str, *, scaled: bool) -> Any:
    header = image.header.copy()
    for name in _DROPPED + (_SCALING if scaled else ()):
        header.remove(name, ignore_missing=True, remove_all=True)
    for axis, span in ((image.lon, window.x), (image.lat, window.y)):
        for version in _ALTERNATIVES:
            name = f"{axis + 1}{version}"
            if any(f"{card}{name}" in header for card in ("CTYPE", "CRPIX", "CRVAL", "CDELT")):
                # Not given, the reference pixel is 0 (FITS standard 4.0, section 8.2).
                header[f"CRPIX{name}"] = (image.number(f"CRPIX{name}") or 0.0) - span.start
    beam = image.beam()
    if "BMAJ" not in header and beam is not None:
        header["BMAJ"] = (beam.major_arcsec / 3600.0, "[deg]")
        header["BMIN"] = (beam.minor_arcsec / 3600.0, "[deg]")
        header["BPA"] = (beam.pa_deg, "[deg]")
    left, bottom = window.x.start + 1, window.y.start + 1
    header.add_history(f"Cut out of {origin[:50]}")
    header.add_history(f"pixels {left}:{window.x.stop}, {bottom}:{window.y.stop} of {image.nx} x {image.ny}")
    return header


def _pixel_of(image: RadioImage, ra_deg: float, dec_deg: float) -> tuple[float, float]:
    from astropy.coordinates import SkyCoord

    if image.wcs is None:
        raise NoCoordinates("The image does not tell where on the sky it lies")
    try:
        x, y = image.wcs.world_to_pixel(SkyCoord(ra_deg, dec_deg, unit="deg"))
    except (ValueError, AttributeError, NotImplementedError) as error:
        raise NoCoordinates("The coordinates of the image cannot be computed") from error
    if not (math.isfinite(x) and math.isfinite(y)):
        raise _outside(ra_deg, dec_deg)  # on the far side of the sky
    return float(x), float(y)


def _outside(ra_deg: float, dec_deg: float) -> OutsideImage:
    message = f"RA {ra_deg:.6f}°, Dec {dec_deg:+.6f}° lies outside the image, with all of the square around it"
    return OutsideImage(message, ra_deg=ra_deg, dec_deg=dec_deg)


def _pixel_scales_deg(image: RadioImage) -> tuple[float, float]:
    from astropy.wcs.utils import proj_plane_pixel_scales

    width, height = proj_plane_pixel_scales(image.wcs)
    return float(width), float(height)


def _span(centre: float, side: float, length: int) -> slice:
    """Whole pixels, at least one, of a side around a centre (both in pixels), cut at the image's edges."""
    count = max(1, round(side))
    # A position on a pixel's very middle comes out a little off it, to either side.
    start = math.ceil(centre - count / 2 - _NEGLIGIBLE_PX)
    return slice(max(0, start), min(length, start + count))
