"""The console over small databases, and over the demo survey."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.config import Settings
from app.services.demo.build import build_demo
from tests.support.pipeline import Pipeline

Console = Callable[[Pipeline], FlaskClient]


@pytest.fixture
def console(environ: dict[str, str]) -> Iterator[Console]:
    """Makes the application over a pipeline, with the response cache on: pages are kept in it as answers are."""
    made = []

    def make(pipeline: Pipeline) -> FlaskClient:
        paths = {
            "PIPELINE_PRODUCTS_DB": str(pipeline.products_path),
            "PIPELINE_CAL_REGISTRY_DB": str(pipeline.registry_path),
        }
        made.append(create_app(Settings.from_environment({**paths, **environ})))
        return made[-1].test_client()

    yield make
    for app in made:
        app.extensions["contimg.services"].close()


@pytest.fixture
def client(pipeline: Pipeline, console: Console) -> FlaskClient:
    """A client of the application over ``pipeline``."""
    return console(pipeline)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A client of the demo survey."""
    directory = tmp_path_factory.mktemp("demo")
    build_demo(directory)
    settings = Settings.from_environment(
        {
            "DSA110_ENV": "testing",
            "DSA110_STATE_DIR": str(directory / "state"),
            "DSA110_DATA_ROOTS": str(directory),
            "DSA110_LOG_DIRS": str(directory / "logs"),
            "DSA110_LOG_REQUESTS": "false",
        }
    )
    app = create_app(settings)
    yield app.test_client()
    app.extensions["contimg.services"].close()
