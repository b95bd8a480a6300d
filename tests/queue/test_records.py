"""A job's facts are written once, and whoever is first decides."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.errors import NotFound, QueueUnavailable
from app.domain.queue import Outcome, QueueJob
from app.queue.engine import Engine
from app.queue.heartbeat import Heart, Workers
from app.queue.records import JobRecords


def order(records: JobRecords, run_id: str = "job-x_rerun_20251031_130000", retries: int = 1) -> QueueJob:
    meta = {"original_run_id": "job-x"}
    return records.order("test", {"ms_path": "/x.ms"}, meta, run_id=run_id, retries=retries, priority=3)


@pytest.fixture
def heart(engine: Engine) -> Heart:
    """A worker that has told of itself."""
    made = Heart(engine, every_s=2.0, concurrency=1, running=list)
    made.beat()
    return made


def test_job_is_queued_then_started_then_finished(records: JobRecords, engine: Engine, heart: Heart) -> None:
    job = order(records)
    assert job.job_id.startswith("job_")
    assert len(job.job_id) == 16
    assert records.get(job.job_id) == job
    assert (job.status, job.priority, job.started_at, job.ended_at) == ("queued", 3, None, None)
    assert engine.waiting() == {job.job_id}
    started = records.start(job.job_id, heart.worker_id)
    assert started is not None
    assert records.get(job.job_id).status == "started"
    assert records.finish(started, Outcome({"exit_status": 0}))
    ended = records.get(job.job_id)
    assert (ended.status, ended.result, ended.error) == ("finished", {"exit_status": 0}, None)
    assert ended.created_at <= ended.started_at <= ended.ended_at  # type: ignore[operator]
    assert ended.meta == {"original_run_id": "job-x", "run_id": job.run_id, "attempt": 1}


@pytest.mark.parametrize("lost", ["claim", "send"])
def test_order_that_fails_is_withdrawn(
    records: JobRecords, engine: Engine, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    really = getattr(Engine, lost)

    def lossy(engine: Engine, key: str, value: object) -> object:
        answer = really(engine, key, value)
        if lost == "send" or key.startswith("job:"):
            raise QueueUnavailable("The confirmation was lost on the way.")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(Engine, lost, lossy)
        with pytest.raises(QueueUnavailable):
            order(records)
    (job,) = records.all()
    assert job.status == "canceled"
    assert records.start(job.job_id, "worker") is None


def test_job_that_was_never_recorded_leaves_nothing_when_it_is_withdrawn(records: JobRecords, engine: Engine) -> None:
    records.withdraw(["job_0"])
    assert engine.read_all() == {}


def test_failure_is_told_in_a_sentence(records: JobRecords, heart: Heart) -> None:
    started = records.start(order(records).job_id, heart.worker_id)
    assert started is not None
    records.finish(started, Outcome({}, "It broke."))
    assert (records.get(started.job_id).status, records.get(started.job_id).error) == ("failed", "It broke.")


def test_two_workers_never_run_one_job(records: JobRecords, heart: Heart) -> None:
    for _ in range(5):
        job = order(records)
        with ThreadPoolExecutor(8) as pool:
            starts = list(pool.map(lambda n, job=job: records.start(job.job_id, f"worker-{n}"), range(8)))
        assert sum(start is not None for start in starts) == 1


def test_canceled_job_never_starts(records: JobRecords, heart: Heart) -> None:
    job = order(records)
    assert records.cancel(job.job_id)
    assert records.start(job.job_id, heart.worker_id) is None
    canceled = records.get(job.job_id)
    assert (canceled.status, canceled.started_at) == ("canceled", None)


def test_start_and_cancellation_at_once_agree(records: JobRecords, heart: Heart) -> None:
    for _ in range(10):
        job = order(records)
        with ThreadPoolExecutor(2) as pool:
            start = pool.submit(records.start, job.job_id, heart.worker_id)
            cancel = pool.submit(records.cancel, job.job_id)
        assert cancel.result()
        assert records.get(job.job_id).status == "canceled"
        if start.result() is not None:
            assert records.verdict(start.result()) == "canceled"


def test_cancellation_between_look_and_start_is_noticed(
    records: JobRecords, engine: Engine, heart: Heart, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = order(records)
    claim = engine.claim

    def late(key: str, fact: object) -> bool:
        if key.startswith("start:"):
            monkeypatch.undo()
            assert records.cancel(job.job_id)
        return claim(key, fact)

    monkeypatch.setattr(engine, "claim", late)
    assert records.start(job.job_id, heart.worker_id) is None


def test_canceled_stays_canceled_whatever_its_worker_reports(records: JobRecords, heart: Heart) -> None:
    started = records.start(order(records).job_id, heart.worker_id)
    assert started is not None
    assert records.verdict(started) is None
    assert records.cancel(started.job_id)
    assert records.verdict(started) == "canceled"
    assert not records.finish(started, Outcome({}))
    assert records.get(started.job_id).status == "canceled"
    assert not records.cancel(started.job_id)


def test_finished_job_cannot_be_canceled(records: JobRecords, heart: Heart) -> None:
    started = records.start(order(records).job_id, heart.worker_id)
    assert started is not None
    records.finish(started, Outcome({}))
    assert not records.cancel(started.job_id)
    assert records.get(started.job_id).status == "finished"


def test_job_given_back_is_started_again_and_counts_no_retry(records: JobRecords, engine: Engine, heart: Heart) -> None:
    job = order(records, retries=0)
    for attempt in (1, 2, 3, 4, 5, 6):
        started = records.start(job.job_id, heart.worker_id)
        assert started is not None
        assert started.attempt == attempt
        assert records.give_back(started, "The worker was stopped.")
        assert records.verdict(started) == "lost"
        assert records.get(job.job_id).status == "queued"
        assert not records.finish(started, Outcome({}))
    assert engine.waiting() == {job.job_id}


def test_job_of_a_worker_that_is_dead_shows_what_becomes_of_it(records: JobRecords) -> None:
    retried, given_up = order(records, retries=1), order(records, retries=0)
    for job in (retried, given_up):
        assert records.start(job.job_id, "dead-worker") is not None
    assert records.get(retried.job_id).status == "queued"
    failed = records.get(given_up.job_id)
    assert (failed.status, failed.error) == ("failed", "The worker was lost while it ran this job.")
    assert {job.job_id: job.status for job in records.all()} == {
        retried.job_id: "queued",
        given_up.job_id: "failed",
    }


def test_reruns_ordered_in_the_same_second_have_names_of_their_own(records: JobRecords) -> None:
    with ThreadPoolExecutor(6) as pool:
        names = [job.run_id for job in pool.map(lambda _: order(records, "job-a_rerun_20251031_130000"), range(6))]
    assert sorted(map(str, names)) == [
        "job-a_rerun_20251031_130000",
        *(f"job-a_rerun_20251031_130000_{n}" for n in range(2, 7)),
    ]
    for name in names:
        found = records.of_run(str(name))
        assert found is not None
        assert found.run_id == name


def test_jobs_are_listed_newest_first(records: JobRecords) -> None:
    ordered = [order(records).job_id for _ in range(5)]
    assert [job.job_id for job in records.all()] == ordered[::-1]


def test_unknown_job_is_not_found(records: JobRecords) -> None:
    for call in (records.get, records.cancel):
        with pytest.raises(NotFound, match="QueueJob not found: job_x"):
            call("job_x")
    assert records.start("job_x", "w") is None
    assert records.of_run("job-x") is None


def test_worker_is_connected_while_its_heartbeat_is_fresh(engine: Engine, heart: Heart) -> None:
    workers = Workers(engine)
    assert [worker.worker_id for worker in workers.living()] == [heart.worker_id]
    fact = engine.read(f"worker:{heart.worker_id}")[f"worker:{heart.worker_id}"]
    engine.write(f"worker:{heart.worker_id}", {**fact, "last_seen": fact["last_seen"] - 9})
    assert workers.living()
    engine.write(f"worker:{heart.worker_id}", {**fact, "last_seen": fact["last_seen"] - 11})
    assert workers.living() == []
    assert len(workers.all()) == 1
    heart.stop()
    assert workers.all() == []
