"""Fixtures of tests that break things under a real gunicorn while it is asked, and write down what became of it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import reliability
from tests.support.load import Load, Tally
from tests.support.pipeline import Pipeline
from tests.support.server import Server

IMAGES, SOURCES = 40, 4
KEY = {"X-API-Key": "dsa110_live_test_key"}
# Idle streams and the like are not what is tested here.
SETTINGS = {"DSA110_LOG_REQUESTS": "false", "DSA110_RATE_LIMIT_DISABLED": "true", "DSA110_MAX_DOWNLOADS": "8"}

StartServer = Callable[..., Server]
Report = Callable[..., None]


def fill(pipeline: Pipeline, images: int = IMAGES) -> Pipeline:
    """Images with their measurement sets and light curves, enough for several pages of the file."""
    pipeline.make_many_images(images)
    pipeline.make_many_photometry(SOURCES, images)
    for _ in range(5):
        pipeline.make_ms()
    return pipeline


def settled(pipeline: Pipeline) -> Pipeline:
    """The same with everything in the database files and nothing in their logs, and nobody writing."""
    pipeline.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return pipeline


@pytest.fixture
def survey(tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline's databases, filled."""
    with Pipeline(tmp_path / "state", "orm") as made:
        yield settled(fill(made))


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers of a test's own: ``start_server(pipeline, DSA110_DB_TIMEOUT="1")``."""
    started: list[Server] = []

    def start(pipeline: Pipeline | None = None, *, kind: type[Server] = Server, **options: object) -> Server:
        started.append(kind(tmp_path / f"server{len(started)}", pipeline, **{**SETTINGS, **options}))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for server in started:
        server.signal(signal.SIGQUIT)  # a graceful stop would wait for clients that keep their connections
        server.stop()


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """Writes down what became of the requests under a fault, where somebody wants to know."""

    def write(fault: str, outcome: str, load: Load, *more: Tally) -> None:
        tally = sum(more, load.tally)
        line = {
            "fault": fault,
            "outcome": outcome,
            "test": request.node.nodeid.partition("[")[0],
            "sent": tally.sent,
            "right": tally.right,
            "refused": tally.refused,
            "lost": tally.lost,
            "wrong": tally.wrong,
            "slowest_s": round(tally.slowest_s, 3),
            "seconds": round(load.seconds, 1),
        }
        assert tally.sent == tally.right + tally.refused + tally.lost + tally.wrong
        reliability.write(line)

    return write
