"""Whole lists streamed by a real gunicorn: complete, in constant memory, and recognisably broken where they break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import IncompleteRead
from pathlib import Path

import pytest

from tests.live.conftest import StartServer
from tests.support.pipeline import Pipeline
from tests.support.server import Server

pytestmark = pytest.mark.live

SOURCES, EPOCHS = 600, 100


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Sixty thousand measurements, some ten megabytes in any format."""
    with Pipeline(tmp_path_factory.mktemp("survey"), "production") as pipeline:
        pipeline.make_many_images(EPOCHS)
        pipeline.make_many_photometry(SOURCES, EPOCHS)
        yield pipeline


@pytest.fixture(scope="module")
def server(survey: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker, so that its memory can be watched."""
    with Server(tmp_path_factory.mktemp("server"), survey, DSA110_WORKERS="1") as running:
        yield running


def resident_mb(server: Server) -> float:
    """Memory of the worker at its highest."""
    (worker,) = server.worker_pids
    status = Path(f"/proc/{worker}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def test_every_row_arrives_and_memory_does_not_grow_with_them(server: Server) -> None:
    server.get("/api/v1/photometry?format=csv&limit=5000")
    before = resident_mb(server)
    csv = server.get("/api/v1/photometry?format=csv")
    assert csv.headers["transfer-encoding"] == "chunked"
    assert csv.body.count(b"\r\n") == 1 + SOURCES * EPOCHS
    lines = server.get("/api/v1/photometry?format=ndjson&fields=id").body.splitlines()
    assert {json.loads(line)["id"] for line in lines} == set(range(1, SOURCES * EPOCHS + 1))
    assert resident_mb(server) - before < 32


def test_curves_of_a_thousand_sources_arrive_whole(server: Server) -> None:
    connection = server.connect()
    body = json.dumps({"source_ids": [f"S{n:06d}" for n in range(1000)]})
    connection.request("POST", "/api/v1/lightcurves", body, {"Content-Type": "application/json"})
    curves = json.loads(connection.getresponse().read())
    connection.close()
    assert len(curves) == 1000
    assert sum(len(curve["data_points"]) for curve in curves) == SOURCES * EPOCHS


def test_a_stream_that_breaks_is_not_taken_for_a_whole_one(start_server: StartServer, tmp_path: Path) -> None:
    with Pipeline(tmp_path / "survey", "production") as pipeline:
        pipeline.make_many_images(EPOCHS)
        pipeline.make_many_photometry(SOURCES, EPOCHS)
        server = start_server(pipeline, DSA110_WORKERS="1")
        connection = server.connect()
        connection.request("GET", "/api/v1/photometry?format=ndjson")  # more than fits into the buffers on the way
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read(1000)
        pipeline.connection.execute("DROP TABLE photometry")
        with pytest.raises(IncompleteRead):
            answer.read()
        connection.close()
        assert server.get("/api/v1/images?limit=1").status == 200


def test_a_client_that_leaves_stops_the_reading(server: Server) -> None:
    connection = server.connect()
    connection.request("GET", "/api/v1/photometry?format=votable")
    connection.getresponse().read(1000)
    connection.close()
    assert server.get("/api/v1/images?limit=1").status == 200
