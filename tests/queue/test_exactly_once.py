"""Many workers share a queue, and one of them is killed again and again: every job is done, no attempt twice."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.domain.reruns import KIND
from app.queue.engine import Engine
from app.queue.records import JobRecords
from tests.queue.conftest import Store
from tests.support.pipeline import Pipeline
from tests.support.server import ROOT
from tests.support.stores import SOME_STORES
from tests.support.worker import WorkerProcess

WORKERS = 3
# The whole number takes a minute on each store; a run of all tests makes do with some.
JOBS = int(os.environ.get("CONTIMG_TEST_JOBS", "30"))
LIMIT_S = 60 + JOBS * 0.5


@pytest.fixture
def start_worker(tmp_path: Path, store: Store) -> Iterator[Callable[[], WorkerProcess]]:
    started: list[WorkerProcess] = []

    def start() -> WorkerProcess:
        # State and database of its own for each, as on machines of their own; a queue in a file must be shared.
        directory = tmp_path / f"machine{len(started)}"
        with Pipeline(directory / "state", "production") as pipeline:
            environ = {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "DSA110_ENV": "testing",
                "DSA110_STATE_DIR": str(directory / "state"),
                "DSA110_LOG_DIRS": str(directory / "logs"),
                "PIPELINE_PRODUCTS_DB": str(pipeline.products_path),
                "DSA110_PIPELINE_RUN_CMD": f"/bin/sh {tmp_path}/pipeline.sh {{run_id}}",
                "DSA110_HEARTBEAT": "0.25",
                "DSA110_CANCEL_GRACE": "0.2",
                "DSA110_LOG_LEVEL": "WARNING",
            }
            started.append(WorkerProcess(directory, {**environ, **store.settings}, "--concurrency", "2"))
        return started[-1]

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()


@pytest.mark.parametrize("store", SOME_STORES, indirect=True)
def test_no_job_is_lost_and_no_attempt_made_twice_while_workers_are_killed(
    store: Store, engine: Engine, records: JobRecords, start_worker: Callable[[], WorkerProcess], tmp_path: Path
) -> None:
    attempt = '"$CONTIMG_JOB_ID $CONTIMG_ATTEMPT"'
    (tmp_path / "pipeline.sh").write_text(
        f"echo {attempt} >>{tmp_path}/begun; sleep 0.3; echo {attempt} >>{tmp_path}/runs"
    )
    orders = [
        records.order(KIND, {"ms_path": "/x.ms", "original_run_id": "job-x"}, {}, run_id=f"job-{n}_r", retries=50)
        for n in range(JOBS)
    ]
    workers = [start_worker() for _ in range(WORKERS)]
    chance, limit, kill_at = random.Random(7), time.monotonic() + LIMIT_S, time.monotonic() + 0.5
    while True:
        jobs = records.all()
        if all(job.ended for job in jobs):
            break
        assert time.monotonic() < limit, Counter(job.status for job in jobs)
        if time.monotonic() >= kill_at:
            kill_at = time.monotonic() + 1
            victim = chance.randrange(WORKERS)
            workers[victim].kill()
            workers[victim] = start_worker()
        time.sleep(0.1)
    assert Counter(job.status for job in jobs) == {"finished": JOBS}
    assert {job.job_id for job in jobs} == {job.job_id for job in orders}
    begun, done = (Counter((tmp_path / name).read_text().splitlines()) for name in ("begun", "runs"))
    assert max(begun.values()) == 1
    assert begun >= done
    assert {line.split()[0] for line in done} == {job.job_id for job in orders}
    # What was interrupted was done again, and nothing else.
    kills = len(list(tmp_path.glob("machine*"))) - WORKERS
    assert JOBS <= sum(begun.values()) <= JOBS + 2 * kills
    assert kills > 0
    assert engine.waiting() == set()
