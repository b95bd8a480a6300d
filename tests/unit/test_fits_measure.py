"""Measuring radio images: what is read from pixels and headers, and what is refused."""

from __future__ import annotations

import gzip
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from app.domain.errors import FileNotAccessible, FitsUnreadable
from app.services import fits as radio
from app.services.ingest import measure as measuring
from app.services.ingest.measure import Measurement, measure, pixel_statistics, robust_sigma
from tests.support.radio_images import NOISE_JY, NX, NY, PEAK_JY, pixels, write_image


def measured(path: Path) -> Measurement:
    with radio.open_image(path) as image:
        return measure(image)[0]


def remarks(path: Path) -> list[str]:
    with radio.open_image(path) as image:
        return measure(image)[1]


@pytest.mark.parametrize("axes", [("RA", "DEC"), ("DEC", "RA"), *permutations(("RA", "DEC", "FREQ", "STOKES"))])
def test_axes_in_any_order_give_the_same_measurement(tmp_path: Path, axes: tuple[str, ...]) -> None:
    got = measured(write_image(tmp_path / "a.fits", axes=axes, header={"RESTFRQ": 1.4e9}))
    assert (got.imsize_x, got.imsize_y) == (NX, NY)
    assert (got.center_ra_deg, got.center_dec_deg) == (180.0, 37.2)
    assert got.cellsize_arcsec == pytest.approx(4.0)
    assert got.freq_ghz == pytest.approx(1.4)
    assert got.noise_jy == pytest.approx(NOISE_JY, rel=0.03)
    assert got.dynamic_range == pytest.approx(PEAK_JY / NOISE_JY, rel=0.03)
    assert (got.beam_major_arcsec, got.beam_minor_arcsec, got.beam_pa_deg) == (14.0, 11.0, 35.0)
    assert (got.field_name, got.integration_sec) == ("3C286", 309.12)


@pytest.mark.parametrize("axes", list(permutations(("RA", "DEC", "STOKES", "FREQ"))))
def test_rows_are_latitude_by_longitude_of_stokes_i(tmp_path: Path, axes: tuple[str, ...]) -> None:
    plane = pixels()
    stokes_q = np.full_like(plane, 9.0)
    order = {"STOKES": 0, "FREQ": 1, "DEC": 2, "RA": 3}
    cube = np.stack([stokes_q, plane])[:, None]
    data = cube.transpose([order[axis] for axis in reversed(axes)]).copy()
    number = axes.index("STOKES") + 1
    path = write_image(
        tmp_path / "q.fits", data=data, axes=axes, header={f"CRVAL{number}": 2.0, f"CDELT{number}": -1.0}
    )
    with radio.open_image(path) as image:
        np.testing.assert_array_equal(image.rows(10, 30), plane[10:30])


@pytest.mark.parametrize(("reference", "value"), [(0.0, 0.0), (None, 0.0), (1.0, 1.0), (2.0, 2.0)])
def test_stokes_i_is_found_by_any_reference_pixel(tmp_path: Path, reference: float | None, value: float) -> None:
    cube = np.stack([pixels(), pixels(2) * 100])
    cards = {"CRPIX3": reference, "CRVAL3": value}
    path = write_image(tmp_path / "cube.fits", data=cube, axes=("RA", "DEC", "STOKES"), header=cards)
    with radio.open_image(path) as image:
        np.testing.assert_array_equal(image.rows(0, NY), cube[0])


def test_the_first_channel_that_holds_a_value_is_measured(tmp_path: Path) -> None:
    cube = np.stack([np.full((NY, NX), np.nan, np.float32), pixels(), pixels(2) * 100])
    path = write_image(tmp_path / "cube.fits", data=cube, axes=("RA", "DEC", "FREQ"))
    got = measured(path)
    assert got.noise_jy == pytest.approx(NOISE_JY, rel=0.03)
    assert got.freq_ghz == pytest.approx(1.65)  # the middle of 1.4, 1.65 and 1.9 GHz
    assert got.bandwidth_mhz == pytest.approx(750.0)


@pytest.mark.parametrize(
    ("header", "freq_ghz", "bandwidth_mhz"),
    [
        ({}, 1.4, 250.0),
        ({"CRVAL3": 1.4, "CDELT3": 0.25, "CUNIT3": "GHz"}, 1.4, 250.0),
        ({"CRVAL3": 1400.0, "CDELT3": -250.0, "CUNIT3": "MHz"}, 1.4, 250.0),
        ({"CTYPE3": "VRAD", "CUNIT3": "m/s", "CRVAL3": 0.0, "RESTFRQ": 1.42e9}, 1.42, None),
        ({"CTYPE3": "STOKES", "CUNIT3": "", "CRVAL3": 1.0, "CDELT3": 1.0, "FREQ": 1.3e9}, 1.3, None),
        ({"CTYPE3": "STOKES", "CUNIT3": "", "CRVAL3": 1.0, "CDELT3": 1.0}, None, None),
    ],
)
def test_frequency_comes_from_the_axis_else_from_a_card(
    tmp_path: Path, header: dict[str, Any], freq_ghz: float | None, bandwidth_mhz: float | None
) -> None:
    got = measured(write_image(tmp_path / "f.fits", axes=("RA", "DEC", "FREQ"), header=header))
    assert got.freq_ghz == (None if freq_ghz is None else pytest.approx(freq_ghz))
    assert got.bandwidth_mhz == (None if bandwidth_mhz is None else pytest.approx(bandwidth_mhz))


def test_a_beam_is_found_in_the_beams_table(tmp_path: Path) -> None:
    columns = [
        fits.Column(name, "E", unit=unit, array=np.array(values))
        for name, unit, values in (
            ("BMAJ", "arcsec", [0.0, 20.0]),
            ("BMIN", "arcsec", [0.0, 15.0]),
            ("BPA", "deg", [0.0, -12.5]),
        )
    ]
    table = fits.BinTableHDU.from_columns(columns, name="BEAMS")
    no_card = {"BMAJ": None, "BMIN": None, "BPA": None}
    got = measured(write_image(tmp_path / "t.fits", header=no_card, extra_hdus=[table]))
    assert (got.beam_major_arcsec, got.beam_minor_arcsec, got.beam_pa_deg) == pytest.approx((20.0, 15.0, -12.5))


def test_a_beam_is_found_in_the_last_clean_note_of_history(tmp_path: Path) -> None:
    notes = [
        "AIPS   CLEAN BMAJ=  9.0000E-03 BMIN=  8.0000E-03 BPA=  10.00",
        "AIPS   CLEAN BMAJ=  5.0000E-03 BMIN=  2.5000E-03 BPA= -45.50",
    ]
    path = write_image(tmp_path / "h.fits", header={"BMAJ": None, "BMIN": None, "BPA": None}, history=notes)
    got = measured(path)
    assert (got.beam_major_arcsec, got.beam_minor_arcsec, got.beam_pa_deg) == pytest.approx((18.0, 9.0, -45.5))


@pytest.mark.parametrize("value", ["1.2.3", ".", "..5", "-", "1.0E", "9E9999"])
def test_a_clean_note_that_holds_no_number_is_no_beam(tmp_path: Path, value: str) -> None:
    note = f"AIPS   CLEAN BMAJ= {value} BMIN= 2.5000E-03 BPA= -45.50"
    path = write_image(tmp_path / "h.fits", header={"BMAJ": None, "BMIN": None, "BPA": None}, history=[note])
    assert measured(path).beam_major_arcsec is None


@pytest.mark.parametrize("value", ["5.0E-03", "5D-3", "+.005", "0.005", "5.e-3"])
def test_a_clean_note_may_write_its_numbers_in_any_way(tmp_path: Path, value: str) -> None:
    note = f"AIPS   CLEAN BMAJ= {value} BMIN= 2.5000E-03 BPA= 0."
    path = write_image(tmp_path / "h.fits", header={"BMAJ": None, "BMIN": None, "BPA": None}, history=[note])
    assert measured(path).beam_major_arcsec == pytest.approx(18.0)


def test_an_image_without_a_beam_is_measured_all_the_same(tmp_path: Path) -> None:
    path = write_image(tmp_path / "n.fits", header={"BMAJ": 0.0, "BMIN": 0.0})
    assert measured(path).beam_major_arcsec is None
    assert remarks(path) == ["no beam in its header, BEAMS table or HISTORY"]


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("Jy/beam", 1.0), ("JY/BEAM", 1.0), ("Jy beam-1", 1.0), ("mJy/beam", 1e-3), ("uJy/BEAM", 1e-6), (None, 1.0),
        ("K", None), ("Jy/pixel", None), ("Jy", None),
    ],
)  # fmt: skip
def test_noise_is_converted_to_jansky_and_left_out_for_other_units(
    tmp_path: Path, unit: str | None, factor: float | None
) -> None:
    path = write_image(tmp_path / "u.fits", header={"BUNIT": unit})
    got = measured(path).noise_jy
    assert got == (None if factor is None else pytest.approx(NOISE_JY * factor, rel=0.03))
    assert bool(remarks(path)) == (factor is None)


@pytest.mark.parametrize(
    ("header", "sky"),
    [
        ({"CRVAL1": 0.0, "CRVAL2": 0.0}, SkyCoord(0.0, 0.0, unit="deg")),
        ({"RADESYS": "FK5", "EQUINOX": 2000.0}, SkyCoord(180.0, 37.2, unit="deg", frame="fk5")),
        ({"RADESYS": "FK4", "EQUINOX": 1950.0}, SkyCoord(180.0, 37.2, unit="deg", frame="fk4")),
        (
            {"CTYPE1": "GLON-SIN", "CTYPE2": "GLAT-SIN", "RADESYS": None},
            SkyCoord(180.0, 37.2, unit="deg", frame="galactic"),
        ),
        ({"CUNIT1": "DEG", "CUNIT2": "degrees", "DATE-OBS": "2025-10-31T13:49:06"}, SkyCoord(180.0, 37.2, unit="deg")),
    ],
)
def test_the_centre_is_given_in_icrs_whatever_the_frame(tmp_path: Path, header: dict[str, Any], sky: SkyCoord) -> None:
    got = measured(write_image(tmp_path / "c.fits", header=header))
    assert got.center_ra_deg == pytest.approx(sky.icrs.ra.deg, abs=1e-9)
    assert got.center_dec_deg == pytest.approx(sky.icrs.dec.deg, abs=1e-9)


def test_the_centre_pixel_decides_not_the_reference_pixel(tmp_path: Path) -> None:
    got = measured(write_image(tmp_path / "c.fits", header={"CRPIX2": NY // 2 + 1 + 9}))
    assert got.center_dec_deg == pytest.approx(37.2 - 9 * 4 / 3600, abs=1e-6)


def test_an_image_without_coordinates_has_no_centre(tmp_path: Path) -> None:
    path = write_image(tmp_path / "x.fits", header={"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"})
    got = measured(path)
    assert (got.center_ra_deg, got.cellsize_arcsec, got.imsize_x) == (None, None, NX)
    assert remarks(path) == ["no usable celestial coordinates"]


def test_blank_pixels_count_for_nothing(tmp_path: Path) -> None:
    plane = pixels()
    plane[:, : NX // 3] = np.nan
    plane[: NY // 5] = 0.0
    plane[-1, -1] = np.inf
    plane[NY // 2, NX // 2] = PEAK_JY
    got = measured(write_image(tmp_path / "b.fits", plane))
    assert got.noise_jy == pytest.approx(NOISE_JY, rel=0.05)
    assert got.dynamic_range == pytest.approx(PEAK_JY / NOISE_JY, rel=0.05)


def test_scaled_integers_and_compressed_files_are_read(tmp_path: Path) -> None:
    plane = pixels()
    scaled = fits.open(write_image(tmp_path / "i.fits", plane))
    scaled[0].scale("int32", bscale=1e-8, bzero=0.001)
    scaled.writeto(tmp_path / "int.fits")
    scaled.close()
    plain = write_image(tmp_path / "p.fits", plane)
    (tmp_path / "z.fits.gz").write_bytes(gzip.compress(plain.read_bytes()))
    with fits.open(plain) as hdus:
        fits.CompImageHDU(hdus[0].data, hdus[0].header, quantize_level=0, compression_type="GZIP_2").writeto(
            tmp_path / "tiled.fits"
        )
    expected = measured(plain)
    for name in ("int.fits", "z.fits.gz", "tiled.fits"):
        got = measured(tmp_path / name)
        assert got.noise_jy == pytest.approx(expected.noise_jy, rel=1e-4), name
        assert got._replace(noise_jy=None, dynamic_range=None) == expected._replace(noise_jy=None, dynamic_range=None)


def test_a_huge_image_is_sampled_evenly_and_the_same_way_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "NOISE_SAMPLE", 2005)
    monkeypatch.setattr(radio, "BAND_PIXELS", 700)
    plane = pixels(shape=(401, 300))
    # One pixel in sixty is the stride here; taken literally it would see these columns and no others.
    plane[:, ::60] += np.random.default_rng(5).normal(0.0, 1.0, (401, 5))
    path = write_image(tmp_path / "big.fits", plane)
    with radio.open_image(path) as image:
        assert max(band.size for band in image.bands()) <= 700
        first, second = pixel_statistics(image), pixel_statistics(image)
    assert first == second
    assert first.noise == pytest.approx(NOISE_JY, rel=0.1)
    assert first.peak == plane.max()


def test_robust_sigma_is_not_misled_by_sources() -> None:
    values = np.random.default_rng(4).normal(0.3, 0.01, 100_000)
    values[:5000] += np.linspace(0.1, 50.0, 5000)
    assert robust_sigma(values) == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("values", [[], [3.0], [2.0, 2.0, 2.0]])
def test_robust_sigma_of_nothing_or_of_equal_values_is_zero(values: list[float]) -> None:
    assert robust_sigma(np.array(values)) == 0.0


def test_an_image_of_one_value_has_no_dynamic_range(tmp_path: Path) -> None:
    got = measured(write_image(tmp_path / "flat.fits", np.ones((NY, NX), np.float32)))
    assert (got.noise_jy, got.dynamic_range) == (0.0, None)


def test_an_image_of_blanks_is_refused_by_name_of_the_fault(tmp_path: Path) -> None:
    path = write_image(tmp_path / "nan.fits", np.full((NY, NX), np.nan, np.float32))
    with pytest.raises(FitsUnreadable, match="all are blank"):
        measured(path)


def test_files_that_are_no_radio_image_are_refused(tmp_path: Path) -> None:
    whole = write_image(tmp_path / "whole.fits").read_bytes()
    table = fits.BinTableHDU.from_columns([fits.Column("A", "E", array=np.zeros(3))])
    table.writeto(tmp_path / "table.fits")
    fits.PrimaryHDU(np.zeros(5)).writeto(tmp_path / "spectrum.fits")
    contents = {
        "text.fits": b"not FITS at all",
        "empty.fits": b"",
        "truncated.fits": whole[: len(whole) // 2],
        "header-only.fits": whole[:2000],
        "broken.fits.gz": gzip.compress(whole)[:-200],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "table.fits", "spectrum.fits"):
        with pytest.raises(FitsUnreadable) as refused:
            measured(tmp_path / name)
        assert str(tmp_path) not in str(refused.value), name


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotAccessible, match=r"gone\.fits"):
        measured(tmp_path / "gone.fits")
