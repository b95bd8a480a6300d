"""Images over HTTP."""

from __future__ import annotations

from pathlib import Path

from flask.testing import FlaskClient

from tests.support.pipeline import Pipeline, worked_example


def test_worked_example_of_an_image(client: FlaskClient, pipeline: Pipeline) -> None:
    worked_example(pipeline)
    image = client.get("/api/v1/images/7").get_json()
    expected = {
        "id": "7",
        "cal_table": "/stage/cal/bp.tbl",
        "pointing_ra_deg": 180.0,
        "pointing_dec_deg": 37.2,
        "qa_grade": "good",
        "qa_summary": 'RMS 0.35 mJy, DR 1200, Beam 12.3"',
        "run_id": "job-2025-10-31-134906",
        "created_at": "2025-10-31T14:49:06.500000Z",
    }
    assert {name: image[name] for name in expected} == expected


def test_list_answers_in_every_generation(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    ids = [any_pipeline.make_image() for _ in range(3)]
    listed = any_client.get("/api/images").get_json()
    assert [item["id"] for item in listed] == [str(number) for number in reversed(ids)]


def test_fits_file_is_served_whole_and_in_part(client: FlaskClient, pipeline: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "data" / "a.fits"
    path.write_bytes(bytes(range(256)) * 40)
    number = pipeline.make_image(path=str(path))
    with client.get(f"/api/images/{number}/fits") as whole:
        assert whole.data == path.read_bytes()
        assert whole.headers["Content-Type"] == "application/fits"
    with client.get(f"/api/images/{number}/fits", headers={"Range": "bytes=10-19"}) as part:
        assert (part.status_code, part.data) == (206, bytes(range(10, 20)))
