"""The embedded work queue: how fast are jobs ordered and done, and how soon does one start?"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from statistics import median

from app.domain.reruns import KIND
from app.queue.engine import Engine
from app.queue.heartbeat import Workers
from app.queue.records import JobRecords
from tests.benchmarks import servers
from tests.benchmarks.plan import Plan, say
from tests.benchmarks.report import Figure, at_least, at_most
from tests.support.server import ROOT
from tests.support.worker import WorkerProcess

JOBS = 200
POSTS = 20
KEY = "dsa110_bench_key"
ORIGINAL = "job-2025-10-31-130001"


def figures(plan: Plan) -> Iterator[Figure]:
    """Orders and jobs per second, and the time from a request to the start of its job."""
    survey = plan.ordinary()
    directory = plan.directory / "queue"
    state = directory / "api"
    engine = Engine("", "dsa110-pipeline", state)
    records = JobRecords(engine, Workers(engine))
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DSA110_ENV": "testing",
        "DSA110_API_STATE_DIR": str(state),
        "DSA110_LOG_DIRS": str(directory / "logs"),
        "DSA110_PIPELINE_RUN_CMD": "/bin/true",
        "DSA110_LOG_LEVEL": "WARNING",
        **survey.variables,
    }
    say("ordering jobs")
    yield at_least("jobs ordered in a file", _orders_per_s(records), "/s", 10)
    worker = WorkerProcess(directory, environ, "--concurrency", "2")
    try:
        say("doing jobs")
        yield at_least("jobs done by one worker, 2 at a time, `/bin/true` as command", _done_per_s(records), "/s", 5)
        say("from request to start")
        settings = {"DSA110_API_STATE_DIR": str(state), "DSA110_API_KEYS": KEY}
        with servers.service(directory, survey, plan.workers, **settings) as service:
            what = "from `POST /jobs/{run_id}/rerun` to the start of its job"
            yield at_most(what, _start_ms(service.port, records), "ms", 1000)
    finally:
        worker.kill()
        engine.close()


def _orders_per_s(records: JobRecords) -> float:
    started = time.perf_counter()
    for n in range(JOBS):
        params = {"ms_path": f"/stage/ms/{n}.ms", "original_run_id": f"job-{n}"}
        records.order(KIND, params, {}, run_id=f"job-{n}_rerun", retries=0)
    return JOBS / (time.perf_counter() - started)


def _done_per_s(records: JobRecords) -> float:
    _until(lambda: any(job.status != "queued" for job in records.all()))
    started = time.perf_counter()
    left = sum(job.status == "queued" for job in records.all())
    _until(lambda: all(job.ended for job in records.all()))
    return left / (time.perf_counter() - started)


def _start_ms(port: int, records: JobRecords) -> float:
    times = []
    for _ in range(POSTS):
        posted = time.time()
        with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request("POST", f"/api/v1/jobs/{ORIGINAL}/rerun", headers={"X-API-Key": KEY})
            job_id = json.loads(connection.getresponse().read())["job_id"]
        _until(lambda job_id=job_id: records.get(job_id).ended)  # type: ignore[misc]
        times.append((records.get(job_id).started_at or 0) - posted)
    return median(times) * 1000


def _until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + 120
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError("the worker does not get on")
        time.sleep(0.02)
