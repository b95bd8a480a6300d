"""Measurement sets over HTTP."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.support.pipeline import Pipeline, worked_example

MS = "/stage/ms/2025-10-31T13:49:06.ms"


def url(path: str, leaf: str = "metadata") -> str:
    return f"/api/ms/{quote(path, safe='')}/{leaf}"


def test_worked_example_of_a_measurement_set(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    worked_example(any_pipeline)
    assert any_client.get(url(MS)).get_json() == {
        "path": MS,
        "pointing_ra_deg": 0.0,
        "pointing_dec_deg": 37.2,
        "calibrator_matches": [{"cal_table": "/stage/cal/bp.tbl", "type": "BP"}],
        "qa_grade": "good",
        "qa_summary": "Stage: imaged",
        "run_id": "job-2025-10-31-134906",
        "created_at": "2025-10-31T13:49:06Z",
    }


def test_provenance_links_the_newest_image_by_id_not_by_file_name(
    any_client: FlaskClient, any_pipeline: Pipeline
) -> None:
    worked_example(any_pipeline)
    older = any_pipeline.make_image(ms_path=MS, created_at=1.0)
    provenance = any_client.get(url(MS, "provenance")).get_json()
    assert older != 7
    assert provenance["image_url"] == "/api/images/7"
    assert provenance["ms_url"] == "/api/ms/%2Fstage%2Fms%2F2025-10-31T13%3A49%3A06.ms/metadata"
    assert provenance["qa_url"] == "/api/qa/ms/%2Fstage%2Fms%2F2025-10-31T13%3A49%3A06.ms"
    assert provenance["logs_url"] == "/api/logs/job-2025-10-31-134906"
    assert provenance["cal_table"] == "/stage/cal/bp.tbl"


def test_measurement_set_without_images_links_none(client: FlaskClient, pipeline: Pipeline) -> None:
    path = pipeline.make_ms()
    assert client.get(url(path, "provenance")).get_json()["image_url"] is None


def test_calibrator_matches_come_in_the_order_of_application(client: FlaskClient, pipeline: Pipeline) -> None:
    path = pipeline.make_ms()
    for table_type in ("GP", "K", "BP"):
        pipeline.make_caltable(table_type=table_type, path=f"/stage/cal/{table_type}", source_ms_path=path)
    assert client.get(url(path, "calibrator-matches")).get_json() == {
        "ms_path": path,
        "matches": [{"cal_table": f"/stage/cal/{kind}", "type": kind} for kind in ("K", "BP", "GP")],
    }
    assert client.get(url(path, "provenance")).get_json()["cal_table"] == "/stage/cal/K"


@pytest.mark.parametrize("options", [{"registry": False}, {"registry_provenance": False}], ids=str)
@pytest.mark.parametrize("generation", ["production", "head"])
def test_without_registry_or_its_later_columns_there_are_no_matches(
    options: dict[str, bool], generation: str, tmp_path, make_app
) -> None:
    with Pipeline(tmp_path / "state", generation, **options) as pipeline:
        path = pipeline.make_ms()
        client = make_app(pipeline).test_client()
        assert client.get(url(path, "calibrator-matches")).get_json() == {"ms_path": path, "matches": []}
        assert client.get(url(path, "provenance")).get_json()["cal_table"] is None


@pytest.mark.parametrize(
    ("columns", "pointing"),
    [
        ({"pointing_ra_deg": 0.0, "pointing_dec_deg": 0.0, "ra_deg": 12.0, "dec_deg": 13.0}, (0.0, 0.0)),
        ({"pointing_ra_deg": None, "pointing_dec_deg": 3.0, "ra_deg": 12.0, "dec_deg": 13.0}, (12.0, 3.0)),
        ({"pointing_ra_deg": 2.0, "pointing_dec_deg": None, "ra_deg": 12.0, "dec_deg": 13.0}, (2.0, 13.0)),
        ({"pointing_ra_deg": None, "pointing_dec_deg": None, "ra_deg": None, "dec_deg": None}, (None, None)),
    ],
)
def test_a_pointing_at_zero_is_a_pointing_and_each_axis_falls_back_alone(
    columns: dict[str, float | None], pointing: tuple[float | None, ...], client: FlaskClient, pipeline: Pipeline
) -> None:
    ms = client.get(url(pipeline.make_ms(**columns))).get_json()
    assert (ms["pointing_ra_deg"], ms["pointing_dec_deg"]) == pointing


@pytest.mark.parametrize(
    "path",
    [
        "/stage/ms/50%25 done.ms",
        "/stage/ms/100%.ms",
        "/stage/ms/a b+c#d?e&f;g.ms",
        "/stage/ms/Ångström-κ.ms",
        "/stage/ms/folder.ms/",
        "/stage//ms/doubled.ms",
        "relative.ms",
        "/stage/ms/metadata/provenance.ms",
    ],
)
@pytest.mark.parametrize("leaf", ["metadata", "calibrator-matches", "provenance"])
def test_paths_are_decoded_exactly_once(path: str, leaf: str, client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_ms(path)
    answer = client.get(url(path, leaf))
    assert answer.status_code == 200
    assert path in answer.get_json().values()


def test_a_proxy_that_collapses_slashes_does_not_hide_a_measurement_set(
    client: FlaskClient, pipeline: Pipeline
) -> None:
    path = pipeline.make_ms()
    assert client.get(f"/api/ms{path}/metadata").get_json()["path"] == path


def test_what_was_written_wins_over_the_repaired_spelling(client: FlaskClient, pipeline: Pipeline) -> None:
    for path in ("x.ms", "/x.ms", "x.ms/"):
        pipeline.make_ms(path)
    assert client.get("/api/ms/x.ms/metadata").get_json()["path"] == "x.ms"
    assert client.get("/api/ms/%2Fx.ms/metadata").get_json()["path"] == "/x.ms"


@pytest.mark.parametrize("leaf", ["metadata", "calibrator-matches", "provenance"])
@pytest.mark.parametrize(
    "path", ["/stage/ms/none.ms", "%", "/stage/ms/2025%", "\x00", "x" * 5000], ids=lambda p: p[:20]
)
def test_unknown_measurement_set_is_not_found(path: str, leaf: str, client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_ms()
    answer = client.get(url(path, leaf))
    assert answer.status_code == 404
    body = answer.get_json()
    assert (body["error"], body["code"]) == ("RECORD_NOT_FOUND", "MS_NOT_FOUND")
    assert body["details"]["entity_type"] == "MeasurementSet"
    assert body["details"]["identifier"].startswith(path[:200])


def test_list_shows_the_newest_processed_first_and_the_unprocessed_last(
    any_client: FlaskClient, any_pipeline: Pipeline
) -> None:
    any_pipeline.make_ms("/b.ms", processed_at=None, stage=None, status="pending")
    any_pipeline.make_ms("/a.ms", processed_at=None, stage="ingested")
    any_pipeline.make_ms("/old.ms", processed_at=0, stage="calibrated")
    any_pipeline.make_ms("/new.ms", processed_at=1761918546)
    listed = any_client.get("/api/ms").get_json()
    assert [item["path"] for item in listed] == ["/new.ms", "/old.ms", "/a.ms", "/b.ms"]
    assert [item["qa_grade"] for item in listed] == ["good", "warn", "fail", "fail"]
    assert listed[1]["created_at"] == "1970-01-01T00:00:00Z"
    assert listed[3] == {
        "path": "/b.ms", "run_id": "job-b", "stage": None, "status": "pending", "qa_grade": "fail",
        "pointing_ra_deg": 180.1, "pointing_dec_deg": 37.25, "created_at": None,
    }  # fmt: skip


def test_list_is_walked_to_its_end_though_the_last_rows_have_no_time(client: FlaskClient, pipeline: Pipeline) -> None:
    paths = [pipeline.make_ms(processed_at=None if n % 2 else 5.0) for n in range(7)]
    answer = client.get("/api/ms?limit=2&count=exact")
    assert answer.headers["X-Total-Count"] == "7"
    walked = [item["path"] for item in answer.get_json()]
    while 'rel="next"' in answer.headers["Link"]:
        target = answer.headers["Link"].split(", ")[-1].split(">")[0].lstrip("<")
        answer = client.get(target)
        walked += [item["path"] for item in answer.get_json()]
    assert walked == sorted(paths[::2]) + sorted(paths[1::2])
