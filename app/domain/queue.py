"""The work queue: what was ordered, what became of it, and who works on it.

A job is a handful of facts, each written once and never changed, so that any number of processes on any number of
machines can write them without locks: *ordered*, *started* (once for each attempt), *lost* (an attempt that ended
without an outcome) and *ended*. Whoever writes a fact first decides. The state of a job follows from its facts, here
and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

State = Literal["queued", "started", "finished", "failed", "deferred", "scheduled", "canceled", "not_found"]
# The words that clients know; this service's jobs are never deferred, scheduled or not_found.
STATES: tuple[State, ...] = (
    "queued", "started", "finished", "failed", "deferred", "scheduled", "canceled", "not_found",
)  # fmt: skip

# What a state of the queue is called where runs are listed.
RUN_STATUS = {
    "queued": "pending",
    "started": "running",
    "finished": "completed",
    "failed": "failed",
    "canceled": "cancelled",
}

WORKER_LOST = "The worker was lost while it ran this job."

Fact = Mapping[str, Any]


class Facts(NamedTuple):
    """What is known of a job; attempts are counted from 1."""

    ordered: Fact
    starts: Mapping[int, Fact]
    losses: Mapping[int, Fact]
    end: Fact | None


class QueueJob(NamedTuple):
    """A job of the queue as its facts tell it; times in Unix seconds.

    ``attempt`` is the attempt under way, or the next one while the job waits.
    """

    job_id: str
    kind: str
    status: State
    created_at: float
    started_at: float | None
    ended_at: float | None
    result: Any
    error: str | None
    meta: dict[str, Any]
    params: dict[str, Any]
    priority: int
    retries: int
    attempt: int
    worker: str | None

    @property
    def run_id(self) -> str | None:
        """Run that the job makes."""
        return self.params.get("run_id")

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in {"finished", "failed", "canceled"}


def job_of(job_id: str, facts: Facts, alive: Callable[[str], bool]) -> QueueJob:
    """A job from its facts.

    Parameters
    ----------
    job_id
        Its name.
    facts
        What is known of it.
    alive
        Whether a worker still lives. A job that a dead one had started shows what will be made of it, before a living
        worker has come by to do so.
    """
    ordered, end = facts.ordered, facts.end
    attempt = len(facts.losses) + 1
    start = facts.starts.get(attempt)
    status: State = "queued"
    error = None
    if end is not None:
        status, error = end["status"], end["error"]
    elif start is not None:
        status = "started"
        if not alive(start["worker"]):
            status, error = ("queued", None) if may_retry(facts) else ("failed", WORKER_LOST)
    began = start or (facts.starts.get(attempt - 1) if end is not None else None)
    return QueueJob(
        job_id=job_id,
        kind=ordered["kind"],
        status=status,
        created_at=ordered["at"],
        started_at=None if began is None or status == "queued" else began["at"],
        ended_at=None if end is None else end["at"],
        result=None if end is None else end["result"],
        error=error,
        meta={**ordered["meta"], "attempt": attempt if start is not None else attempt - 1},
        params=dict(ordered["params"]),
        priority=ordered["priority"],
        retries=ordered["retries"],
        attempt=attempt,
        worker=None if start is None else start["worker"],
    )


def may_retry(facts: Facts) -> bool:
    """Whether an attempt that is lost now leaves another; a worker's orderly stop does not count."""
    counted = sum(1 for loss in facts.losses.values() if loss["counted"])
    return bool(counted < facts.ordered["retries"])


class Worker(NamedTuple):
    """A worker process as its last heartbeat told; times in Unix seconds."""

    worker_id: str
    host: str
    pid: int
    started_at: float
    last_seen: float
    every_s: float
    beat: int
    concurrency: int
    running: list[str]

    def fresh(self, now: float) -> bool:
        """Whether the heartbeat is recent: five may be missed (10 s at the usual pace)."""
        return now - self.last_seen <= 5 * self.every_s


class QueueOverview(NamedTuple):
    """State of the queue. Counts are ``None`` and ``error`` says why where its store cannot be reached."""

    connected: bool
    queue_name: str
    engine: str
    redis_url: str | None
    workers: list[Worker]
    queued_count: int | None = None
    started_count: int | None = None
    finished_count: int | None = None
    failed_count: int | None = None
    canceled_count: int | None = None
    error: str | None = None


class Requester(NamedTuple):
    """Who ordered something, and how they proved it."""

    key_id: str
    method: str


class Outcome(NamedTuple):
    """How the work on a job ended; ``result`` is published, ``error`` is one sentence, ``None`` for success."""

    result: dict[str, Any]
    error: str | None = None


class Canceled(NamedTuple):
    """A job, and its state after it was to be canceled."""

    job_id: str
    status: State


class Ordered(NamedTuple):
    """A rerun that was put into the queue; ``run_id`` is that of the new run."""

    job_id: str
    run_id: str
    original_run_id: str
    message: str
    queue_connected: bool
    status: str = "queued"


class Enqueued(NamedTuple):
    """A run and the job that will do it again."""

    run_id: str
    job_id: str


class OrderedMany(NamedTuple):
    """Reruns that were put into the queue, and run ids that nobody knows."""

    enqueued: list[Enqueued]
    not_found: list[str]
    queue_connected: bool
    status: str = "queued"


class CanceledMany(NamedTuple):
    """Runs of which jobs were canceled, and those of which there were none."""

    canceled: list[str]
    not_found: list[str]
    status: str = "ok"
