"""A survey with something of everything, and an application over it that is attacked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.config import Settings
from tests.security.attempts import ATTEMPTS, CountingClient
from tests.support.pipeline import Pipeline

# What must never be seen from outside; it lies beside every place that may be read.
TREASURE = b"KEEP-OUT-8f3a1c"
KEY = "dsa110_key_of_the_security_tests_0123456789"


class Survey(NamedTuple):
    """Databases, the directory that holds everything, and the application over them."""

    pipeline: Pipeline
    directory: Path
    app: Flask

    @property
    def client(self) -> FlaskClient:
        """A client without cookies of any other."""
        return self.app.test_client()

    @property
    def data(self) -> Path:
        """The only data root."""
        return self.directory / "data"


Build = Callable[..., Survey]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Count what the requests of each test became, and write it down where the test was content with it."""
    ATTEMPTS.begin()
    yield
    ATTEMPTS.end(item)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Makes surveys: ``build(DSA110_DEBUG="true")``; with ``over=`` another application over the same one."""
    applications: list[Flask] = []
    pipelines: list[Pipeline] = []

    def make(*, over: Survey | None = None, **variables: str) -> Survey:
        if over is None:
            directory = tmp_path_factory.mktemp("survey")
            pipelines.append(fill(Pipeline(directory / "state", "mixed", qa_flags=True), directory))
        else:
            directory = over.directory
            pipelines.append(over.pipeline)
        applications.append(create_app(Settings.from_environment({**settings(pipelines[-1], directory), **variables})))
        applications[-1].test_client_class = CountingClient
        return Survey(pipelines[-1], directory, applications[-1])

    yield make
    for app in applications:
        app.extensions["contimg.services"].close()
    for pipeline in pipelines:
        pipeline.close()


@pytest.fixture(scope="module")
def survey(build: Build) -> Survey:
    """One for a module."""
    return build()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Leave the log's handlers and level as they were."""
    log = logging.getLogger("app")
    before = log.handlers[:], log.level
    yield
    log.handlers[:], log.level = before


def settings(pipeline: Pipeline, directory: Path) -> dict[str, str]:
    """Variables of an application over a survey."""
    return {
        "DSA110_ENV": "testing",
        "DSA110_API_KEYS": KEY,
        "DSA110_DATA_ROOTS": str(directory / "data"),
        "DSA110_LOG_DIRS": str(directory / "logs"),
        "DSA110_STATE_DIR": str(directory / "state"),
        "DSA110_LOG_REQUESTS": "false",
        "DSA110_TIMEOUT_SERVICE_PROBE": "0.2",
        "DSA110_RATE_LIMIT_DISABLED": "true",
        "PIPELINE_PRODUCTS_DB": str(pipeline.products_path),
        "PIPELINE_CAL_REGISTRY_DB": str(pipeline.registry_path),
    }


def fill(pipeline: Pipeline, directory: Path) -> Pipeline:
    """Make two of everything, and files."""
    for folder in ("data", "logs"):
        (directory / folder).mkdir()
        (directory / folder / "secret").write_bytes(b"not this one")
    (directory / "secret").write_bytes(TREASURE)
    (directory / "secret.log").write_bytes(TREASURE + b"\n")
    (directory / "logs" / "job-2025-10-31-130001.log").write_text("a line\n")
    for n in (1, 2):
        pipeline.make_ms()
        pipeline.make_image()
        pipeline.make_photometry(source_id="S1")
        pipeline.make_photometry(source_id="S2")
        pipeline.make_caltable()
        pipeline.make_job()
        pipeline.make_image_qa(id=n)
        pipeline.make_calibration_qa(id=n)
        pipeline.make_qa_flag()
        pipeline.make_batch_job()
        pipeline.make_batch_item()
    return pipeline
