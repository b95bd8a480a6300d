"""One line a request: what it tells, in which form, and when it is left out."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from flask import Flask

from app import create_app
from app.config import Settings
from app.db.state import StateDatabase
from tests.conftest import WRITE_KEY
from tests.support.pipeline import Pipeline

Lines = Callable[..., list[str]]


@pytest.fixture
def lines(
    pipeline: Pipeline, environ: dict[str, str], nothing_due: None, capsys: pytest.CaptureFixture[str]
) -> Iterator[Lines]:
    """Asks for a path with the settings given; the lines written."""
    made: list[Flask] = []

    def ask(
        path: str,
        *,
        method: str = "GET",
        times: int = 1,
        headers: dict[str, str] | None = None,
        body: Any = None,
        **variables: str,
    ) -> list[str]:
        environ.pop("DSA110_LOG_REQUESTS", None)
        paths = {"PIPELINE_PRODUCTS_DB": str(pipeline.products_path)}
        made.append(create_app(Settings.from_environment({**environ, **paths, **variables})))
        client = made[-1].test_client()
        for _ in range(times):
            with client.open(path, method=method, headers=headers, json=body) as answer:
                answer.get_data()
        made[-1].wsgi_app.flush()
        return capsys.readouterr().err.splitlines()

    yield ask
    for app in made:
        app.extensions["contimg.services"].close()


def records(told: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told]


def test_line_tells_who_asked_what_and_what_became_of_it(lines: Lines, pipeline: Pipeline) -> None:
    number = pipeline.make_image()
    told = records(lines(f"/api/images/{number}?x=1", times=2, headers={"X-Request-ID": "abc"}))
    assert [record for record in told if record["request_id"] != "abc"] == []
    first, second = told
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first.pop("timestamp"))
    assert first.pop("duration_ms") > 0
    assert first.pop("bytes") > 100
    assert first.pop("sql_ms") > 0
    assert first == {
        "level": "INFO", "logger": "app.requests", "message": "request", "request_id": "abc", "method": "GET",
        "path": f"/api/v1/images/{number}", "query": "x=1", "client_ip": "127.0.0.1", "status_code": 200,
        "route": "/api/v1/images/<image_id>", "cache": "miss", "key_id": None, "sql_statements": 1,
    }  # fmt: skip
    assert (second["cache"], second["route"]) == ("hit", "/api/v1/images/<image_id>")
    assert (second["sql_statements"], second["sql_ms"]) == (0, 0)


def test_line_tells_whose_key_it_was_and_never_the_key(lines: Lines) -> None:
    (known,) = lines("/api/queue/jobs/none/cancel", method="POST", headers={"X-API-Key": WRITE_KEY})
    assert json.loads(known)["key_id"]
    assert WRITE_KEY not in known
    (stranger,) = lines("/api/queue/jobs/none/cancel", method="POST", headers={"X-API-Key": "a-guess"})
    assert (json.loads(stranger)["status_code"], json.loads(stranger)["key_id"]) == (401, None)
    assert "a-guess" not in stranger


def test_bytes_of_a_stream_are_those_that_were_sent(lines: Lines, pipeline: Pipeline) -> None:
    for _ in range(5):
        pipeline.make_image()
    (record,) = records(lines("/api/images?format=csv&limit=5"))
    assert record["status_code"] == 200
    assert record["bytes"] > 200
    assert record["sql_statements"] >= 1


def test_slow_statement_is_logged_with_its_plan(lines: Lines, pipeline: Pipeline) -> None:
    pipeline.make_image()
    told = records(lines("/api/images", headers={"X-Request-ID": "abc"}, DSA110_SLOW_QUERY="0.0000001"))
    (slow, *_) = [record for record in told if record["logger"] == "app.db.slow"]
    assert slow["level"] == "WARNING"
    assert slow["request_id"] == "abc"
    assert re.search(r"A statement took \d+\.\d{3} s: SELECT .* -- plan: .*(SCAN|SEARCH)", slow["message"])
    assert slow["duration_ms"] > 0


def test_lock_on_our_own_database_is_told_where_it_was_waited_for(
    lines: Lines, pipeline: Pipeline, environ: dict[str, str]
) -> None:
    own = StateDatabase(Settings.from_environment(environ).api_state_dir)
    with closing(own):
        own.rows("SELECT 1", {})
        with closing(sqlite3.connect(own.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            path, headers = f"/api/images/{pipeline.make_image()}/rating", {"X-API-Key": WRITE_KEY}
            limits = {"DSA110_DB_TIMEOUT": "0.3", "DSA110_SLOW_QUERY": "0.2"}
            told = records(lines(path, method="POST", headers=headers, body={"rating": 3}, **limits))
    (request,) = [record for record in told if record["logger"] == "app.requests"]
    assert request["status_code"] == 503
    assert 250 <= request["sql_ms"] <= request["duration_ms"]
    assert any(
        re.match(r"A statement took \d+\.\d+ s: BEGIN IMMEDIATE", record["message"])
        for record in told
        if record["logger"] == "app.db.slow"
    )


def test_statement_of_usual_length_is_not_told(lines: Lines, pipeline: Pipeline) -> None:
    pipeline.make_image()
    assert {record["logger"] for record in records(lines("/api/images"))} == {"app.requests"}


@pytest.mark.parametrize("path", ["/nowhere", "/%00%ff%22%0a", "/api/images?limit=%ff", "/api/images/\U0001f52d"])
def test_whatever_is_asked_gives_one_line_of_json(lines: Lines, path: str) -> None:
    (record,) = records(lines(path))
    assert record["status_code"] in {404, 422}


def test_head_is_told_as_head(lines: Lines) -> None:
    told = records(lines("/api/images", method="HEAD", times=2))
    assert [(record["method"], record["cache"]) for record in told] == [("HEAD", "miss"), ("HEAD", "hit")]


@pytest.mark.parametrize("variables", [{"DSA110_LOG_REQUESTS": "false"}, {"DSA110_LOG_LEVEL": "WARNING"}])
def test_no_line_where_none_is_wanted(lines: Lines, variables: dict[str, str]) -> None:
    assert lines("/api/images", **variables) == []


def test_request_id_can_be_left_out(lines: Lines) -> None:
    (record,) = records(lines("/api/images", DSA110_LOG_REQUEST_ID="false"))
    assert "request_id" not in record


def test_plain_text_is_for_reading(lines: Lines) -> None:
    (line,) = lines("/api/images?limit=3", DSA110_LOG_JSON="false", headers={"X-Request-ID": "abc"})
    assert re.search(r"INFO app\.requests abc request method=GET path=/api/v1/images query=limit=3 ", line)


# -- Server-Timing

TIMING = re.compile(r'app;dur=(\d+\.\d\d), sql;dur=(\d+\.\d\d);desc="(\d+) statements"')


@pytest.fixture
def timing(pipeline: Pipeline, environ: dict[str, str]) -> Iterator[Callable[..., str | None]]:
    """Asks for a path with the settings given; the header with the times, of the last time."""
    made: list[Flask] = []

    def ask(path: str, *, times: int = 1, **variables: str) -> str | None:
        paths = {"PIPELINE_PRODUCTS_DB": str(pipeline.products_path)}
        made.append(create_app(Settings.from_environment({**environ, **paths, **variables})))
        answers = [made[-1].test_client().get(path) for _ in range(times)]
        return answers[-1].headers.get("Server-Timing")

    yield ask
    for app in made:
        app.extensions["contimg.services"].close()


@pytest.mark.parametrize(
    ("path", "times", "statements"),
    [("/api/v1/images", 1, {1, 2}), ("/api/v1/images", 2, {0}), ("/api/v1/images/7", 1, {1}), ("/nowhere", 1, {0})],
    ids=["read", "from the cache", "not found", "no route"],
)
def test_times_are_told_where_they_are_wanted(
    timing: Callable[..., str | None], pipeline: Pipeline, path: str, times: int, statements: set[int]
) -> None:
    pipeline.make_image()
    told = TIMING.fullmatch(timing(path, times=times, DSA110_ENABLE_PROFILING="true") or "")
    assert told is not None
    total_ms, sql_ms, count = float(told[1]), float(told[2]), int(told[3])
    assert count in statements
    assert (sql_ms > 0) == (count > 0)
    assert 0 < total_ms < 30_000
    assert sql_ms <= total_ms


@pytest.mark.parametrize("environment", ["development", "testing", "staging", "production"])
def test_times_are_told_to_nobody_unless_they_are_wanted(timing: Callable[..., str | None], environment: str) -> None:
    for path in ("/api/v1/images", "/nowhere", "/console/", "/metrics"):
        assert timing(path, DSA110_ENV=environment) is None
