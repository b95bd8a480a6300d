"""The worker process: heartbeat, sweep, and threads that execute jobs."""

from __future__ import annotations

import logging
import signal
import threading

from app.config import Settings
from app.db.files import PipelineFiles
from app.db.pipeline import PipelineDatabase
from app.db.writing import WritableDatabase
from app.domain import reruns
from app.domain.errors import ContimgError
from app.queue.engine import Engine
from app.queue.heartbeat import Heart, Workers
from app.queue.records import JobRecords
from app.queue.sweep import Sweep
from app.repositories.batches import BatchWriter
from app.repositories.job_writes import JobWriter
from app.repositories.ms import MsRepository
from app.tasks.process import Guard
from app.tasks.rerun import RerunTask
from app.tasks.runner import Runner

log = logging.getLogger(__name__)

# Beyond the grace period of its command, for the record of a job that is given back [s].
_LAST_WORDS_S = 3.0


def work(settings: Settings, *, concurrency: int, drain_s: float) -> None:
    """Execute jobs until told to stop by SIGTERM or SIGINT.

    Parameters
    ----------
    settings
        Queue, command, database.
    concurrency
        Jobs at a time.
    drain_s
        How long jobs under way may go on after that [s]; then their commands are stopped and they go back into the
        queue. A second signal does so at once.

    Raises
    ------
    QueueUnavailable
        The queue's store does not answer at the start. Later, the worker waits for it to come back.
    """
    from app.queue.consumer import Consumer

    # Nobody waits for these threads, and a heartbeat that is refused for another's sake could cost a run.
    engine = Engine(settings.queue_url, settings.queue_name, settings.api_state_dir, patient=True)
    records = JobRecords(engine, Workers(engine))
    guard = Guard(settings.cancel_grace_s)
    task = _rerun_task(settings, guard)
    runner = Runner(records, {reruns.KIND: task})
    runner.heart = heart = Heart(engine, every_s=settings.heartbeat_s, concurrency=concurrency, running=runner.running)
    consumer = Consumer(engine, runner.execute, concurrency=concurrency, on_stop=lambda: runner.leave(drain_s))
    stop = threading.Event()
    # Until the consumer has handlers of its own, SIGTERM interrupts as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        heart.start()
        log.info(
            "Worker %s: %d jobs at a time, queue %s in %s", heart.worker_id, concurrency, engine.name, engine.place
        )
        _start_sweeping(engine, records, settings, task, stop)
        consumer.run()
    except KeyboardInterrupt:
        consumer.stop_flag.set()
    finally:
        # After a second signal, or a very early one, jobs may still run.
        runner.leave(0)
        runner.wait(settings.cancel_grace_s + _LAST_WORDS_S)
        stop.set()
        guard.close()
        heart.stop()
        engine.close()


def _start_sweeping(
    engine: Engine, records: JobRecords, settings: Settings, task: RerunTask, stop: threading.Event
) -> None:
    every_s, days = settings.heartbeat_s, settings.job_retention_days
    sweep = Sweep(engine, records, every_s=every_s, retention_days=days, on_lost=task.lost)
    threading.Thread(target=_sweep, args=(sweep, every_s, stop), name="sweep", daemon=True).start()


def _rerun_task(settings: Settings, guard: Guard) -> RerunTask:
    files = PipelineFiles(settings.products_db, settings.cal_registry_db, settings.api_state_dir)
    reading = PipelineDatabase(files, busy_timeout_s=settings.busy_timeout_s)
    writing = WritableDatabase(
        settings.products_db, "products", busy_timeout_s=settings.busy_timeout_s, notes=settings.api_state_dir
    )
    return RerunTask(settings, MsRepository(reading), JobWriter(writing), BatchWriter(writing), guard)


def _sweep(sweep: Sweep, every_s: float, stop: threading.Event) -> None:
    while True:
        try:
            sweep.look()
        except ContimgError as error:
            log.warning("No sweep: %s", error.message)
        except Exception:
            log.exception("The sweep failed")
        if stop.wait(every_s):
            return
