"""Forced photometry of the synthetic images: every source is measured at its known position, detected or not."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from app.services.beams import Beam
from app.services.demo.sky import Painting, gaussian, sky_to_pixel
from app.services.demo.survey import sources_of
from app.services.fits import RadioImage, open_image
from app.services.ingest.measure import pixel_statistics

HALF_WIDTH_PX = 6
APERTURE_IN_MAJOR_AXES = 1.1

COLUMNS = (
    "source_id", "image_path", "ra_deg", "dec_deg", "peak_jyb", "peak_err_jyb", "flux_jy", "flux_err_jy", "mjd",
    "local_rms", "sep_from_center_deg", "flags",
)  # fmt: skip


class Forced(NamedTuple):
    """Peak [Jy/beam] and integrated flux density [Jy] at a position, with their errors."""

    peak_jyb: float
    peak_err_jyb: float
    flux_jy: float
    flux_err_jy: float


def write_catalogue(paintings: Iterable[Painting], images: Path, catalogue: Path) -> None:
    """Measure all sources of all images into a CSV file, image paths relative to it."""
    with catalogue.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for painting in paintings:
            writer.writerows(_measure_image(painting, images / painting.name, catalogue.parent))


def forced(plane: Any, x: float, y: float, beam: Beam, noise_jy: float, cell_arcsec: float) -> Forced:
    """Measure a point source at a known pixel.

    Parameters
    ----------
    plane
        Pixel values [Jy/beam], shape (ny, nx).
    x, y
        Position in pixels counted from 0.
    beam, noise_jy, cell_arcsec
        Restoring beam, noise [Jy/beam] and pixel size.

    Notes
    -----
    The peak is the nearest pixel over the beam's value there, d / b: noise that the beam has smoothed gains nothing by
    a fit to several pixels. The integrated flux density is the sum of an aperture over that of the beam in it,
    Σ d / Σ b, with the error σ √n Ω / Σ b for an aperture of n beam areas Ω.
    """
    import numpy as np

    left, low = round(x) - HALF_WIDTH_PX, round(y) - HALF_WIDTH_PX
    size = 2 * HALF_WIDTH_PX + 1
    data = np.asarray(plane[low : low + size, left : left + size], dtype=float)
    rows, columns = np.indices(data.shape)
    dx, dy = columns - (x - left), rows - (y - low)
    shape = gaussian(dx, dy, beam, cell_arcsec)
    fall = float(shape[HALF_WIDTH_PX, HALF_WIDTH_PX])
    inside = np.hypot(dx, dy) * cell_arcsec <= APERTURE_IN_MAJOR_AXES * beam.major_arcsec
    beam_px = 2.0 * math.pi * beam.major_arcsec * beam.minor_arcsec / (8.0 * math.log(2.0)) / cell_arcsec**2
    beams = max(1.0, float(inside.sum()) / beam_px)
    caught = float(shape[inside].sum())
    return Forced(
        peak_jyb=float(data[HALF_WIDTH_PX, HALF_WIDTH_PX]) / fall,
        peak_err_jyb=noise_jy / fall,
        flux_jy=float(data[inside].sum()) / caught,
        flux_err_jy=noise_jy * math.sqrt(beams) * beam_px / caught,
    )


def _measure_image(painting: Painting, path: Path, start: Path) -> list[tuple[Any, ...]]:
    with open_image(path) as image:
        return [
            _row(painting, image, path.relative_to(start).as_posix(), source) for source in _placed(painting, image)
        ]


class _Placed(NamedTuple):
    source: Any
    x: float
    y: float
    measured: Forced
    noise_jy: float


def _placed(painting: Painting, image: RadioImage) -> list[_Placed]:
    noise_jy = pixel_statistics(image).noise
    plane, beam, cell_arcsec = image.rows(0, image.ny), image.beam(), image.cellsize_arcsec()
    assert beam is not None
    assert cell_arcsec is not None
    placed = []
    for source in sources_of(painting.observation.field):
        x, y = sky_to_pixel(image.wcs, source.ra_deg, source.dec_deg, painting.observation.field.frame)
        placed.append(_Placed(source, x, y, forced(plane, x, y, beam, noise_jy, cell_arcsec), noise_jy))
    return placed


def _row(painting: Painting, image: RadioImage, path: str, placed: _Placed) -> tuple[Any, ...]:
    cell_arcsec = image.cellsize_arcsec() or 0.0
    away_deg = math.hypot(placed.x - image.nx // 2, placed.y - image.ny // 2) * cell_arcsec / 3600.0
    source = placed.source
    return (
        source.source_id, path, source.ra_deg, source.dec_deg, *(f"{value:.9f}" for value in placed.measured),
        f"{painting.observation.mid_mjd:.8f}", f"{placed.noise_jy:.9f}", f"{away_deg:.6f}", 0,
    )  # fmt: skip
