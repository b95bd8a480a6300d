"""A real worker with a real command: on every store it runs, stops, and is survived.

What does not touch the store is tried on one of them, and on all in ``make soak``.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.queue import QueueJob
from app.domain.reruns import KIND
from app.queue.engine import FILE_NAME, Engine
from app.queue.heartbeat import Workers
from app.queue.records import JobRecords
from tests.queue.conftest import Store
from tests.support.pipeline import Pipeline
from tests.support.server import ROOT
from tests.support.stores import SOME_STORES, STORES, hanging
from tests.support.worker import WorkerProcess, lives

StartWorker = Callable[..., WorkerProcess]

on_one_store = pytest.mark.parametrize("store", SOME_STORES, indirect=True)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The pipeline: a shell script whose words a test writes before the worker starts."""
    return tmp_path / "pipeline.sh"


@pytest.fixture
def start_worker(tmp_path: Path, pipeline: Pipeline, store: Store, script: Path) -> Iterator[StartWorker]:
    started: list[WorkerProcess] = []

    def start(*options: str, command: str | None = None, **settings: str) -> WorkerProcess:
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "DSA110_ENV": "testing",
            "DSA110_STATE_DIR": str(tmp_path / "state"),
            "DSA110_LOG_DIRS": str(tmp_path / "logs"),
            "PIPELINE_PRODUCTS_DB": str(pipeline.products_path),
            "PIPELINE_CAL_REGISTRY_DB": str(pipeline.registry_path),
            "DSA110_PIPELINE_RUN_CMD": f"/bin/sh {script} {{ms_path}} {{run_id}}" if command is None else command,
            "DSA110_HEARTBEAT": "0.25",
            "DSA110_CANCEL_GRACE": "0.5",
            "DSA110_LOG_JSON": "false",
        }
        started.append(WorkerProcess(tmp_path, {**environ, **store.settings, **settings}, *options))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


def order(records: JobRecords, pipeline: Pipeline, *, retries: int = 1, **params: Any) -> QueueJob:
    ms = pipeline.make_ms()
    known = {"ms_path": ms, "original_run_id": "job-x", **params}
    return records.order(KIND, known, {"original_run_id": "job-x"}, run_id="job-x_rerun_1", retries=retries)


def until(condition: Callable[[], Any], worker: WorkerProcess, limit_s: float = 30.0) -> Any:
    limit = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < limit, worker.log
        time.sleep(0.02)
    return found


def ended(records: JobRecords, job: QueueJob, worker: WorkerProcess) -> QueueJob:
    until(lambda: records.get(job.job_id).ended_at, worker)
    return records.get(job.job_id)


def row(pipeline: Pipeline) -> tuple[Any, ...]:
    columns = "type, status, run_id, started_at IS NOT NULL, finished_at IS NOT NULL"
    sql = f"SELECT {columns} FROM jobs ORDER BY id DESC LIMIT 1"
    found: tuple[Any, ...] = pipeline.connection.execute(sql).fetchone()
    return found


def test_rerun_runs_the_command_and_records_it(
    records: JobRecords, pipeline: Pipeline, start_worker: StartWorker, script: Path, tmp_path: Path
) -> None:
    script.write_text('echo "$1|$2|$CONTIMG_ATTEMPT|$DSA110_API_KEYS$DSA110_RATE_LIMIT_STORAGE_URL"; echo trouble >&2')
    job = order(records, pipeline)
    secrets = {"DSA110_API_KEYS": "hunter2", "DSA110_RATE_LIMIT_STORAGE_URL": "redis://:hunter3@127.0.0.1:1"}
    done = ended(records, job, worker := start_worker(**secrets))
    assert (done.status, done.error) == ("finished", None)
    result = done.result
    assert result["output"] == f"{job.params['ms_path']}|{job.run_id}|1|\n"
    assert (result["original_run_id"], result["new_run_id"]) == ("job-x", job.run_id)
    assert (result["status"], result["exit_status"]) == ("completed", 0)
    assert result["config"]["ms_path"] == job.params["ms_path"]
    assert (tmp_path / "logs" / f"{job.run_id}.log").read_text().splitlines() == [result["output"].strip(), "trouble"]
    assert row(pipeline) == ("pipeline_rerun", "completed", job.run_id, 1, 1)
    assert worker.stop() == 0


@on_one_store
def test_failure_tells_the_exit_status_and_the_end_of_stderr(
    records: JobRecords, pipeline: Pipeline, start_worker: StartWorker, script: Path
) -> None:
    script.write_text("yes trouble | head -n 1000 >&2; echo last words >&2; exit 9")
    failed = ended(records, order(records, pipeline), start_worker())
    assert failed.status == "failed"
    assert failed.error == "The pipeline command ended with exit status 9."
    assert failed.result["exit_status"] == 9
    assert failed.result["stderr"].endswith("trouble\nlast words\n")
    assert len(failed.result["stderr"]) == 1000
    assert row(pipeline)[1] == "failed"


@on_one_store
def test_rerun_without_a_command_fails_and_says_so(
    records: JobRecords, pipeline: Pipeline, start_worker: StartWorker
) -> None:
    failed = ended(records, order(records, pipeline), start_worker(command=""))
    assert failed.status == "failed"
    assert "DSA110_PIPELINE_RUN_CMD" in str(failed.error)
    assert row(pipeline)[1] == "failed"


@on_one_store
@pytest.mark.parametrize(
    ("command", "said"),
    [("/nowhere/pipeline {ms_path}", "cannot be started: No such file"), ("run 'x", "cannot be read")],
)
def test_command_that_is_none_fails_and_says_so(
    records: JobRecords, pipeline: Pipeline, start_worker: StartWorker, command: str, said: str
) -> None:
    failed = ended(records, order(records, pipeline), start_worker(command=command))
    assert said in str(failed.error)


@on_one_store
def test_no_shell_reads_what_the_database_says(
    records: JobRecords, pipeline: Pipeline, start_worker: StartWorker, tmp_path: Path
) -> None:
    nasty = f"/d/$(touch {tmp_path}/boom);x.ms"
    pipeline.make_ms(nasty)
    job = records.order(KIND, {"ms_path": nasty, "original_run_id": "job-x"}, {}, run_id="job-x_rerun_1", retries=0)
    assert ended(records, job, start_worker(command="/bin/echo {ms_path}")).result["output"] == nasty + "\n"
    assert not (tmp_path / "boom").exists()


@on_one_store
def test_job_past_its_time_limit_is_stopped(
    records: JobRecords, pipeline: Pipeline, start_worker: StartWorker, script: Path
) -> None:
    script.write_text("echo begun; sleep 60")
    failed = ended(records, order(records, pipeline), start_worker(DSA110_JOB_TIMEOUT="0.5"))
    assert (failed.status, failed.error) == ("failed", "The pipeline command took longer than 0.5 s and was stopped.")
    assert failed.result["output"] == "begun\n"


def test_canceled_job_is_stopped_and_stays_canceled(
    records: JobRecords, pipeline: Pipeline, start_worker: StartWorker, script: Path, tmp_path: Path
) -> None:
    script.write_text(f"trap '' TERM; echo $$ >{tmp_path}/pid; while :; do sleep 0.05; done")
    job = order(records, pipeline)
    worker = start_worker()
    pid = until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), worker)
    assert records.cancel(job.job_id)
    until(lambda: not lives(int(pid)), worker, 5)
    until(lambda: row(pipeline)[1] == "cancelled", worker, 5)
    assert records.get(job.job_id).status == "canceled"


def test_job_of_a_killed_worker_is_done_by_another(
    records: JobRecords, pipeline: Pipeline, start_worker: StartWorker, script: Path, tmp_path: Path
) -> None:
    script.write_text(f"echo $CONTIMG_ATTEMPT $$ >>{tmp_path}/runs; test $CONTIMG_ATTEMPT = 2 || sleep 60")
    job = order(records, pipeline, retries=1)
    first, second = start_worker(), None
    until(lambda: (tmp_path / "runs").exists() and (tmp_path / "runs").read_text().endswith("\n"), first)
    first.kill()
    second = start_worker()
    done = ended(records, job, second)
    assert (done.status, done.meta["attempt"]) == ("finished", 2)
    runs = [line.split() for line in (tmp_path / "runs").read_text().splitlines()]
    assert [attempt for attempt, _ in runs] == ["1", "2"]
    assert not lives(int(runs[0][1]))
    assert row(pipeline)[1] == "completed"
    assert pipeline.connection.execute("SELECT count(*) FROM jobs").fetchone() == (1,)


@on_one_store
def test_job_of_a_killed_worker_fails_where_there_are_no_retries(
    records: JobRecords, pipeline: Pipeline, start_worker: StartWorker, script: Path, tmp_path: Path
) -> None:
    script.write_text(f"echo x >>{tmp_path}/runs; sleep 60")
    job = order(records, pipeline, retries=0)
    first = start_worker()
    until((tmp_path / "runs").exists, first)
    first.kill()
    worker = start_worker()
    failed = ended(records, job, worker)
    assert (failed.status, failed.error) == ("failed", "The worker was lost while it ran this job.")
    assert (tmp_path / "runs").read_text() == "x\n"
    until(lambda: row(pipeline)[1] == "failed", worker, 5)


@on_one_store
def test_worker_that_is_told_to_stop_finishes_its_job(
    records: JobRecords, engine: Engine, pipeline: Pipeline, start_worker: StartWorker, script: Path, tmp_path: Path
) -> None:
    script.write_text(f"touch {tmp_path}/begun; sleep 0.7; echo done")
    job, waiting = order(records, pipeline), order(records, pipeline)
    worker = start_worker()
    until((tmp_path / "begun").exists, worker)
    assert worker.stop() == 0
    assert records.get(job.job_id).result["output"] == "done\n"
    assert records.get(waiting.job_id).status == "queued"
    assert Workers(engine).all() == []


def test_worker_that_may_not_wait_gives_its_job_back(
    records: JobRecords, pipeline: Pipeline, start_worker: StartWorker, script: Path, tmp_path: Path
) -> None:
    script.write_text(f"touch {tmp_path}/begun; test $CONTIMG_ATTEMPT = 2 || sleep 60")
    job = order(records, pipeline, retries=0)
    worker = start_worker("--drain", "0")
    until((tmp_path / "begun").exists, worker)
    assert worker.stop(signal.SIGINT) == 0
    assert records.get(job.job_id).status == "queued"
    assert row(pipeline)[1] == "pending"
    assert ended(records, job, start_worker()).status == "finished"


@on_one_store
@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.15, 0.3, 0.45])
def test_worker_stopped_while_it_starts_leaves_nothing_behind(
    engine: Engine, start_worker: StartWorker, after_s: float
) -> None:
    worker = start_worker()
    until(lambda: Workers(engine).all() or worker.process.poll() is not None, worker)
    time.sleep(after_s)
    assert worker.stop() == 0, worker.log
    assert Workers(engine).all() == []


@on_one_store
def test_second_signal_does_not_wait(
    records: JobRecords, pipeline: Pipeline, start_worker: StartWorker, script: Path, tmp_path: Path
) -> None:
    script.write_text(f"touch {tmp_path}/begun; sleep 60")
    job = order(records, pipeline)
    worker = start_worker("--drain", "60")
    until((tmp_path / "begun").exists, worker)
    worker.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert worker.process.poll() is None
    started = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - started < 8
    assert records.get(job.job_id).status == "queued", worker.log + str(records.get(job.job_id))


def test_items_of_a_batch_follow_their_jobs(
    records: JobRecords, pipeline: Pipeline, start_worker: StartWorker, script: Path
) -> None:
    script.write_text('case "$1" in *01.ms) exit 0;; *) exit 1;; esac')
    batch_id = pipeline.make_batch_job(status="pending", total_items=2)
    items = [pipeline.make_batch_item(status="pending", started_at=None, completed_at=None) for _ in range(2)]
    jobs = [order(records, pipeline, batch_id=batch_id, item_id=item) for item in items]
    worker = start_worker()
    for job in jobs:
        ended(records, job, worker)
    sql = "SELECT i.status, i.error, j.status FROM batch_job_items AS i JOIN jobs AS j ON j.id = i.job_id ORDER BY i.id"
    assert pipeline.connection.execute(sql).fetchall() == [
        ("done", None, "completed"),
        ("failed", "The pipeline command ended with exit status 1.", "failed"),
    ]
    batch = pipeline.connection.execute("SELECT status, completed_items, failed_items FROM batch_jobs").fetchone()
    assert batch == ("failed", 1, 1)


@on_one_store
def test_job_whose_batch_was_cancelled_while_the_queue_was_away_is_not_run(
    records: JobRecords, pipeline: Pipeline, start_worker: StartWorker, script: Path, tmp_path: Path
) -> None:
    script.write_text(f"touch {tmp_path}/begun")
    batch_id = pipeline.make_batch_job(status="done", total_items=1)
    item = pipeline.make_batch_item(status="cancelled", started_at=None, completed_at=None)
    job = order(records, pipeline, batch_id=batch_id, item_id=item)
    failed = ended(records, job, start_worker())
    assert (failed.status, failed.error) == ("failed", "Its batch was cancelled before it started.")
    assert not (tmp_path / "begun").exists()
    assert row(pipeline)[1] == "cancelled"
    assert pipeline.connection.execute("SELECT status FROM batch_job_items").fetchone() == ("cancelled",)


# Longer than a worker waits for an answer.
_HANGS_S = 4.0


@pytest.mark.parametrize("store", STORES if len(SOME_STORES) > 1 else ["redis"], indirect=True)
def test_worker_outlasts_a_store_that_hangs(
    records: JobRecords, pipeline: Pipeline, store: Store, script: Path, start_worker: StartWorker, engine: Engine
) -> None:
    script.write_text("echo done\n")
    worker = start_worker()
    until(Workers(engine).living, worker)
    with hanging(store.url, store.directory / FILE_NAME):
        time.sleep(_HANGS_S)
    job = order(records, pipeline)
    assert ended(records, job, worker).status == "finished"
    assert worker.stop() == 0
