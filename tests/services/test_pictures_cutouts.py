"""Cut-outs: what is inside keeps its place on the sky, its axes and its beam; memory follows the cut-out."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from app.domain.errors import CutoutTooLarge, FitsUnreadable, NoCoordinates, OutsideImage
from app.services.fits import open_image
from app.services.pictures.cutouts import bound, window_around, write_cutout
from tests.support.radio_images import BEAM, NX, NY, pixels, write_image

CELL_ARCSEC = 4.0
CENTRE = (180.0, 37.2)


def cut(path: Path, at: tuple[float, float] = CENTRE, size_arcsec: float = 80.0, most: int = 10**9) -> fits.HDUList:
    made = io.BytesIO()
    with open_image(path) as image:
        window = window_around(image, *at, size_arcsec)
        bound(image, window, most)
        write_cutout(image, window, path.name, made)
    made.seek(0)
    return fits.open(made)


def at_pixel(x: float, y: float) -> tuple[float, float]:
    """Position of a pixel of the usual image, counted from 0."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---SIN", "DEC--SIN"], CENTRE
    wcs.wcs.crpix, wcs.wcs.cdelt = [NX // 2 + 1, NY // 2 + 1], [-CELL_ARCSEC / 3600, CELL_ARCSEC / 3600]
    ra_deg, dec_deg = wcs.wcs_pix2world([[x, y]], 0)[0]
    return float(ra_deg) % 360.0, float(dec_deg)


@pytest.mark.parametrize(
    ("axes", "lengths"),
    [
        (("RA", "DEC"), {}),
        (("DEC", "RA"), {}),
        (("RA", "DEC", "FREQ"), {}),
        (("RA", "DEC", "FREQ"), {"FREQ": 3}),
        (("RA", "DEC", "FREQ", "STOKES"), {}),
        (("RA", "DEC", "STOKES", "FREQ"), {"STOKES": 2, "FREQ": 3}),
        (("FREQ", "RA", "STOKES", "DEC"), {"FREQ": 2}),
        (("STOKES", "FREQ", "DEC", "RA"), {"STOKES": 4}),
    ],
    ids=str,
)
def test_every_axis_stays_and_every_pixel_its_place(
    tmp_path: Path, axes: tuple[str, ...], lengths: dict[str, int]
) -> None:
    sizes = {"RA": NX, "DEC": NY, "FREQ": 1, "STOKES": 1, **lengths}
    shape = tuple(sizes[axis] for axis in reversed(axes))
    data = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    path = write_image(tmp_path / "a.fits", axes=axes, data=data)
    (hdu,) = cut(path, at_pixel(40.0, 30.0), 80.0)
    index = [slice(None)] * len(axes)
    index[-1 - axes.index("RA")], index[-1 - axes.index("DEC")] = slice(30, 50), slice(20, 40)
    assert hdu.data.dtype == np.dtype(">f4")
    np.testing.assert_array_equal(hdu.data, data[tuple(index)])
    for number, axis in enumerate(axes, start=1):
        assert hdu.header[f"NAXIS{number}"] == (20 if axis in {"RA", "DEC"} else sizes[axis])
    before, after = (WCS(header).sub(["longitude", "latitude"]) for header in (fits.getheader(path), hdu.header))
    assert before.pixel_to_world(33, 27).separation(after.pixel_to_world(3, 7)).arcsec < 1e-6


def test_beam_unit_and_the_rest_of_the_header_stay(tmp_path: Path) -> None:
    (hdu,) = cut(write_image(tmp_path / "a.fits", history=("was here",)))
    for name, value in {**BEAM, "BUNIT": "Jy/beam", "OBJECT": "3C286", "EXPTIME": 309.12, "RADESYS": "ICRS"}.items():
        assert hdu.header[name] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value)
    assert next(iter(hdu.header["HISTORY"])) == "was here"
    assert any("a.fits" in note for note in hdu.header["HISTORY"])
    hdu.verify("exception")


def test_beam_from_the_history_becomes_cards(tmp_path: Path) -> None:
    note = "AIPS   CLEAN BMAJ=  3.4000E-03 BMIN=  2.8000E-03 BPA=  12.50"
    path = write_image(tmp_path / "a.fits", header=dict.fromkeys(BEAM), history=(note,))
    (hdu,) = cut(path)
    assert [hdu.header[name] for name in BEAM] == pytest.approx([3.4e-3, 2.8e-3, 12.5])


def test_table_of_beams_comes_along(tmp_path: Path) -> None:
    columns = [fits.Column(name, "E", unit, array=[value]) for name, unit, value in
               (("BMAJ", "arcsec", 15.0), ("BMIN", "arcsec", 12.0), ("BPA", "deg", 30.0))]  # fmt: skip
    table = fits.BinTableHDU.from_columns(columns, name="BEAMS")
    path = write_image(tmp_path / "a.fits", header={**dict.fromkeys(BEAM), "CASAMBM": True}, extra_hdus=[table])
    hdu, beams = cut(path)
    assert hdu.header["BMAJ"] == pytest.approx(15.0 / 3600)
    assert beams.data["BMIN"][0] == 12.0


def test_what_lies_outside_is_trimmed(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits")
    (hdu,) = cut(path, at_pixel(2.0, 88.0), 80.0)
    assert hdu.data.shape == (NY - 78, 12)
    position = SkyCoord(*at_pixel(2.0, 88.0), unit="deg")
    x, y = WCS(hdu.header).world_to_pixel(position)
    assert (x, y) == (pytest.approx(2.0, abs=1e-6), pytest.approx(10.0, abs=1e-6))
    np.testing.assert_array_equal(hdu.data, pixels()[78:, :12])


@pytest.mark.parametrize("size_arcsec", [0.001, 3.9, 4.0, 6.1])
@pytest.mark.parametrize("offset", [-0.49, 0.0, 0.49])
def test_smallest_cutout_is_the_pixel_of_the_position(tmp_path: Path, size_arcsec: float, offset: float) -> None:
    path = write_image(tmp_path / "a.fits")
    (hdu,) = cut(path, at_pixel(40 + offset, 30 + offset), size_arcsec)
    assert pixels()[30, 40] in hdu.data
    assert hdu.data.size == (4 if size_arcsec > 6 else 1)


@pytest.mark.parametrize(
    "at", [at_pixel(-30.0, 10.0), at_pixel(10.0, NY + 30.0), (0.0, 37.2), (180.0, -37.2), (0.0, -37.2), (180.0, 90.0)]
)
def test_square_that_misses_the_image_is_refused(tmp_path: Path, at: tuple[float, float]) -> None:
    with pytest.raises(OutsideImage):
        cut(write_image(tmp_path / "a.fits"), at)


def test_cutout_across_right_ascension_0(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits", header={"CRVAL1": 0.0})
    for ra_deg in (0.0, 360.0, 359.999, 0.001):
        (hdu,) = cut(path, (ra_deg, 37.2))
        assert hdu.data.shape == (20, 20)


def test_bound_counts_every_plane(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits", axes=("RA", "DEC", "FREQ"), lengths={"FREQ": 5})
    assert cut(path, most=2000)[0].data.size == 2000
    with pytest.raises(CutoutTooLarge) as raised:
        cut(path, most=1999)
    assert raised.value.details == {"pixels": 2000, "most": 1999}


def test_image_without_coordinates_cannot_be_cut(tmp_path: Path) -> None:
    with pytest.raises(NoCoordinates):
        cut(write_image(tmp_path / "a.fits", header={"CTYPE1": "X", "CTYPE2": "Y"}))


@pytest.mark.parametrize("missing", ["CRPIX1", "CRPIX2"])
def test_a_reference_pixel_that_is_not_given_is_0_and_moves_too(tmp_path: Path, missing: str) -> None:
    path = write_image(tmp_path / "a.fits", header={missing: None})
    whole = WCS(fits.getheader(path))
    position = whole.pixel_to_world(40.0, 30.0)
    (hdu,) = cut(path, (position.ra.deg, position.dec.deg))
    np.testing.assert_array_equal(hdu.data, pixels()[20:40, 30:50])
    assert WCS(hdu.header).pixel_to_world(10.0, 10.0).separation(position).arcsec < 1e-6


def test_other_descriptions_are_not_made_up(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits", header={"CTYPE1B": "X", "CRVAL2B": 3.0})
    (hdu,) = cut(path)
    assert [card for card in hdu.header if card.startswith("CRPIX")] == ["CRPIX1", "CRPIX2", "CRPIX1B", "CRPIX2B"]


def test_extremes_of_the_whole_image_do_not_come_along(tmp_path: Path) -> None:
    (hdu,) = cut(write_image(tmp_path / "a.fits", header={"DATAMIN": -1.0, "DATAMAX": 9.0}))
    assert not {"DATAMIN", "DATAMAX"} & set(hdu.header)


def test_other_descriptions_of_the_axes_move_too(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits", header={"CRPIX1A": 1.0, "CRPIX2A": 1.0})
    (hdu,) = cut(path)
    assert (hdu.header["CRPIX1A"], hdu.header["CRPIX2A"]) == (1.0 - 50, 1.0 - 35)


@pytest.mark.parametrize("kind", ["gz", "compressed", "extension", "scaled", "float64", "int"])
def test_files_of_other_kinds_are_cut_alike(tmp_path: Path, kind: str) -> None:
    plain = write_image(tmp_path / "plain.fits")
    data, header = fits.getdata(plain), fits.getheader(plain)
    path = tmp_path / "other.fits"
    hdus: dict[str, Any] = {
        "gz": lambda: [fits.PrimaryHDU(data, header)],
        "compressed": lambda: [fits.PrimaryHDU(), fits.CompImageHDU(data, header, quantize_level=0.0,
                                                                    compression_type="GZIP_2")],
        "extension": lambda: [fits.PrimaryHDU(), fits.ImageHDU(data, header, name="SCI")],
        "scaled": lambda: [fits.PrimaryHDU(data, header)],
        "float64": lambda: [fits.PrimaryHDU(data.astype(float), header)],
        "int": lambda: [fits.PrimaryHDU((data * 1e6).astype(np.int16), header)],
    }  # fmt: skip
    made = fits.HDUList(hdus[kind]())
    if kind == "scaled":
        made[0].scale("int32", bscale=1e-9, bzero=0.5)
    path = tmp_path / ("other.fits.gz" if kind == "gz" else "other.fits")
    made.writeto(path)
    (wanted,), (found,) = cut(plain), cut(path)
    scale = 1e6 if kind == "int" else 1.0
    np.testing.assert_allclose(found.data / scale, wanted.data, atol={"int": 1.1e-6, "scaled": 1e-7}.get(kind, 0.0))
    assert found.header["CRPIX1"] == wanted.header["CRPIX1"]
    assert found.header["SIMPLE"] is True
    assert not {"BSCALE", "BZERO", "XTENSION", "EXTNAME", "ZIMAGE"} & set(found.header)


def test_truncated_file_is_a_broken_file(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits")
    path.write_bytes(path.read_bytes()[:12000])
    with pytest.raises(FitsUnreadable):
        cut(path, at_pixel(60.0, 80.0))


def test_memory_follows_the_cutout_and_not_the_image(tmp_path: Path) -> None:
    side = 2500
    write_image(tmp_path / "warm.fits")
    cut(tmp_path / "warm.fits")
    path = write_image(tmp_path / "a.fits", np.zeros((side, side), np.float32))
    tracemalloc.start()
    try:
        cut(path, size_arcsec=256 * CELL_ARCSEC)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000, "the image has 25 MB, the cut-out 0.26"
