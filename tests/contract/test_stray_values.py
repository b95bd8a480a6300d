"""Values that no column should hold, but that SQLite lets into any: unknown, and never the end of an answer.

SQLite does not check types: text stands in a column of numbers, bytes stand in one of text, and a number may be
infinite (https://www.sqlite.org/datatype3.html).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.pipeline import Pipeline, worked_example

STRAY = "no-number"
MS = "%2Fstage%2Fms%2F2025-10-31T13%3A49%3A06.ms"
SOURCE = "J120000%2B371200"
ADDRESSES = (
    "/images", "/images?fields=id,pointing_ra_deg,ra_deg,noise_jy,created_at,observed_mjd,imsize_x",
    "/images?ra_deg=180&dec_deg=37.2&radius_deg=1", "/images?ra_deg=180&dec_deg=37.2&match=footprint",
    "/images?format=votable", "/images/7", "/images/7/provenance", "/images/7/qa", "/images/7/sources", "/qa/image/7",
    "/ms", f"/ms/{MS}/metadata", f"/ms/{MS}/provenance", f"/ms/{MS}/calibrator-matches", f"/qa/ms/{MS}", "/jobs",
    "/jobs/job-2025-10-31-134906", "/jobs/job-2025-10-31-134906/provenance", "/qa/job/job-2025-10-31-134906", "/stats",
    "/sources", f"/sources/{SOURCE}", f"/sources/{SOURCE}/lightcurve", f"/sources/{SOURCE}/variability",
    f"/sources/{SOURCE}/qa", f"/sources/{SOURCE}/contributing-images", "/sources/candidates", "/photometry",
    "/batches", "/batches/1", "/qa/days",
)  # fmt: skip
NUMBERS = {
    "images": ("created_at", "center_ra_deg", "center_dec_deg", "noise_jy", "dynamic_range", "beam_major_arcsec",
               "beam_minor_arcsec", "beam_pa_deg", "imsize_x", "imsize_y", "cellsize_arcsec", "freq_ghz"),
    "ms_index": ("start_mjd", "mid_mjd", "end_mjd", "ra_deg", "dec_deg", "pointing_ra_deg", "pointing_dec_deg"),
    "image_qa": ("rms_noise", "peak_flux", "dynamic_range", "beam_major", "beam_minor", "beam_pa", "num_sources",
                 "timestamp"),
    "calibration_qa": ("timestamp",),
    "photometry": ("ra_deg", "dec_deg", "mjd", "measured_at", "snr", "peak_jyb", "peak_err_jyb", "flux_jy",
                   "flux_err_jy"),
    "batch_jobs": ("created_at", "total_items", "completed_items", "failed_items"),
}  # fmt: skip
WORDS = {
    "images": ("ms_path", "type", "field_name"),
    "ms_index": ("stage", "status", "imagename"),
    "caltables": ("path", "table_type"),
    "image_qa": ("overall_quality",),
    "jobs": ("status", "params", "ms_path"),
}


@pytest.fixture(params=["orm", "mixed"])  # the one has every column of images, the other every table
def pipeline(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pipeline]:
    with Pipeline(tmp_path / "state", request.param) as made:
        yield made


@pytest.fixture
def survey(pipeline: Pipeline) -> Pipeline:
    worked_example(pipeline)
    pipeline.make_image_qa(image_path="/stage/img/a.fits", ms_path="/stage/ms/2025-10-31T13:49:06.ms")
    pipeline.make_calibration_qa(ms_path="/stage/ms/2025-10-31T13:49:06.ms")
    for _ in range(3):
        pipeline.make_photometry(image_path="/stage/img/a.fits")
    pipeline.make_job(ms_path="/stage/ms/2025-10-31T13:49:06.ms")
    pipeline.make_batch_job(id=1)
    pipeline.make_batch_item(batch_id=1)
    return pipeline


def spoil(pipeline: Pipeline, table: str, columns: tuple[str, ...], value: Any, rows: str = "1") -> None:
    assignments = ", ".join(f"{column} = :value" for column in columns if column in pipeline.columns(table))
    if assignments:
        with pipeline._writer(table) as connection:
            connection.execute(f"UPDATE {table} SET {assignments} WHERE {rows}", {"value": value})


@pytest.mark.parametrize("value", [STRAY, b"\xff\x00", math.inf, -math.inf], ids=["text", "bytes", "inf", "-inf"])
@pytest.mark.parametrize("table", NUMBERS)
def test_what_is_no_number_is_not_known(client: FlaskClient, survey: Pipeline, table: str, value: Any) -> None:
    for rows in (f"rowid = (SELECT max(rowid) FROM {table})", "1"):
        spoil(survey, table, NUMBERS[table], value, rows)
        for address in ADDRESSES:
            answer = client.get(f"/api/v1{address}")
            assert answer.status_code == 200, (address, answer.text)
            assert STRAY not in answer.text, address
            assert "\ufffd" not in answer.text, address


@pytest.mark.parametrize("table", WORDS)
def test_bytes_in_place_of_text_do_no_harm(client: FlaskClient, survey: Pipeline, table: str) -> None:
    for column in WORDS[table]:
        spoil(survey, table, (column,), b"\xff\x00")
        for address in ADDRESSES:
            answer = client.get(f"/api/v1{address}")
            assert answer.status_code in {200, 404}, (column, address, answer.text)


@pytest.mark.parametrize("value", [STRAY, math.inf, b"\xff"])
def test_unknown_numbers_of_an_image_are_left_out(client: FlaskClient, survey: Pipeline, value: Any) -> None:
    for table in ("images", "image_qa"):
        spoil(survey, table, NUMBERS[table], value)
    image = client.get("/api/v1/images/7").get_json()
    assert {
        "noise_jy",
        "dynamic_range",
        "beam_major_arcsec",
        "beam_minor_arcsec",
        "beam_pa_deg",
    } & image.keys() == set()
    assert (image["qa_summary"], image["pointing_ra_deg"]) == ("No QA metrics available", None)
    assert client.get("/api/v1/images/7/qa").get_json()["warnings"] == []
    (listed,) = client.get("/api/v1/images").get_json()
    assert (listed["pointing_ra_deg"], listed["pointing_dec_deg"]) == (None, None)


@pytest.mark.parametrize("path", [None, b"\xff"])
def test_image_without_a_path_has_no_file(client: FlaskClient, survey: Pipeline, path: Any) -> None:
    # A copy of a table has its columns, but not the rule that none is NULL.
    survey.connection.executescript("CREATE TABLE copy AS SELECT * FROM images; DROP TABLE images;")
    survey.connection.execute("ALTER TABLE copy RENAME TO images")
    spoil(survey, "images", ("path",), path)
    assert client.get("/api/v1/images").status_code == 200
    assert client.get("/api/v1/images/7").status_code == 200
    for address in ("fits", "header", "thumbnail", "preview.png", "cutout?ra_deg=180&dec_deg=37.2", "animation"):
        answer = client.get(f"/api/v1/images/7/{address}")
        assert (answer.status_code, answer.get_json()["error"]) == (404, "FILE_NOT_ACCESSIBLE"), address
    for kind in ("zip", "tar"):
        answer = client.get(f"/api/v1/images/bulk-download?ids=7&format={kind}")
        assert (answer.status_code, answer.get_json()["error"]) == (404, "FILE_NOT_ACCESSIBLE")
