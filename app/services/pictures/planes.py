"""The celestial plane of an image, read no finer than a picture needs and turned so that north is up and east left."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from app.db import deadline
from app.domain.errors import ImageBlank, Overloaded
from app.services.fits import BAND_PIXELS, RadioImage

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Pixels = NDArray[numpy.floating[Any]]

# Frames in which right ascension and declination may label the axes as they stand.
_EQUATORIAL = {"ICRS", "FK5", ""}
_ALIGNED_COS = math.cos(math.radians(2.0))
_SQUARE_WITHIN = 0.01
# Coordinates are computed every so many pixels and interpolated between.
_STEP_PX = 16


class Window(NamedTuple):
    """A rectangle of pixels, rows first."""

    y: slice
    x: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y.stop - self.y.start, self.x.stop - self.x.start


class Plane(NamedTuple):
    """Pixels of shape (ny, nx), the southernmost row first, NaN where there is no value; and where they lie.

    ``wcs`` is an astropy WCS of two axes, longitude first; ``None`` where the file does not tell.
    """

    pixels: Pixels
    wcs: Any | None

    @property
    def cell_arcsec(self) -> float | None:
        """Size of a pixel along declination [arcsec]."""
        if self.wcs is None:
            return None
        from astropy.wcs.utils import proj_plane_pixel_scales

        return float(proj_plane_pixel_scales(self.wcs)[1]) * 3600.0


def read_plane(image: RadioImage, longest_px: int, window: Window | None = None) -> Plane:
    """Read an image, or a window of it, averaged over blocks of n × n pixels.

    Parameters
    ----------
    image
        An open image.
    longest_px
        The longer side of the result has at least this many pixels, where the image has, and fewer than twice as many.
    window
        What to read; the whole plane unless given.

    Raises
    ------
    ImageBlank
        Every pixel is NaN.
    Overloaded
        The request's time was over before the end of the image.
    """
    import numpy as np

    window = window or Window(slice(0, image.ny), slice(0, image.nx))
    factor = max(1, max(window.shape) // longest_px)
    pixels = np.concatenate([_averaged(band, factor) for band in _bands(image, window, factor)])
    if not np.isfinite(pixels).any():
        raise ImageBlank("The image holds no value here: every pixel is blank")
    return Plane(pixels, None if image.wcs is None else coarser(image.wcs, window, factor))


def coarser(wcs: Any, window: Window, factor: int) -> Any:
    """Coordinates of a window whose pixels are blocks of ``factor`` × ``factor`` of the original."""
    coarse = wcs.deepcopy()
    origin = (window.x.start, window.y.start)
    # The centre of a block's first pixel is half a block from its edge (FITS counts from 1, at pixel centres).
    coarse.wcs.crpix = [(at - start - 0.5) / factor + 0.5 for at, start in zip(wcs.wcs.crpix, origin, strict=True)]
    if wcs.wcs.has_cd():
        coarse.wcs.cd = wcs.wcs.cd * factor
    else:
        coarse.wcs.cdelt = wcs.wcs.cdelt * factor
    return coarse


def north_up(plane: Plane) -> Plane:
    """The plane with north up, east left, in equatorial coordinates; as it is where it already lies so."""
    if plane.wcs is None or _lies_well(plane):
        return plane
    target = _upright(plane)
    return plane if target is None else resampled(plane, *target)


def resampled(plane: Plane, wcs: Any, shape: tuple[int, int]) -> Plane:
    """The plane on another grid of pixels, by nearest neighbour; NaN outside."""
    import numpy as np

    ny, nx = shape
    ys, xs = np.arange(0, ny + _STEP_PX, _STEP_PX), np.arange(0, nx + _STEP_PX, _STEP_PX)
    grid_x, grid_y = np.meshgrid(xs.astype(float), ys.astype(float))
    found = plane.wcs.world_to_pixel(wcs.pixel_to_world(grid_x, grid_y))  # type: ignore[union-attr]
    column, row = (_interpolated(part, ys, xs, shape) for part in found)
    inside = (column > -0.5) & (row > -0.5) & (column < plane.pixels.shape[1] - 0.5)
    inside &= row < plane.pixels.shape[0] - 0.5
    pixels = np.full(shape, np.nan, dtype=plane.pixels.dtype)
    pixels[inside] = plane.pixels[np.rint(row[inside]).astype(int), np.rint(column[inside]).astype(int)]
    return Plane(pixels, wcs)


def _bands(image: RadioImage, window: Window, factor: int) -> Iterator[Pixels]:
    rows = max(1, BAND_PIXELS // (window.shape[1] * factor)) * factor
    for start in range(window.y.start, window.y.stop, rows):
        if deadline.passed():
            raise Overloaded("Reading the image took longer than a request may")
        yield image.window(slice(start, min(start + rows, window.y.stop)), window.x)


def _averaged(band: Pixels, factor: int) -> Pixels:
    """Mean of the finite pixels of each block; blocks at the far edges may be smaller."""
    import numpy as np

    if factor == 1:
        return np.where(np.isfinite(band), band, np.nan).astype(np.float32)
    ny, nx = (-(-length // factor) for length in band.shape)
    padding = [(0, blocks * factor - length) for blocks, length in zip((ny, nx), band.shape, strict=True)]
    blocks = np.pad(band, padding, constant_values=np.nan).reshape(ny, factor, nx, factor)
    finite = np.isfinite(blocks)
    count = finite.sum(axis=(1, 3))
    total = np.where(finite, blocks, 0.0).sum(axis=(1, 3), dtype=np.float64)
    mean: Pixels = np.divide(total, count, out=np.full((ny, nx), np.nan), where=count > 0).astype(np.float32)
    return mean


def _lies_well(plane: Plane) -> bool:
    """Whether the axes are right ascension and declination, growing to the left and up, on square pixels."""
    from astropy.wcs.utils import proj_plane_pixel_scales

    wcs: Any = plane.wcs
    if wcs.wcs.lngtyp.strip() != "RA" or wcs.wcs.radesys.strip() not in _EQUATORIAL:
        return False
    width, height = proj_plane_pixel_scales(wcs)
    if abs(width / height - 1.0) > _SQUARE_WITHIN:
        return False
    directions = _directions(plane)
    if directions is None:
        return True
    (east_x, _), (_, north_y) = directions
    return -east_x > _ALIGNED_COS and north_y > _ALIGNED_COS


def _directions(plane: Plane) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Unit vectors in pixels (x, y) towards east and north at the centre; ``None`` where that is not on the sky."""
    from astropy import units

    ny, nx = plane.pixels.shape
    cell = (plane.cell_arcsec or 1.0) * units.arcsec
    vectors = []
    try:
        centre = plane.wcs.pixel_to_world(nx / 2, ny / 2).icrs  # type: ignore[union-attr]
        for angle_deg in (90.0, 0.0):
            there = centre.directional_offset_by(angle_deg * units.deg, cell)
            x, y = (float(at) for at in plane.wcs.world_to_pixel(there))  # type: ignore[union-attr]
            length = math.hypot(x - nx / 2, y - ny / 2)
            vectors.append(((x - nx / 2) / length, (y - ny / 2) / length))
    except (ValueError, AttributeError, ZeroDivisionError):
        return None
    return (vectors[0], vectors[1]) if math.isfinite(sum(map(sum, vectors))) else None


def _upright(plane: Plane) -> tuple[Any, tuple[int, int]] | None:
    """A grid with north up around the same centre, large enough for the plane; ``None`` off the sky."""
    import numpy as np
    from astropy.wcs import WCS

    ny, nx = plane.pixels.shape
    try:
        centre = plane.wcs.pixel_to_world(nx / 2 - 0.5, ny / 2 - 0.5).icrs  # type: ignore[union-attr]
    except (ValueError, AttributeError):
        return None
    cell_deg = (plane.cell_arcsec or 0.0) / 3600.0
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [centre.ra.deg, centre.dec.deg]
    wcs.wcs.crpix = [1.0, 1.0]  # positions below run from the centre
    wcs.wcs.cdelt = [-cell_deg, cell_deg]
    wcs.wcs.radesys = "ICRS"
    xs, ys = np.linspace(-0.5, nx - 0.5, 33), np.linspace(-0.5, ny - 0.5, 33)
    edge_x = np.concatenate([xs, xs, np.full(33, xs[0]), np.full(33, xs[-1])])
    edge_y = np.concatenate([np.full(33, ys[0]), np.full(33, ys[-1]), ys, ys])
    x, y = wcs.world_to_pixel(plane.wcs.pixel_to_world(edge_x, edge_y))  # type: ignore[union-attr]
    if not (np.isfinite(x).any() and np.isfinite(y).any()):
        return None
    # At most as large as the plane turned by 45 degrees: a projection that runs off to infinity is cut there.
    reach = math.hypot(nx, ny) / 2.0
    left, right, bottom, top = (
        float(np.clip(bound, -reach, reach)) for bound in (np.nanmin(x), np.nanmax(x), np.nanmin(y), np.nanmax(y))
    )
    wcs.wcs.crpix = [0.5 - left, 0.5 - bottom]
    return wcs, (max(1, round(top - bottom)), max(1, round(right - left)))


def _interpolated(values: Any, ys: Any, xs: Any, shape: tuple[int, int]) -> Any:
    """Values at every pixel from values at every ``_STEP_PX``-th, linear in both directions."""
    import numpy as np

    ny, nx = shape
    along_x = np.stack([np.interp(np.arange(nx), xs, row) for row in values])
    at = np.arange(ny) / _STEP_PX
    low = at.astype(int)
    part = (at - low)[:, None]
    return along_x[low] * (1.0 - part) + along_x[low + 1] * part
