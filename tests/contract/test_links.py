"""Every link that an answer gives leads somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from flask.testing import FlaskClient

from tests.support.pipeline import Pipeline, worked_example

PATHS = ("/stage/ms/50% done.ms", "/stage/ms/a b+c#d?e&f.ms", "/stage/ms/κ.ms", "/stage/ms/folder.ms/", "bare.ms")
# Pages of the dashboard, not of this service.
PAGES = {"msUrl", "imageUrl"}


def fill(pipeline: Pipeline) -> None:
    """Products of every kind: whole chains, broken ones, and names that need encoding."""
    worked_example(pipeline)
    for path in PATHS:
        pipeline.make_ms(path)
        pipeline.make_image(ms_path=path)
        pipeline.make_caltable(source_ms_path=path, path=f"{path}.cal 100%")
    pipeline.make_ms("/stage/ms/waiting.ms", processed_at=None, stage=None, status=None)
    pipeline.make_image(ms_path="/stage/ms/never indexed.ms")
    pipeline.make_job(run_id="job-rerun 1", ms_path=PATHS[0])
    pipeline.make_job(run_id="job-lost", ms_path="/stage/ms/never indexed.ms")


def products(client: FlaskClient) -> Iterator[str]:
    """Where every product's provenance is."""
    for image in client.get("/api/images").get_json():
        yield f"/api/images/{image['id']}/provenance"
    for ms in client.get("/api/ms").get_json():
        yield f"/api/ms/{quote(ms['path'], safe='')}/provenance"
        yield f"/api/jobs/{quote(ms['run_id'], safe='')}/provenance"
        yield f"/api/jobs/{quote(ms['run_id'], safe='')}"
    for job in client.get("/api/jobs").get_json():
        yield f"/api/jobs/{quote(job['run_id'], safe='')}/provenance"
        yield f"/api/jobs/{quote(job['run_id'], safe='')}"


def links(answer: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in answer.items():
        if name.lower().replace("_", "").endswith("url") and name not in PAGES and value is not None:
            yield name, value


def test_every_link_of_every_product_resolves(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    fill(any_pipeline)
    followed = set()
    for product in products(any_client):
        answer = any_client.get(product)
        assert answer.status_code == 200, product
        for name, target in links(answer.get_json()):
            followed.add(name)
            assert any_client.get(target, follow_redirects=True).status_code == 200, (product, name, target)
    assert followed >= {"logs_url", "qa_url", "ms_url", "image_url", "logsUrl", "qaUrl", "calUrl"}


def test_links_hold_on_the_documented_prefix_as_well(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    fill(any_pipeline)
    for product in products(any_client):
        legacy, documented = any_client.get(product), any_client.get(product.replace("/api/", "/api/v1/", 1))
        assert legacy.data == documented.data


def test_listed_tables_and_pages_of_the_dashboard_name_what_exists(client: FlaskClient, pipeline: Pipeline) -> None:
    fill(pipeline)
    for table in client.get("/api/cal").get_json():
        assert client.get(f"/api/cal/{quote(table['path'], safe='')}").get_json()["path"] == table["path"]
    provenance = client.get("/api/jobs/job-2025-10-31-134906/provenance").get_json()
    assert client.get(f"/api{provenance['msUrl']}/metadata").get_json()["path"] == provenance["ms_path"]
    assert client.get(f"/api{provenance['imageUrl']}").get_json()["ms_path"] == provenance["ms_path"]
