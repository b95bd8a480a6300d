"""Registering images, in every generation of the pipeline's schema."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.db.writing import WritableDatabase
from app.domain.errors import Busy, DatabaseUnavailable
from app.domain.time import unix_from_iso
from app.services.ingest.images import find_images, image_row, image_type, ingest_images, is_primary_beam_corrected
from tests.support.pipeline import Pipeline
from tests.support.radio_images import NOISE_JY, NX, NY, write_image

NAME = "2025-10-31T13:49:06.img-image.fits"


def products(pipeline: Pipeline) -> WritableDatabase:
    return WritableDatabase(pipeline.products_path, "products", busy_timeout_s=0.2)


def rows(pipeline: Pipeline, table: str = "images") -> list[dict[str, Any]]:
    cursor = pipeline.connection.execute(f"SELECT * FROM {table} ORDER BY rowid")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def test_an_image_is_registered_in_every_generation(any_pipeline: Pipeline, tmp_path: Path) -> None:
    path = write_image(tmp_path / NAME, axes=("RA", "DEC", "FREQ", "STOKES"), header={"DATE": "2025-10-31T14:00:00"})
    any_pipeline.make_ms(str(tmp_path / "2025-10-31T13:49:06.ms"))
    report = ingest_images(products(any_pipeline), [path])
    assert report.summary == "1 registered, 0 updated, 0 failed"
    (row,) = rows(any_pipeline)
    expected = {
        "path": str(path), "ms_path": str(tmp_path / "2025-10-31T13:49:06.ms"), "type": "image", "pbcor": 0,
        "created_at": unix_from_iso("2025-10-31T14:00:00"), "beam_major_arcsec": 14.0, "format": "fits",
        "imsize_x": NX, "imsize_y": NY, "center_ra_deg": 180.0, "field_name": "3C286", "freq_ghz": 1.4,
        "bandwidth_mhz": 250.0, "integration_sec": 309.12,
    }  # fmt: skip
    assert {name: row[name] for name in expected if name in row} == {
        name: value for name, value in expected.items() if name in row
    }
    assert row["noise_jy"] == pytest.approx(NOISE_JY, rel=0.03)


def test_running_again_updates_what_changed_and_never_duplicates(any_pipeline: Pipeline, tmp_path: Path) -> None:
    path = write_image(tmp_path / NAME)
    any_pipeline.make_ms(str(tmp_path / "2025-10-31T13:49:06.ms"))
    ingest_images(products(any_pipeline), [path])
    before = rows(any_pipeline)
    assert ingest_images(products(any_pipeline), [path]).summary == "0 registered, 0 updated, 1 unchanged, 0 failed"
    assert rows(any_pipeline) == before
    write_image(path, header={"BMAJ": 0.5})
    assert ingest_images(products(any_pipeline), [path]).summary == "0 registered, 1 updated, 0 failed"


def test_a_guess_never_replaces_what_the_pipeline_wrote(pipeline: Pipeline, tmp_path: Path) -> None:
    path = write_image(tmp_path / NAME)
    pipeline.make_image(
        path=str(path), ms_path="/stage/ms/true.ms", type="continuum", pbcor=1, created_at=5.0, noise_jy=9.0,
        beam_pa_deg=77.0,
    )  # fmt: skip
    ingest_images(products(pipeline), [path])
    (row,) = rows(pipeline)
    assert (row["ms_path"], row["type"], row["pbcor"], row["created_at"]) == ("/stage/ms/true.ms", "continuum", 1, 5.0)
    assert row["noise_jy"] < 0.001
    assert row["beam_pa_deg"] == 35.0


def test_what_the_file_does_not_tell_stays_as_it_was(pipeline: Pipeline, tmp_path: Path) -> None:
    path = write_image(tmp_path / NAME, header={"BMAJ": None, "BMIN": None, "BPA": None, "OBJECT": None})
    pipeline.make_image(path=str(path), beam_major_arcsec=12.5, field_name="Cygnus")
    ingest_images(products(pipeline), [path])
    assert [(row["beam_major_arcsec"], row["field_name"]) for row in rows(pipeline)] == [(12.5, "Cygnus")]


def test_a_bad_file_is_named_with_its_reason_and_the_rest_goes_in(pipeline: Pipeline, tmp_path: Path) -> None:
    good = [write_image(tmp_path / f"good{number}.fits") for number in range(3)]
    blank = write_image(tmp_path / "blank.fits", np.full((NY, NX), np.nan, np.float32))
    text = tmp_path / "text.fits"
    text.write_text("no")
    report = ingest_images(products(pipeline), [good[0], blank, good[1], text, good[2], tmp_path / "gone.fits"])
    assert report.summary == "3 registered, 0 updated, 3 failed"
    reasons = {Path(failure.name).name: failure.reason for failure in report.failures}
    assert "all are blank" in reasons["blank.fits"]
    assert "not FITS" in reasons["text.fits"]
    assert "not accessible" in reasons["gone.fits"]
    assert len(rows(pipeline)) == 3


def test_each_batch_is_one_transaction(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.ingest.images.FILES_PER_TRANSACTION", 2)
    paths = [write_image(tmp_path / f"{number}.fits") for number in range(5)]
    transactions = 0
    database = products(pipeline)
    begin = database.transaction

    def counted() -> Any:
        nonlocal transactions
        transactions += 1
        return begin()

    monkeypatch.setattr(database, "transaction", counted)
    finished: list[int] = []
    assert ingest_images(database, paths, advance=finished.append).registered == 5
    assert transactions == 3
    assert finished == [1] * 5


def test_a_locked_database_is_busy_and_nothing_is_written(pipeline: Pipeline, tmp_path: Path) -> None:
    path = write_image(tmp_path / NAME)
    pipeline.connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy):
        ingest_images(products(pipeline), [path])
    pipeline.connection.rollback()
    assert rows(pipeline) == []


@pytest.mark.parametrize("content", [None, b"not a database", b""])
def test_a_file_that_is_no_pipeline_database_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.sqlite3"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatabaseUnavailable):
        ingest_images(WritableDatabase(path, "products"), [write_image(tmp_path / NAME)])
    assert path.exists() == (content is not None)


def test_a_unified_database_names_the_missing_measurement_set(tmp_path: Path) -> None:
    path = write_image(tmp_path / NAME)
    with Pipeline(tmp_path / "state", "head") as pipeline:
        report = ingest_images(products(pipeline), [path])
        assert report.summary == "0 registered, 0 updated, 1 failed"
        assert "registered first" in report.failures[0].reason
        pipeline.make_ms(str(tmp_path / "2025-10-31T13:49:06.ms"))
        assert ingest_images(products(pipeline), [path]).registered == 1


def test_of_rows_sharing_a_path_the_newest_is_updated(pipeline: Pipeline, tmp_path: Path) -> None:
    path = write_image(tmp_path / NAME)
    for _ in range(2):
        pipeline.make_image(path=str(path), noise_jy=1.0)
    assert ingest_images(products(pipeline), [path]).summary == "0 registered, 1 updated, 0 failed"
    older, newer = rows(pipeline)
    assert older["noise_jy"] == 1.0
    assert newer["noise_jy"] < 1.0


@pytest.mark.parametrize(
    ("name", "kind", "corrected"),
    [
        ("2025-10-31T13:49:06.image.fits", "image", False),
        ("2025-10-31T13:49:06.img-image.fits", "image", False),
        ("field.image.pbcor.fits", "pbcor", True),
        ("field-MFS-image-pb.fits", "pbcor", True),
        ("field.pb.fits", "pb", False),
        ("field.residual.fits", "residual", False),
        ("field-dirty.fits.gz", "dirty", False),
        ("field-psf.FITS", "psf", False),
        ("field.model.fits", "model", False),
        ("field.mask.fits", "mask", False),
        ("night_mosaic.pbcor.fits", "mosaic", True),
        ("field.cont.fits", "continuum", False),
        ("pbcorner.fits", "image", False),
    ],
)
def test_the_words_of_a_name_tell_the_kind(name: str, kind: str, corrected: bool) -> None:
    assert image_type(name) == kind
    assert is_primary_beam_corrected(name) is corrected


def test_a_point_spread_function_has_no_noise(tmp_path: Path) -> None:
    row = image_row(write_image(tmp_path / "field.psf.fits"))
    assert "noise_jy" not in row.facts
    assert "dynamic_range" not in row.facts
    assert row.facts["beam_major_arcsec"] == 14.0


@pytest.mark.parametrize(
    ("header", "fact", "guess"),
    [
        ({"DATE": "2025-11-01T00:00:00"}, "2025-11-01T00:00:00", "2001-09-09T01:46:40"),
        ({"DATE-OBS": "2025-10-31T13:49:06.5"}, None, "2025-10-31T13:49:06.5"),
        ({"DATE-OBS": "yesterday"}, None, "2001-09-09T01:46:40"),
        ({}, None, "2001-09-09T01:46:40"),
    ],
)
def test_the_time_of_an_image_is_that_of_its_header_before_that_of_its_file(
    tmp_path: Path, header: dict[str, Any], fact: str | None, guess: str
) -> None:
    path = write_image(tmp_path / "a.fits", header=header)
    os.utime(path, (1e9, 1e9))
    row = image_row(path)
    assert row.facts.get("created_at") == (None if fact is None else unix_from_iso(fact))
    assert row.guesses["created_at"] == unix_from_iso(guess)


@pytest.mark.parametrize(
    ("name", "header", "existing", "expected"),
    [
        ("a.image.fits", {"MSNAME": "night/a.ms/"}, None, "night/a.ms"),
        ("a.image.fits", {"ORIGIN": "CASA 6.6"}, None, "a.ms"),
        ("a.image.pbcor.fits", {}, "a.image.ms", "a.image.ms"),
        ("a.image.pbcor.fits", {}, "a.ms", "a.ms"),
        (
            "2025-10-31T13:49:06.img-image-pb.fits.gz",
            {"DATE-OBS": "2025-10-31T13:49:07"},
            None,
            "2025-10-31T13:49:06.ms",
        ),
        ("night.fits", {"DATE-OBS": "2025-10-31T13:49:07.25"}, None, "2025-10-31T13:49:07.ms"),
        ("my_target.fits", {}, None, "my_target.ms"),
        ("100%.fits", {}, None, "100%.ms"),
    ],
)
def test_the_measurement_set_is_found_by_header_by_neighbour_or_by_time(
    tmp_path: Path, name: str, header: dict[str, Any], existing: str | None, expected: str
) -> None:
    if existing:
        (tmp_path / existing).mkdir()
    plain = write_image(tmp_path / "plain.fits", header=header)
    path = plain.rename(tmp_path / name.removesuffix(".gz"))
    row = image_row(path)
    assert {**row.guesses, **row.facts}["ms_path"] == str(tmp_path / expected)


def test_measurement_sets_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "ms" / "a.ms").mkdir(parents=True)
    by_name = image_row(write_image(tmp_path / "images" / "a.image.fits"), ms_directory=tmp_path / "ms")
    by_card = image_row(
        write_image(tmp_path / "images" / "b.fits", header={"MSNAME": "b.ms"}), ms_directory=tmp_path / "ms"
    )
    assert by_name.guesses["ms_path"] == str(tmp_path / "ms" / "a.ms")
    assert by_card.facts["ms_path"] == str(tmp_path / "ms" / "b.ms")


def test_files_are_found_below_folders_once_and_not_inside_tables(tmp_path: Path) -> None:
    wanted = [tmp_path / name for name in ("a.fits", "b/c.FITS", "b/d.fit", "e.fits.gz")]
    for path in (*wanted, tmp_path / "note.txt", tmp_path / "t.ms" / "inside.fits", tmp_path / "odd.data"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "t.ms" / "table.dat").touch()
    assert sorted(find_images([tmp_path, tmp_path / "b", wanted[0]])) == sorted(wanted)
    assert find_images([tmp_path / "odd.data"]) == [tmp_path / "odd.data"]


def test_a_relative_path_is_stored_absolute(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "images" / "a.fits")
    monkeypatch.chdir(tmp_path / "images")
    ingest_images(products(pipeline), find_images([Path("../images/a.fits"), Path(".")]))
    assert [row["path"] for row in rows(pipeline)] == [str(tmp_path / "images" / "a.fits")]


def test_the_builders_here_are_seen_by_another_connection(pipeline: Pipeline, tmp_path: Path) -> None:
    ingest_images(products(pipeline), [write_image(tmp_path / "a.fits")])
    other = sqlite3.connect(pipeline.products_path)
    assert other.execute("SELECT count(*) FROM images").fetchone() == (1,)
    other.close()
