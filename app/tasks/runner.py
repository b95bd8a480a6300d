"""The runner: takes one job after another from the queue to its outcome."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from app.domain.errors import ContimgError
from app.domain.queue import Outcome, QueueJob
from app.queue.heartbeat import Heart
from app.queue.records import JobRecords

log = logging.getLogger(__name__)

# Outcomes are written again and again for so long [s] while the store is away.
_PATIENCE_S = 600.0
_AGAIN_AFTER_S = 1.0


class Stopped(Exception):
    """The work was stopped before it was done; ``reason`` is ``canceled``, ``lost``, ``silent`` or ``stopping``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Verdict = Callable[[], str | None]
Task = Callable[[QueueJob, Verdict], Outcome]


class Runner:
    """Executes jobs by their kind.

    Parameters
    ----------
    records
        The queue's records.
    tasks
        What does each kind of job. A task asks its verdict now and then and raises :class:`Stopped` once that is a
        word.
    """

    def __init__(self, records: JobRecords, tasks: Mapping[str, Task]) -> None:
        self._records = records
        self._tasks = tasks
        self._running: set[str] = set()
        self._leave_at = float("inf")
        self.heart: Heart | None = None

    def running(self) -> list[str]:
        """Names of the jobs that run now."""
        return sorted(self._running)

    def leave(self, in_s: float) -> None:
        """Give jobs that still run in ``in_s`` [s] back to the queue."""
        self._leave_at = min(self._leave_at, time.monotonic() + in_s)

    def wait(self, most_s: float) -> None:
        """Wait until no job runs, for ``most_s`` [s] at most.

        Notes
        -----
        The threads cannot be joined: after a join that a signal has interrupted, Python 3.11 takes them for ended.
        """
        give_up_at = time.monotonic() + most_s
        while self._running and time.monotonic() < give_up_at:
            time.sleep(0.02)

    def execute(self, job_id: str) -> None:
        """Execute a job, unless it was canceled, or is being executed elsewhere."""
        assert self.heart is not None
        try:
            job = self._records.start(job_id, self.heart.worker_id)
        except ContimgError as error:
            # The sweep finds it waiting without being in the queue.
            log.warning("Job %s: not started: %s", job_id, error.message)
            return
        if job is None:
            return
        log.info("Job %s: started, attempt %d", job_id, job.attempt)
        self._running.add(job_id)
        try:
            self._carry_out(job)
        finally:
            self._running.discard(job_id)

    def _carry_out(self, job: QueueJob) -> None:
        try:
            outcome = self._tasks[job.kind](job, lambda: self._verdict(job))
        except Stopped as stop:
            log.info("Job %s: %s", job.job_id, stop.reason)
            if stop.reason == "stopping":
                self._insist(lambda: self._records.give_back(job, "The worker was stopped."))
            return
        except ContimgError as error:
            outcome = Outcome({"status": "failed"}, error.message)
        except Exception as error:
            log.exception("Job %s: failed in this service", job.job_id)
            outcome = Outcome({"status": "failed"}, f"The worker failed: {type(error).__name__}.")
        if self._insist(lambda: self._records.finish(job, outcome)):
            log.info("Job %s: %s", job.job_id, outcome.error or "finished")

    def _verdict(self, job: QueueJob) -> str | None:
        assert self.heart is not None
        if time.monotonic() >= self._leave_at:
            return "stopping"
        if self.heart.silent:
            return "silent"
        try:
            return self._records.verdict(job)
        except ContimgError:
            # Judged by the heartbeat, which fails too while this lasts.
            return None

    def _insist(self, write: Callable[[], bool]) -> bool:
        give_up_at = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return write()
            except ContimgError as error:
                log.warning("Not written to the queue yet: %s", error.message)
                if time.monotonic() > min(give_up_at, self._leave_at):
                    return False
            threading.Event().wait(_AGAIN_AFTER_S)
