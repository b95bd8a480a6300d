"""Jobs over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.pipeline import BASE_UNIX_S, Pipeline, worked_example

RUN = "job-2025-10-31-134906"
MS = "/stage/ms/2025-10-31T13:49:06.ms"


def test_worked_example_of_a_job(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    worked_example(any_pipeline)
    assert any_client.get(f"/api/jobs/{RUN}").get_json() == {
        "run_id": RUN,
        "status": "completed",
        "started_at": "2025-10-31T13:49:06Z",
        "finished_at": None,
        "logs_url": f"/api/logs/{RUN}",
        "qa_url": f"/api/qa/job/{RUN}",
        "config": None,
    }
    provenance = any_client.get(f"/api/jobs/{RUN}/provenance").get_json()
    assert provenance["image_url"] == "/api/images/7"
    assert provenance["ms_url"] == "/api/ms/%2Fstage%2Fms%2F2025-10-31T13%3A49%3A06.ms/metadata"
    assert provenance["qa_summary"] == "Stage: imaged"


def test_provenance_is_given_in_camel_case_as_the_dashboard_reads_it(client: FlaskClient, pipeline: Pipeline) -> None:
    worked_example(pipeline)
    provenance = client.get(f"/api/jobs/{RUN}/provenance").get_json()
    camel = {name: value for name, value in provenance.items() if "_" not in name}
    assert camel == {
        "runId": RUN,
        "msPath": MS,
        "calTable": "/stage/cal/bp.tbl",
        "calUrl": "/api/cal/%2Fstage%2Fcal%2Fbp.tbl",
        "pointingRaDeg": 0.0,
        "pointingDecDeg": 37.2,
        "qaGrade": "good",
        "qaSummary": "Stage: imaged",
        "logsUrl": f"/api/logs/{RUN}",
        "qaUrl": f"/api/qa/job/{RUN}",
        "msUrl": "/ms/%2Fstage%2Fms%2F2025-10-31T13%3A49%3A06.ms",
        "imageUrl": "/images/7",
        "createdAt": "2025-10-31T13:49:06Z",
    }


def test_unknown_pointing_is_null_in_snake_case_and_absent_in_camel_case(
    client: FlaskClient, pipeline: Pipeline
) -> None:
    unknown = dict.fromkeys(("ra_deg", "dec_deg", "pointing_ra_deg", "pointing_dec_deg"))
    pipeline.make_ms(MS, stage=None, **unknown)
    provenance = client.get(f"/api/jobs/{RUN}/provenance").get_json()
    assert provenance["pointing_ra_deg"] is provenance["pointing_dec_deg"] is None
    assert not {"pointingRaDeg", "pointingDecDeg"} & set(provenance)
    assert provenance["qa_summary"] == "Stage: unknown"
    assert provenance["qa_grade"] == "fail"


def test_job_cites_the_newest_calibration_table(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_ms(MS)
    for n, kind in enumerate(("BP", "K", "GP")):
        pipeline.make_caltable(table_type=kind, path=f"/cal/{kind}", source_ms_path=MS, created_at=10.0 - n)
    assert client.get(f"/api/jobs/{RUN}/provenance").get_json()["cal_table"] == "/cal/BP"


# -- which job a run id means


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("job-2025-10-31-134906", "/d/2025-10-31T13:49:06.ms"),
        ("job-2025-10-31-134907", "/d/2025-10-31T134907.ms"),
        ("job-2025-10-31-134906_cal", "/d/2025-10-31T13:49:06_cal.ms"),
        ("job-2025-10-31-140000", "/d/2025-10-31-140000.ms"),
        ("job-TARGET", "/d/TARGET.ms"),
        ("job-TARGET.v2", "/d/TARGET.v2.ms"),
        ("job-100%_sure", "/d/100%_sure.ms"),
        ("job-bare", "bare"),
        ("job-folder", "/d/folder.ms/"),
    ],
)
def test_job_is_found_by_its_whole_run_id(asked: str, found: str, client: FlaskClient, pipeline: Pipeline) -> None:
    for path in (
        "/d/2025-10-31T13:49:06.ms", "/d/2025-10-31T134907.ms", "/d/2025-10-31T13:49:06_cal.ms",
        "/d/2025-10-31-140000.ms", "/d/TARGET.ms", "/d/TARGET.v2.ms", "/d/100%_sure.ms", "/d/100percent.ms", "bare",
        "/d/folder.ms/", "/job-TARGET/other.ms",
    ):  # fmt: skip
        pipeline.make_ms(path)
    answer = client.get(f"/api/jobs/{asked.replace('%', '%25')}/provenance")
    assert answer.status_code == 200
    assert answer.get_json()["ms_path"] == found


@pytest.mark.parametrize(
    "asked",
    ["job-", "job-%25", "job-_", "job-*", "job-2025-10-31", "job-2025-10-31-", "job-2025-10-31-1349",
     "job-2025-10-31-134906x", "job-2025-10-31-134906%25", "JOB-2025-10-31-134906", "2025-10-31-134906", "job-TARGE",
     "job-%00", "job-" + "9" * 5000, "job-2025-10-31-134906.ms"],
    ids=lambda asked: asked[:24],
)  # fmt: skip
@pytest.mark.parametrize("leaf", ["", "/provenance"])
def test_wildcards_and_beginnings_match_no_job(asked: str, leaf: str, client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_ms(MS)
    pipeline.make_ms("/d/TARGET.ms")
    pipeline.make_job()
    answer = client.get(f"/api/jobs/{asked}{leaf}")
    assert answer.status_code == 404
    assert answer.get_json()["details"]["entity_type"] == "Job"


def test_of_several_measurement_sets_the_one_processed_last_answers(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_ms("/a/2025-10-31T13:49:06.1.ms", processed_at=10.0)
    pipeline.make_ms("/b/2025-10-31T13:49:06.2.ms", processed_at=30.0)
    pipeline.make_ms("/c/2025-10-31T13:49:06.3.ms", processed_at=20.0)
    pipeline.make_ms("/d/2025-10-31T13:49:06.4.ms", processed_at=None)
    assert client.get(f"/api/jobs/{RUN}/provenance").get_json()["ms_path"] == "/b/2025-10-31T13:49:06.2.ms"


def test_measurement_set_that_waits_is_found_as_pending_but_not_listed(
    any_client: FlaskClient, any_pipeline: Pipeline
) -> None:
    any_pipeline.make_ms(MS, processed_at=None, stage="ingested", status="converted")
    job = any_client.get(f"/api/jobs/{RUN}").get_json()
    assert (job["status"], job["started_at"]) == ("pending", None)
    assert any_client.get(f"/api/jobs/{RUN}/provenance").get_json()["ms_path"] == MS
    assert any_client.get("/api/jobs").get_json() == []


def test_rerun_known_to_the_jobs_table_alone_is_found(client: FlaskClient, pipeline: Pipeline) -> None:
    worked_example(pipeline)
    rerun = f"{RUN}_rerun_20251101_000000"
    pipeline.make_job(run_id=rerun, ms_path=MS, status="running", started_at=1761955200, finished_at=None)
    assert client.get(f"/api/jobs/{rerun}").get_json()["status"] == "running"
    provenance = client.get(f"/api/jobs/{rerun}/provenance").get_json()
    assert (provenance["run_id"], provenance["ms_path"]) == (rerun, MS)
    assert provenance["image_url"] == "/api/images/7"
    assert provenance["created_at"] == "2025-11-01T00:00:00Z"


def test_rerun_of_a_measurement_set_that_is_not_indexed_links_none(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_job(run_id="job-lost", ms_path="/gone.ms")
    provenance = client.get("/api/jobs/job-lost/provenance").get_json()
    assert provenance["ms_path"] == "/gone.ms"
    assert provenance["ms_url"] is provenance["image_url"] is provenance["msUrl"] is provenance["qa_grade"] is None


# -- states


@pytest.mark.parametrize(
    ("ms", "recorded", "status"),
    [
        ({"stage": None, "status": None}, None, "running"),
        ({"stage": "imaged", "status": "failed"}, None, "failed"),
        ({"stage": "calibrated", "status": "done"}, None, "completed"),
        ({"stage": "calibrated", "status": "skipped_no_caltables"}, None, "running"),
        ({"stage": "imaged", "status": "ok"}, None, "completed"),
        ({"stage": "imaged", "status": "done"}, "failed", "failed"),
        ({"stage": "ingested", "status": "failed"}, "done", "completed"),
        ({"stage": "imaged", "status": "done"}, "queued", "pending"),
        ({"stage": "imaged", "status": "done"}, "started", "running"),
        ({"stage": "imaged", "status": "done"}, "words nobody knows", "completed"),
    ],
)
def test_list_and_detail_agree_on_a_state_that_is_not_always_completed(
    ms: dict[str, str | None], recorded: str | None, status: str, client: FlaskClient, pipeline: Pipeline
) -> None:
    pipeline.make_ms(MS, **ms)
    if recorded is not None:
        pipeline.make_job(ms_path=MS, status=recorded)
    assert client.get(f"/api/jobs/{RUN}").get_json()["status"] == status
    assert [(job["run_id"], job["status"]) for job in client.get("/api/jobs").get_json()] == [(RUN, status)]


def test_newest_row_of_the_jobs_table_speaks(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    any_pipeline.make_ms(MS)
    any_pipeline.make_job(ms_path=MS, status="failed", created_at=2.0, finished_at=1761918600)
    any_pipeline.make_job(ms_path=MS, status="completed", created_at=1.0)
    job = any_client.get(f"/api/jobs/{RUN}").get_json()
    assert (job["status"], job["finished_at"]) == ("failed", "2025-10-31T13:50:00Z")
    listed = any_client.get("/api/jobs").get_json()
    assert [(item["run_id"], item["status"]) for item in listed] == [(RUN, "failed")]


def test_a_rerun_of_the_same_path_does_not_speak_for_the_original(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_ms(MS)
    pipeline.make_job(ms_path=MS, run_id=f"{RUN}_rerun_1", status="failed")
    assert client.get(f"/api/jobs/{RUN}").get_json()["status"] == "completed"
    assert client.get(f"/api/jobs/{RUN}").get_json()["config"] is None


@pytest.mark.parametrize("generation", ["production", "head"])
def test_absent_jobs_table_is_an_empty_one(
    generation: str, tmp_path: Path, make_app: Callable[[Pipeline], Flask]
) -> None:
    with Pipeline(tmp_path / "state", generation, jobs=False) as pipeline:
        pipeline.make_ms(MS)
        client = make_app(pipeline).test_client()
        assert client.get(f"/api/jobs/{RUN}").get_json()["status"] == "completed"
        assert len(client.get("/api/jobs").get_json()) == 1
        assert client.get(f"/api/qa/job/{RUN}").get_json()["queue_status"] is None
        assert client.get("/api/jobs/job-none").status_code == 404


@pytest.mark.parametrize(
    ("params", "config"),
    [
        (json.dumps({"config": {"niter": 1000}, "by": "x"}), {"niter": 1000}),
        (json.dumps({"niter": 0}), {"niter": 0}),
        ("", {}),
        (None, {}),
        ("{'repr': True}", {}),
        ("[1, 2]", {}),
        ('{"config": 7}', {}),
        ('{"gain": NaN, "n": 123456789012345678901234567890}', {"gain": None, "n": 1.2345678901234568e29}),
        ("[" * 100_000, {}),
        ('{"bad": "\\ud800"}', {}),
    ],
    ids=range(10),
)
def test_configuration_is_read_from_params_whatever_stands_there(
    params: str | None, config: dict[str, object], client: FlaskClient, pipeline: Pipeline
) -> None:
    pipeline.make_ms(MS)
    pipeline.make_job(ms_path=MS, params=params)
    assert client.get(f"/api/jobs/{RUN}").get_json()["config"] == config


# -- the list


def test_list_holds_processed_measurement_sets_and_reruns_by_newest_start(
    client: FlaskClient, pipeline: Pipeline
) -> None:
    pipeline.make_ms("/a.ms", processed_at=BASE_UNIX_S + 10)
    pipeline.make_ms("/b.ms", processed_at=BASE_UNIX_S + 30)
    pipeline.make_ms("/c.ms", processed_at=None)
    pipeline.make_job(ms_path="/a.ms", run_id="job-a", status="completed")
    pipeline.make_job(ms_path="/a.ms", run_id="job-a_rerun_1", started_at=BASE_UNIX_S + 20)
    pipeline.make_job(ms_path="/a.ms", run_id="job-a_rerun_2", started_at=None, created_at=BASE_UNIX_S + 40)
    pipeline.make_job(ms_path="/a.ms", run_id="job-a_other", type="ingest")
    answer = client.get("/api/jobs?count=exact")
    listed = [job["run_id"] for job in answer.get_json()]
    assert listed == ["job-a_rerun_2", "job-b", "job-a_rerun_1", "job-a"]
    assert answer.headers["X-Total-Count"] == "4"
    assert answer.get_json()[-1] == {
        "run_id": "job-a", "status": "completed", "started_at": "2025-10-31T13:00:10Z",
        "finished_at": "2025-10-31T13:01:02Z",
    }  # fmt: skip


def test_list_is_walked_without_loss_when_starts_are_equal(client: FlaskClient, pipeline: Pipeline) -> None:
    for n in range(5):
        path = pipeline.make_ms(processed_at=BASE_UNIX_S)
        pipeline.make_job(ms_path=path, run_id=f"job-rerun-{n}", started_at=BASE_UNIX_S)
    whole = [job["run_id"] for job in client.get("/api/jobs").get_json()]
    answer = client.get("/api/jobs?limit=3")
    walked = [job["run_id"] for job in answer.get_json()]
    while 'rel="next"' in answer.headers["Link"]:
        answer = client.get(answer.headers["Link"].split(", ")[-1].split(">")[0].lstrip("<"))
        walked += [job["run_id"] for job in answer.get_json()]
    assert len(set(whole)) == 10
    assert walked == whole
    assert [job["run_id"] for job in client.get("/api/jobs?limit=4&offset=3").get_json()] == whole[3:7]


def test_jobs_are_not_made_by_posting(client: FlaskClient) -> None:
    assert client.post("/api/jobs").status_code == 405
