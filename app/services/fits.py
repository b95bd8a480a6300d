"""Radio images in FITS, opened with care: the celestial plane, its coordinates, the beam and the frequency.

A radio image has two celestial axes and often a frequency and a Stokes axis of length one, in any order; blanked
pixels are NaN; images can be larger than memory. So pixels are read in bands of rows of one plane (Stokes I, the first
channel that holds any value), and nothing here loads a file whole unless it is asked to.

astropy and numpy are imported inside the functions: they cost a third of a second and 60 MB, and a worker that serves
only rows never needs them.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from app.domain.errors import FileNotAccessible, FitsUnreadable
from app.services.beams import DEG_TO_ARCSEC, Beam, beam_of, number
from app.services.gzipped import LazyGzip, is_gzipped

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Pixels = NDArray[numpy.floating[Any]]

BAND_PIXELS = 4_000_000

# What reading a broken file has been seen to raise, inside astropy and below it.
_BROKEN = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, zlib.error, gzip.BadGzipFile)

# Decimals of degrees and arcsec: far below any error of measurement, above what the projection's arithmetic adds.
_DIGITS = 10

_JY_PER_UNIT = {"jy": 1.0, "mjy": 1e-3, "ujy": 1e-6}


class Band(NamedTuple):
    """Centre frequency [GHz] and bandwidth [MHz]; what the header does not tell is ``None``."""

    freq_ghz: float | None
    bandwidth_mhz: float | None


class RadioImage:
    """An open FITS image, seen as one celestial plane of shape (``ny``, ``nx``): latitude, then longitude.

    Parameters
    ----------
    hdus
        Every HDU of the file, for tables that belong to the image.
    hdu
        The one that holds the pixels.
    """

    def __init__(self, hdus: Any, hdu: Any) -> None:
        self._hdus = hdus
        self._hdu = hdu
        self.header: Any = hdu.header
        lengths = tuple(reversed(hdu.shape))
        # Axes of the file, counted from 0.
        self.lon, self.lat = self._celestial_axes(len(lengths))
        self.nx: int = lengths[self.lon]
        self.ny: int = lengths[self.lat]
        self.lengths: tuple[int, ...] = lengths
        # Rows are read whole; a header may claim any length.
        if self.nx > BAND_PIXELS:
            raise FitsUnreadable(f"A row of {self.nx} pixels is longer than can be read")

    @cached_property
    def wcs(self) -> Any | None:
        """Celestial coordinates of the plane (an astropy WCS of two axes, longitude first), ``None`` without them."""
        wcs = self._full_wcs
        if wcs is None or wcs.wcs.lng < 0 or wcs.wcs.lat < 0:
            return None
        return wcs.sub([wcs.wcs.lng + 1, wcs.wcs.lat + 1])

    def centre_deg(self) -> tuple[float, float] | None:
        """ICRS right ascension and declination [deg] of the centre pixel, ``None`` without celestial coordinates.

        The centre is pixel (``nx // 2``, ``ny // 2``), counted from 0, where imagers put the phase centre.
        """
        return None if self.wcs is None else self.position_deg(self.nx // 2, self.ny // 2)

    def position_deg(self, x: float, y: float) -> tuple[float, float] | None:
        """ICRS right ascension and declination [deg] of a pixel counted from 0; ``None`` off the projected sky."""
        try:
            sky = self.wcs.pixel_to_world(x, y).icrs  # type: ignore[union-attr]
        except (*_BROKEN, NotImplementedError):
            return None
        ra_deg, dec_deg = round(float(sky.ra.deg), _DIGITS) % 360.0, round(float(sky.dec.deg), _DIGITS)
        return (ra_deg, dec_deg) if math.isfinite(ra_deg) and math.isfinite(dec_deg) else None

    def cellsize_arcsec(self) -> float | None:
        """Size of a pixel along latitude [arcsec]."""
        if self.wcs is None:
            return None
        from astropy.wcs.utils import proj_plane_pixel_scales

        return round(float(proj_plane_pixel_scales(self.wcs)[1]) * DEG_TO_ARCSEC, _DIGITS)

    def beam(self) -> Beam | None:
        """Restoring beam of the image, ``None`` where the file does not tell it."""
        return beam_of(self.header, self._hdus)

    def band(self) -> Band:
        """Centre frequency and bandwidth: the spectral axis, else ``RESTFRQ``, ``FREQ`` and such, all in Hz."""
        axis = self._spectral_axis()
        if axis is not None:
            return axis
        for keyword in ("RESTFRQ", "RESTFREQ", "FREQ", "OBSFREQ"):
            freq_hz = self.number(keyword)
            if freq_hz is not None and freq_hz > 0:
                return Band(freq_hz / 1e9, None)
        return Band(None, None)

    def jy_per_unit(self) -> float | None:
        """Factor from pixel values to Jy/beam by ``BUNIT``; 1 where that is absent, ``None`` for any other unit."""
        unit = re.sub(r"[\s.*]+", "", str(self.header.get("BUNIT", "") or "Jy/beam")).lower()
        flux, _, per = unit.replace("beam-1", "/beam").partition("/")
        return _JY_PER_UNIT.get(flux) if per in {"beam", "bm"} else None

    def number(self, keyword: str) -> float | None:
        """A header card as a finite number, ``None`` where it is absent or something else."""
        return number(self.header, keyword)

    def text(self, keyword: str) -> str | None:
        """A header card as text, ``None`` where it is absent or empty."""
        value = str(self.header.get(keyword, "") or "").strip()
        return value or None

    def rows(self, start: int, stop: int) -> Pixels:
        """Rows ``start`` to ``stop`` of the plane, shape (rows, ``nx``), float32 or float64, blanks as NaN.

        Raises
        ------
        FitsUnreadable
            The file ends before these pixels.
        """
        return self._read(self._plane, slice(start, stop), slice(0, self.nx))

    def window(self, y: slice, x: slice) -> Pixels:
        """A rectangle of the plane as :meth:`rows` gives it; no more of the file is read than its rows hold."""
        return self._read(self._plane, y, x)

    def block(self, y: slice, x: slice) -> Any:
        """A rectangle of every plane, with all axes of the file (in numpy's order) and its own type of number.

        Raises
        ------
        FitsUnreadable
            The file ends before these pixels.
        """
        index = [slice(0, length) for length in self.lengths]
        index[self.lon], index[self.lat] = x, y
        return self._section(index)

    def table(self, name: str) -> Any | None:
        """A table HDU of that name in the same file, ``None`` without one."""
        from astropy.io import fits

        return next((hdu for hdu in self._hdus if hdu.name == name and isinstance(hdu, fits.BinTableHDU)), None)

    def bands(self) -> Iterator[Pixels]:
        """The plane from bottom to top in bands of whole rows, each of at most some four million pixels."""
        yield from self._bands_of(self._plane)

    @cached_property
    def _plane(self) -> dict[int, int]:
        """Index on every axis that is not celestial."""
        other = [axis for axis in range(len(self.lengths)) if axis not in (self.lon, self.lat)]
        plane = {axis: self._stokes_i(axis) for axis in other}
        channels = [axis for axis in other if self._kind(axis) != "STOKES" and self.lengths[axis] > 1]
        if not channels:
            return plane
        import numpy as np

        for channel in range(self.lengths[channels[0]]):
            candidate = {**plane, channels[0]: channel}
            if any(np.isfinite(band).any() for band in self._bands_of(candidate)):
                return candidate
        return plane

    def _bands_of(self, plane: dict[int, int]) -> Iterator[Pixels]:
        step = max(1, BAND_PIXELS // self.nx)
        for start in range(0, self.ny, step):
            yield self._read(plane, slice(start, min(start + step, self.ny)), slice(0, self.nx))

    def _read(self, plane: dict[int, int], y: slice, x: slice) -> Pixels:
        import numpy as np

        index = [slice(at, at + 1) for at in (plane.get(axis, 0) for axis in range(len(self.lengths)))]
        index[self.lon], index[self.lat] = x, y
        width, height = x.stop - x.start, y.stop - y.start
        block = self._section(index)
        block = block.reshape(width, height).T if self.lat < self.lon else block.reshape(height, width)
        pixels: Pixels = block.astype(np.result_type(block.dtype.newbyteorder("="), np.float32), copy=False)
        return pixels

    def _section(self, index: list[slice]) -> Any:
        """The pixels of a box, in numpy's order of axes; only what lies in it is read."""
        import numpy as np

        # astropy keeps some axes of length one and drops others, so the shape is given here.
        shape = [part.stop - part.start for part in reversed(index)]
        try:
            return np.asarray(self._hdu.section[tuple(reversed(index))]).reshape(shape)
        except _BROKEN as error:
            raise FitsUnreadable("The file is truncated or damaged: its pixels cannot be read") from error

    def _celestial_axes(self, naxis: int) -> tuple[int, int]:
        found = {
            kind: axis for axis in range(naxis) for kind in ("lon", "lat") if _is_celestial(self._kind(axis), kind)
        }
        return (found["lon"], found["lat"]) if len(found) == 2 else (0, 1)

    def _kind(self, axis: int) -> str:
        return str(self.header.get(f"CTYPE{axis + 1}", "")).strip().upper()

    def _stokes_i(self, axis: int) -> int:
        """Index of Stokes I (coordinate 1) on a Stokes axis; 0 on any other axis and where I is not there."""
        if self._kind(axis) != "STOKES":
            return 0
        first, step = self.number(f"CRVAL{axis + 1}"), self.number(f"CDELT{axis + 1}")
        if first is None or not step:
            return 0
        index = round((1.0 - first) / step + (self.number(f"CRPIX{axis + 1}") or 0.0)) - 1
        return index if 0 <= index < self.lengths[axis] else 0

    @cached_property
    def _full_wcs(self) -> Any | None:
        from astropy.wcs import WCS

        # Repairs of units and dates each print a warning, so they are only asked for where they are needed.
        for fix in (False, True):
            try:
                return WCS(self.header, fix=fix)
            except (*_BROKEN, RuntimeError):
                continue
        return None

    def _spectral_axis(self) -> Band | None:
        wcs = self._full_wcs
        axis = -1 if wcs is None else wcs.wcs.spec
        if wcs is None or axis < 0 or not self._kind(axis).startswith("FREQ"):
            return None
        count = self.lengths[axis] if axis < len(self.lengths) else 1
        try:
            spectral = wcs.sub([axis + 1])
            centre_hz, next_hz = spectral.wcs_pix2world([[(count - 1) / 2], [(count + 1) / 2]], 0).ravel().tolist()
        except _BROKEN:
            return None
        width_mhz = abs(next_hz - centre_hz) * count / 1e6
        return Band(centre_hz / 1e9, width_mhz or None) if math.isfinite(centre_hz) and centre_hz > 0 else None


@contextmanager
def open_image(path: Path) -> Iterator[RadioImage]:
    """Open a radio image in FITS (plain, gzipped or tile-compressed) for reading.

    Raises
    ------
    FileNotAccessible
        There is no such file, or it may not be read.
    FitsUnreadable
        The file is not FITS, is broken, or holds no image of two or more dimensions.
    """
    with open_hdus(path) as hdus:
        try:
            image = next((RadioImage(hdus, hdu) for hdu in hdus if _holds_image(hdu)), None)
        except _BROKEN as error:
            raise FitsUnreadable("The file is not FITS, or its header is broken") from error
        if image is None:
            raise FitsUnreadable("The file holds no image of two or more dimensions")
        yield image


@contextmanager
def open_hdus(path: Path) -> Iterator[Any]:
    """Open a FITS file of any kind for reading (an astropy HDUList); raises as :func:`open_image`."""
    from astropy.io import fits

    with ExitStack() as opened:
        try:
            file = opened.enter_context(LazyGzip(path)) if is_gzipped(path) else path
            hdus = opened.enter_context(fits.open(file, mode="readonly", memmap=False))
        except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
            raise FileNotAccessible(path.name) from error
        except _BROKEN as error:
            raise FitsUnreadable("The file is not FITS, or its header is broken") from error
        yield hdus


def walk(hdus: Any) -> Iterator[Any]:
    """The HDUs of an open file, each read when it is reached; raises FitsUnreadable at one that is broken."""
    try:
        yield from hdus
    except _BROKEN as error:
        raise FitsUnreadable("The file is truncated or damaged: a header cannot be read") from error


def _holds_image(hdu: Any) -> bool:
    return bool(hdu.is_image) and len(hdu.shape) >= 2 and 0 not in hdu.shape


def _is_celestial(ctype: str, kind: str) -> bool:
    names = {"lon": ("RA", "GLON", "ELON", "SLON", "HLON"), "lat": ("DEC", "GLAT", "ELAT", "SLAT", "HLAT")}
    return ctype.split("-", 1)[0] in names[kind]
