"""/metrics: requests of every worker, and the pipeline's figures, computed when somebody asks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from flask import Flask, Response, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.multiprocess import MultiProcessCollector

from app.config import Settings
from app.db.pipeline import Spent
from app.domain.metrics import Histogram as Distribution
from app.domain.metrics import PipelineFigures
from app.domain.statistics import by_status, total
from app.services.metrics import MetricsService
from app.version import VERSION
from app.web import runtime
from app.web.gauges import QueueCollector, WorkersCollector
from app.wiring import Services

PATH = "/metrics"

# Probes and scrapes would only count themselves.
UNCOUNTED = frozenset({PATH, "/api/v1/health", "/livez", "/readyz"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Upper bounds of the buckets of duration [s].
COARSE_S = (0.1, 0.5, 1.0)
FINE_S = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    1.5,
    2,
    2.5,
    5,
    7.5,
    10,
    30,
    60,
)


class RequestCounter:
    """Counts requests under few labels: a stranger's methods and paths do not become metrics.

    Parameters
    ----------
    registry
        Where the metrics are registered; ``None`` where several processes count together, through files.
    """

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._requests = Counter(
            "http_requests", "Requests answered.", labelnames=("method", "status", "handler"), registry=registry
        )
        self._received = Summary(
            "http_request_size_bytes", "Bytes of bodies received.", ("handler",), registry=registry
        )
        self._sent = Summary("http_response_size_bytes", "Bytes of bodies sent.", ("handler",), registry=registry)
        self._durations = Histogram(
            "http_request_duration_seconds",
            "Time until an answer began, by route.",
            labelnames=("method", "handler"),
            buckets=COARSE_S,
            registry=registry,
        )
        self._fine = Histogram(
            "http_request_duration_highr_seconds",
            "Time until an answer began, in fine buckets.",
            buckets=FINE_S,
            registry=registry,
        )
        self._cache_hits = Counter("dsa110_cache_hits", "Requests answered from the cache.", registry=registry)
        self._statements = Counter(
            "dsa110_sql_statements", "Statements on the pipeline's files and ours.", registry=registry
        )
        self._sql_seconds = Counter("dsa110_sql_seconds", "Time that those took.", registry=registry)
        self._slow = Counter("dsa110_slow_queries", "Those that were slow.", registry=registry)
        # Of a worker that died, nothing is open any more.
        live: Any = {"multiprocess_mode": "livesum", "registry": registry}
        self.streams = Gauge("dsa110_streams_open", "Streams of events that are being served.", **live)
        self.streams_refused = Counter(
            "dsa110_streams_refused", "Streams for which no place was left.", registry=registry
        )
        # Looking a child up by its labels costs more than counting; there are only so many.
        self._children = lru_cache(maxsize=1024)(self._children_of)

    def note(self, method: str, status: int, route: str, began_s: float, received: str, sent: int) -> None:
        """Count one request; ``received`` is its Content-Length, ``route`` the template it matched.

        Its time is the time until the answer began: how long a file takes, or a stream of events is followed, is up to
        the client, and tells nothing of the service.
        """
        if route in UNCOUNTED:
            return
        requests, sizes_in, sizes_out, durations = self._children(method, status // 100, route)
        requests.inc()
        sizes_in.observe(int(received) if received.isdecimal() else 0)
        sizes_out.observe(sent)
        durations.observe(began_s)
        self._fine.observe(began_s)

    def note_work(self, spent: Iterable[Spent], cache_hits: int) -> None:
        """Count what was done for some requests together."""
        statements, seconds, slow = map(sum, zip(*spent, strict=True))
        for counter, amount in (
            (self._cache_hits, cache_hits),
            (self._statements, statements),
            (self._sql_seconds, seconds),
            (self._slow, slow),
        ):
            if amount:
                counter.inc(amount)

    def _children_of(self, method: str, status_class: int, route: str) -> tuple[Any, Any, Any, Any]:
        method = method if method in _METHODS else "OTHER"
        status = f"{status_class}xx" if 1 <= status_class <= 5 else "other"
        return (
            self._requests.labels(method, status, route),
            self._received.labels(route),
            self._sent.labels(route),
            self._durations.labels(method, route),
        )


class PipelineCollector:
    """Metric families of the pipeline's database; without it they are missing and ``dsa110_database_up`` is 0.

    Parameters
    ----------
    service
        Who reads the database.
    environment
        Name of the environment for ``dsa110_pipeline_info``.
    """

    def __init__(self, service: MetricsService, environment: str) -> None:
        self._service = service
        self._environment = environment

    def collect(self) -> Iterator[Metric]:
        """What Prometheus asks for."""
        info = {"version": VERSION, "environment": self._environment}
        yield InfoMetricFamily("dsa110_pipeline", "This service.", value=info)
        figures = self._service.figures()
        up = "Whether the figures of the pipeline could be read in time."
        yield GaugeMetricFamily("dsa110_database_up", up, value=figures is not None)
        if figures is not None:
            yield from _gauges(figures)
            yield from _counters(figures)
            yield from _histograms(figures)


def install(app: Flask, settings: Settings, services: Services) -> RequestCounter:
    """Serve /metrics where that is wanted; the counter that feeds it.

    Notes
    -----
    Under gunicorn every worker keeps its counts in files of the runtime directory, and whoever is asked adds them up
    (``PROMETHEUS_MULTIPROC_DIR``, https://prometheus.github.io/client_python/multiprocess/).
    """
    registry = CollectorRegistry(auto_describe=False)
    together = runtime.MULTIPROCESS_VARIABLE in os.environ
    counter = RequestCounter(None if together else registry)
    if together:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(PipelineCollector(services.metrics, settings.environment))
    registry.register(QueueCollector(services.queue))
    registry.register(WorkersCollector())

    def expose() -> Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=content_type)

    if settings.enable_metrics:
        app.add_url_rule(PATH, "metrics", expose)
    return counter


def _gauges(figures: PipelineFigures) -> Iterator[Metric]:
    counts = figures.counts
    stages: dict[str, int] = {}
    for stage, n in counts.get("ms", {}).items():
        stages[stage or "unknown"] = stages.get(stage or "unknown", 0) + n
    yield _labelled(GaugeMetricFamily("dsa110_ms_count", "Measurement sets.", labels=("stage",)), stages)
    types = GaugeMetricFamily("dsa110_images_count", "Images.", labels=("type",))
    yield _labelled(types, counts.get("images", {}))
    yield GaugeMetricFamily("dsa110_sources_count", "Sources.", value=total(counts, "sources"))
    yield GaugeMetricFamily("dsa110_photometry_count", "Measurements.", value=total(counts, "photometry"))
    jobs = by_status(counts)
    yield GaugeMetricFamily("dsa110_pending_jobs", "Batch jobs that wait.", value=jobs["pending"])
    yield GaugeMetricFamily("dsa110_running_jobs", "Batch jobs that run.", value=jobs["running"])


def _counters(figures: PipelineFigures) -> Iterator[Metric]:
    """Totals that grow as the pipeline works. Its tables tell no type of a measurement and no class of a source."""
    processed = CounterMetricFamily("dsa110_ms_processed", "Measurement sets processed.", labels=("status", "stage"))
    for row in figures.processed:
        processed.add_metric((row.status, row.kind), row.n)
    yield processed
    created = CounterMetricFamily("dsa110_images_created", "Images created.", labels=("type",))
    yield _labelled(created, figures.counts.get("images", {}))
    measured = CounterMetricFamily("dsa110_photometry_records", "Measurements taken.", labels=("source_type",))
    yield _labelled(measured, {"unknown": total(figures.counts, "photometry")})
    calibrations = CounterMetricFamily("dsa110_calibrations", "Calibration tables made.", labels=("status", "type"))
    for row in figures.calibrations:
        calibrations.add_metric((row.status, row.kind), row.n)
    yield calibrations
    detected = CounterMetricFamily("dsa110_sources_detected", "Sources detected.", labels=("classification",))
    yield _labelled(detected, {"unknown": total(figures.counts, "sources")})


def _histograms(figures: PipelineFigures) -> Iterator[Metric]:
    yield _histogram("dsa110_image_noise_jy", "Noise of images, Jy/beam.", figures.noise_jy)
    yield _histogram("dsa110_image_dynamic_range", "Dynamic range of images.", figures.dynamic_range)
    yield _histogram("dsa110_calibration_snr", "Mean S/N of calibration solutions.", figures.calibration_snr)


def _histogram(name: str, help_text: str, values: Distribution) -> Metric:
    buckets = [(str(bound), n) for bound, n in zip(values.bounds, values.at_most, strict=True)]
    return HistogramMetricFamily(name, help_text, buckets=[*buckets, ("+Inf", values.n)], sum_value=values.total)


def _labelled(family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[str, int]) -> Metric:
    for label, n in values.items():
        family.add_metric((label,), n)
    return family
