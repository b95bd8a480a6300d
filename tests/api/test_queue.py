"""The queue over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.domain.queue import Outcome
from app.queue.heartbeat import Heart, Workers
from app.queue.records import JobRecords
from tests.support.pipeline import Pipeline


@pytest.fixture
def records(client: FlaskClient) -> JobRecords:
    engine = client.application.extensions["contimg.services"].engine
    return JobRecords(engine, Workers(engine))


@pytest.fixture
def heart(client: FlaskClient) -> Heart:
    engine = client.application.extensions["contimg.services"].engine
    made = Heart(engine, every_s=2, concurrency=3, running=lambda: ["job_1"])
    made.beat()
    return made


def order(records: JobRecords, **meta: Any) -> str:
    params = {"ms_path": "/x.ms", "original_run_id": "job-x"}
    return records.order("test", params, {"original_run_id": "job-x", **meta}, run_id="job-x_r", retries=0).job_id


def test_queue_without_a_worker_is_not_connected(client: FlaskClient) -> None:
    body = client.get("/api/v1/queue").get_json()
    assert body == {
        "connected": False, "queue_name": "dsa110-pipeline", "engine": "sqlite", "redis_url": None, "workers": [],
        "queued_count": 0, "started_count": 0, "finished_count": 0, "failed_count": 0, "canceled_count": 0,
    }  # fmt: skip


def test_queue_with_a_worker_is_connected_and_lists_it(client: FlaskClient, heart: Heart) -> None:
    body = client.get("/api/queue").get_json()
    assert body["connected"] is True
    (worker,) = body["workers"]
    assert (worker["worker_id"], worker["concurrency"], worker["running"]) == (heart.worker_id, 3, ["job_1"])
    assert worker["last_seen"].endswith("Z")


def test_queue_counts_jobs_by_state(client: FlaskClient, records: JobRecords, heart: Heart) -> None:
    jobs = [order(records) for _ in range(5)]
    for n, outcome in enumerate((Outcome({}), Outcome({}, "It broke."))):
        started = records.start(jobs[n], heart.worker_id)
        assert started is not None
        records.finish(started, outcome)
    records.start(jobs[2], heart.worker_id)
    records.cancel(jobs[3])
    body = client.get("/api/v1/queue").get_json()
    counted = [body[f"{state}_count"] for state in ("queued", "started", "finished", "failed", "canceled")]
    assert counted == [1, 1, 1, 1, 1]


def test_password_in_the_url_of_redis_is_not_published(
    make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, environ: dict[str, str]
) -> None:
    environ["DSA110_QUEUE_URL"] = "redis://me:hunter2@127.0.0.1:1/0"
    answer = make_app(pipeline).test_client().get("/api/v1/queue")
    assert answer.status_code == 200
    body = answer.get_json()
    assert body["redis_url"] == "redis://127.0.0.1:1/0"
    assert body["connected"] is False
    assert body["error"]
    assert "queued_count" not in body
    assert "hunter2" not in answer.text


def test_store_that_is_away_is_503_with_retry_after(
    make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, environ: dict[str, str], write_headers: dict[str, str]
) -> None:
    environ["DSA110_QUEUE_URL"] = "redis://127.0.0.1:1/0"
    pipeline.make_ms("/d/TARGET.ms")
    client = make_app(pipeline).test_client()
    for answer in (
        client.get("/api/v1/queue/jobs"),
        client.get("/api/v1/queue/jobs/job_1"),
        client.post("/api/v1/jobs/job-TARGET/rerun", headers=write_headers),
    ):
        assert answer.status_code == 503
        assert answer.get_json()["error"] == "QUEUE_UNAVAILABLE"
        assert answer.headers["Retry-After"] == "5"
    assert client.get("/api/v1/jobs/job-TARGET").status_code == 200


def test_job_has_every_documented_field(client: FlaskClient, records: JobRecords, heart: Heart) -> None:
    job_id = order(records, requested_by="me")
    queued = client.get(f"/api/v1/queue/jobs/{job_id}").get_json()
    assert queued.keys() == {
        "job_id", "status", "created_at", "started_at", "ended_at", "result", "error", "meta",
    }  # fmt: skip
    assert (queued["status"], queued["started_at"], queued["ended_at"]) == ("queued", None, None)
    assert queued["meta"]["requested_by"] == "me"
    started = records.start(job_id, heart.worker_id)
    assert started is not None
    records.finish(started, Outcome({"exit_status": 0}))
    finished = client.get(f"/api/queue/jobs/{job_id}").get_json()
    assert (finished["status"], finished["result"]) == ("finished", {"exit_status": 0})
    assert finished["ended_at"].endswith("Z")


def test_unknown_job_is_404(client: FlaskClient, write_headers: dict[str, str]) -> None:
    for answer in (
        client.get("/api/v1/queue/jobs/job_none"),
        client.post("/api/v1/queue/jobs/job_none/cancel", headers=write_headers),
    ):
        assert answer.status_code == 404
        body = answer.get_json()
        assert (body["error"], body["details"]["entity_type"]) == ("RECORD_NOT_FOUND", "QueueJob")


def test_jobs_are_listed_newest_first_by_page(client: FlaskClient, records: JobRecords) -> None:
    ordered = [order(records) for _ in range(7)][::-1]
    answer = client.get("/api/v1/queue/jobs?limit=3&count=exact")
    assert answer.headers["X-Total-Count"] == "7"
    seen = [job["job_id"] for job in answer.get_json()]
    while "next" in (links := answer.headers["Link"]):
        order(records)  # what comes meanwhile shifts nothing
        answer = client.get(links.partition(", ")[2].partition(">")[0].lstrip("<"))
        seen += [job["job_id"] for job in answer.get_json()]
    assert seen == ordered
    assert client.get("/api/v1/queue/jobs?limit=0").get_json() == []


def test_jobs_are_filtered_by_state_in_any_case(client: FlaskClient, records: JobRecords) -> None:
    waiting, canceled = order(records), order(records)
    records.cancel(canceled)
    for word, found in (("queued", [waiting]), ("CANCELED", [canceled]), ("deferred", [])):
        body = client.get(f"/api/v1/queue/jobs?status={word}").get_json()
        assert [job["job_id"] for job in body] == found


@pytest.mark.parametrize(
    ("query", "status"), [("limit=201", 422), ("limit=-1", 422), ("status=sleeping", 400), ("cursor=x", 400)]
)
def test_meaningless_query_is_refused(client: FlaskClient, query: str, status: int) -> None:
    assert client.get(f"/api/v1/queue/jobs?{query}").status_code == status


def test_cancelling_needs_credentials(client: FlaskClient, records: JobRecords) -> None:
    job_id = order(records)
    assert client.post(f"/api/v1/queue/jobs/{job_id}/cancel").status_code == 401
    assert records.get(job_id).status == "queued"


def test_canceled_job_stays_canceled(
    client: FlaskClient, records: JobRecords, heart: Heart, write_headers: dict[str, str]
) -> None:
    job_id = order(records)
    for _ in range(2):
        answer = client.post(f"/api/v1/queue/jobs/{job_id}/cancel", headers=write_headers)
        assert (answer.status_code, answer.get_json()) == (200, {"status": "canceled", "job_id": job_id})
    assert records.start(job_id, heart.worker_id) is None
    assert client.get(f"/api/v1/queue/jobs/{job_id}").get_json()["status"] == "canceled"


def test_job_is_seen_by_every_process(
    make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, write_headers: dict[str, str]
) -> None:
    pipeline.make_ms("/d/TARGET.ms")
    one, other = make_app(pipeline).test_client(), make_app(pipeline).test_client()
    job_id = one.post("/api/v1/jobs/job-TARGET/rerun", headers=write_headers).get_json()["job_id"]
    assert other.get(f"/api/v1/queue/jobs/{job_id}").get_json()["status"] == "queued"


def test_clearing_the_response_cache_leaves_the_queue_alone(
    client: FlaskClient, records: JobRecords, write_headers: dict[str, str]
) -> None:
    job_id = order(records)
    assert client.post("/api/v1/cache/clear", headers=write_headers).status_code == 200
    assert client.get(f"/api/v1/queue/jobs/{job_id}").get_json()["status"] == "queued"


def test_answers_of_the_queue_are_never_kept(client: FlaskClient, records: JobRecords) -> None:
    job_id = order(records)
    for path in ("/queue", "/queue/jobs", f"/queue/jobs/{job_id}"):
        answer = client.get(f"/api/v1{path}")
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ETag" not in answer.headers
    before = time.monotonic()
    records.cancel(job_id)
    assert client.get(f"/api/v1/queue/jobs/{job_id}").get_json()["status"] == "canceled"
    assert time.monotonic() - before < 5
