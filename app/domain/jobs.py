"""Jobs: one processing run of one measurement set, and the state it is in."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

from app.domain import json_text
from app.domain.columns import Column, Kind
from app.domain.qa import IMAGED_STAGES

JobStatus = Literal["pending", "running", "completed", "failed", "cancelled"]
STATES: tuple[JobStatus, ...] = get_args(JobStatus)

_RECORDED: dict[str, JobStatus] = {
    "pending": "pending",
    "queued": "pending",
    "running": "running",
    "started": "running",
    "completed": "completed",
    "done": "completed",
    "finished": "completed",
    "failed": "failed",
    "error": "failed",
    "cancelled": "cancelled",
    "canceled": "cancelled",
}


def recorded_status(word: str | None) -> JobStatus | None:
    """The state that a status word of the jobs tables means, or ``None`` for a word nobody knows."""
    return _RECORDED.get((word or "").strip().lower())


def job_status(recorded: str | None, ms_status: str | None, stage: str | None, processed_at: float | None) -> JobStatus:
    """State of a job, from its row in the jobs table where there is one, else from its measurement set.

    Parameters
    ----------
    recorded
        ``jobs.status`` of the newest row, ``None`` where there is no row.
    ms_status, stage
        ``ms_index.status`` and ``ms_index.stage``.
    processed_at
        Unix time [s] of processing; ``None`` before it.
    """
    known = recorded_status(recorded)
    if known is not None:
        return known
    status = (ms_status or "").strip().lower()
    if "fail" in status or "error" in status:
        return "failed"
    if stage in IMAGED_STAGES or status in {"done", "completed"}:
        return "completed"
    return "pending" if processed_at is None else "running"


class Job(NamedTuple):
    """A run as lists and details show it; times are Unix seconds."""

    run_id: str
    ms_path: str | None
    recorded_status: str | None
    ms_status: str | None
    stage: str | None
    processed_at: float | None
    started_at: float | None
    finished_at: float | None
    params: str | None
    sort_started_at: float
    sort_key: str

    @property
    def status(self) -> JobStatus:
        """State by the one rule of :func:`job_status`."""
        return job_status(self.recorded_status, self.ms_status, self.stage, self.processed_at)

    @property
    def config(self) -> dict[str, Any] | None:
        """Configuration the run was started with; ``None`` where no row records one, empty where it is unreadable."""
        if self.recorded_status is None:
            return None
        try:
            params = json_text.parse(self.params or "{}")
        except ValueError:
            return {}
        if not isinstance(params, dict):
            return {}
        config = params.get("config", params)
        return config if isinstance(config, dict) else {}


JOB_COLUMNS = (
    Column("run_id", Kind.TEXT, "Name of the run.", ucd="meta.id;meta.main"),
    Column(
        "status",
        Kind.TEXT,
        "pending, running, completed, failed or cancelled.",
        ucd="meta.code.status",
        words=STATES,
    ),
    Column("ms_path", Kind.TEXT, "Measurement set that it processes.", ucd="meta.id;meta.file"),
    Column("stage", Kind.TEXT, "Stage that the measurement set has reached.", ucd="meta.code.status"),
    Column("started_at", Kind.TIME, "When it started.", ucd="time.start"),
    Column("finished_at", Kind.TIME, "When it ended, where that is recorded.", ucd="time.end"),
)
