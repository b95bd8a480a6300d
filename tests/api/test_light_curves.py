"""Light curves: parts of one, many at once, and as tables."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.pipeline import Pipeline

INFINITY = float("inf")


@pytest.fixture(autouse=True)
def measured(pipeline: Pipeline) -> None:
    """Three epochs of one source with both fluxes, one of another with its peak alone."""
    for n, (flux_jy, peak_jyb, snr) in enumerate([(1.0, 0.5, 10.0), (0.0, 0.25, None), (INFINITY, 0.125, 3.0)]):
        pipeline.make_photometry(
            source_id="S1", mjd=60979.0 + n, flux_jy=flux_jy, flux_err_jy=0.1, peak_jyb=peak_jyb, peak_err_jyb=0.05,
            snr=snr, flags=2048 * n, image_path=f"/img/{n}.fits",
        )  # fmt: skip
    pipeline.make_photometry(source_id="S2", mjd=60980.0, flux_jy=None, flux_err_jy=None, peak_jyb=2.0, snr=None)


def fluxes(client: FlaskClient, query: str) -> list[float | None]:
    answer = client.get(f"/api/v1/sources/S1/lightcurve?{query}")
    assert answer.status_code == 200, answer.text
    return [point["flux_jy"] for point in answer.get_json()["data_points"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [1.0, 0.0, 0.125]),
        ("flux_type=integrated", [1.0, 0.0, None]),
        ("flux_type=peak", [0.5, 0.25, 0.125]),
        ("flux_type=Peak&start_date=60980", [0.25, 0.125]),
        ("end_date=60980.5", [1.0, 0.0]),
        ("start_date=2025-11-01T00:00:01&end_date=2025-11-02", [0.125]),
        ("min_snr=5", [1.0]),
        ("min_snr=3", [1.0, 0.125]),
        ("min_snr=0", [1.0, 0.0, 0.125]),
        ("min_snr=4&flux_type=peak", [0.5, 0.25]),
    ],
)
def test_part_of_a_light_curve(client: FlaskClient, query: str, expected: list[float | None]) -> None:
    assert fluxes(client, query) == expected


def test_flags_of_the_pipeline_are_told_and_left_out_where_there_are_none(client: FlaskClient) -> None:
    points = client.get("/api/v1/sources/S1/lightcurve").get_json()["data_points"]
    assert [point["flags"] for point in points] == [0, 2048, 4096]
    assert all("quality_flag" not in point for point in points)


@pytest.mark.parametrize("query", ["flux_type=total", "start_date=soon", "start_date=-5", "format=xls"])
def test_meaningless_part_is_a_bad_request(client: FlaskClient, query: str) -> None:
    assert client.get(f"/api/v1/sources/S1/lightcurve?{query}").status_code == 400


def test_many_light_curves_are_each_what_the_source_has(client: FlaskClient) -> None:
    body = {"source_ids": ["S2", "nobody", "S1", "S2"], "flux_type": "peak", "start_date": 60979.5}
    answer = client.post("/api/v1/lightcurves", json=body)
    assert answer.status_code == 200, answer.text
    single = [
        client.get(f"/api/v1/sources/{s}/lightcurve?flux_type=peak&start_date=60979.5").get_json()
        for s in ("S2", "nobody", "S1")
    ]
    assert answer.get_json() == single
    assert [len(curve["data_points"]) for curve in single] == [1, 0, 2]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "source_ids"),
        ({"source_ids": []}, "source_ids"),
        ({"source_ids": "S1"}, "source_ids"),
        ({"source_ids": [f"S{n}" for n in range(1001)]}, "source_ids"),
        ({"source_ids": ["S1"], "min_snr": "many"}, "min_snr"),
    ],
)
def test_bodies_that_say_too_little_or_too_much_are_refused(client: FlaskClient, body: Any, field: str) -> None:
    answer = client.post("/api/v1/lightcurves", json=body)
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == field


def test_thousand_sources_are_allowed(client: FlaskClient) -> None:
    answer = client.post("/api/v1/lightcurves", json={"source_ids": [f"S{n}" for n in range(1000)]})
    assert len(answer.get_json()) == 1000


def test_one_and_many_as_tables(client: FlaskClient) -> None:
    one = client.get("/api/v1/sources/S1/lightcurve?format=csv")
    assert one.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(one.text)))
    assert [(row["source_id"], row["flux_jy"], row["snr"], row["flags"]) for row in rows] == [
        ("S1", "1.0", "10.0", "0"),
        ("S1", "0.0", "", "2048"),
        ("S1", "0.125", "3.0", "4096"),
    ]
    many = client.post("/api/v1/lightcurves?format=csv", json={"source_ids": ["S2", "S1"]})
    assert [row["source_id"] for row in csv.DictReader(io.StringIO(many.text))] == ["S2", "S1", "S1", "S1"]
    assert one.headers["Content-Disposition"] == 'attachment; filename="S1-lightcurve.csv"'
    shown = client.get("/api/v1/sources/S1/lightcurve?format=votable")
    assert shown.headers["Content-Disposition"] == 'inline; filename="S1-lightcurve.vot"'
    accepted = client.get("/api/v1/sources/S1/lightcurve", headers={"Accept": "application/x-ndjson"})
    assert len(accepted.data.splitlines()) == 3, accepted.text
    assert client.get("/api/v1/sources/S1/lightcurve").mimetype == "application/json"


def test_no_sources_at_all_is_an_empty_array(client: FlaskClient) -> None:
    assert client.post("/api/v1/lightcurves", json={"source_ids": ["nobody"]}).get_json() == [
        {"source_id": "nobody", "data_points": []}
    ]
