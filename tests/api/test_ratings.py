"""Judging images over HTTP: both clients' bodies, the service's own database, and removal where it is allowed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.pipeline import Pipeline

DASHBOARD = {"itemId": "7", "confidence": "unsure", "tagId": "rfi", "notes": "stripes from the north-east"}
LATER = {"rating": 4, "comment": "clean", "rater": "jane"}

# What follows asks the same of every generation: one will do.
one_generation = pytest.mark.parametrize("any_pipeline", ["production"], indirect=True)
# Nothing here is kept, so there is nothing to try without the cache.
pytestmark = pytest.mark.parametrize("make_app", ["true"], indirect=True)


@pytest.fixture
def image(any_pipeline: Pipeline) -> int:
    return any_pipeline.make_image(id=7, path="/stage/img/a.fits")


def rate(client: FlaskClient, headers: dict[str, str], body: Any, number: int = 7, **more: str) -> TestResponse:
    return client.post(f"/api/images/{number}/rating", json=body, headers={**headers, **more})


def ratings(client: FlaskClient, number: int = 7, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/v1/images/{number}/ratings{query}").get_json()
    return found


@one_generation
def test_dashboard_rates_with_a_verdict_and_a_tag(
    any_client: FlaskClient, image: int, write_headers: dict[str, str]
) -> None:
    answer = rate(any_client, write_headers, DASHBOARD)
    assert answer.status_code == 200
    body = answer.get_json()
    assert body.pop("rated_at").endswith("Z")
    assert body == {
        "image_id": "7",
        "rating": None,
        "confidence": "unsure",
        "tag": "rfi",
        "comment": "stripes from the north-east",
        "rater": write_headers["X-API-Key"][-8:],
    }


@one_generation
def test_later_clients_rate_with_a_number(any_client: FlaskClient, image: int, write_headers: dict[str, str]) -> None:
    assert rate(any_client, write_headers, {"rating": 1, "rater": "joe"}).get_json()["new_average"] == 1.0
    body = rate(any_client, write_headers, LATER).get_json()
    assert (body["image_id"], body["rating"], body["comment"], body["rater"]) == ("7", 4, "clean", "jane")
    assert body["new_average"] == 2.5
    rate(any_client, write_headers, DASHBOARD)
    assert ratings(any_client)["average"] == 2.5, "a verdict without a number does not count as one"


@one_generation
def test_ratings_are_read_newest_first_and_never_old(
    any_client: FlaskClient, image: int, write_headers: dict[str, str]
) -> None:
    assert ratings(any_client) == {"image_id": "7", "count": 0, "average": None, "ratings": []}
    for number in (1, 2, 3):
        rate(any_client, write_headers, {"rating": number})
        found = ratings(any_client)
        assert [one["rating"] for one in found["ratings"]] == list(range(number, 0, -1))
        assert found["count"] == number
    assert [one["rating"] for one in ratings(any_client, query="?limit=1&offset=1")["ratings"]] == [2]
    assert ratings(any_client, query="?limit=0")["count"] == 3
    assert any_client.get("/api/v1/images/7/ratings").headers["Cache-Control"] == "no-store"


def test_ratings_do_not_pass_to_another_image_of_the_same_number_or_path(
    client: FlaskClient, pipeline: Pipeline, write_headers: dict[str, str]
) -> None:
    pipeline.make_image(id=7, path="/stage/img/a.fits")
    rate(client, write_headers, LATER)
    with pipeline.connection as connection:
        connection.execute("DELETE FROM images")
    pipeline.make_image(id=7, path="/stage/img/other.fits")
    pipeline.make_image(id=8, path="/stage/img/a.fits")
    for number in (7, 8):
        assert ratings(client, number) == {"image_id": str(number), "count": 0, "average": None, "ratings": []}
    assert rate(client, write_headers, {"rating": 1}).get_json()["new_average"] == 1.0


def test_pipelines_databases_are_not_written_to(
    client: FlaskClient, pipeline: Pipeline, write_headers: dict[str, str], tmp_path: Path
) -> None:
    pipeline.make_image(id=7, path="/stage/img/a.fits")
    before = pipeline.connection.execute("PRAGMA data_version").fetchone()
    rate(client, write_headers, LATER)
    assert pipeline.connection.execute("PRAGMA data_version").fetchone() == before
    with closing(sqlite3.connect(tmp_path / "state" / "api" / "api.sqlite3")) as own:
        assert own.execute("SELECT image_id, image_path, rating, rater FROM rating").fetchall() == [
            (7, "/stage/img/a.fits", 4, "jane")
        ]


NO_RATINGS: list[tuple[Any, int]] = [
    ({}, 422),
    ({"comment": "only words"}, 422),
    ({"rating": None}, 422),
    ({"rating": 0}, 422),
    ({"rating": 6}, 422),
    ({"rating": 2.5}, 422),
    ({"rating": True}, 422),
    ({"rating": "many"}, 422),
    ({"confidence": "perhaps"}, 400),
    ({"tagId": "pretty"}, 400),
    ({"confidence": True}, 422),
    ({"rating": 3, "comment": "x" * 4001}, 422),
    ({"rating": 3, "rater": "x" * 101}, 422),
    ({"rating": 3, "itemId": "8"}, 400),
    ([], 422),
]


def test_what_is_no_rating_is_refused_and_not_kept(
    client: FlaskClient, pipeline: Pipeline, write_headers: dict[str, str]
) -> None:
    pipeline.make_image(id=7)
    for body, status in NO_RATINGS:
        assert rate(client, write_headers, body).status_code == status, body
    assert ratings(client)["count"] == 0


def test_image_may_be_named_as_a_number_in_the_body(
    client: FlaskClient, pipeline: Pipeline, write_headers: dict[str, str]
) -> None:
    pipeline.make_image(id=7)
    assert rate(client, write_headers, {"itemId": 7, "confidence": "true"}).status_code == 200
    assert rate(client, write_headers, {"confidence": "FALSE", "tagId": None, "notes": None}).status_code == 200


def test_unknown_image_is_404_for_writers_and_readers(client: FlaskClient, write_headers: dict[str, str]) -> None:
    for answer in (rate(client, write_headers, LATER, 99), client.get("/api/images/99/ratings")):
        assert answer.status_code == 404
        assert answer.get_json()["details"] == {"entity_type": "Image", "identifier": "99"}


def test_credentials_are_asked_for_before_the_image_is_looked_up(client: FlaskClient) -> None:
    assert client.post("/api/images/99/rating", json=LATER).status_code == 401
    assert client.delete("/api/images/99").status_code == 401


def test_rating_sent_twice_with_one_key_counts_once(
    client: FlaskClient, pipeline: Pipeline, write_headers: dict[str, str]
) -> None:
    pipeline.make_image(id=7)
    once = {"Idempotency-Key": "a-click"}
    first = rate(client, write_headers, LATER, **once).get_json()
    assert rate(client, write_headers, LATER, **once).get_json() == first
    assert rate(client, write_headers, {"rating": 1}, **once).status_code == 422
    assert ratings(client)["count"] == 1


def test_locked_database_is_503_with_a_time_to_try_again(
    client: FlaskClient, pipeline: Pipeline, write_headers: dict[str, str], tmp_path: Path
) -> None:
    pipeline.make_image(id=7)
    rate(client, write_headers, LATER)
    with closing(sqlite3.connect(tmp_path / "state" / "api" / "api.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = rate(client, write_headers, LATER)
    assert (answer.status_code, answer.get_json()["error"]) == (503, "DATABASE_BUSY")
    assert answer.headers["Retry-After"]


# -- removal


@pytest.fixture
def allowed(environ: dict[str, str]) -> None:
    environ["DSA110_ALLOW_IMAGE_DELETE"] = "true"


@pytest.fixture
def file(any_pipeline: Pipeline, tmp_path: Path) -> Path:
    path = tmp_path / "data" / "a.fits"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"SIMPLE")
    any_pipeline.make_image(id=7, path=str(path))
    any_pipeline.make_photometry(source_id="S", image_path=str(path))
    return path


def delete(client: FlaskClient, headers: dict[str, str], query: str = "", number: int = 7) -> TestResponse:
    return client.delete(f"/api/images/{number}{query}", headers=headers)


@one_generation
def test_nothing_is_removed_unless_the_operator_allows_it(
    any_client: FlaskClient, file: Path, write_headers: dict[str, str]
) -> None:
    for number in (7, 99):
        answer = delete(any_client, write_headers, "?delete_files=true", number)
        assert (answer.status_code, answer.get_json()["error"]) == (403, "FORBIDDEN")
        assert "DSA110_ALLOW_IMAGE_DELETE" in answer.get_json()["detail"]
    assert file.exists()
    assert any_client.get("/api/images/7").status_code == 200


@pytest.mark.usefixtures("allowed")
def test_image_is_removed_and_its_file_if_asked_for(
    any_pipeline: Pipeline,
    make_app: Callable[[Pipeline], Flask],
    write_headers: dict[str, str],
    tmp_path: Path,
) -> None:
    client = make_app(any_pipeline).test_client()
    for number, (query, gone) in enumerate(
        {"": False, "?delete_files=false": False, "?delete_files=true": True}.items()
    ):
        file = tmp_path / "data" / f"{number}.fits"
        file.write_bytes(b"SIMPLE")
        any_pipeline.make_image(id=number, path=str(file))
        any_pipeline.make_photometry(source_id="S", image_path=str(file))
        assert [image["id"] for image in client.get("/api/images").get_json()] == [str(number)]
        answer = delete(client, write_headers, query, number)
        assert answer.get_json() == {"status": "deleted", "image_id": str(number), "file_deleted": gone}
        assert file.exists() is not gone
        assert client.get("/api/images").get_json() == []
        assert delete(client, write_headers, query, number).status_code == 404


@pytest.mark.usefixtures("allowed")
def test_file_that_another_image_names_stays(
    pipeline: Pipeline, make_app: Callable[[Pipeline], Flask], write_headers: dict[str, str], tmp_path: Path
) -> None:
    client = make_app(pipeline).test_client()
    path = tmp_path / "data" / "shared.fits"
    path.write_bytes(b"SIMPLE")
    for number in (7, 8):
        pipeline.make_image(id=number, path=str(path))
    assert delete(client, write_headers, "?delete_files=true").get_json()["file_deleted"] is False
    assert path.exists()
    assert delete(client, write_headers, "?delete_files=true", 8).get_json()["file_deleted"] is True
    assert not path.exists()


@pytest.mark.usefixtures("allowed")
def test_files_outside_the_data_roots_databases_and_folders_stay(
    pipeline: Pipeline, make_app: Callable[[Pipeline], Flask], write_headers: dict[str, str], tmp_path: Path
) -> None:
    client = make_app(pipeline).test_client()
    outside, link = tmp_path / "outside.fits", tmp_path / "data" / "link.fits"
    outside.write_bytes(b"SIMPLE")
    link.symlink_to(outside)
    database, folder = tmp_path / "data" / "x.sqlite3", tmp_path / "data" / "x.image"
    database.write_bytes(b"")
    folder.mkdir()
    kept = [outside, link, database, folder, pipeline.products_path]
    for number, path in enumerate([*kept, tmp_path / "data" / "gone.fits"], start=7):
        pipeline.make_image(id=number, path=str(path))
        answer = delete(client, write_headers, "?delete_files=true", number)
        assert answer.get_json() == {"status": "deleted", "image_id": str(number), "file_deleted": False}
    assert all(path.exists() for path in kept)


@one_generation
@pytest.mark.usefixtures("allowed")
def test_locked_pipeline_keeps_image_and_file(
    any_pipeline: Pipeline, make_app: Callable[[Pipeline], Flask], file: Path, write_headers: dict[str, str]
) -> None:
    client = make_app(any_pipeline).test_client()
    any_pipeline.connection.execute("BEGIN IMMEDIATE")
    answer = delete(client, write_headers, "?delete_files=true")
    any_pipeline.connection.rollback()
    assert (answer.status_code, answer.get_json()["error"]) == (503, "DATABASE_BUSY")
    assert file.exists()
    assert client.get("/api/images/7").status_code == 200
