"""Reruns over HTTP: ordered once, answered honestly, cancelled, exported, followed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.domain.errors import QueueUnavailable
from app.queue.engine import Engine
from app.queue.heartbeat import Workers
from tests.support.pipeline import Pipeline, ms_path

RUN = "job-2025-10-31-130001"


@pytest.fixture
def ms(any_pipeline: Pipeline) -> str:
    return any_pipeline.make_ms()


def jobs(client: FlaskClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/v1/queue/jobs").get_json()
    return found


def test_rerun_is_queued_and_says_where(any_client: FlaskClient, ms: str, write_headers: dict[str, str]) -> None:
    answer = any_client.post(f"/api/jobs/{RUN}/rerun", headers=write_headers)
    assert answer.status_code == 202
    body = answer.get_json()
    assert re.fullmatch(r"job_[0-9a-f]{12}", body["job_id"])
    assert re.fullmatch(rf"{RUN}_rerun_\d{{8}}_\d{{6}}", body.pop("run_id"))
    assert body == {
        "status": "queued",
        "job_id": body["job_id"],
        "original_run_id": RUN,
        "message": f"Job {RUN} queued for re-run",
        "queue_connected": False,
    }
    job = any_client.get(answer.headers["Location"]).get_json()
    assert (job["job_id"], job["status"]) == (body["job_id"], "queued")
    assert job["meta"]["original_run_id"] == RUN
    assert job["meta"]["requested_by"] == write_headers["X-API-Key"][-8:]
    assert job["meta"]["auth_method"] == "api_key"


def test_credentials_are_asked_for_before_the_job_is_looked_up(client: FlaskClient) -> None:
    assert client.post("/api/v1/jobs/job-nobody/rerun").status_code == 401
    assert client.post("/api/v1/jobs/bulk-rerun", json={"runIds": ["x"]}).status_code == 401
    assert client.post("/api/v1/jobs/bulk-cancel", json={"runIds": ["x"]}).status_code == 401


def test_rerun_of_an_unknown_job_is_404_and_orders_nothing(client: FlaskClient, write_headers: dict[str, str]) -> None:
    answer = client.post("/api/v1/jobs/job-nobody/rerun", headers=write_headers)
    assert answer.status_code == 404
    assert answer.get_json()["details"] == {"entity_type": "Job", "identifier": "job-nobody"}
    assert jobs(client) == []


@pytest.mark.parametrize(
    "body",
    [
        {"config": {"cal_table": "relative"}},
        {"config": {"cal_table": "--option"}},
        {"config": {"cal_table": "/a\u0000b"}},
        {"config": {"phase_center_ra": 360}},
        {"config": {"phase_center_dec": -91}},
        {"config": {"ms_path": "/etc/passwd"}},
        {"config": "fast"},
        {"priority": 101},
        {"priority": 1.5},
        {"priority": "high"},
    ],
)
def test_order_that_means_nothing_is_422(
    pipeline: Pipeline, client: FlaskClient, write_headers: dict[str, str], body: Any
) -> None:
    pipeline.make_ms()
    assert client.post(f"/api/v1/jobs/{RUN}/rerun", headers=write_headers, json=body).status_code == 422
    assert jobs(client) == []


def test_order_carries_its_configuration_and_priority(
    pipeline: Pipeline, client: FlaskClient, write_headers: dict[str, str]
) -> None:
    pipeline.make_ms()
    config = {"cal_table": "/stage/cal/new.tbl", "phase_center_ra": 0.0, "phase_center_dec": -5.5}
    body = {"config": config, "priority": 7}
    job_id = client.post(f"/api/v1/jobs/{RUN}/rerun", headers=write_headers, json=body).get_json()["job_id"]
    records = client.application.extensions["contimg.services"].queue
    job = records.get(job_id)
    assert (job.params["config"], job.priority, job.params["ms_path"]) == (config, 7, ms_path(1))


def test_same_key_and_order_make_one_job(
    pipeline: Pipeline, client: FlaskClient, write_headers: dict[str, str]
) -> None:
    pipeline.make_ms()
    headers = {**write_headers, "Idempotency-Key": "0b2e"}
    first, second = (client.post(f"/api/v1/jobs/{RUN}/rerun", headers=headers, json={"priority": 1}) for _ in range(2))
    assert first.get_json() == second.get_json()
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.headers["Location"] == second.headers["Location"]
    other = client.post(f"/api/v1/jobs/{RUN}/rerun", headers=headers, json={"priority": 2})
    assert (other.status_code, other.get_json()["error"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert len(jobs(client)) == 1


def test_fifty_identical_orders_at_once_make_one_job(
    make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, write_headers: dict[str, str]
) -> None:
    pipeline.make_ms()
    apps = [make_app(pipeline) for _ in range(2)]
    headers = {**write_headers, "Idempotency-Key": "fifty"}

    def post(n: int) -> TestResponse:
        return apps[n % 2].test_client().post(f"/api/v1/jobs/{RUN}/rerun", headers=headers)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(post, range(50)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.get_json()["job_id"] for answer in answers if answer.status_code == 202}) == 1
    assert all(answer.headers["Retry-After"] == "1" for answer in answers if answer.status_code == 409)
    assert len(jobs(apps[0].test_client())) == 1


def test_order_that_failed_leaves_its_key_free(
    pipeline: Pipeline, client: FlaskClient, write_headers: dict[str, str]
) -> None:
    headers = {**write_headers, "Idempotency-Key": "again"}
    assert client.post(f"/api/v1/jobs/{RUN}/rerun", headers=headers).status_code == 404
    pipeline.make_ms()
    assert client.post(f"/api/v1/jobs/{RUN}/rerun", headers=headers).status_code == 202


def test_many_are_ordered_at_once_and_the_unknown_told(
    any_pipeline: Pipeline, any_client: FlaskClient, write_headers: dict[str, str]
) -> None:
    any_pipeline.make_ms()
    any_pipeline.make_ms()
    wanted = {"runIds": [RUN, "job-nobody", "job-2025-10-31-130002", RUN]}
    answer = any_client.post("/api/jobs/bulk-rerun", headers=write_headers, json=wanted)
    assert answer.status_code == 202
    body = answer.get_json()
    assert (body["status"], body["not_found"], body["queue_connected"]) == ("queued", ["job-nobody"], False)
    assert [entry["run_id"] for entry in body["enqueued"]] == [RUN, "job-2025-10-31-130002"]
    assert {job["job_id"] for job in jobs(any_client)} == {entry["job_id"] for entry in body["enqueued"]}


def test_of_many_none_is_ordered_where_the_queue_is_lost_half_way(
    pipeline: Pipeline, client: FlaskClient, write_headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        pipeline.make_ms()
    wanted = {"runIds": [RUN, "job-2025-10-31-130002", "job-2025-10-31-130003"]}
    send, sent = Engine.send, []

    def lossy(engine: Engine, job_id: str, priority: int) -> None:
        sent.append(job_id)
        if len(sent) == 3:
            raise QueueUnavailable("The work queue's store does not answer.")
        send(engine, job_id, priority)

    monkeypatch.setattr(Engine, "send", lossy)
    assert client.post("/api/v1/jobs/bulk-rerun", headers=write_headers, json=wanted).status_code == 503
    assert {job["job_id"]: job["status"] for job in jobs(client)} == dict.fromkeys(sent, "canceled")


@pytest.mark.parametrize("path", [f"{RUN}/rerun", "bulk-rerun"])
def test_nothing_is_ordered_where_nobody_can_say_whether_workers_live(
    pipeline: Pipeline, client: FlaskClient, write_headers: dict[str, str], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    pipeline.make_ms()

    def away(workers: Workers) -> None:
        raise QueueUnavailable("The work queue's store does not answer.")

    body = {"runIds": [RUN]} if path == "bulk-rerun" else None
    with monkeypatch.context() as lost:
        lost.setattr(Workers, "living", away)
        assert client.post(f"/api/v1/jobs/{path}", headers=write_headers, json=body).status_code == 503
    assert jobs(client) == []


@pytest.mark.parametrize("body", [{}, {"runIds": []}, {"runIds": "x"}, {"runIds": [1]}, {"runIds": ["x"] * 1001}])
@pytest.mark.parametrize("path", ["bulk-rerun", "bulk-cancel"])
def test_list_of_runs_that_is_none_is_422(
    client: FlaskClient, write_headers: dict[str, str], path: str, body: Any
) -> None:
    assert client.post(f"/api/v1/jobs/{path}", headers=write_headers, json=body).status_code == 422


def test_jobs_are_cancelled_by_the_run_they_repeat_or_make(
    pipeline: Pipeline, client: FlaskClient, write_headers: dict[str, str]
) -> None:
    for _ in range(3):
        pipeline.make_ms()
    runs = [RUN, "job-2025-10-31-130002", "job-2025-10-31-130003"]
    made = [client.post(f"/api/v1/jobs/{run}/rerun", headers=write_headers).get_json() for run in runs]
    wanted = {"runIds": [RUN, made[1]["run_id"], "job-nobody"]}
    answer = client.post("/api/v1/jobs/bulk-cancel", headers=write_headers, json=wanted)
    assert answer.status_code == 200
    assert answer.get_json() == {"status": "ok", "canceled": wanted["runIds"][:2], "not_found": ["job-nobody"]}
    states = {job["job_id"]: job["status"] for job in jobs(client)}
    assert [states[job["job_id"]] for job in made] == ["canceled", "canceled", "queued"]


def test_jobs_are_exported_as_a_table(any_pipeline: Pipeline, any_client: FlaskClient) -> None:
    path = any_pipeline.make_ms(processed_at=1761918546.0, stage="imaged")
    image = any_pipeline.make_image(ms_path=path)
    answer = any_client.get(f"/api/v1/jobs/export?ids={RUN},job-nobody")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert list(csv.DictReader(io.StringIO(answer.text))) == [
        {
            "run_id": RUN,
            "status": "completed",
            "started_at": "2025-10-31T13:49:06Z",
            "finished_at": "",
            "input_ms": path,
            "output_image_id": str(image),
        }
    ]


def test_cell_that_a_spreadsheet_would_run_is_disarmed(pipeline: Pipeline, client: FlaskClient) -> None:
    pipeline.make_ms("=cmd|calc/x.ms")
    answer = client.get("/api/v1/jobs/export?ids=job-x")
    assert next(iter(csv.DictReader(io.StringIO(answer.text))))["input_ms"] == "'=cmd|calc/x.ms"


@pytest.mark.parametrize(("query", "status"), [("", 400), ("ids=", 400), ("ids=,,", 400), ("ids=job-nobody", 404)])
def test_export_of_nothing_says_so(client: FlaskClient, query: str, status: int) -> None:
    assert client.get(f"/api/v1/jobs/export?{query}").status_code == status


def test_post_to_the_list_of_jobs_is_405(client: FlaskClient, write_headers: dict[str, str]) -> None:
    assert client.post("/api/v1/jobs", headers=write_headers, json={}).status_code == 405


def test_events_of_an_unknown_run_are_404(client: FlaskClient) -> None:
    assert client.get("/api/v1/jobs/job-nobody/events").status_code == 404
    assert client.get("/api/v1/logs/job-nobody/stream").status_code == 404


def test_events_of_a_run_that_is_over_tell_it_all_and_end(
    any_pipeline: Pipeline, any_client: FlaskClient, tmp_path: Path
) -> None:
    any_pipeline.make_ms(stage="imaged")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / f"{RUN}.log").write_text("one\nPROGRESS 40 imaging\ntwo\n")
    answer = any_client.get(f"/api/v1/jobs/{RUN}/events")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    names = re.findall(r"^event: (\w+)$", answer.text, re.MULTILINE)
    assert names == ["status", "log", "progress", "log", "complete"]
    assert '"progress":40.0,"stage":"imaging"' in answer.text
    assert '"success":true' in answer.text


def test_log_is_followed_from_the_last_line_seen(pipeline: Pipeline, client: FlaskClient, tmp_path: Path) -> None:
    pipeline.make_ms(stage="imaged")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / f"{RUN}.log").write_text("one\ntwo\nthree\n")
    whole = client.get(f"/api/v1/logs/{RUN}/stream").text
    assert re.findall(r"^data: (.*)$", whole, re.MULTILINE) == ["one", "two", "three", "completed"]
    ids = re.findall(r"^id: (.*)$", whole, re.MULTILINE)
    assert [int(place.partition(":")[0]) for place in ids] == [4, 8, 14]
    rest = client.get(f"/api/v1/logs/{RUN}/stream", headers={"Last-Event-ID": ids[1]}).text
    assert re.findall(r"^data: (.*)$", rest, re.MULTILINE) == ["three", "completed"]


def test_places_for_streams_are_bounded_and_given_back(
    make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, environ: dict[str, str]
) -> None:
    environ["DSA110_MAX_STREAMS"] = "2"
    pipeline.make_ms(processed_at=None, stage="ingested", status="pending")
    client = make_app(pipeline).test_client()
    path = f"/api/v1/jobs/{RUN}/events"
    first, second = (client.get(path, buffered=False) for _ in range(2))
    refused = client.get(path)
    assert (refused.status_code, refused.get_json()["error"]) == (503, "TOO_MANY_STREAMS")
    assert int(refused.headers["Retry-After"]) > 0
    first.close()
    third = client.get(path, buffered=False)
    assert third.status_code == 200
    for answer in (second, third, client.head("/api/v1/images")):
        answer.close()
    # Neither a HEAD, nor a run that is not there, keeps its place.
    for _ in range(5):
        assert client.head(path).status_code == 200
        assert client.get("/api/v1/jobs/job-nobody/events").status_code == 404
