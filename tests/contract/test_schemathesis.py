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
from tests.support.radio_images import write_image

KEY = {"X-API-Key": "dsa110_key"}
IMAGE = 777
MS = "2025-11-02T03:04:05.ms"
RUN = "job-2025-11-02-030405"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where databases, data and logs lie."""
    return tmp_path_factory.mktemp("survey")


@pytest.fixture(scope="module")
def api(directory: Path) -> Iterator[BaseSchema]:
    """The document of an application over a pipeline with something of everything."""
    with Pipeline(directory, "orm") as pipeline:
        worked_example(pipeline)
        pipeline.make_many_images(20)
        pipeline.make_many_photometry(5, 4)
        ms = pipeline.make_ms(str(directory / MS))
        (directory / MS).mkdir()
        (directory / MS / "table.dat").write_bytes(b"rows")
        pipeline.make_job(ms_path=ms)
        for number in (IMAGE, IMAGE + 1):
            path = str(write_image(directory / f"{number}.fits"))
            pipeline.make_image(id=number, ms_path=ms, path=path, center_ra_deg=180.0, center_dec_deg=37.2)
        (directory / "logs").mkdir()
        (directory / "logs" / f"{RUN}.log").write_text("begun\nended\n")
        app = create_app(
            Settings.from_environment(
                {
                    "DSA110_ENV": "testing",
                    "DSA110_API_KEYS": "dsa110_key",
                    "PIPELINE_PRODUCTS_DB": str(pipeline.products_path),
                    "PIPELINE_CAL_REGISTRY_DB": str(pipeline.registry_path),
                    "DSA110_STATE_DIR": str(directory),
                    "DSA110_DATA_ROOTS": str(directory),
                    "DSA110_LOG_DIRS": str(directory / "logs"),
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


# What there is, by the parameter of a path that names it; of measurement sets and calibration tables by the route.
THERE = {"image_id": str(IMAGE), "run_id": RUN, "source_id": "S000001", "format": "svg"}
CAL = "/stage/cal/bp.tbl"
# Of these nothing is made here.
NOT_THERE = {"/batches/{batch_id}", "/queue/jobs/{job_id}", "/services/status/{port}"}
QUERIES = {
    "/images/bulk-download": {"ids": str(IMAGE), "format": "json"},
    "/images/{image_id}/cutout": {"ra_deg": "180", "dec_deg": "37.2", "size_arcsec": "30"},
    "/sources/export": {"ids": "S000001"},
    "/jobs/export": {"ids": RUN},
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_answers_about_what_there_is_are_as_documented(
    api: BaseSchema, directory: Path, subtests: pytest.Subtests
) -> None:
    """Generated names are nobody's, so that nearly every answer above is a refusal."""
    asked = 0
    for found in api.get_all_operations():
        operation = found.ok()
        route = operation.path.removeprefix("/api/v1").removeprefix("/api")
        if operation.method != "get" or route in NOT_THERE or route.endswith(("/events", "/stream")):
            continue
        names = {name: THERE[name] for name in THERE if f"{{{name}}}" in route}
        if "{path}" in route:
            names["path"] = CAL if route.startswith("/cal/") else str(directory / MS)
        with subtests.test(operation.label):
            case = operation.Case(path_parameters=names, query=QUERIES.get(route, {}))
            response = case.call(headers={"Accept-Encoding": "identity", **KEY})
            assert response.status_code == 200, response.text
            case.validate_response(response, checks=CHECKS)
            asked += 1
    assert asked > 40
