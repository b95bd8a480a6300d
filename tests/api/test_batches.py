"""Batches over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.db.writing import WritableDatabase
from app.domain.errors import QueueUnavailable
from app.queue.engine import Engine
from app.repositories.batches import BatchWriter
from tests.support.pipeline import Pipeline, ms_path


def lose_queue(monkeypatch: pytest.MonkeyPatch, *, at: int, whole: bool) -> list[str]:
    """Lose the queue as a job is put into it, for that one question or until the list is cleared."""
    ask, send = Engine._ask, Engine.send
    sent: list[str] = []

    def lossy_send(engine: Engine, job_id: str, priority: int) -> None:
        sent.append(job_id)
        if len(sent) == at:
            raise QueueUnavailable("The work queue's store does not answer.")
        send(engine, job_id, priority)

    def lossy_ask(engine: Engine, question: Any) -> Any:
        if whole and len(sent) >= at:
            raise QueueUnavailable("The work queue's store does not answer.")
        return ask(engine, question)

    monkeypatch.setattr(Engine, "send", lossy_send)
    monkeypatch.setattr(Engine, "_ask", lossy_ask)
    return sent


@pytest.fixture
def three(any_pipeline: Pipeline) -> list[str]:
    return [any_pipeline.make_ms(stage=stage) for stage in ("imaged", "calibrated", "imaged")]


def post(client: FlaskClient, headers: dict[str, str], body: Any) -> Any:
    return client.post("/api/v1/batches", headers=headers, json=body)


def test_batch_makes_a_job_for_each_measurement_set(
    any_pipeline: Pipeline, any_client: FlaskClient, three: list[str], write_headers: dict[str, str]
) -> None:
    answer = post(any_client, write_headers, {"ms_paths": [*three, three[0]], "priority": 2})
    assert answer.status_code == 202, answer.text
    body = answer.get_json()
    assert body == {"id": body["id"], "status": "pending", "total_items": 3}
    detail = any_client.get(answer.headers["Location"]).get_json()
    assert [item["ms_path"] for item in detail["items"]] == three
    assert {item["status"] for item in detail["items"]} == {"pending"}
    assert (detail["type"], detail["progress"], detail["cancelled_items"]) == ("batch_rerun", 0.0, 0)
    jobs = any_client.get("/api/v1/queue/jobs").get_json()
    assert sorted(job["meta"]["original_run_id"] for job in jobs) == [f"job-2025-10-31-13000{n}" for n in (1, 2, 3)]
    assert {job["meta"]["batch_id"] for job in jobs} == {body["id"]}
    (params,) = any_pipeline.connection.execute("SELECT params FROM batch_jobs ORDER BY id DESC LIMIT 1").fetchone()
    assert json.loads(params)["priority"] == 2


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"stage": "imaged"}, [1, 3]),
        ({"stage": "imaged", "start_date": "2025-10-31T13:00:02"}, [3]),
        ({"end_date": "2025-10-31T13:00:02.5Z"}, [1, 2]),
        ({"status": "unheard of"}, None),
    ],
)
def test_batch_is_selected_by_what_measurement_sets_have_in_common(
    any_pipeline: Pipeline, any_client: FlaskClient, write_headers: dict[str, str], wanted: Any, found: Any
) -> None:
    base = 40587 + 1761915600 / 86400
    for n, stage in enumerate(("imaged", "calibrated", "imaged"), 1):
        any_pipeline.make_ms(stage=stage, mid_mjd=base + n / 86400)
    answer = post(any_client, write_headers, {"filter": wanted})
    if found is None:
        assert answer.status_code == 400
        return
    detail = any_client.get(answer.headers["Location"]).get_json()
    assert [item["ms_path"] for item in detail["items"]] == [ms_path(n) for n in found]
    assert detail["params"]["selection"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"ms_paths": []}, 422),
        ({"ms_paths": ["/x.ms"], "filter": {}}, 422),
        ({"filter": {"colour": "red"}}, 422),
        ({"filter": {"start_date": "yesterday"}}, 400),
        ({"ms_paths": ["/nowhere.ms"]}, 404),
    ],
)
def test_batch_of_nothing_is_refused(
    client: FlaskClient, write_headers: dict[str, str], body: Any, status: int
) -> None:
    assert post(client, write_headers, body).status_code == status
    assert client.get("/api/v1/batches").get_json() == []


def test_batch_ordered_twice_with_one_key_is_one(
    pipeline: Pipeline, client: FlaskClient, write_headers: dict[str, str]
) -> None:
    body = {"ms_paths": [pipeline.make_ms()]}
    headers = {**write_headers, "Idempotency-Key": "b"}
    assert post(client, headers, body).get_json() == post(client, headers, body).get_json()
    assert len(client.get("/api/v1/batches").get_json()) == 1


def test_batch_whose_order_fails_half_way_is_cancelled_with_its_jobs_and_may_be_ordered_again(
    pipeline: Pipeline, client: FlaskClient, write_headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"ms_paths": [pipeline.make_ms() for _ in range(5)]}
    headers = {**write_headers, "Idempotency-Key": "b"}
    lose_queue(monkeypatch, at=3, whole=False)
    assert post(client, headers, body).status_code == 503
    (failed,) = client.get("/api/v1/batches").get_json()
    detail = client.get(f"/api/v1/batches/{failed['id']}").get_json()
    assert {item["status"] for item in detail["items"]} == {"cancelled"}
    jobs = client.get("/api/v1/queue/jobs").get_json()
    assert [(job["status"], job["meta"]["batch_id"]) for job in jobs] == [("canceled", failed["id"])] * 3
    again = post(client, headers, body)
    assert again.status_code == 202
    jobs = [job for job in client.get("/api/v1/queue/jobs").get_json() if job["status"] == "queued"]
    assert [job["meta"]["batch_id"] for job in jobs] == [again.get_json()["id"]] * 5


def test_batch_is_cancelled_also_where_the_queue_stays_away(
    pipeline: Pipeline,
    client: FlaskClient,
    write_headers: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = {"ms_paths": [pipeline.make_ms() for _ in range(5)]}
    sent = lose_queue(monkeypatch, at=3, whole=True)
    assert post(client, write_headers, body).status_code == 503
    jobs = sent[:2]
    sent.clear()
    (failed,) = client.get("/api/v1/batches").get_json()
    items = client.get(f"/api/v1/batches/{failed['id']}").get_json()["items"]
    assert {item["status"] for item in items} == {"cancelled"}
    assert f"these jobs of it may be in the queue: {', '.join(jobs)}" in caplog.text


def test_batches_are_listed_newest_first(any_pipeline: Pipeline, any_client: FlaskClient) -> None:
    made = [any_pipeline.make_batch_job(params=params) for params in ("{'a': 1}", '{"a": 1}', None)]
    answer = any_client.get("/api/v1/batches?limit=2&count=exact")
    assert [batch["id"] for batch in answer.get_json()] == made[:0:-1]
    assert answer.headers["X-Total-Count"] == "3"
    assert any_client.get(f"/api/v1/batches/{made[1]}").get_json()["params"] == {"a": 1}
    assert any_client.get(f"/api/v1/batches/{made[0]}").get_json()["params"] is None


@pytest.mark.parametrize("number", ["999", "9223372036854775807"])
def test_unknown_batch_is_404(client: FlaskClient, write_headers: dict[str, str], number: str) -> None:
    for answer in (
        client.get(f"/api/v1/batches/{number}"),
        client.post(f"/api/v1/batches/{number}/cancel", headers=write_headers),
    ):
        assert answer.status_code in {404, 422}
    assert client.get("/api/v1/batches/999").get_json()["error"] == "BATCH_JOB_NOT_FOUND"
    assert client.get("/api/v1/batches/x").status_code == 422


def test_cancelling_a_batch_cancels_what_is_left_of_it(
    any_pipeline: Pipeline, any_client: FlaskClient, three: list[str], write_headers: dict[str, str]
) -> None:
    batch_id = post(any_client, write_headers, {"ms_paths": three}).get_json()["id"]
    other = post(any_client, write_headers, {"ms_paths": three[:1]}).get_json()["id"]
    item_ids = [row[0] for row in any_pipeline.connection.execute("SELECT id FROM batch_job_items ORDER BY id")]
    writer = BatchWriter(WritableDatabase(any_pipeline.products_path, "products"))
    writer.start_item(batch_id, item_ids[0], None, 1.0)
    running = any_client.get(f"/api/v1/batches/{batch_id}").get_json()
    assert (running["status"], running["items"][0]["status"]) == ("running", "running")
    writer.end_item(batch_id, item_ids[0], "done", None, 2.0)
    body = any_client.post(f"/api/v1/batches/{batch_id}/cancel", headers=write_headers).get_json()
    assert [item["status"] for item in body["items"]] == ["done", "cancelled", "cancelled"]
    assert (body["status"], body["completed_items"], body["cancelled_items"], body["progress"]) == ("done", 1, 2, 1.0)
    states = {(j["meta"]["batch_id"], j["status"]) for j in any_client.get("/api/v1/queue/jobs").get_json()}
    assert states == {(batch_id, "canceled"), (other, "queued")}
    again = any_client.post(f"/api/v1/batches/{batch_id}/cancel", headers=write_headers)
    assert (again.status_code, again.get_json()["error"]) == (409, "BATCH_JOB_INVALID_STATE")
    assert again.get_json()["details"]["current_state"] == "done"


def test_batch_whose_items_nobody_recorded_is_cancelled_as_a_whole(
    any_pipeline: Pipeline, any_client: FlaskClient, write_headers: dict[str, str]
) -> None:
    batch_id = any_pipeline.make_batch_job(status="pending", total_items=8)
    before = any_client.get(f"/api/v1/batches/{batch_id}").get_json()
    assert (before["status"], before["progress"]) == ("pending", 0.125)
    body = any_client.post(f"/api/v1/batches/{batch_id}/cancel", headers=write_headers).get_json()
    assert (body["status"], body["completed_items"], body["progress"]) == ("cancelled", 1, 1.0)
    again = any_client.post(f"/api/v1/batches/{batch_id}/cancel", headers=write_headers)
    assert again.status_code == 409
    published = any_client.get("/api/openapi.json").get_json()["components"]["schemas"]["Batch"]["properties"]["status"]
    assert body["status"] in published["enum"]


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        (("done", "done"), "done"),
        (("done", "failed"), "failed"),
        (("failed",), "running"),
        (("cancelled", "cancelled"), "done"),
    ],
)
def test_state_of_a_batch_follows_from_its_items(any_pipeline: Pipeline, ends: tuple[Any, ...], status: str) -> None:
    writer = BatchWriter(WritableDatabase(any_pipeline.products_path, "products"))
    batch_id, items = writer.create(["/a.ms", "/b.ms"], {}, 1.0)
    for item, end in zip(items, ends, strict=False):
        writer.end_item(batch_id, item, end, None, 2.0)
    row = any_pipeline.connection.execute(
        "SELECT status, completed_items, failed_items FROM batch_jobs WHERE id = ?", (batch_id,)
    ).fetchone()
    assert row == (status, ends.count("done"), ends.count("failed"))


def test_item_that_was_cancelled_stays_so(any_pipeline: Pipeline) -> None:
    writer = BatchWriter(WritableDatabase(any_pipeline.products_path, "products"))
    batch_id, items = writer.create(["/a.ms"], {}, 1.0)
    writer.cancel(batch_id)
    writer.start_item(batch_id, items[0], None, 2.0)
    writer.end_item(batch_id, items[0], "done", None, 3.0)
    assert any_pipeline.connection.execute("SELECT status FROM batch_job_items").fetchone() == ("cancelled",)


def test_item_tells_whether_it_is_still_wanted(any_pipeline: Pipeline) -> None:
    writer = BatchWriter(WritableDatabase(any_pipeline.products_path, "products"))
    batch_id, items = writer.create(["/a.ms"], {}, 1.0)
    assert writer.start_item(batch_id, items[0], None, 2.0)
    writer.cancel(batch_id)
    assert not writer.start_item(batch_id, items[0], None, 3.0)
