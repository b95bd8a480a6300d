"""Fixtures of tests that talk to a real gunicorn over sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.pipeline import Pipeline
from tests.support.server import Server

StartServer = Callable[..., Server]


@pytest.fixture(scope="module")
def live_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Databases that a module's server reads; the module's tests may write to them."""
    with Pipeline(tmp_path_factory.mktemp("live") / "state", "orm") as made:
        yield made


@pytest.fixture(scope="module")
def server(live_pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gunicorn with two workers over ``live_pipeline``, started once for a module."""
    with Server(tmp_path_factory.mktemp("server"), live_pipeline) as started:
        yield started


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers of a test's own: ``start_server(pipeline, DSA110_WORKERS="1")``."""
    started: list[Server] = []

    def start(pipeline: Pipeline | None = None, **settings: str) -> Server:
        started.append(Server(tmp_path / f"server{len(started)}", pipeline, **settings))
        return started[-1]

    yield start
    for server in started:
        server.stop()
