"""/metrics, as Prometheus reads it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from app.domain.errors import TooManyStreams
from app.queue.heartbeat import Heart
from tests.support.neighbours import closed_port
from tests.support.pipeline import Pipeline

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(client: FlaskClient) -> Samples:
    """Every sample by name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = read_text(answer.get_data(as_text=True))
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float | None:
    """One sample, ``None`` where there is none."""
    return samples.get((name, tuple(sorted(labels.items()))))


# -- the pipeline


def test_counts_come_from_the_configured_database_at_each_scrape(
    any_client: FlaskClient, any_pipeline: Pipeline
) -> None:
    assert value(scrape(any_client), "dsa110_photometry_count") == 0
    any_pipeline.make_image(type="pbcor")
    any_pipeline.make_ms("/stage/ms/a.ms", stage="imaged", status="done")
    any_pipeline.make_ms("/stage/ms/b.ms", stage=None, status=None)
    any_pipeline.make_ms("/stage/ms/c.ms", stage="ingested", processed_at=None)
    any_pipeline.make_photometry(source_id="a")
    any_pipeline.make_photometry(source_id="a")
    any_pipeline.make_caltable(table_type="K", status="retired")
    for status in ("queued", "pending", "running", "done"):
        any_pipeline.make_batch_job(status=status)
    samples = scrape(any_client)
    expected: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {
        ("dsa110_database_up", ()): 1,
        ("dsa110_images_count", (("type", "pbcor"),)): 1,
        ("dsa110_images_created_total", (("type", "pbcor"),)): 1,
        ("dsa110_ms_count", (("stage", "imaged"),)): 1,
        ("dsa110_ms_count", (("stage", "unknown"),)): 1,
        ("dsa110_ms_count", (("stage", "ingested"),)): 1,
        ("dsa110_ms_processed_total", (("stage", "imaged"), ("status", "done"))): 1,
        ("dsa110_ms_processed_total", (("stage", "unknown"), ("status", "unknown"))): 1,
        ("dsa110_sources_count", ()): 1,
        ("dsa110_sources_detected_total", (("classification", "unknown"),)): 1,
        ("dsa110_photometry_count", ()): 2,
        ("dsa110_photometry_records_total", (("source_type", "unknown"),)): 2,
        ("dsa110_calibrations_total", (("status", "retired"), ("type", "K"))): 1,
        ("dsa110_pending_jobs", ()): 2,
        ("dsa110_running_jobs", ()): 1,
    }
    assert {key: samples.get(key) for key in expected} == expected


def test_whatever_says_that_nothing_is_known_is_one_series(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    """Twice the same labels in one scrape, and Prometheus refuses it."""
    for number, word in enumerate((None, "unknown", "")):
        any_pipeline.make_ms(f"/stage/ms/{number}.ms", stage=word, status="unknown")
    any_pipeline.make_ms("/stage/ms/3.ms", stage="unknown", status=None)
    page = any_client.get("/metrics").get_data(as_text=True)
    names = [line.rsplit(" ", 1)[0] for line in page.splitlines() if not line.startswith("#")]
    assert len(names) == len(set(names))
    samples = scrape(any_client)
    assert value(samples, "dsa110_ms_processed_total", stage="unknown", status="unknown") == 4
    assert value(samples, "dsa110_ms_count", stage="unknown") == 4


def test_text_that_is_no_utf_8_costs_no_figures(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    any_pipeline.make_image(type="dirty")
    any_pipeline.make_ms("/stage/ms/a.ms")
    any_pipeline.make_caltable(table_type="K")
    for table, column in (("images", "type"), ("ms_index", "stage"), ("ms_index", "status")):
        any_pipeline.connection.execute(f"UPDATE {table} SET {column} = CAST(x'ff41' AS TEXT)")
    any_pipeline.connection.commit()
    samples = scrape(any_client)
    assert value(samples, "dsa110_database_up") == 1
    assert value(samples, "dsa110_images_count", type="\ufffdA") == 1
    assert value(samples, "dsa110_ms_processed_total", stage="\ufffdA", status="\ufffdA") == 1
    assert any_client.get("/api/stats").get_json()["recent_images"][0]["type"] == "\ufffdA"


def test_a_label_that_vanished_from_the_database_vanishes(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image(type="dirty")
    assert value(scrape(client), "dsa110_images_count", type="dirty") == 1
    pipeline.connection.execute("DELETE FROM images")
    pipeline.connection.commit()
    assert value(scrape(client), "dsa110_images_count", type="dirty") is None


def test_distributions_leave_out_what_is_missing_or_not_finite(client: FlaskClient, pipeline: Pipeline) -> None:
    for noise_jy in (1e-6, 2e-4, 0.02, None, math.inf, -math.inf):
        pipeline.make_image(noise_jy=noise_jy, dynamic_range=None)
    pipeline.make_image(noise_jy=None, dynamic_range=1000.0)
    samples = scrape(client)
    noise = {dict(labels)["le"]: n for (name, labels), n in samples.items() if name == "dsa110_image_noise_jy_bucket"}
    assert (noise["1e-06"], noise["0.0001"], noise["0.00025"], noise["0.005"], noise["+Inf"]) == (1, 1, 2, 2, 3)
    assert value(samples, "dsa110_image_noise_jy_sum") == pytest.approx(1e-6 + 2e-4 + 0.02)
    assert value(samples, "dsa110_image_dynamic_range_bucket", le="1000.0") == 1
    assert value(samples, "dsa110_image_dynamic_range_bucket", le="500.0") == 0


def test_signal_to_noise_is_read_from_reports_of_calibration(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    reported = any_pipeline.make_calibration_qa(
        k_metrics='{"avg_snr": 7.5}', bp_metrics='{"avg_snr": 60, "flag_fraction": 0.1}', g_metrics="not JSON"
    )
    any_pipeline.make_calibration_qa(k_metrics=None, bp_metrics='{"avg_snr": "high"}', g_metrics="[]")
    samples = scrape(any_client)
    there = reported is not None  # a generation without the table counts none
    assert value(samples, "dsa110_calibration_snr_count") == (2 if there else 0)
    assert value(samples, "dsa110_calibration_snr_bucket", le="10.0") == (1 if there else 0)
    assert value(samples, "dsa110_calibration_snr_sum") == (67.5 if there else 0)


def test_a_database_that_is_away_does_not_break_the_scrape(client: FlaskClient, pipeline: Pipeline) -> None:
    client.get("/api/images")
    pipeline.connection.execute("DROP TABLE images")
    samples = scrape(client)
    assert value(samples, "dsa110_database_up") == 0
    assert value(samples, "dsa110_photometry_count") is None
    assert value(samples, "http_requests_total", method="GET", status="2xx", handler="/api/v1/images") == 1


def test_figures_are_read_once_for_each_state_of_the_databases(client: FlaskClient, pipeline: Pipeline) -> None:
    services = client.application.extensions["contimg.services"]
    first = services.metrics.figures()
    assert services.metrics.figures() is first
    pipeline.make_image()
    assert services.metrics.figures() is not first


def test_figures_that_take_too_long_are_left_out(
    make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, environ: dict[str, str]
) -> None:
    environ["DSA110_TIMEOUT_DB_METRICS"] = "0.000001"
    pipeline.make_many_images(20_000)
    assert value(scrape(make_app(pipeline).test_client()), "dsa110_database_up") == 0


def test_service_tells_its_version_and_environment(client: FlaskClient) -> None:
    assert value(scrape(client), "dsa110_pipeline_info", version="0.1.0", environment="testing") == 1


# -- requests


def test_requests_are_counted_by_route_and_class_of_status(client: FlaskClient, pipeline: Pipeline) -> None:
    number = pipeline.make_image()
    for path in (f"/api/images/{number}", f"/api/v1/images/{number}", "/api/images/9999", "/nowhere", "/%00"):
        client.get(path)
    samples = scrape(client)

    def counted(status: str, handler: str) -> float | None:
        return value(samples, "http_requests_total", method="GET", status=status, handler=handler)

    assert counted("2xx", "/api/v1/images/<image_id>") == 2
    assert counted("4xx", "/api/v1/images/<image_id>") == 1
    assert counted("4xx", "unmatched") == 2


def test_answers_from_the_cache_are_counted_and_timed(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image()
    sizes = [len(client.get("/api/images").data) for _ in range(3)]
    samples = scrape(client)
    handler = "/api/v1/images"
    assert value(samples, "http_response_size_bytes_count", handler=handler) == 3
    assert value(samples, "http_response_size_bytes_sum", handler=handler) == sum(sizes)
    assert value(samples, "http_request_duration_seconds_bucket", method="GET", handler=handler, le="+Inf") == 3
    seconds = value(samples, "http_request_duration_seconds_sum", method="GET", handler=handler)
    assert seconds is not None
    assert 0 < seconds < 10
    assert value(samples, "http_request_duration_highr_seconds_count") == 3


def test_health_and_metrics_do_not_count_themselves(client: FlaskClient) -> None:
    for path in ("/api/health", "/api/v1/health?detailed=1", "/metrics"):
        client.get(path)
    assert not [name for name, _ in scrape(client) if name.startswith("http_requests")]


def test_strangers_do_not_make_new_metrics(client: FlaskClient) -> None:
    for number in range(30):
        client.open(f"/made-up/{number}", method=f"VERB{number}")
        client.open("/api/v1/images", method=f"VERB{number}")
    names = {labels for name, labels in scrape(client) if name == "http_requests_total"}
    assert names == {(("handler", "unmatched"), ("method", "OTHER"), ("status", "4xx"))}


def test_bytes_received_are_summed(client: FlaskClient) -> None:
    client.post("/api/images", data=b"x" * 100)
    samples = scrape(client)
    assert value(samples, "http_request_size_bytes_sum", handler="unmatched") == 100


def test_bytes_sent_are_those_that_went_out(client: FlaskClient, pipeline: Pipeline, tmp_path: Path) -> None:
    """A promise is none: of a HEAD nothing goes out, and of a file what its client takes."""
    path = tmp_path / "data" / "a.fits"
    path.write_bytes(bytes(1_000_000))
    url = f"/api/images/{pipeline.make_image(path=str(path))}/fits"

    def total() -> float:
        return value(scrape(client), "http_response_size_bytes_sum", handler="/api/v1/images/<image_id>/fits") or 0

    client.head(url)
    assert total() == 0
    with client.get(url, headers={"Range": "bytes=100-299"}) as part:
        part.get_data()
    assert total() == 200
    with client.get(url) as left:
        pieces = left.iter_encoded()
        assert len(next(pieces)) == len(next(pieces))
    before = total()
    assert 0 < before - 200 < 100_000
    with client.get(url) as whole:
        whole.get_data()
    assert total() - before == 1_000_000


def test_time_until_an_answer_began_is_what_counts(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image()
    with client.get("/api/images?format=csv") as slowly:
        time.sleep(0.6)
        slowly.get_data()
    samples = scrape(client)
    assert value(samples, "http_request_duration_highr_seconds_bucket", le="+Inf") == 1
    assert value(samples, "http_request_duration_highr_seconds_bucket", le="0.5") == 1


def test_work_behind_the_answers_is_counted(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image()
    for _ in range(3):
        client.get("/api/images")
    samples = scrape(client)
    statements = value(samples, "dsa110_sql_statements_total") or 0
    hits = value(samples, "dsa110_cache_hits_total") or 0
    assert (statements > 0, value(samples, "dsa110_slow_queries_total")) == (True, 0)
    assert hits in {0, 2}
    assert (value(samples, "dsa110_sql_seconds_total") or 0) > 0


def test_slow_statements_are_counted(
    make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, environ: dict[str, str]
) -> None:
    environ["DSA110_SLOW_QUERY"] = "0.0000001"
    client = make_app(pipeline).test_client()
    client.get("/api/images")
    samples = scrape(client)
    assert value(samples, "dsa110_slow_queries_total") == value(samples, "dsa110_sql_statements_total")


# -- the queue and streams


def test_jobs_and_workers_of_the_queue_are_counted(client: FlaskClient) -> None:
    services = client.application.extensions["contimg.services"]
    for number, state in enumerate(("queued", "queued", "canceled")):
        job = services.reruns._records.order("rerun", {}, {}, run_id=f"run-{number}", retries=0)
        if state == "canceled":
            services.queue.cancel(job.job_id)
    heart = Heart(services.engine, every_s=5, concurrency=1, running=list)
    heart.beat()
    samples = scrape(client)
    assert value(samples, "dsa110_queue_up") == 1
    assert value(samples, "dsa110_queue_workers") == 1
    assert value(samples, "dsa110_queue_jobs", status="queued") == 2
    assert value(samples, "dsa110_queue_jobs", status="canceled") == 1
    heart.stop()


def test_queue_that_is_away_does_not_break_the_scrape(
    make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, environ: dict[str, str]
) -> None:
    environ["DSA110_QUEUE_URL"] = f"redis://127.0.0.1:{closed_port()}/0"
    samples = scrape(make_app(pipeline).test_client())
    assert value(samples, "dsa110_queue_up") == 0
    assert value(samples, "dsa110_queue_workers") is None


def test_streams_are_counted_while_they_are_open_and_those_refused(
    make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, environ: dict[str, str]
) -> None:
    environ["DSA110_MAX_STREAMS"] = "1"
    app = make_app(pipeline)
    slots = app.extensions["contimg.streams"]
    slots.take()
    with pytest.raises(TooManyStreams):
        slots.take()
    samples = scrape(app.test_client())
    assert (value(samples, "dsa110_streams_open"), value(samples, "dsa110_streams_refused_total")) == (1, 1)
    slots.leave()
    assert value(scrape(app.test_client()), "dsa110_streams_open") == 0


# -- the page


def test_page_is_text_or_openmetrics_as_asked(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image()
    client.get("/api/images")
    text = client.get("/metrics")
    assert text.content_type.startswith("text/plain; version=")
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.content_type.startswith("application/openmetrics-text")
    assert {family.name for family in read_openmetrics(answer.get_data(as_text=True))} >= {"http_requests"}


def test_page_is_never_kept_and_not_in_the_document(client: FlaskClient) -> None:
    assert client.get("/metrics").headers["Cache-Control"] == "no-store"
    assert "/metrics" not in client.get("/api/openapi.json").get_json()["paths"]


def test_scrapers_from_anywhere_may_come(client: FlaskClient) -> None:
    for path, status in (("/metrics", 200), ("/api/stats", 403)):
        assert client.get(path, environ_base={"REMOTE_ADDR": "203.0.113.9"}).status_code == status


def test_page_can_be_turned_off(make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, environ: Any) -> None:
    environ["DSA110_ENABLE_METRICS"] = "false"
    assert make_app(pipeline).test_client().get("/metrics").status_code == 404
