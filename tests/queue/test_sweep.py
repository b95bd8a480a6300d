"""Whatever a crash leaves behind is put right by the next sweep of any worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from app.domain.queue import Outcome, QueueJob
from app.queue.engine import Engine
from app.queue.heartbeat import Heart, Workers
from app.queue.idempotency import KEPT_S
from app.queue.records import JobRecords
from app.queue.sweep import Sweep

EVERY_S = 0.02
LONG_S = 10 * EVERY_S


class Swept:
    """A queue in a file, its sweep, and what the sweep reported lost."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.records = JobRecords(engine, Workers(engine))
        self.lost: list[Mapping[str, Any]] = []
        self.sweep = self.another()

    def another(self) -> Sweep:
        return Sweep(
            self.engine,
            self.records,
            every_s=EVERY_S,
            retention_days=7,
            on_lost=lambda ordered, reason: self.lost.append(ordered),
        )

    def order(self, retries: int = 1) -> QueueJob:
        return self.records.order("test", {"ms_path": "/x.ms"}, {}, run_id="job-x", retries=retries)

    def start(self, job: QueueJob, worker: str) -> QueueJob:
        self.engine.huey.dequeue()
        started = self.records.start(job.job_id, worker)
        assert started is not None
        return started

    def until(self, condition: Callable[[], bool]) -> None:
        limit = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < limit
            self.sweep.look()
            time.sleep(EVERY_S)


@pytest.fixture
def swept(file_engine: Engine) -> Swept:
    return Swept(file_engine)


def test_job_of_a_lost_worker_is_started_again_as_often_as_allowed_and_then_fails(swept: Swept) -> None:
    job = swept.order(retries=1)
    swept.start(job, "killed-1")
    swept.until(lambda: swept.engine.waiting() == {job.job_id})
    assert swept.lost == []
    assert swept.start(job, "killed-2").attempt == 2
    swept.until(lambda: bool(swept.lost))
    failed = swept.records.get(job.job_id)
    assert (failed.status, failed.error) == ("failed", "The worker was lost while it ran this job.")
    assert failed.ended_at is not None
    assert swept.lost[0]["params"]["run_id"] == job.run_id
    assert swept.engine.waiting() == set()


def test_job_of_a_living_worker_is_left_alone(swept: Swept) -> None:
    heart = Heart(swept.engine, every_s=EVERY_S, concurrency=1, running=list)
    heart.start()
    job = swept.start(swept.order(retries=0), heart.worker_id)
    limit = time.monotonic() + LONG_S
    while time.monotonic() < limit:
        swept.sweep.look()
        time.sleep(EVERY_S)
    heart.stop()
    assert swept.records.finish(job, Outcome({}))


def test_clocks_that_differ_between_machines_make_no_worker_lost(swept: Swept) -> None:
    """The worker's clock is a day behind; only that its counter goes on counts."""
    job = swept.start(swept.order(retries=0), "behind")
    beat = {"worker_id": "behind", "every_s": EVERY_S, "last_seen": time.time() - 86000}
    for n in range(15):
        swept.engine.write("worker:behind", {**_WORKER, **beat, "beat": n})
        swept.sweep.look()
        time.sleep(EVERY_S)
    assert swept.lost == []
    assert swept.records.finish(job, Outcome({}))


_WORKER = {"host": "h", "pid": 1, "started_at": 0.0, "concurrency": 1, "running": []}


def test_many_sweeps_at_once_repair_a_job_once(swept: Swept) -> None:
    job = swept.order(retries=3)
    swept.start(job, "killed")
    sweeps = [swept.another() for _ in range(4)]
    limit = time.monotonic() + LONG_S
    while time.monotonic() < limit:
        for sweep in sweeps:
            sweep.look()
        time.sleep(EVERY_S)
    assert [key for key in swept.engine.read_all() if key.startswith("lost:")] == [f"lost:{job.job_id}:1"]
    assert swept.records.get(job.job_id).status == "queued"


def test_job_whose_name_never_reached_the_queue_is_put_there(swept: Swept) -> None:
    job = swept.order()
    swept.engine.huey.dequeue()  # by a worker that is killed before it says so
    assert swept.engine.waiting() == set()
    swept.until(lambda: swept.engine.waiting() == {job.job_id})


def test_job_in_the_queue_is_not_put_there_twice(swept: Swept) -> None:
    swept.order()
    limit = time.monotonic() + LONG_S
    while time.monotonic() < limit:
        swept.sweep.look()
        time.sleep(EVERY_S)
    assert swept.engine.huey.pending_count() == 1


def test_what_ended_long_ago_is_forgotten_and_nothing_else(swept: Swept) -> None:
    heart = Heart(swept.engine, every_s=2, concurrency=1, running=list)
    heart.beat()
    old, new, running = (swept.start(swept.order(), heart.worker_id) for _ in range(3))
    for job in (old, new):
        swept.records.finish(job, Outcome({}))
    end = swept.engine.read(f"end:{old.job_id}")[f"end:{old.job_id}"]
    swept.engine.write(f"end:{old.job_id}", {**end, "at": time.time() - 8 * 86400})
    swept.engine.write("idem:old", {"at": time.time() - KEPT_S - 60})
    swept.engine.write("idem:new", {"at": time.time() - KEPT_S + 60})
    swept.engine.write("worker:old", {"last_seen": time.time() - 90000, **_WORKER, "every_s": 2, "beat": 1})
    swept.sweep.look()
    facts = swept.engine.read_all()
    assert not [key for key in facts if old.job_id in key or key in {f"run:{old.run_id}", "idem:old", "worker:old"}]
    assert {f"job:{new.job_id}", f"end:{new.job_id}", f"run:{new.run_id}", "idem:new"} <= facts.keys()
    assert {f"job:{running.job_id}", f"start:{running.job_id}:1", f"worker:{heart.worker_id}"} <= facts.keys()
