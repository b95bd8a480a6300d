"""The response cache over HTTP: its report, its purging, and what clients see of it."""

from __future__ import annotations

import contextlib
import gc
import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.config import Settings
from app.web.environ import AT_HAND, NotAtHand
from tests.support.pipeline import Pipeline

Make = Callable[..., FlaskClient]


@pytest.fixture
def make_client(pipeline: Pipeline, environ: dict[str, str]) -> Iterator[Make]:
    """Makes a client of the application with the cache on, unless told otherwise."""
    made: list[Flask] = []

    def make(**variables: str) -> FlaskClient:
        paths = {
            "PIPELINE_PRODUCTS_DB": str(pipeline.products_path),
            "PIPELINE_CAL_REGISTRY_DB": str(pipeline.registry_path),
        }
        made.append(create_app(Settings.from_environment({**environ, **paths, **variables})))
        return made[-1].test_client()

    yield make
    for app in made:
        app.extensions["contimg.services"].close()


@pytest.fixture
def cached(make_client: Make) -> FlaskClient:
    return make_client()


def statements(client: FlaskClient) -> list[str]:
    """A list that grows with every SELECT the application runs from now on."""
    seen: list[str] = []

    def trace(statement: str) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            seen.append(statement)

    database = client.application.extensions["contimg.services"].database
    database.close()
    database.on_open.append(lambda connection: connection.set_trace_callback(trace))
    return seen


@pytest.mark.parametrize("local", [True, False])
def test_what_is_kept_is_at_hand_unless_the_databases_lie_on_a_network(
    make_client: Make, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, local: bool
) -> None:
    """The loop that waits for all connections must not wait for a file server that is away."""
    pipeline.make_image()
    asked: list[Path] = []
    monkeypatch.setattr("app.db.changes.is_local", lambda path: asked.append(path) or local)
    monkeypatch.setattr("app.db.wal_index._kept", {})  # the databases of other tests may have used up the places
    client = make_client()
    assert asked[:1] == [pipeline.products_path]
    assert client.get("/api/v1/images").status_code == 200
    with contextlib.nullcontext() if local else pytest.raises(NotAtHand):
        assert client.get("/api/v1/images", environ_base={AT_HAND: True}).status_code == 200
    ran = statements(client)
    assert client.get("/api/v1/images").status_code == 200
    assert ran == [], "a thread finds it"


def report(client: FlaskClient) -> dict[str, Any]:
    body: dict[str, Any] = client.get("/api/cache").get_json()
    return body


def test_report_has_figures_when_the_cache_is_on(cached: FlaskClient, pipeline: Pipeline) -> None:
    number = pipeline.make_image()
    assert report(cached) == {
        "enabled": True, "status": "connected", "hits": 0, "misses": 0, "hit_rate": 0.0, "memory_used_bytes": 0,
        "memory_used_human": "0B", "total_keys": 0,
    }  # fmt: skip
    for _ in range(3):
        cached.get(f"/api/images/{number}")
    cached.get("/api/images")
    figures = report(cached)
    assert (figures["hits"], figures["misses"], figures["hit_rate"], figures["total_keys"]) == (2, 2, 0.5, 2)
    assert figures["memory_used_human"] == f"{figures['memory_used_bytes'] / 1024:.2f}K"


@pytest.mark.parametrize("variable", ["DSA110_CACHE_ENABLED", "REDIS_CACHE_ENABLED"])
def test_cache_that_is_off_says_so_and_has_nothing_to_delete(
    make_client: Make, write_headers: dict[str, str], variable: str
) -> None:
    client = make_client(**{variable: "false"})
    client.get("/api/images")
    assert report(client) == {"enabled": False, "status": "disabled"}
    cleared = client.post("/api/cache/clear", headers=write_headers)
    assert cleared.get_json() == {"status": "cleared", "keys_deleted": 0}
    purged = client.post("/api/cache/invalidate/*", headers=write_headers)
    assert purged.get_json() == {"pattern": "*", "keys_deleted": 0}


@pytest.mark.parametrize("path", ["/api/cache/clear", "/api/v1/cache/clear", "/api/cache/invalidate/images*"])
def test_purging_needs_write_access(cached: FlaskClient, write_headers: dict[str, str], path: str) -> None:
    cached.get("/api/images")
    assert cached.post(path).status_code == 401
    assert report(cached)["total_keys"] == 1
    assert cached.post(path, headers=write_headers).status_code == 200
    assert report(cached)["total_keys"] == 0


@pytest.mark.parametrize(
    ("pattern", "deleted"),
    [
        ("images*", 3),
        ("images:list*", 2),
        ("images:detail:*", 1),
        ("images%3Flimit=5", 1),
        ("*%5B?%5D*", 0),
        ("jobs*", 0),
        ("*", 3),
        ("%2A", 3),
    ],
)
def test_pattern_names_answers_by_path_and_query(
    cached: FlaskClient, pipeline: Pipeline, write_headers: dict[str, str], pattern: str, deleted: int
) -> None:
    number = pipeline.make_image()
    for path in ("/api/images", "/api/v1/images?limit=5", f"/api/images/{number}"):
        cached.get(path)
    answer = cached.post(f"/api/cache/invalidate/{pattern}", headers=write_headers)
    assert answer.get_json()["keys_deleted"] == deleted
    assert report(cached)["total_keys"] == 3 - deleted


def test_pattern_with_a_slash_is_no_route(cached: FlaskClient, write_headers: dict[str, str]) -> None:
    assert cached.post("/api/cache/invalidate/images%2F7", headers=write_headers).status_code == 404


def test_report_itself_is_never_kept(cached: FlaskClient) -> None:
    assert cached.get("/api/cache").headers["Cache-Control"] == "no-store"
    assert report(cached)["total_keys"] == 0


def test_purge_makes_answers_be_computed_again(
    cached: FlaskClient, pipeline: Pipeline, write_headers: dict[str, str]
) -> None:
    pipeline.make_image()
    seen = statements(cached)
    cached.get("/api/images")
    cached.get("/api/images")
    assert len(seen) == 1
    cached.post("/api/cache/clear", headers=write_headers)
    cached.get("/api/images")
    assert len(seen) == 2


def test_no_select_is_run_for_an_answer_that_is_kept(cached: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image()
    etag = cached.get("/api/images").headers["ETag"]
    seen = statements(cached)
    assert cached.get("/api/v1/images").status_code == 200
    assert cached.head("/api/images").status_code == 200
    assert cached.get("/api/images", headers={"If-None-Match": etag}).status_code == 304
    assert seen == []


def test_commit_of_anything_ends_every_answer(cached: FlaskClient, pipeline: Pipeline) -> None:
    number = pipeline.make_image(noise_jy=0.001)
    paths = ["/api/images", f"/api/images/{number}", f"/api/images/{number}/provenance"]
    for path in paths:
        cached.get(path)
    pipeline.make_caltable(source_ms_path="/stage/ms/elsewhere.ms")
    seen = statements(cached)
    for path in paths:
        cached.get(path)
    assert len(seen) >= len(paths), "a commit to the registry alone was not noticed"


def test_rolled_back_write_changes_nothing(cached: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image()
    before = cached.get("/api/images").data
    pipeline.connection.execute("BEGIN")
    pipeline.connection.execute("DELETE FROM images")
    assert cached.get("/api/images").data == before
    pipeline.connection.rollback()
    assert cached.get("/api/images").data == before


@pytest.mark.parametrize("encoding", ["identity", "gzip", "br", "zstd"])
def test_each_encoding_is_kept_and_validated_by_itself(cached: FlaskClient, pipeline: Pipeline, encoding: str) -> None:
    for _ in range(20):
        pipeline.make_image()
    plain = cached.get("/api/images")
    wish = {"Accept-Encoding": encoding}
    fresh, kept = cached.get("/api/images", headers=wish), cached.get("/api/images", headers=wish)
    assert fresh.data == kept.data
    assert kept.headers.get("Content-Encoding", "identity") == encoding
    assert (kept.headers["ETag"] == plain.headers["ETag"]) == (encoding == "identity")
    assert {"Accept-Encoding", "Origin"} <= set(kept.headers["Vary"].replace(" ", "").split(","))
    if encoding == "gzip":
        assert gzip.decompress(kept.data) == plain.data
    spared = cached.get("/api/images", headers={**wish, "If-None-Match": kept.headers["ETag"]})
    assert spared.status_code == 304


def test_kept_answer_carries_the_cors_headers_of_its_own_origin(cached: FlaskClient) -> None:
    origins = ["https://dsa110.github.io", "http://localhost:3000", "https://evil.example", None]
    for _ in range(2):
        for origin in origins:
            headers = {"Origin": origin} if origin else {}
            allowed = cached.get("/api/images", headers=headers).headers.get("Access-Control-Allow-Origin")
            assert allowed == (origin if origin in origins[:2] else None)
    assert report(cached)["total_keys"] == 3


def test_kept_answer_has_a_request_id_of_its_own(cached: FlaskClient) -> None:
    ids = [cached.get("/api/images", headers={"X-Request-ID": name}).headers.getlist("X-Request-ID") for name in "abc"]
    assert ids == [["a"], ["b"], ["c"]]


def test_kept_answer_is_refused_to_addresses_that_are_not_allowed(cached: FlaskClient) -> None:
    assert cached.get("/api/images").status_code == 200
    assert cached.get("/api/images", environ_base={"REMOTE_ADDR": "8.8.8.8"}).status_code == 403


def test_errors_are_never_kept(cached: FlaskClient, pipeline: Pipeline) -> None:
    assert cached.get("/api/images/1").status_code == 404
    assert cached.get("/api/images?limit=x").status_code == 422
    assert report(cached)["total_keys"] == 0
    number = pipeline.make_image(id=1)
    assert cached.get(f"/api/images/{number}").status_code == 200


def test_files_are_neither_kept_nor_cut_off_by_the_cache(
    cached: FlaskClient, pipeline: Pipeline, tmp_path: Path
) -> None:
    path = tmp_path / "data" / "a.fits"
    path.write_bytes(b"x" * 100_000)
    number = pipeline.make_image(path=str(path))
    for _ in range(2):
        with cached.get(f"/api/images/{number}/fits", headers={"Range": "bytes=5-9"}) as part:
            assert (part.status_code, len(part.data)) == (206, 5)
        with cached.get(f"/api/images/{number}/fits") as whole:
            assert len(whole.data) == 100_000
    assert report(cached)["total_keys"] == 0


def test_etag_is_the_same_with_and_without_the_cache(make_client: Make, pipeline: Pipeline) -> None:
    for _ in range(20):
        pipeline.make_image()
    clients = [make_client(), make_client(DSA110_CACHE_ENABLED="false")]
    for encoding in ("identity", "gzip", "br", "zstd"):
        wish = {"Accept-Encoding": encoding}
        etags = {client.get("/api/images", headers=wish).headers["ETag"] for client in clients}
        assert len(etags) == 1


def test_answers_take_the_memory_that_is_counted(cached: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_many_images(600)
    for number in range(1, 101):
        cached.get(f"/api/images/{number}")
    before = report(cached)["memory_used_bytes"]
    gc.collect()
    tracemalloc.start()
    for number in range(101, 601):
        cached.get(f"/api/images/{number}")
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 1.2 * (report(cached)["memory_used_bytes"] - before)


def test_figures_of_size_stay_within_the_setting(make_client: Make, pipeline: Pipeline) -> None:
    pipeline.make_many_images(30)
    client = make_client(DSA110_CACHE_BYTES="40000")
    for number in range(1, 31):
        client.get(f"/api/images/{number}")
    figures = report(client)
    assert 0 < figures["memory_used_bytes"] <= 40_000
    assert 0 < figures["total_keys"] < 30
