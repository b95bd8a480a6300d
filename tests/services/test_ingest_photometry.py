"""Registering photometry from catalogues of every format."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from astropy import units
from astropy.table import MaskedColumn, Table
from pyarrow import parquet

from app.db.writing import WritableDatabase
from app.domain.time import mjd_from_iso, mjd_from_unix, unix_from_iso
from app.services.ingest.photometry import ingest_photometry
from app.services.ingest.report import Report
from app.services.ingest.tables import UnreadableTable
from tests.support.pipeline import Pipeline

HEADER = "source_id,image_path,ra_deg,dec_deg,peak_jyb,peak_err_jyb,flux_jy,flux_err_jy,mjd,snr,flags,measured_at"
LINE = "J1200+37,/stage/img/a.fits,180.0,37.2,0.05,0.001,0.06,0.002,60979.5,50,4,1761922146.5"


def catalogue(tmp_path: Path, *lines: str, name: str = "c.csv") -> Path:
    path = tmp_path / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def ingest(pipeline: Pipeline, path: Path) -> Report:
    return ingest_photometry(WritableDatabase(pipeline.products_path, "products"), path)


def rows(pipeline: Pipeline) -> list[dict[str, Any]]:
    cursor = pipeline.connection.execute("SELECT * FROM photometry ORDER BY id")
    return [dict(zip((column[0] for column in cursor.description), row, strict=True)) for row in cursor]


def only(pipeline: Pipeline) -> dict[str, Any]:
    (row,) = rows(pipeline)
    return row


def test_a_measurement_is_registered_in_every_generation(any_pipeline: Pipeline, tmp_path: Path) -> None:
    any_pipeline.make_image(path="/stage/img/a.fits")
    assert ingest(any_pipeline, catalogue(tmp_path, HEADER, LINE)).summary == "1 registered, 0 updated, 0 failed"
    expected = {
        "source_id": "J1200+37", "image_path": "/stage/img/a.fits", "ra_deg": 180.0, "dec_deg": 37.2,
        "peak_jyb": 0.05, "peak_err_jyb": 0.001, "flux_jy": 0.06, "flux_err_jy": 0.002, "mjd": 60979.5, "snr": 50.0,
        "flags": 4, "measured_at": 1761922146.5,
    }  # fmt: skip
    row = only(any_pipeline)
    assert {name: row[name] for name in expected if name in row} == {
        name: value for name, value in expected.items() if name in row
    }


def test_running_again_updates_the_same_measurement(any_pipeline: Pipeline, tmp_path: Path) -> None:
    any_pipeline.make_image(path="/stage/img/a.fits")
    ingest(any_pipeline, catalogue(tmp_path, HEADER, LINE, LINE.replace("60979.5", "60980.5")))
    report = ingest(any_pipeline, catalogue(tmp_path, HEADER, LINE.replace(",0.06,", ",0.08,")))
    assert report.summary == "0 registered, 1 updated, 0 failed"
    assert [row["flux_jy"] for row in rows(any_pipeline)] == [0.08, 0.06]


def test_an_empty_cell_never_erases_what_is_known(pipeline: Pipeline, tmp_path: Path) -> None:
    ingest(pipeline, catalogue(tmp_path, HEADER, LINE))
    ingest(pipeline, catalogue(tmp_path, HEADER, LINE.replace(",0.06,0.002,", ",,0.003,")))
    row = only(pipeline)
    assert (row["flux_jy"], row["flux_err_jy"]) == (0.06, 0.003)


def test_bad_rows_are_named_by_line_and_the_rest_goes_in(pipeline: Pipeline, tmp_path: Path) -> None:
    bad = {
        "180.0,37.2": "abc,37.2",
        "180.0": "361",
        "37.2": "-91",
        "J1200+37": "",
        "/stage/img/a.fits": "",
        ",0.001,": ",-0.001,",
        "0.05,0.001,0.06": "nan,0.001,",
        ",0.06,": ",inf,",
        ",50,4,": ",50,1.5,",
        ",1761922146.5": "",
    }
    lines = [HEADER, LINE, *(LINE.replace(old, new) for old, new in bad.items()), "", LINE.replace("J12", "J13")]
    report = ingest(pipeline, catalogue(tmp_path, *lines))
    assert report.summary == f"2 registered, 0 updated, {len(bad)} failed"
    reasons = dict(report.failures)
    assert list(reasons) == [f"line {number}" for number in range(3, 3 + len(bad))]
    words = [
        "ra_deg",
        "361",
        "dec_deg",
        "source_id",
        "image_path",
        "below zero",
        "neither",
        "finite",
        "flags",
        "11 cells",
    ]
    for reason, word in zip(reasons.values(), words, strict=True):
        assert word in reason


@pytest.mark.parametrize(
    ("header", "value", "peak_jyb"),
    [
        ("peak_jyb", "0.002", 0.002), ("peak_mjyb", "2", 0.002), ("peak_flux", "0.002", 0.002),
        ("Peak_Flux_mJy", "2.0", 0.002), ("peak_ujy", "2000", 0.002),
    ],
)  # fmt: skip
def test_columns_are_known_by_other_names_and_by_the_units_in_them(
    pipeline: Pipeline, tmp_path: Path, header: str, value: str, peak_jyb: float
) -> None:
    lines = (f"Source,IMAGE,RAJ2000,DEJ2000,{header},MJD_OBS,colour", f"a b,/i.fits,1,2,{value},60000,red")
    report = ingest(pipeline, catalogue(tmp_path, *lines))
    row = only(pipeline)
    assert row["peak_jyb"] == pytest.approx(peak_jyb)
    assert (row["source_id"], row["ra_deg"], row["mjd"]) == ("a b", 1.0, 60000.0)
    assert report.notes == ["columns not used: colour"]


@pytest.mark.parametrize("source_id", ["J12+37 core β 100%", "a,b", 'say "x"', "=1+1", "中"])
def test_a_source_may_be_called_anything(pipeline: Pipeline, tmp_path: Path, source_id: str) -> None:
    quoted = '"' + source_id.replace('"', '""') + '"'
    ingest(pipeline, catalogue(tmp_path, HEADER, LINE.replace("J1200+37", quoted)))
    assert only(pipeline)["source_id"] == source_id


def test_zero_is_a_value_and_an_empty_cell_is_not(pipeline: Pipeline, tmp_path: Path) -> None:
    lines = ("source_id,image_path,ra_deg,dec_deg,flux_jy,flux_err_jy,mjd", "a,/i.fits,0,0.0,0,,60000")
    ingest(pipeline, catalogue(tmp_path, *lines))
    row = only(pipeline)
    assert (row["ra_deg"], row["dec_deg"], row["flux_jy"], row["peak_jyb"]) == (0.0, 0.0, 0.0, 0.0)
    assert (row["flux_err_jy"], row["snr"]) == (None, None)


def test_the_signal_to_noise_is_computed_where_it_is_not_given(pipeline: Pipeline, tmp_path: Path) -> None:
    lines = ("source_id,image_path,ra_deg,dec_deg,peak_jyb,peak_err_jyb,mjd", "a,/i.fits,360,1,0.05,0.002,60000")
    ingest(pipeline, catalogue(tmp_path, *lines))
    assert only(pipeline)["snr"] == pytest.approx(25.0)
    assert only(pipeline)["ra_deg"] == 0.0


@pytest.mark.parametrize(
    ("cells", "mjd", "measured_at"),
    [
        ({"mjd": "60979.5"}, 60979.5, (60979.5 - 40587) * 86400),
        ({"measured_at": "1761922146.5"}, mjd_from_unix(1761922146.5), 1761922146.5),
        (
            {"measured_at": "2025-10-31T13:49:06Z"},
            mjd_from_iso("2025-10-31T13:49:06"),
            unix_from_iso("2025-10-31T13:49:06"),
        ),
        ({}, 60979.25, (60979.25 - 40587) * 86400),
    ],
)
def test_a_time_that_is_missing_comes_from_the_other_or_from_the_image(
    any_pipeline: Pipeline, tmp_path: Path, cells: Mapping[str, str], mjd: float, measured_at: float
) -> None:
    any_pipeline.make_ms("/stage/ms/a.ms", mid_mjd=60979.25)
    any_pipeline.make_image(path="/stage/img/a.fits", ms_path="/stage/ms/a.ms")
    header = ",".join(("source_id,image_path,ra_deg,dec_deg,peak_jyb", *cells))
    path = catalogue(tmp_path, header, ",".join(("a,/stage/img/a.fits,1,2,0.05", *cells.values())))
    assert ingest(any_pipeline, path).summary == "1 registered, 0 updated, 0 failed"
    assert ingest(any_pipeline, path).summary == "0 registered, 0 updated, 1 unchanged, 0 failed"
    assert only(any_pipeline)["mjd"] == pytest.approx(mjd, abs=1e-9)
    if "measured_at" in only(any_pipeline):
        assert only(any_pipeline)["measured_at"] == pytest.approx(measured_at, abs=1e-3)


def test_a_row_without_any_time_is_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    path = catalogue(tmp_path, "source_id,image_path,ra_deg,dec_deg,peak_jyb", "a,/i.fits,1,2,0.05")
    assert "no time" in ingest(pipeline, path).failures[0].reason


def test_a_relative_image_path_starts_at_the_catalogue(pipeline: Pipeline, tmp_path: Path) -> None:
    ingest(pipeline, catalogue(tmp_path, HEADER, LINE.replace("/stage/img/a.fits", "images/../a.fits")))
    assert only(pipeline)["image_path"] == str(tmp_path / "a.fits")


def votable(path: Path) -> Path:
    table = Table(
        {
            "source_id": ["a", "b"],
            "image_path": ["/i.fits", "/i.fits"],
            "ra": [1.5707963267948966, 0.0] * units.rad,
            "dec": [0.0, 1.0] * units.deg,
            "peak_flux": MaskedColumn([2.5, 3.0], unit="mJy/beam"),
            "flux": MaskedColumn([2500.0, 1.0], unit="uJy", mask=[False, True]),
            "mjd": [60000.0, 60001.0] * units.day,
        }
    )
    table.write(path, format="votable")
    return path


def test_a_votable_is_converted_by_its_declared_units(pipeline: Pipeline, tmp_path: Path) -> None:
    assert ingest(pipeline, votable(tmp_path / "c.vot")).summary == "2 registered, 0 updated, 0 failed"
    first, second = rows(pipeline)
    assert first["ra_deg"] == pytest.approx(90.0)
    assert (first["peak_jyb"], first["flux_jy"]) == pytest.approx((0.0025, 0.0025))
    assert (second["source_id"], second["flux_jy"]) == ("b", None)


def test_a_unit_that_is_no_flux_is_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    path = votable(tmp_path / "c.vot")
    path.write_text(
        path.read_text().replace('unit="mJy.beam**-1"', 'unit="km"').replace('unit="mJy/beam"', 'unit="km"')
    )
    with pytest.raises(UnreadableTable, match="km cannot be converted"):
        ingest(pipeline, path)


def test_parquet_is_read_in_batches(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.ingest.tables.PARQUET_ROWS", 3)
    columns: dict[str, Sequence[Any]] = {
        "source_id": [f"s{number}" for number in range(8)], "image_path": ["/i.fits"] * 8, "ra_deg": [1.0] * 8,
        "dec_deg": [2.0] * 7 + [99.0], "flux_mjy": [5.0] * 8, "mjd": [60000.0] * 8,
    }  # fmt: skip
    parquet.write_table(pyarrow.table(columns), tmp_path / "c.parquet")
    report = ingest(pipeline, tmp_path / "c.parquet")
    assert report.summary == "7 registered, 0 updated, 1 failed"
    assert report.failures[0].name == "row 8"
    assert {row["flux_jy"] for row in rows(pipeline)} == {0.005}


def parquet_catalogue(path: Path, rows: int, **more: Any) -> None:
    columns = {
        "source_id": [f"s{number}" for number in range(rows)], "image_path": ["/i.fits"] * rows,
        "ra_deg": [1.0] * rows, "dec_deg": [2.0] * rows, "mjd": [60000.0] * rows, **more,
    }  # fmt: skip
    parquet.write_table(pyarrow.table(columns), path, row_group_size=5, compression="zstd")


def test_parquet_with_a_damaged_page_is_refused_and_the_rows_before_stay(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.ingest.photometry.ROWS_PER_TRANSACTION", 5)
    monkeypatch.setattr("app.services.ingest.tables.PARQUET_ROWS", 5)
    path = tmp_path / "c.parquet"
    parquet_catalogue(path, 20, flux_jy=[0.5] * 20)
    with parquet.ParquetFile(path) as file:
        page = file.metadata.row_group(2).column(0)
    content = bytearray(path.read_bytes())
    start = page.dictionary_page_offset or page.data_page_offset
    content[start : start + page.total_compressed_size] = b"\xff" * page.total_compressed_size
    path.write_bytes(content)
    with pytest.raises(UnreadableTable, match="damaged behind row 10"):
        ingest(pipeline, path)
    assert [row["source_id"] for row in rows(pipeline)] == [f"s{number}" for number in range(10)]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="lists open files where Linux does")
def test_parquet_whose_columns_are_refused_is_closed(pipeline: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    parquet_catalogue(path, 3)
    with pytest.raises(UnreadableTable, match="No column with a flux") as refused:
        ingest(pipeline, path)
    assert refused.traceback, "its frames still hold what they opened"
    assert path not in [descriptor.readlink() for descriptor in Path("/proc/self/fd").iterdir() if descriptor.exists()]


def test_parquet_without_pyarrow_says_what_to_install(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_import = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return plain_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "c.parquet").touch()
    with pytest.raises(UnreadableTable, match=r"pip install 'dsa110-contimg-api\[parquet\]'"):
        ingest(pipeline, tmp_path / "c.parquet")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("c.csv", b"", "empty"),
        ("c.csv", b"source_id,ra_deg,dec_deg,flux_jy\n", "This one lacks image_path; it has source_id, ra_deg,"),
        ("c.csv", b"x\n", "needs the columns .* and dec_deg. This one lacks all of them; it has x$"),
        ("c.csv", b"source_id,image_path,ra_deg,dec_deg\n", "flux"),
        ("c.csv", b"\xff\xfe\x00", "UTF-8"),
        ("c.csv", HEADER.encode() + b'\n"unclosed', "readable"),
        ("c.vot", b"<html/>", "VOTable"),
        ("c.parquet", b"PAR1", "Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(
    pipeline: Pipeline, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableTable, match=reason):
        ingest(pipeline, tmp_path / name)
    assert rows(pipeline) == []


def test_a_catalogue_is_streamed_and_written_in_batches(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.ingest.photometry.ROWS_PER_TRANSACTION", 10)
    lines = [LINE.replace("J1200", f"J{number}") for number in range(25)]
    finished: list[int] = []
    products = WritableDatabase(pipeline.products_path, "products")
    ingest_photometry(products, catalogue(tmp_path, HEADER, *lines), advance=finished.append)
    assert finished == [10, 10, 5]
    assert len(rows(pipeline)) == 25
