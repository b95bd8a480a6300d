"""No route asks the databases more often than it has to, however many rows there are.

A statement per row is what made the service before this one slow. Here each route has a budget, and statements are
counted where SQLite starts them, on a survey large enough for a statement per row to show.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.config import Settings
from app.wiring import Services
from tests.support.pipeline import Pipeline, ms_path, worked_example
from tests.support.radio_images import write_image

N_IMAGES = 1000
RUN = "job-2025-10-31-134906"
MS = quote("/stage/ms/2025-10-31T13:49:06.ms", safe="")
CAL = quote("/stage/cal/bp.tbl", safe="")

# Route under /api/v1: an address on it, and the most statements it may take. Answers come from the tables, because the
# response cache is off and the file was never upgraded.
PLOT = '<any("png", "svg"):format>'
BUDGETS: dict[str, tuple[str, int]] = {
    "/images": (f"/images?limit={N_IMAGES}", 1),
    "/images/<image_id>": ("/images/7", 1),
    "/images/<image_id>/provenance": ("/images/7/provenance", 1),
    "/images/<image_id>/qa": ("/images/7/qa", 2),
    "/images/<image_id>/fits": ("/images/8/fits", 1),
    "/images/<image_id>/header": ("/images/9/header", 1),
    "/images/<image_id>/thumbnail": ("/images/9/thumbnail", 1),
    "/images/<image_id>/preview.png": ("/images/9/preview.png?sources=true&size=320", 2),
    "/images/<image_id>/cutout": ("/images/9/cutout?source=seen&format=png&sources=true&size=320", 3),
    "/images/<image_id>/animation": ("/images/9/animation?size=128", 3),
    "/images/<image_id>/sources": ("/images/9/sources", 2),
    "/images/<image_id>/ratings": ("/images/7/ratings", 1),
    "/images/bulk-download": ("/images/bulk-download?ids=7,8,9&format=csv", 1),
    "/ms": (f"/ms?limit={N_IMAGES}", 1),
    "/ms/<filepath:path>/metadata": (f"/ms/{MS}/metadata", 1),
    "/ms/<filepath:path>/calibrator-matches": (f"/ms/{MS}/calibrator-matches", 1),
    "/ms/<filepath:path>/download": (f"/ms/{MS}/download", 1),
    "/ms/<filepath:path>/provenance": (f"/ms/{MS}/provenance", 1),
    "/sources": (f"/sources?limit={N_IMAGES}", 1),
    "/sources/candidates": ("/sources/candidates", 2),
    f"/sources/candidates.{PLOT}": ("/sources/candidates.png?width=200", 1),
    "/sources/export": ("/sources/export?ids=S000001,S000002", 1),
    "/sources/<source_id>": ("/sources/S000001", 2),
    "/sources/<source_id>/export": ("/sources/S000001/export", 1),
    f"/sources/<source_id>/lightcurve.{PLOT}": ("/sources/S000001/lightcurve.svg?width=200", 2),
    "/sources/<source_id>/contributing-images": ("/sources/S000001/contributing-images", 2),
    "/sources/<source_id>/lightcurve": ("/sources/S000001/lightcurve?start_date=2025-01-01", 1),
    "/sources/<source_id>/variability": ("/sources/S000001/variability", 2),
    "/photometry": (f"/photometry?limit={N_IMAGES}", 1),
    "/sources/<source_id>/qa": ("/sources/S000001/qa", 2),
    "/jobs": (f"/jobs?limit={N_IMAGES}", 1),
    "/jobs/<run_id>": (f"/jobs/{RUN}", 1),
    "/jobs/<run_id>/provenance": (f"/jobs/{RUN}/provenance", 2),
    "/jobs/<run_id>/logs": (f"/jobs/{RUN}/logs", 0),
    "/jobs/<run_id>/events": (f"/jobs/{RUN}/events", 2),
    "/jobs/export": (f"/jobs/export?ids={RUN}", 2),
    "/batches": (f"/batches?limit={N_IMAGES}", 1),
    "/batches/<batch_id>": ("/batches/1", 2),
    "/queue": ("/queue", 0),
    "/queue/jobs": ("/queue/jobs", 0),
    "/queue/jobs/<job_id>": ("/queue/jobs/job_000000000000", 0),
    "/qa/image/<image_id>": ("/qa/image/7", 2),
    "/qa/ms/<filepath:path>": (f"/qa/ms/{MS}", 2),
    "/qa/job/<run_id>": (f"/qa/job/{RUN}", 6),
    "/qa/days": ("/qa/days", 2),
    "/cal": (f"/cal?limit={N_IMAGES}", 1),
    "/cal/<filepath:path>": (f"/cal/{CAL}", 1),
    "/logs/<run_id>": (f"/logs/{RUN}", 0),
    "/logs/<run_id>/stream": (f"/logs/{RUN}/stream", 2),
    "/stats": ("/stats", 2),
    "/stats/timeline": ("/stats/timeline?days=365", 1),
    f"/stats/timeline.{PLOT}": ("/stats/timeline.png?width=200", 1),
    "/services/status": ("/services/status", 0),
    "/services/status/<port>": ("/services/status/8000", 0),
    "/health": ("/health?detailed=true", 0),  # looks at each file on a connection of its own
    "/cache": ("/cache", 0),
}
NOT_THERE = {"/queue/jobs/<job_id>", "/ms/<filepath:path>/download"}


class Served(NamedTuple):
    """The application, a client of it, and the statements run since somebody cleared them."""

    app: Flask
    client: FlaskClient
    statements: list[str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory: Path = tmp_path_factory.mktemp("survey")
    with Pipeline(directory / "state", "production", qa_flags=True) as pipeline:
        fill(pipeline, directory)
        environ = {
            "DSA110_ENV": "testing",
            "PIPELINE_PRODUCTS_DB": str(pipeline.products_path),
            "PIPELINE_CAL_REGISTRY_DB": str(pipeline.registry_path),
            "DSA110_STATE_DIR": str(directory / "state"),
            "DSA110_DATA_ROOTS": str(directory),
            "DSA110_LOG_DIRS": str(directory),
            "DSA110_CACHE_ENABLED": "false",
            "DSA110_LOG_REQUESTS": "false",
            "DSA110_TIMEOUT_SERVICE_PROBE": "0.2",
        }
        app = create_app(Settings.from_environment(environ))
        services: Services = app.extensions["contimg.services"]
        statements: list[str] = []
        services.database.on_open.append(lambda connection: trace(connection, statements))
        yield Served(app, app.test_client(), statements)
        services.close()


def fill(pipeline: Pipeline, directory: Path) -> None:
    """A survey with many rows of each kind that lists show, all of them connected."""
    worked_example(pipeline)
    (directory / "b.fits").write_bytes(b"SIMPLE")
    pipeline.make_image(id=8, path=str(directory / "b.fits"))
    for number in (9, 10):
        path = write_image(directory / f"{number}.fits")
        pipeline.make_image(id=number, path=str(path), ms_path="/stage/ms/2025-10-31T13:49:06.ms", type="readable")
        pipeline.make_photometry(source_id="seen", image_path=str(path), ra_deg=180.0, dec_deg=37.2)
    pipeline.make_many_images(N_IMAGES)
    pipeline.make_many_photometry(100, 20)
    ms = "/stage/ms/2025-10-31T13:49:06.ms"
    for number in range(N_IMAGES):
        pipeline.make_ms(ms_path(100_000 + number))
    for number in range(50):
        pipeline.make_job(ms_path=ms_path(100_000 + number))
        pipeline.make_image_qa(image_path="/stage/img/a.fits")
        pipeline.make_qa_flag(image_path="/stage/img/a.fits")
        pipeline.make_calibration_qa(ms_path=ms)
        pipeline.make_caltable(source_ms_path=ms)
        pipeline.make_batch_job()
        pipeline.make_batch_item()


def trace(connection: sqlite3.Connection, statements: list[str]) -> None:
    """Note every statement of a connection, except the looks at the schema that precede each."""
    connection.set_trace_callback(lambda sql: None if sql.startswith("PRAGMA") else statements.append(sql))


def test_every_route_has_a_budget(served: Served) -> None:
    read = {
        rule.rule.removeprefix("/api/v1")
        for rule in served.app.url_map.iter_rules()
        if "GET" in (rule.methods or set()) and rule.rule.startswith("/api/v1/")
    }
    assert read == BUDGETS.keys()


@pytest.mark.parametrize("route", BUDGETS)
def test_route_keeps_to_its_budget(served: Served, route: str) -> None:
    address, most = BUDGETS[route]
    served.statements.clear()
    with served.client.get(f"/api/v1{address}") as answer:
        assert answer.status_code == (404 if route in NOT_THERE else 200), answer.text
    assert len(served.statements) <= most, served.statements
    assert bool(served.statements) == bool(most), "a budget that is not touched watches nothing"


@pytest.mark.parametrize("address", ["/images", "/ms", "/sources", "/photometry", "/jobs", "/cal", "/batches"])
def test_list_is_one_statement_at_any_length_and_one_more_if_counted(served: Served, address: str) -> None:
    for query, statements in (("?limit=1", 1), ("?limit=1000", 1), ("?limit=5&offset=5", 1), ("?count=exact", 2)):
        served.statements.clear()
        assert served.client.get(f"/api/v1{address}{query}").status_code == 200
        assert len(served.statements) == statements, (query, served.statements)


def test_thousand_images_are_one_select(served: Served) -> None:
    served.statements.clear()
    assert len(served.client.get(f"/api/v1/images?limit={N_IMAGES}").get_json()) == N_IMAGES
    (statement,) = served.statements
    assert statement.startswith("SELECT")
