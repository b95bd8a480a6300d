"""Gauges of what surrounds the requests, computed when somebody asks: the queue, and the workers of this gunicorn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from app.domain.queue import QueueOverview
from app.services.probes import Probes
from app.services.queue import QueueService
from app.web import runtime

_WITHIN_S = 2.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class QueueCollector:
    """Metric families of the work queue; where its store does not answer in time, ``dsa110_queue_up`` is 0.

    Parameters
    ----------
    service
        Who knows the queue.
    """

    def __init__(self, service: QueueService) -> None:
        self._service = service
        self._probes: Probes[QueueOverview] = Probes()

    def collect(self) -> Iterator[Metric]:
        """What Prometheus asks for."""
        overview = self._probes.run({"queue": self._service.overview}, _WITHIN_S)["queue"]
        answers = overview is not None and overview.error is None
        yield GaugeMetricFamily("dsa110_queue_up", "Whether the queue's store answered in time.", value=answers)
        if overview is None or not answers:
            return
        workers = len(overview.workers)
        yield GaugeMetricFamily("dsa110_queue_workers", "Workers whose heartbeat is fresh.", value=workers)
        jobs = GaugeMetricFamily("dsa110_queue_jobs", "Jobs that the queue remembers.", labels=("status",))
        for status in ("queued", "started", "finished", "failed", "canceled"):
            jobs.add_metric((status,), getattr(overview, f"{status}_count"))
        yield jobs


class WorkersCollector:
    """Metric families of gunicorn's workers: how many live, and how much memory the largest takes."""

    def collect(self) -> Iterator[Metric]:
        """What Prometheus asks for; nothing outside of gunicorn."""
        if runtime.current() is None:
            return
        sizes = [size for pid in _siblings() if (size := _resident_bytes(pid)) is not None]
        yield GaugeMetricFamily("dsa110_http_workers", "Worker processes that live.", value=len(sizes))
        largest = max(sizes, default=0)
        yield GaugeMetricFamily("dsa110_http_worker_memory_bytes", "Resident memory of the largest.", value=largest)


def _siblings() -> list[int]:
    """Processes with the same parent as this one, itself among them."""
    parent = os.getppid()
    with suppress(OSError):
        return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return []


def _resident_bytes(pid: int) -> int | None:
    with suppress(OSError):
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        # A process that waits for its parent to take note of its end has no memory left.
        return resident * _PAGE_BYTES or None
    return None
