"""Reruns: the pipeline's command, run anew on a measurement set, with its record and its log."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from app.config import Settings
from app.config.declaration import secret_variables
from app.domain.errors import ContimgError
from app.domain.jobs import JobStatus
from app.domain.queue import Outcome, QueueJob
from app.domain.reruns import command_line
from app.repositories.batches import BatchWriter, ItemStatus
from app.repositories.job_writes import JobWriter
from app.repositories.ms import MsRepository
from app.tasks.process import Ended, Guard, RunLog, run
from app.tasks.runner import Stopped, Verdict

log = logging.getLogger(__name__)

_SHOWN_CHARACTERS = 1000
# A command has no use for what lets others into this service.
_KEPT_BACK = secret_variables(Settings)
_ITEM_STATUS: dict[str, ItemStatus] = {"completed": "done", "failed": "failed", "cancelled": "cancelled"}


class RerunTask:
    """Carries out reruns.

    Parameters
    ----------
    settings
        The command, its limits, and where logs go.
    measurement_sets
        Where calibration and pointing are looked up.
    jobs, batches
        Where it is recorded for the pipeline and for ``/jobs``.
    guard
        Ends commands should this process die.
    """

    def __init__(
        self,
        settings: Settings,
        measurement_sets: MsRepository,
        jobs: JobWriter,
        batches: BatchWriter,
        guard: Guard,
    ) -> None:
        self._settings = settings
        self._measurement_sets = measurement_sets
        self._jobs = jobs
        self._batches = batches
        self._guard = guard

    def __call__(self, job: QueueJob, verdict: Verdict) -> Outcome:
        """Run the command for a job.

        Raises
        ------
        Stopped
            The verdict was to stop; the command has ended.
        """
        config = self._config(job)
        row_id = self._recorded_row(job, config)
        if not self._note_start(job, row_id):
            # The queue could not be reached when its batch was cancelled.
            self._note_end(job, row_id, "cancelled", None)
            return Outcome({"status": "cancelled"}, "Its batch was cancelled before it started.")
        try:
            result, error = self._run(job, config, verdict)
        except Stopped as stop:
            # Taken over by another worker, the records are that one's to write.
            if stop.reason == "stopping":
                self._note_wait(job, row_id)
            elif stop.reason == "canceled":
                self._note_end(job, row_id, "cancelled", None)
            raise
        except Exception:
            self._note_end(job, row_id, "failed", "The worker failed.")
            raise
        status: JobStatus = "failed" if error else "completed"
        self._note_end(job, row_id, status, error)
        original = job.params["original_run_id"]
        message = error or f"Job {original} was run again as {job.run_id}"
        about = {"original_run_id": original, "new_run_id": job.run_id, "config": config, "job_db_id": row_id}
        return Outcome({**about, "status": status, "message": message, **result}, error)

    def lost(self, ordered: Mapping[str, Any], reason: str) -> None:
        """Record the failure of a job whose worker was lost."""
        params = ordered["params"]
        at = time.time()
        row_id = _recorded(lambda: self._jobs.find(params["run_id"], params["ms_path"]))
        if row_id is not None:
            _recorded(lambda: self._jobs.end(row_id, "failed", at))
        if "batch_id" in params:
            batch_id, item_id = params["batch_id"], params["item_id"]
            _recorded(lambda: self._batches.end_item(batch_id, item_id, "failed", reason, at))

    def _config(self, job: QueueJob) -> dict[str, Any]:
        """What the command is given: as the measurement set has it, unless the order says otherwise."""
        ms = self._measurement_sets.find(job.params["ms_path"])
        config: dict[str, Any] = {
            "ms_path": job.params["ms_path"],
            "cal_table": ms and ms.newest_cal_table,
            "phase_center_ra": ms and ms.pointing_ra_deg,
            "phase_center_dec": ms and ms.pointing_dec_deg,
        }
        config.update(job.params.get("config", {}))
        return config

    def _recorded_row(self, job: QueueJob, config: Mapping[str, Any]) -> int | None:
        params = {**job.meta, "config": config, "job_id": job.job_id, "run_id": job.run_id}
        run_id, ms_path = str(job.run_id), job.params["ms_path"]
        row_id: int | None = _recorded(lambda: self._jobs.record(run_id, ms_path, params, job.created_at))
        if row_id is None:
            log.warning("Job %s: no row in the jobs table; only the queue knows of it", job.job_id)
        return row_id

    def _run(self, job: QueueJob, config: Mapping[str, Any], verdict: Verdict) -> tuple[dict[str, Any], str | None]:
        settings = self._settings
        if not settings.pipeline_run_cmd.strip():
            return {}, "No pipeline command is configured: set DSA110_PIPELINE_RUN_CMD where the worker runs."
        try:
            command = command_line(settings.pipeline_run_cmd, {**config, "run_id": job.run_id})
            run_log = RunLog(settings.log_dirs[0] / f"{job.run_id}.log")
        except ValueError as error:
            return {}, f"DSA110_PIPELINE_RUN_CMD cannot be read: {error}."
        except (OSError, IndexError) as error:
            return {}, f"The log cannot be written: {getattr(error, 'strerror', None) or 'no directory is set'}."
        try:
            ended = run(
                command,
                environ=_environ(job),
                log=run_log,
                limit_s=settings.job_timeout_s,
                grace_s=settings.cancel_grace_s,
                guard=self._guard,
                verdict=verdict,
            )
        except OSError as error:
            return {}, f"The pipeline command cannot be started: {error.strerror}."
        finally:
            run_log.close()
        stopped = ended.stopped or verdict()
        if stopped in {"canceled", "lost"} or ended.stopped not in {None, "timeout"}:
            raise Stopped(str(stopped))
        return self._report(ended)

    def _report(self, ended: Ended) -> tuple[dict[str, Any], str | None]:
        report: dict[str, Any] = {"exit_status": ended.exit_status}
        if ended.exit_status == 0 and ended.stopped is None:
            return {**report, "output": _shown(ended.stdout_tail)}, None
        stderr = _shown(ended.stderr_tail)
        if ended.stopped == "timeout":
            error = f"The pipeline command took longer than {self._settings.job_timeout_s:g} s and was stopped."
        elif ended.exit_status < 0:
            error = f"The pipeline command was killed by signal {-ended.exit_status}."
        else:
            error = f"The pipeline command ended with exit status {ended.exit_status}."
        return {**report, "output": _shown(ended.stdout_tail), "stderr": stderr}, error

    def _note_start(self, job: QueueJob, row_id: int | None) -> bool:
        """Record that the work begins; false where the batch that it is for was cancelled."""
        at = time.time()
        if row_id is not None:
            _recorded(lambda: self._jobs.start(row_id, at))
        if "batch_id" in job.params:
            batch_id, item_id = job.params["batch_id"], job.params["item_id"]
            return _recorded(lambda: self._batches.start_item(batch_id, item_id, row_id, at)) is not False
        return True

    def _note_wait(self, job: QueueJob, row_id: int | None) -> None:
        if row_id is not None:
            _recorded(lambda: self._jobs.wait(row_id))
        if "batch_id" in job.params:
            _recorded(lambda: self._batches.wait_item(job.params["batch_id"], job.params["item_id"]))

    def _note_end(self, job: QueueJob, row_id: int | None, status: JobStatus, error: str | None) -> None:
        at = time.time()
        if row_id is not None:
            _recorded(lambda: self._jobs.end(row_id, status, at))
        if "batch_id" in job.params:
            batch_id, item_id = job.params["batch_id"], job.params["item_id"]
            _recorded(lambda: self._batches.end_item(batch_id, item_id, _ITEM_STATUS[status], error, at))


def _recorded(write: Callable[[], Any]) -> Any:
    """Write to the pipeline's database; a run does not fail because its record could not be kept."""
    try:
        return write()
    except ContimgError as error:
        log.warning("Not recorded in the products database: %s", error.message)
        return None


def _environ(job: QueueJob) -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if name not in _KEPT_BACK}
    return environ | {
        "CONTIMG_JOB_ID": job.job_id,
        "CONTIMG_RUN_ID": str(job.run_id),
        "CONTIMG_ATTEMPT": str(job.attempt),
    }


def _shown(tail: bytes) -> str:
    return tail.decode("utf-8", "replace")[-_SHOWN_CHARACTERS:]
