"""Whatever the OpenAPI document allows is answered as it says, and never by a defect."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app import create_app
from app.config import Settings
from tests.support.pipeline import Pipeline, worked_example


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    """The document of an application over a pipeline with something of everything."""
    directory: Path = tmp_path_factory.mktemp("survey")
    with Pipeline(directory, "orm") as pipeline:
        worked_example(pipeline)
        pipeline.make_many_images(20)
        pipeline.make_many_photometry(5, 4)
        pipeline.make_job()
        app = create_app(
            Settings.from_environment(
                {
                    "DSA110_ENV": "testing",
                    "DSA110_API_KEYS": "dsa110_key",
                    "PIPELINE_PRODUCTS_DB": str(pipeline.products_path),
                    "PIPELINE_CAL_REGISTRY_DB": str(pipeline.registry_path),
                    "DSA110_STATE_DIR": str(directory),
                    "DSA110_LOG_REQUESTS": "false",
                    "DSA110_TIMEOUT_SERVICE_PROBE": "0.2",
                }
            )
        )
        yield schemathesis.openapi.from_wsgi("/api/openapi.json", app)
        app.extensions["contimg.services"].close()


BOUNDED = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # its client does not close the streams that it is given
def test_answers_are_as_documented(api: BaseSchema, subtests: pytest.Subtests) -> None:
    for found in api.get_all_operations():
        operation = found.ok()

        @BOUNDED
        @given(case=operation.as_strategy())
        def answers_are_as_documented(case: schemathesis.Case) -> None:
            response = case.call(headers={"Accept-Encoding": "identity"})  # the WSGI transport does not unpack
            case.validate_response(response, checks=CHECKS)

        with subtests.test(operation.label):
            answers_are_as_documented()
    gc.collect()
