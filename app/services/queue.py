"""What the service does with the work queue."""

from __future__ import annotations

from collections import Counter
from numbers import Real

from app.domain.errors import QueueUnavailable
from app.domain.paging import Page, PageRequest, Total, decode_cursor, encode_cursor
from app.domain.queue import Canceled, QueueJob, QueueOverview
from app.queue.engine import Engine
from app.queue.heartbeat import Workers
from app.queue.records import JobRecords


class QueueService:
    """The queue as a whole, and its jobs."""

    def __init__(self, engine: Engine, records: JobRecords, workers: Workers) -> None:
        self._engine = engine
        self._records = records
        self._workers = workers

    def overview(self) -> QueueOverview:
        """State of the queue; an answer also where its store is away."""
        known = QueueOverview(False, self._engine.name, self._engine.kind, self._engine.shown_url, [])
        try:
            counts = Counter(job.status for job in self._records.all())
            living = self._workers.living()
        except QueueUnavailable as error:
            return known._replace(error=error.message)
        return known._replace(
            connected=bool(living),
            workers=living,
            queued_count=counts["queued"],
            started_count=counts["started"],
            finished_count=counts["finished"],
            failed_count=counts["failed"],
            canceled_count=counts["canceled"],
        )

    def page(self, request: PageRequest, status: str | None) -> Page[QueueJob]:
        """Jobs newest first, those in one state or in any."""
        jobs = [job for job in self._records.all() if status is None or job.status == status]
        total = Total(len(jobs), "exact") if request.count else None
        if request.cursor is not None:
            last = decode_cursor(request.cursor, request.binding, (Real, str))
            jobs = [job for job in jobs if (job.created_at, job.job_id) < last]
        else:
            jobs = jobs[request.offset :]
        shown = jobs[: request.limit]
        more = len(jobs) > len(shown) > 0
        cursor = encode_cursor((shown[-1].created_at, shown[-1].job_id), request.binding) if more else None
        return Page(shown, cursor, total)

    def get(self, job_id: str) -> QueueJob:
        """One job; raises NotFound."""
        return self._records.get(job_id)

    def of_run(self, run_id: str) -> QueueJob | None:
        """The job that makes a run, or ``None``."""
        return self._records.of_run(run_id)

    def reruns_of(self, run_id: str) -> list[QueueJob]:
        """Jobs that do a run again and have not ended, newest first."""
        return [job for job in self._records.all() if job.meta.get("original_run_id") == run_id and not job.ended]

    def cancel(self, job_id: str) -> Canceled:
        """Cancel a job: it never starts, or its command is stopped. Its state now, which for one that has ended
        before is what it was. Raises NotFound."""
        self._records.cancel(job_id)
        return Canceled(job_id, self._records.get(job_id).status)
