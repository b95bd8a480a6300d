"""A real gunicorn, a real worker and a real shell script: runs ordered, followed, stopped and survived over HTTP."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import StartServer
from tests.support.pipeline import Pipeline
from tests.support.pipeline_rows import run_id
from tests.support.server import Server, environment
from tests.support.stores import SOME_STORES, STORES
from tests.support.worker import EventStream, WorkerProcess

pytestmark = pytest.mark.live

KEY = {"X-API-Key": "dsa110_live_test_key"}


class Site:
    """An API server and a worker that share nothing but databases, logs and the queue."""

    def __init__(self, start_server: StartServer, pipeline: Pipeline, directory: Path, queue: dict[str, str]) -> None:
        self.pipeline = pipeline
        self.directory = directory
        self.script = directory / "pipeline.sh"
        self.settings = {
            "DSA110_API_STATE_DIR": str(directory / "api"),
            "DSA110_LOG_DIRS": str(directory / "logs"),
            "DSA110_PIPELINE_RUN_CMD": f"/bin/sh {self.script} {{ms_path}} {{run_id}}",
            "DSA110_HEARTBEAT": "0.25",
            "DSA110_CANCEL_GRACE": "0.3",
            "DSA110_THREADS": "6",
            "DSA110_WORKERS": "1",
            "DSA110_LOG_REQUESTS": "false",
            **queue,
        }
        self._start_server = start_server
        self.server = self.start_server()
        self.workers: list[WorkerProcess] = []

    def start_server(self, **settings: str) -> Server:
        self.server = self._start_server(self.pipeline, **{**self.settings, **settings})
        return self.server

    def start_worker(self, **settings: str) -> WorkerProcess:
        environ = environment(self.directory, self.pipeline, **{**self.settings, **settings})
        self.workers.append(WorkerProcess(self.directory, environ))
        return self.workers[-1]

    def post(self, path: str, body: Any = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            data = json.dumps(body) if body is not None else None
            connection.request("POST", f"/api/v1{path}", data, {**KEY, "Content-Type": "application/json"})
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        return self.server.get(f"/api/v1{path}").json()

    def rerun(self) -> Any:
        path = self.pipeline.make_ms()
        return self.post(f"/jobs/{run_id(path)}/rerun")

    def events(self, path: str, last_event_id: str | None = None) -> EventStream:
        return EventStream(self.server.port, f"/api/v1{path}", last_event_id)

    def until(self, condition: Callable[[], Any], limit_s: float = 30.0) -> Any:
        limit = time.monotonic() + limit_s
        while not (found := condition()):
            assert time.monotonic() < limit, self.server.log + "".join(worker.log for worker in self.workers)
            time.sleep(0.03)
        return found

    def ended(self, job_id: str) -> Any:
        self.until(lambda: self.get(f"/queue/jobs/{job_id}")["ended_at"])
        return self.get(f"/queue/jobs/{job_id}")


@pytest.fixture
def site(
    request: pytest.FixtureRequest, start_server: StartServer, store_url: Callable[[str], str], tmp_path: Path
) -> Iterator[Site]:
    """A server with its workers; their queue is a file unless a test names another kind of store."""
    url = store_url(getattr(request, "param", "sqlite"))
    queue = {"DSA110_QUEUE_URL": url, "DSA110_QUEUE_NAME": f"test-{secrets.token_hex(4)}"} if url else {}
    with Pipeline(tmp_path / "state", "orm") as pipeline:
        made = Site(start_server, pipeline, tmp_path, queue)
        yield made
        for worker in made.workers:
            worker.kill()


@pytest.mark.parametrize("site", SOME_STORES, indirect=True)
def test_rerun_is_ordered_followed_and_done(site: Site) -> None:
    site.script.write_text("echo start $1; echo PROGRESS 50 imaging; sleep 0.6; echo trouble >&2; echo end")
    site.start_worker()
    site.until(lambda: site.get("/queue")["connected"])
    made = site.rerun()
    assert (made["status"], made["queue_connected"]) == ("queued", True)
    with ThreadPoolExecutor(2) as pool:
        following = pool.submit(lambda: [(e, time.time()) for e in site.events(f"/jobs/{made['run_id']}/events")])
        logged = pool.submit(lambda: list(site.events(f"/logs/{made['run_id']}/stream")))
    events = following.result()
    names = [event.name for event, _ in events]
    assert names[0] == "status"
    assert names[-1] == "complete"
    statuses = [event.json()["status"] for event, _ in events if event.name == "status"]
    assert statuses in (["pending", "running", "completed"], ["running", "completed"])
    (progress,) = [event.json() for event, _ in events if event.name == "progress"]
    assert (progress["progress"], progress["stage"], progress["job_id"]) == (50.0, "imaging", made["job_id"])
    lines = [line for event, _ in events if event.name == "log" for line in event.json()["lines"]]
    assert sorted(lines) == ["PROGRESS 50 imaging", "end", f"start {site.get('/ms')[0]['path']}", "trouble"]
    # As it came, not at the end.
    at = {event.name: moment for event, moment in reversed(events)}
    assert at["complete"] - at["progress"] > 0.3
    complete = events[-1][0].json()
    assert (complete["success"], complete["result"]["exit_status"]) == (True, 0)
    assert [event.data for event in logged.result()] == [*lines, "completed"]
    assert site.ended(made["job_id"])["status"] == "finished"
    listed = {job["run_id"]: job["status"] for job in site.get("/jobs")}
    assert listed[made["run_id"]] == "completed"
    assert site.get(f"/jobs/{made['run_id']}/logs")["total_lines"] == 4


@pytest.mark.parametrize("site", SOME_STORES, indirect=True)
def test_failing_and_slow_runs_say_what_happened(site: Site) -> None:
    site.script.write_text("echo oh dear >&2; sleep 0.2; exit 4")
    site.start_worker(DSA110_JOB_TIMEOUT="1.5")
    failed = site.ended(site.rerun()["job_id"])
    assert (failed["status"], failed["error"]) == ("failed", "The pipeline command ended with exit status 4.")
    assert failed["result"]["stderr"] == "oh dear\n"
    site.script.write_text("sleep 60")
    made = site.rerun()
    *_, complete = site.events(f"/jobs/{made['run_id']}/events")
    assert complete.name == "complete"
    assert complete.json()["success"] is False
    assert "longer than 1.5 s" in complete.json()["error"]


@pytest.mark.parametrize("site", SOME_STORES, indirect=True)
def test_cancelled_run_ends_at_once_for_everybody(site: Site) -> None:
    site.script.write_text("trap '' TERM; while :; do sleep 0.05; done")
    site.start_worker()
    made, waiting = site.rerun(), site.rerun()
    site.until(lambda: site.get(f"/queue/jobs/{made['job_id']}")["status"] == "started")
    for job_id in (waiting["job_id"], made["job_id"]):
        assert site.post(f"/queue/jobs/{job_id}/cancel") == {"status": "canceled", "job_id": job_id}
    *_, complete = site.events(f"/jobs/{made['run_id']}/events")
    assert (complete.name, complete.json()["success"]) == ("complete", False)
    site.until(lambda: not site.get("/queue")["workers"][0]["running"])
    states = {job["job_id"]: (job["status"], job["started_at"] is None) for job in site.get("/queue/jobs")}
    assert states == {waiting["job_id"]: ("canceled", True), made["job_id"]: ("canceled", False)}
    assert not (site.directory / "logs" / f"{waiting['run_id']}.log").exists()


@pytest.mark.parametrize("site", SOME_STORES, indirect=True)
def test_killed_worker_and_restarted_server_lose_nothing(site: Site) -> None:
    begun = site.directory / "begun"
    site.script.write_text(f"if [ -e {begun} ]; then echo again; else touch {begun}; sleep 60; fi")
    worker = site.start_worker()
    made, waiting = site.rerun(), site.rerun()
    site.until(begun.exists)
    worker.kill()
    site.server.stop()
    site.start_server()
    assert site.get(f"/queue/jobs/{waiting['job_id']}")["status"] == "queued"
    site.start_worker()
    assert site.ended(made["job_id"])["result"]["output"] == "again\n"
    assert site.ended(waiting["job_id"])["meta"]["attempt"] == 1


def test_log_is_followed_across_rotation_and_connections(site: Site) -> None:
    site.script.write_text(
        f"log={site.directory}/logs/$2.log; for n in $(seq 40); do echo $n; sleep 0.05;"
        " if [ $n = 15 ]; then mv $log $log.1; fi; done"
    )
    site.start_worker()
    made = site.rerun()
    lines: list[str] = []
    last: str | None = None
    over = False
    while not over:
        stream = site.events(f"/logs/{made['run_id']}/stream", last)
        assert stream.status == 200
        for event in stream:
            if event.name == "end":
                over = True
                break
            lines.append(event.data)
            last = event.id
            if len(lines) % 10 == 0:
                break
        stream.close()
    assert lines == [str(n) for n in range(1, 41)]
    assert (site.directory / "logs" / f"{made['run_id']}.log.1").exists()


def test_places_of_streams_are_bounded_and_free_a_second_after_a_client_left(site: Site) -> None:
    site.start_server(DSA110_MAX_STREAMS="2")
    made = site.rerun()  # there is no worker: it waits
    path = f"/jobs/{made['run_id']}/events"
    streams = [site.events(path) for _ in range(2)]
    assert [stream.status for stream in streams] == [200, 200]
    refused = site.server.get(f"/api/v1{path}")
    assert (refused.status, refused.json()["error"]) == (503, "TOO_MANY_STREAMS")
    assert int(refused.headers["retry-after"]) > 0
    streams[0].close()
    left = time.monotonic()
    site.until(lambda: site.server.get(f"/api/v1{path}", method="HEAD").status == 200, 5)
    assert time.monotonic() - left < 1
    streams[1].close()


@pytest.mark.skipif(SOME_STORES != STORES, reason="ten seconds of load: make soak")
def test_other_requests_keep_their_speed_while_every_place_is_taken(site: Site) -> None:
    site.pipeline.make_many_images(200)
    site.start_server(DSA110_MAX_STREAMS="4", DSA110_CACHE_ENABLED="false", DSA110_LOG_REQUESTS="false")
    made = site.rerun()

    def per_second() -> float:
        connection = HTTPConnection("127.0.0.1", site.server.port, timeout=30)
        done, stop = 0, time.perf_counter() + 0.4
        started = time.perf_counter()
        while time.perf_counter() < stop:
            connection.request("GET", "/api/v1/images?limit=50")
            assert len(connection.getresponse().read()) > 1000
            done += 1
        rate = done / (time.perf_counter() - started)
        connection.close()
        return rate

    per_second()
    ratios = []
    for _ in range(3):
        alone = per_second()
        streams = [site.events(f"/jobs/{made['run_id']}/events") for _ in range(4)]
        assert {stream.status for stream in streams} == {200}
        ratios.append(per_second() / alone)
        for stream in streams:
            stream.close()
        site.until(lambda: site.server.get(f"/api/v1/jobs/{made['run_id']}/events", method="HEAD").status == 200, 5)
        time.sleep(0.6)
    assert max(ratios) >= 0.8, ratios


def test_server_that_stops_ends_its_streams_and_does_not_wait_for_them(site: Site) -> None:
    made = site.rerun()
    stream = site.events(f"/jobs/{made['run_id']}/events")
    assert next(iter(stream)).name == "status"
    started = time.monotonic()
    assert site.server.stop() == 0
    assert time.monotonic() - started < 6
    assert list(stream) == []
    stream.close()


def test_worker_needs_nothing_of_the_server(site: Site) -> None:
    """Stopped in good order it leaves the list at once."""
    worker = site.start_worker()
    site.until(lambda: site.get("/queue")["connected"])
    assert worker.stop() == 0
    state = site.get("/queue")
    assert (state["connected"], state["workers"]) == (False, [])
