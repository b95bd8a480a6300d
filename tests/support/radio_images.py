"""Small radio images in FITS for tests: axes in any order, noise of known strength, one bright source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

NX, NY = 120, 90
NOISE_JY = 0.0005
PEAK_JY = 0.25
AXES: dict[str, tuple[str, float, float, float, str]] = {
    "RA": ("RA---SIN", 180.0, NX // 2 + 1, -4.0 / 3600.0, "deg"),
    "DEC": ("DEC--SIN", 37.2, NY // 2 + 1, 4.0 / 3600.0, "deg"),
    "FREQ": ("FREQ", 1.4e9, 1, 2.5e8, "Hz"),
    "STOKES": ("STOKES", 1.0, 1, 1.0, ""),
}
BEAM = {"BMAJ": 14.0 / 3600.0, "BMIN": 11.0 / 3600.0, "BPA": 35.0}


def pixels(seed: int = 1, shape: tuple[int, int] = (NY, NX)) -> Any:
    """White noise and one pixel of the peak, shape (ny, nx)."""
    plane = np.random.default_rng(seed).normal(0.0, NOISE_JY, shape).astype(np.float32)
    plane[shape[0] // 3, shape[1] // 4] = PEAK_JY
    return plane


def write_image(
    path: Path,
    plane: Any = None,
    *,
    axes: Sequence[str] = ("RA", "DEC"),
    lengths: Mapping[str, int] | None = None,
    data: Any = None,
    header: Mapping[str, Any] | None = None,
    history: Sequence[str] = (),
    extra_hdus: Sequence[Any] = (),
) -> Path:
    """Write an image whose FITS axes come in the given order.

    Parameters
    ----------
    plane
        Pixels (ny, nx), repeated over every other axis; noise and a source where not given.
    lengths
        Lengths of the axes that are not celestial, 1 each where not given.
    data
        The whole array in numpy's order, instead of ``plane``.
    header
        Cards that replace or add to the usual ones; ``None`` removes a card.
    """
    plane = pixels() if plane is None else plane
    if data is None:
        sizes = {"RA": plane.shape[1], "DEC": plane.shape[0], **(lengths or {})}
        source = plane if axes.index("RA") < axes.index("DEC") else plane.T
        shape = [1 if axis not in {"RA", "DEC"} else sizes[axis] for axis in reversed(axes)]
        full = [sizes.get(axis, 1) for axis in reversed(axes)]
        data = np.broadcast_to(source.reshape(shape), full).copy()
    hdu = fits.PrimaryHDU(data)
    for number, axis in enumerate(axes, start=1):
        kind, value, pixel, step, unit = AXES[axis]
        cards = {"CTYPE": kind, "CRVAL": value, "CRPIX": float(pixel), "CDELT": step, "CUNIT": unit}
        hdu.header.update({f"{name}{number}": card for name, card in cards.items()})
    usual = {"BUNIT": "Jy/beam", "RADESYS": "ICRS", "OBJECT": "3C286", "EXPTIME": 309.12, **BEAM}
    for name, card in {**usual, **(header or {})}.items():
        if card is None:
            hdu.header.remove(name, ignore_missing=True)
        else:
            hdu.header[name] = card
    for note in history:
        hdu.header["HISTORY"] = note
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([hdu, *extra_hdus]).writeto(path, overwrite=True)
    return path
