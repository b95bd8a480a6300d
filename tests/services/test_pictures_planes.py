"""Reading an image for a picture: coarser, north up, and never more than needed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import Angle, SkyCoord

from app.db import deadline
from app.domain.errors import ImageBlank, Overloaded
from app.services import fits as radio_fits
from app.services.fits import open_image
from app.services.pictures import planes
from app.services.pictures.planes import Plane, Window, coarser, north_up, read_plane
from tests.support.radio_images import NX, NY, pixels, write_image

CELL_DEG = 4.0 / 3600.0
STAR_JY = 5.0
CENTRE = SkyCoord(180.0, 37.2, unit="deg")
STAR = CENTRE.directional_offset_by(Angle("30d"), Angle("100s"))  # north-north-east


def image_with_star(path: Path, header: dict[str, Any], star: SkyCoord = STAR) -> Path:
    """An image of noise with one star of 3 x 3 pixels where the header's coordinates put it."""
    plane = pixels() * 0.0 + np.float32(0.001)
    write_image(path, plane, header=header)
    with open_image(path) as image:
        x, y = (round(float(at)) for at in image.wcs.world_to_pixel(star))  # type: ignore[union-attr]
    plane[y - 1 : y + 2, x - 1 : x + 2] = STAR_JY
    return write_image(path, plane, header=header)


def read(path: Path, longest_px: int = 1000) -> Plane:
    with open_image(path) as image:
        return read_plane(image, longest_px)


def brightest(plane: Plane) -> tuple[float, float]:
    """Centroid (x, y) of the star."""
    y, x = np.nonzero(plane.pixels > STAR_JY / 2)
    return float(x.mean()), float(y.mean())


@pytest.mark.parametrize("longest_px", [1000, 120, 119, 60, 40, 32, 7, 1])
def test_blocks_hold_the_mean_of_their_finite_pixels(tmp_path: Path, longest_px: int) -> None:
    plane = pixels()
    plane[10:20, 15:70] = np.nan
    plane[0, :] = np.inf
    coarse = read(write_image(tmp_path / "a.fits", plane), longest_px).pixels
    factor = max(1, NX // longest_px)
    assert coarse.shape == (math.ceil(NY / factor), math.ceil(NX / factor))
    for (y, x), value in np.ndenumerate(coarse):
        block = plane[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
        finite = block[np.isfinite(block)]
        np.testing.assert_allclose(value, finite.mean() if finite.size else np.nan, rtol=1e-5, atol=1e-9)


def test_bands_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_image(tmp_path / "a.fits")
    whole = read(path, 30).pixels
    for module in (planes, radio_fits):
        monkeypatch.setattr(module, "BAND_PIXELS", 1000)
    np.testing.assert_array_equal(read(path, 30).pixels, whole)


@pytest.mark.parametrize("factor", [1, 2, 3, 7])
def test_coordinates_of_a_block_are_those_of_its_middle(tmp_path: Path, factor: int) -> None:
    with open_image(write_image(tmp_path / "a.fits")) as image:
        window = Window(y=slice(11, 80), x=slice(5, 110))
        coarse = coarser(image.wcs, window, factor)
        x, y = 4, 9
        middle = (window.x.start + factor * x + (factor - 1) / 2, window.y.start + factor * y + (factor - 1) / 2)
        wanted, found = image.wcs.pixel_to_world(*middle), coarse.pixel_to_world(x, y)  # type: ignore[union-attr]
        assert wanted.separation(found).arcsec < 1e-6


ROTATED = {
    "CD1_1": -CELL_DEG * math.cos(0.7), "CD1_2": CELL_DEG * math.sin(0.7),
    "CD2_1": CELL_DEG * math.sin(0.7), "CD2_2": CELL_DEG * math.cos(0.7), "CDELT1": None, "CDELT2": None,
}  # fmt: skip
GALACTIC = CENTRE.galactic
ORIENTATIONS: dict[str, dict[str, Any]] = {
    "usual": {},
    "east right": {"CDELT1": CELL_DEG},
    "south up": {"CDELT2": -CELL_DEG},
    "upside down": {"CDELT1": CELL_DEG, "CDELT2": -CELL_DEG},
    "rotated": ROTATED,
    "by CROTA2": {"CROTA2": 140.0},
    "oblong pixels": {"CDELT1": -CELL_DEG * 2},
    "FK5": {"RADESYS": "FK5", "EQUINOX": 2000.0},
    "FK4": {"RADESYS": "FK4", "EQUINOX": 1950.0, "CRVAL1": 179.3606, "CRVAL2": 37.4784},
    "galactic": {"CTYPE1": "GLON-SIN", "CTYPE2": "GLAT-SIN", "CRVAL1": GALACTIC.l.deg, "CRVAL2": GALACTIC.b.deg},
}


@pytest.mark.parametrize("header", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
def test_north_is_up_and_east_left_whatever_the_axes(tmp_path: Path, header: dict[str, Any]) -> None:
    plane = north_up(read(image_with_star(tmp_path / "a.fits", header)))
    x, y = brightest(plane)
    assert plane.wcs is not None
    assert plane.wcs.pixel_to_world(x, y).icrs.separation(STAR).arcsec < 6.0
    centre_x, centre_y = plane.wcs.world_to_pixel(CENTRE)
    assert plane.cell_arcsec is not None
    offset = np.array([x - centre_x, y - centre_y]) * plane.cell_arcsec
    assert offset == pytest.approx([-100.0 * math.sin(math.radians(30)), 100.0 * math.cos(math.radians(30))], abs=6.0)


@pytest.mark.parametrize(("name", "flip"), [("east right", (1, -1)), ("south up", (-1, 1)), ("upside down", (-1, -1))])
@pytest.mark.parametrize("shape", [(NY, NX), (33, 48), (48, 33)])
def test_mirrored_image_keeps_every_pixel_at_its_place(
    tmp_path: Path, name: str, flip: tuple[int, int], shape: tuple[int, int]
) -> None:
    whole = read(write_image(tmp_path / "a.fits", pixels(shape=shape), header=ORIENTATIONS[name]))
    plane = north_up(whole)
    np.testing.assert_array_equal(plane.pixels, whole.pixels[:: flip[0], :: flip[1]])
    y, x = np.indices(shape)
    assert plane.wcs is not None
    assert whole.wcs is not None
    lay = whole.wcs.pixel_to_world(x, y)[:: flip[0], :: flip[1]]
    assert plane.wcs.pixel_to_world(x, y).separation(lay).deg.max() < CELL_DEG / 20


def test_image_turned_by_a_quarter_keeps_every_pixel(tmp_path: Path) -> None:
    cards = {"CD1_1": 0.0, "CD1_2": CELL_DEG, "CD2_1": CELL_DEG, "CD2_2": 0.0, "CDELT1": None, "CDELT2": None}
    whole = read(write_image(tmp_path / "a.fits", header=cards))
    np.testing.assert_array_equal(north_up(whole).pixels, whole.pixels.T[:, ::-1])


@pytest.mark.parametrize("name", ["usual", "FK5"])
def test_what_lies_well_is_not_touched(tmp_path: Path, name: str) -> None:
    plane = read(image_with_star(tmp_path / "a.fits", ORIENTATIONS[name]))
    assert north_up(plane) is plane


@pytest.mark.parametrize("dec_deg", [89.9, -89.9, 0.0])
@pytest.mark.parametrize("ra_deg", [0.0, 359.99])
def test_turning_works_at_the_poles_and_at_right_ascension_0(tmp_path: Path, ra_deg: float, dec_deg: float) -> None:
    centre = SkyCoord(ra_deg, dec_deg, unit="deg")
    star = centre.directional_offset_by(Angle("-60d"), Angle("120s"))
    header = {"CRVAL1": ra_deg, "CRVAL2": dec_deg, "CDELT1": CELL_DEG}
    plane = north_up(read(image_with_star(tmp_path / "a.fits", header, star)))
    x, y = brightest(plane)
    assert plane.wcs is not None
    assert plane.wcs.pixel_to_world(x, y).separation(star).arcsec < 6.0
    assert x > plane.pixels.shape[1] / 2, "west is right"


def test_image_without_coordinates_stays_as_it_is(tmp_path: Path) -> None:
    plane = read(write_image(tmp_path / "a.fits", header={"CTYPE1": "X", "CTYPE2": "Y"}))
    assert plane.wcs is None
    assert plane.cell_arcsec is None
    assert north_up(plane) is plane


def test_whole_sky_can_be_turned(tmp_path: Path) -> None:
    header = {
        "CTYPE1": "GLON-CAR", "CTYPE2": "GLAT-CAR", "CRVAL1": 0.0, "CRVAL2": 0.0, "CDELT1": -3.0, "CDELT2": 3.0,
    }  # fmt: skip
    plane = north_up(read(write_image(tmp_path / "a.fits", header=header)))
    assert max(plane.pixels.shape) <= 2 * math.hypot(NX, NY)
    assert np.isfinite(plane.pixels).any()


def test_blank_image_is_refused_by_name(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits", np.full((NY, NX), np.nan, np.float32))
    with pytest.raises(ImageBlank):
        read(path)


def test_reading_stops_at_the_deadline(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits")
    deadline.start(-1.0)
    try:
        with pytest.raises(Overloaded):
            read(path)
    finally:
        deadline.start(None)
