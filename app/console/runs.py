"""A run as its page shows it: what the database knows, what the queue knows, and the chain that it stands in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.console import links
from app.console.provenance import Link, Part, name_of, tables_of
from app.domain.errors import NotFound, QueueUnavailable
from app.domain.jobs import Job
from app.domain.measurement_sets import CalibratorMatch
from app.domain.queue import RUN_STATUS, QueueJob
from app.web.context import services

OVER = frozenset({"completed", "failed", "cancelled"})


class Run(NamedTuple):
    """A run: its record in the pipeline's database, and the queue's job that makes it, where there are such.

    ``reruns`` are jobs under way that do it again; ``queue_error`` says why the queue could not be asked.
    """

    run_id: str
    job: Job | None
    queued: QueueJob | None
    reruns: Sequence[QueueJob] = ()
    queue_error: str = ""

    @property
    def status(self) -> str:
        """State: as the queue has it, else as the database has it."""
        if self.queued is not None:
            return RUN_STATUS[self.queued.status]
        return self.job.status if self.job is not None else "pending"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in OVER

    @property
    def may_cancel(self) -> bool:
        """Whether there is something in the queue that can be cancelled."""
        return self.queued is not None and not self.queued.ended

    @property
    def ms_path(self) -> str | None:
        """Measurement set that it processes."""
        if self.job is not None:
            return self.job.ms_path
        return self.queued.params.get("ms_path") if self.queued is not None else None

    @property
    def original(self) -> str:
        """Run that it does again, where it is a rerun that the queue knows; else empty."""
        return str(self.queued.meta.get("original_run_id") or "") if self.queued is not None else ""

    @property
    def started_at(self) -> float | None:
        """When it started [Unix s]."""
        own = self.job.started_at if self.job is not None else None
        return own if self.queued is None else self.queued.started_at or own

    @property
    def finished_at(self) -> float | None:
        """When it ended [Unix s]."""
        own = self.job.finished_at if self.job is not None else None
        return own if self.queued is None else self.queued.ended_at or own

    @property
    def took_s(self) -> float | None:
        """How long it took [s]."""
        if self.started_at is None or self.finished_at is None or self.finished_at < self.started_at:
            return None
        return self.finished_at - self.started_at

    @property
    def config(self) -> Mapping[str, Any]:
        """Configuration it was started with."""
        if self.job is not None and self.job.config:
            return self.job.config
        return self.queued.params.get("config") or {} if self.queued is not None else {}

    @property
    def error(self) -> str:
        """Why it failed, where the queue knows."""
        return (self.queued.error or "") if self.queued is not None else ""


def find_run(run_id: str) -> Run:
    """A run; raises NotFound where neither the database nor the queue knows it, QueueUnavailable where it might."""
    queued, reruns, away = None, [], None
    try:
        queued, reruns = services().queue.of_run(run_id), services().queue.reruns_of(run_id)
    except QueueUnavailable as error:
        away = error
    try:
        job = services().jobs.get(run_id)
    except NotFound:
        if away is not None:
            raise away from None
        if queued is None:
            raise
        job = None
    return Run(run_id, job, queued, reruns, away.message if away else "")


def calibrators_of(run: Run) -> Sequence[CalibratorMatch]:
    """Calibration tables solved from the measurement set of a run; none where that is not indexed."""
    try:
        return services().ms.get(run.ms_path).calibrator_matches if run.ms_path else []
    except NotFound:
        return []


def chain_of_run(run: Run, calibrators: Sequence[CalibratorMatch]) -> Sequence[Link]:
    """The chain through a run: image, measurement set, calibration tables, run, log."""
    made = services().jobs.provenance_of(run.job) if run.job is not None else None
    image_id = made.image_id if made is not None else None
    indexed = made is not None and made.ms_indexed
    path = run.ms_path
    ms = Part(name_of(path), links.measurement_set(path) if indexed else "", path) if path else Part("not recorded")
    return [
        Link(
            "Newest image of the set", [Part(f"#{image_id}", links.image(image_id)) if image_id else Part("none yet")]
        ),
        Link("Measurement set", [ms]),
        Link("Calibration tables", tables_of(calibrators)),
        Link("Run", [Part(run.run_id)]),
        Link("Log", [Part("above", "#log")]),
    ]
