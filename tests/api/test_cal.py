"""Calibration tables over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.pipeline import Pipeline


def test_detail_gives_every_field_in_every_generation(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    any_pipeline.make_caltable(path="/stage/cal/50% bp.tbl", table_type="BP", source_ms_path="/m.ms", created_at=0)
    assert any_client.get(f"/api/cal/{quote('/stage/cal/50% bp.tbl', safe='')}").get_json() == {
        "path": "/stage/cal/50% bp.tbl",
        "table_type": "BP",
        "set_name": "2025-10-31_3C286",
        "cal_field": "3C286",
        "refant": "103",
        "created_at": "1970-01-01T00:00:00Z",
        "source_ms_path": "/m.ms",
        "status": "active",
        "notes": None,
    }


def test_list_shows_the_newest_first(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    for n in range(3):
        any_pipeline.make_caltable(path=f"/cal/{n}", created_at=100.0 + n // 2)
    listed = any_client.get("/api/cal?count=exact")
    assert [item["path"] for item in listed.get_json()] == ["/cal/2", "/cal/1", "/cal/0"]
    assert listed.headers["X-Total-Count"] == "3"
    assert set(listed.get_json()[0]) == {"path", "set_name", "table_type", "status", "source_ms_path", "created_at"}


@pytest.mark.parametrize("generation", ["production", "head"])
def test_without_a_registry_the_list_is_empty_and_a_table_not_found(
    generation: str, tmp_path: Path, make_app: Callable[[Pipeline], Flask]
) -> None:
    with Pipeline(tmp_path / "state", generation, registry=False) as pipeline:
        client = make_app(pipeline).test_client()
        assert client.get("/api/cal").get_json() == []
        assert client.get("/api/cal/%2Fcal%2F1").status_code == 404


def test_a_registry_from_before_its_migration_is_read(tmp_path: Path, make_app: Callable[[Pipeline], Flask]) -> None:
    with Pipeline(tmp_path / "state", "production", registry_provenance=False) as pipeline:
        pipeline.make_caltable(path="/cal/1")
        client = make_app(pipeline).test_client()
        assert client.get("/api/cal/%2Fcal%2F1").get_json()["source_ms_path"] is None
        assert [item["source_ms_path"] for item in client.get("/api/cal").get_json()] == [None]


def test_unknown_table_is_not_found(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_caltable(path="/cal/1")
    answer = client.get("/api/cal/%2Fcal%2F%25")
    assert answer.status_code == 404
    assert answer.get_json()["details"] == {"entity_type": "CalibrationTable", "identifier": "/cal/%"}


def test_a_proxy_that_collapses_slashes_does_not_hide_a_table(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_caltable(path="/cal/1")
    assert client.get("/api/cal/cal/1").get_json()["path"] == "/cal/1"


def test_tables_are_served_while_the_products_are_missing_and_nothing_else_is_empty(
    client: FlaskClient, pipeline: Pipeline
) -> None:
    pipeline.make_caltable(path="/cal/bp.tbl")
    pipeline.make_image()
    pipeline.close()
    aside = pipeline.products_path.with_name("aside.sqlite3")
    pipeline.products_path.rename(aside)
    try:
        assert [table["path"] for table in client.get("/api/v1/cal").get_json()] == ["/cal/bp.tbl"]
        assert client.get("/api/v1/cal/%2Fcal%2Fbp.tbl").status_code == 200
        lists = ("images", "ms", "sources", "photometry", "jobs", "batches", "stats", "stats/timeline", "qa/days")
        names = ("images/1", "sources/S", "jobs/job-2025-10-31-134906", "ms/%2Fa.ms/metadata", "qa/ms/%2Fa.ms")
        for address in (*lists, *names, "sources/candidates", "images/1/sources", "sources/S/lightcurve"):
            answer = client.get(f"/api/v1/{address}")
            assert (answer.status_code, answer.get_json()["code"]) == (503, "PRODUCTS_DB_UNAVAILABLE"), address
            assert "does not exist" in answer.get_json()["detail"], address
    finally:
        aside.rename(pipeline.products_path)
    assert len(client.get("/api/v1/images").get_json()) == 1
