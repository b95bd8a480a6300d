"""What the service does with runs that are to be done again, or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from app.domain.errors import InvalidValue, NotFound
from app.domain.jobs import Job
from app.domain.queue import CanceledMany, Enqueued, Ordered, OrderedMany, QueueJob, Requester
from app.domain.reruns import KIND, rerun_id
from app.domain.run_id import run_id as run_id_of
from app.queue.heartbeat import Workers
from app.queue.idempotency import Idempotency, Once
from app.queue.records import JobRecords
from app.services.jobs import JobService


class Order(NamedTuple):
    """How a rerun is to be done: what replaces the original's configuration, and how urgent it is."""

    config: Mapping[str, Any]
    priority: int = 0


class ExportedJob(NamedTuple):
    """A run as a line of a table; times in Unix seconds."""

    run_id: str
    status: str
    started_at: float | None
    finished_at: float | None
    input_ms: str | None
    output_image_id: int | None


class RerunService:
    """Orders reruns and cancels them.

    Parameters
    ----------
    jobs
        The runs that are known.
    records, workers, idempotency
        The queue.
    retries
        How often a job is started again when its worker is lost.
    """

    def __init__(
        self,
        jobs: JobService,
        records: JobRecords,
        workers: Workers,
        idempotency: Idempotency,
        *,
        retries: int,
    ) -> None:
        self._jobs = jobs
        self._records = records
        self._workers = workers
        self._idempotency = idempotency
        self._retries = retries

    def rerun(self, run_id: str, order: Order, requester: Requester, once: Once) -> Ordered:
        """Order a rerun of one run.

        Raises
        ------
        NotFound
            There is no such run.
        StillInTheMaking, KeyReused
            As :meth:`Idempotency.once` has it.
        """
        job = self._jobs.get(run_id)
        return Ordered(**self._idempotency.once(once, lambda: self._order(job, order, requester)._asdict()))

    def rerun_all(self, run_ids: Sequence[str], requester: Requester, once: Once) -> OrderedMany:
        """Order reruns of many runs; which were ordered, and which are not known."""
        made = OrderedMany(**self._idempotency.once(once, lambda: self._order_all(run_ids, requester)._asdict()))
        return made._replace(enqueued=[Enqueued(*entry) for entry in made.enqueued])

    def cancel_all(self, run_ids: Sequence[str]) -> CanceledMany:
        """Cancel the jobs that make some runs, or make them anew; which had any, and which had none."""
        by_run: dict[str, list[QueueJob]] = {}
        for job in self._records.all():
            if not job.ended:
                for name in {job.run_id, job.meta.get("original_run_id")}:
                    by_run.setdefault(str(name), []).append(job)
        wanted = list(dict.fromkeys(run_ids))
        for run_id in wanted:
            for job in by_run.get(run_id, []):
                self._records.cancel(job.job_id)
        canceled = [run_id for run_id in wanted if run_id in by_run]
        return CanceledMany(canceled, [run_id for run_id in wanted if run_id not in by_run])

    def export(self, run_ids: Sequence[str]) -> list[ExportedJob]:
        """Some runs as lines of a table, those that are known.

        Raises
        ------
        InvalidValue
            None is named.
        NotFound
            None is known.
        """
        if not run_ids:
            raise InvalidValue("ids", "name at least one run id")
        lines = list(self._exported(dict.fromkeys(run_ids)))
        if not lines:
            raise NotFound("Job", ",".join(run_ids))
        return lines

    def order(
        self,
        original_run_id: str,
        ms_path: str,
        order: Order,
        requester: Requester,
        **batch: int,
    ) -> QueueJob:
        """Put a rerun of a measurement set into the queue; ``batch`` names the batch and the item it is for."""
        params = {"ms_path": ms_path, "original_run_id": original_run_id, "config": dict(order.config), **batch}
        meta = {"original_run_id": original_run_id, "requested_by": requester.key_id, "auth_method": requester.method}
        return self._records.order(
            KIND,
            params,
            {**meta, "priority": order.priority, **batch},
            run_id=rerun_id(original_run_id, time.time()),
            retries=self._retries,
            priority=order.priority,
        )

    def _order(self, job: Job, order: Order, requester: Requester) -> Ordered:
        connected = bool(self._workers.living())
        queued = self.order(job.run_id, _ms_path(job), order, requester)
        message = f"Job {job.run_id} queued for re-run"
        return Ordered(queued.job_id, str(queued.run_id), job.run_id, message, connected)

    def _order_all(self, run_ids: Sequence[str], requester: Requester) -> OrderedMany:
        """Order all or none: everything is looked up first, and if the queue is lost under way, nothing was ordered."""
        found, not_found = {}, []
        for run_id in dict.fromkeys(run_ids):
            try:
                job = self._jobs.get(run_id)
            except NotFound:
                not_found.append(run_id)
                continue
            found[run_id] = (job.run_id, _ms_path(job))
        connected = bool(self._workers.living())
        enqueued: list[Enqueued] = []
        try:
            for run_id, (original_run_id, ms_path) in found.items():
                queued = self.order(original_run_id, ms_path, Order({}), requester)
                enqueued.append(Enqueued(run_id, queued.job_id))
        except BaseException:
            self._records.withdraw(entry.job_id for entry in enqueued)
            raise
        return OrderedMany(enqueued, not_found, connected)

    def _exported(self, run_ids: Mapping[str, None]) -> Iterator[ExportedJob]:
        for run_id in run_ids:
            try:
                job = self._jobs.get(run_id)
            except NotFound:
                continue
            made = self._jobs.provenance_of(job)
            yield ExportedJob(run_id, job.status, job.started_at, job.finished_at, job.ms_path, made.image_id)


def _ms_path(job: Job) -> str:
    if job.ms_path is None:
        raise NotFound("MeasurementSet", f"of {job.run_id}")
    return job.ms_path


def original_run(ms_path: str) -> str:
    """Run id of a measurement set's own run."""
    return str(run_id_of(ms_path))
