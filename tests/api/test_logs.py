"""Logs over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

RUN = "job-2025-10-31-134906"
ROUTES = ("/api/logs/{}", "/api/jobs/{}/logs", "/api/v1/logs/{}", "/api/v1/jobs/{}/logs")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    path = tmp_path / "logs" / f"{RUN}.log"
    path.write_bytes(b"".join(b"line %d\n" % n for n in range(250)) + b"caf\xe9 without an end")
    return path


@pytest.mark.parametrize("route", ROUTES)
def test_both_routes_give_the_same_tail(route: str, client: FlaskClient, log: Path) -> None:
    answer = client.get(f"{route.format(RUN)}?tail=2")
    assert answer.get_json() == {"run_id": RUN, "logs": ["line 249\n", "caf\ufffd without an end"], "total_lines": 251}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("query", "lines"), [("", 100), ("?tail=10000", 251), ("?tail=0", 251), ("?tail=-5", 251)])
def test_tail_has_a_default_and_a_bound(query: str, lines: int, client: FlaskClient, log: Path) -> None:
    assert len(client.get(f"/api/logs/{RUN}{query}").get_json()["logs"]) == lines


@pytest.mark.parametrize("tail", ["10001", "many", "1.5", "1_0", "", "999999999999999999999"])
def test_tail_out_of_bounds_is_rejected(tail: str, client: FlaskClient, log: Path) -> None:
    answer = client.get(f"/api/logs/{RUN}?tail={tail}")
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == "tail"


def test_unknown_parameters_are_ignored(client: FlaskClient, log: Path) -> None:
    assert client.get(f"/api/logs/{RUN}?follow=true").status_code == 200


@pytest.mark.parametrize("route", ROUTES[:2])
@pytest.mark.parametrize("run_id", ["job-none", "%2e%2e", "job..", "job-%00", "job%20x", "y" * 3000], ids=range(6))
def test_missing_log_answers_200_and_says_so(route: str, run_id: str, client: FlaskClient, log: Path) -> None:
    answer = client.get(route.format(run_id))
    assert answer.status_code == 200
    body = answer.get_json()
    assert set(body) == {"run_id", "logs", "error"}
    assert body["logs"] == []
    assert body["error"] == f"Log file not found for run_id: {body['run_id'][:200]}"


def test_a_path_is_no_run_id(client: FlaskClient, log: Path) -> None:
    assert client.get("/api/logs/..%2Flogs%2Fjob").status_code == 404


def test_lines_written_meanwhile_are_seen_though_no_database_changed(client: FlaskClient, log: Path) -> None:
    client.get(f"/api/logs/{RUN}?tail=1")
    with log.open("ab") as file:
        file.write(b"\nnewest\n")
    assert client.get(f"/api/logs/{RUN}?tail=1").get_json()["logs"] == ["newest\n"]
