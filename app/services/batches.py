"""What the service does with batches: many reruns ordered at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

from app.domain.batches import OVER, Batch, BatchDetail, BatchOrdered, BatchSelection
from app.domain.errors import BatchInvalidState, ContimgError, InvalidValue, NotFound
from app.domain.paging import Page, PageRequest
from app.domain.queue import Requester
from app.queue.idempotency import Idempotency, Once
from app.queue.records import JobRecords
from app.repositories.batches import BatchRepository, BatchWriter
from app.services.reruns import Order, RerunService, original_run

log = logging.getLogger(__name__)

LARGEST = 1000


class BatchOrder(NamedTuple):
    """What a batch is for: measurement sets by path, or those that a selection means."""

    ms_paths: Sequence[str] | None
    selection: BatchSelection | None
    order: Order


class BatchService:
    """Batches of reruns."""

    def __init__(
        self,
        batches: BatchRepository,
        writer: BatchWriter,
        reruns: RerunService,
        records: JobRecords,
        idempotency: Idempotency,
    ) -> None:
        self._batches = batches
        self._writer = writer
        self._reruns = reruns
        self._records = records
        self._idempotency = idempotency

    def page(self, request: PageRequest) -> Page[Batch]:
        """Batches, newest first."""
        return self._batches.page(request)

    def get(self, batch_id: int) -> BatchDetail:
        """One batch with its items; raises BatchNotFound."""
        return self._batches.get(batch_id)

    def create(self, wanted: BatchOrder, requester: Requester, once: Once) -> BatchOrdered:
        """Record a batch and order a rerun for each of its measurement sets.

        Raises
        ------
        NotFound
            A path is not that of an indexed measurement set.
        InvalidValue
            Nothing is selected, or more than 1000 measurement sets are.
        """
        return BatchOrdered(**self._idempotency.once(once, lambda: self._create(wanted, requester)._asdict()))

    def cancel(self, batch_id: int) -> BatchDetail:
        """Cancel what is left of a batch.

        Raises
        ------
        BatchNotFound, BatchInvalidState
            There is no such batch, or it is over.
        """
        batch = self._batches.get(batch_id)
        if batch.status in OVER:
            details = {"job_id": batch_id, "current_state": batch.status, "expected_states": ["pending", "running"]}
            raise BatchInvalidState(f"Batch {batch_id} is over: {batch.status}.", **details)
        # First the record: a worker that starts an item now finds it cancelled.
        self._writer.cancel(batch_id)
        for job in self._records.all():
            if job.meta.get("batch_id") == batch_id and not job.ended:
                self._records.cancel(job.job_id)
        return self._batches.get(batch_id)

    def _create(self, wanted: BatchOrder, requester: Requester) -> BatchOrdered:
        paths = self._paths(wanted)
        selection = wanted.selection and {k: v for k, v in wanted.selection._asdict().items() if v is not None}
        params = {"config": dict(wanted.order.config), "priority": wanted.order.priority, "selection": selection}
        batch_id, item_ids = self._writer.create(paths, params, time.time())
        ordered = []
        try:
            for path, item_id in zip(paths, item_ids, strict=True):
                names = {"batch_id": batch_id, "item_id": item_id}
                ordered.append(self._reruns.order(original_run(path), path, wanted.order, requester, **names))
        except BaseException:
            self._withdraw(batch_id, [job.job_id for job in ordered])
            raise
        return BatchOrdered(batch_id, len(paths))

    def _withdraw(self, batch_id: int, job_ids: Sequence[str]) -> None:
        """Cancel a batch that could not be ordered as a whole, as far as database and queue can be reached."""
        try:
            self._writer.cancel(batch_id)
        except ContimgError as error:
            log.warning("Batch %d, whose order failed, stays pending: %s", batch_id, error.message)
        self._records.withdraw(job_ids)

    def _paths(self, wanted: BatchOrder) -> list[str]:
        if wanted.selection is not None:
            paths = self._batches.select(wanted.selection, LARGEST + 1)
            if not paths:
                raise InvalidValue("filter", "it selects no measurement set")
            if len(paths) > LARGEST:
                raise InvalidValue("filter", f"it selects more than {LARGEST} measurement sets; narrow it down")
            return paths
        paths = list(dict.fromkeys(wanted.ms_paths or ()))
        unknown = self._batches.unknown(paths)
        if unknown:
            raise NotFound("MeasurementSet", unknown[0])
        return paths
