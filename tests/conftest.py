"""Fixtures for every test: the pipeline as writer, the service as reader."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from app import create_app
from app.config import Settings
from app.db import deadline
from app.db.files import PipelineFiles
from app.db.pipeline import PipelineDatabase
from tests.support.pipeline import GENERATIONS, Pipeline
from tests.support.stores import postgresql_server, redis_server

WRITE_KEY = "dsa110_test_key_with_write_access"


@pytest.fixture(scope="session", autouse=True)
def urls_are_built_late() -> Iterator[None]:
    """Werkzeug compiles for every route how its URL is built: three quarters of the time to make an application.

    The tests make thousands of applications, and build few URLs: there it is compiled when it is first needed.
    """
    compile_builder = Rule._compile_builder

    def compile_late(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
        made: list[Callable[..., Any]] = []

        def build(self: Rule, **values: Any) -> Any:
            if not made:
                made.append(compile_builder(rule, append_unknown))
            return made[0](self, **values)

        return build

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", compile_late)
        yield


@pytest.fixture(autouse=True)
def no_deadline() -> None:
    """Requests made by the test before this one have left their deadline on the thread."""
    deadline.start(None)


@pytest.fixture(autouse=True)
def loggers_that_log() -> None:
    """A logging configuration that an earlier test set up may have silenced the loggers that were there before it."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("app.") and isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """URL of a store of some kind, whose server is started when first asked for."""
    urls = {"sqlite": ""}
    with contextlib.ExitStack() as servers:

        def url(kind: str) -> str:
            if kind not in urls:
                made = redis_server(tmp_path_factory.mktemp("redis")) if kind == "redis" else postgresql_server()
                urls[kind] = servers.enter_context(made)
            return urls[kind]

        yield url


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    """An empty pair of databases with every column, and the builders that fill it."""
    with Pipeline(tmp_path / "state", "orm") as made:
        yield made


@pytest.fixture(params=GENERATIONS)
def any_pipeline(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pipeline]:
    """The same in every generation of the pipeline's schema."""
    with Pipeline(tmp_path / "state", request.param) as made:
        yield made


@pytest.fixture
def database(pipeline: Pipeline) -> Iterator[PipelineDatabase]:
    """The reading side of ``pipeline``."""
    opened = PipelineDatabase(PipelineFiles(pipeline.products_path, pipeline.registry_path), busy_timeout_s=0.2)
    yield opened
    opened.close()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Settings of the application under test, changed by tests before they make it."""
    (tmp_path / "data").mkdir(exist_ok=True)
    return {
        "DSA110_ENV": "testing",
        "DSA110_API_KEYS": WRITE_KEY,
        "DSA110_DATA_ROOTS": str(tmp_path / "data"),
        "DSA110_STATE_DIR": str(tmp_path / "state"),
        "DSA110_LOG_DIRS": str(tmp_path / "logs"),
        "DSA110_DB_TIMEOUT": "0.5",
        "DSA110_LOG_REQUESTS": "false",
    }


@pytest.fixture(params=["true", "false"], ids=["cache-on", "cache-off"])
def make_app(request: pytest.FixtureRequest, environ: dict[str, str]) -> Iterator[Callable[[Pipeline], Flask]]:
    """Makes the application over a pipeline; every test of behaviour runs with the response cache on and off."""
    made: list[Flask] = []

    def make(pipeline: Pipeline) -> Flask:
        paths = {
            "PIPELINE_PRODUCTS_DB": str(pipeline.products_path),
            "PIPELINE_CAL_REGISTRY_DB": str(pipeline.registry_path),
        }
        made.append(create_app(Settings.from_environment({"DSA110_CACHE_ENABLED": request.param, **paths, **environ})))
        return made[-1]

    yield make
    for app in made:
        app.extensions["contimg.services"].close()


@pytest.fixture
def client(pipeline: Pipeline, make_app: Callable[[Pipeline], Flask]) -> FlaskClient:
    """A client of the application over ``pipeline``."""
    return make_app(pipeline).test_client()


@pytest.fixture
def any_client(any_pipeline: Pipeline, make_app: Callable[[Pipeline], Flask]) -> FlaskClient:
    """A client of the application over ``any_pipeline``."""
    return make_app(any_pipeline).test_client()


@pytest.fixture
def write_headers() -> dict[str, str]:
    """Headers of a caller who may write."""
    return {"X-API-Key": WRITE_KEY}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what the cache does and what a schema has to be tried together to ``make soak``, but for two schemata.

    Every test still runs with the cache on and off, and on every generation of the schema.
    """
    if "CONTIMG_TEST_JOBS" in os.environ:
        return
    gc.freeze()  # eight thousand tests and all that they import stay: not to be looked through again for every test
    skipped = [item for item in items if _is_one_of_many(item)]
    config.hook.pytest_deselected(items=skipped)
    items[:] = [item for item in items if not _is_one_of_many(item)]


def _is_one_of_many(item: pytest.Item) -> bool:
    chosen = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return chosen.get("make_app") == "false" and chosen.get("any_pipeline") in GENERATIONS[2:]


@pytest.fixture
def nothing_due() -> None:
    """Whatever applications of earlier tests had still to write is written, so that it is in nobody else's lines."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(10)
