"""Health: fast, never failing, and honest about what is wrong."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.domain.health import DiskSpace, RedisState, disk_space, is_well
from app.services import redis
from app.services.health import HealthService
from app.services.probes import Probes
from tests.support.neighbours import closed_port, neighbour
from tests.support.pipeline import Pipeline

GIB = 2**30


def service(databases: dict[str, Path], **kwargs: Any) -> HealthService:
    """A health service over these files, with no Redis to look at."""
    options = {"redis_url": "", "disk_paths": (), "timeout_s": 0.5} | kwargs
    return HealthService(databases, **options)


@pytest.mark.parametrize("prefix", ["/api", "/api/v1"])
def test_basic_report_has_exactly_the_documented_members(client: FlaskClient, prefix: str) -> None:
    answer = client.get(f"{prefix}/health")
    body = answer.get_json()
    assert body.pop("timestamp").endswith("Z")
    assert body == {"status": "healthy", "service": "dsa110-contimg-api", "version": "1.0.0", "api_version": "v1"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_both_paths_are_in_the_document(client: FlaskClient) -> None:
    paths = client.get("/api/openapi.json").get_json()["paths"]
    assert paths["/api/health"] == paths["/api/v1/health"]


@pytest.mark.parametrize("word", ["true", "1", "yes", "on", "True"])
def test_detail_is_asked_for_by_any_word_for_yes(client: FlaskClient, word: str) -> None:
    assert "databases" in client.get(f"/api/health?detailed={word}").get_json()


@pytest.mark.parametrize(("query", "status"), [("detailed=no", 200), ("detailed=perhaps", 422), ("other=1", 200)])
def test_other_words_and_parameters(client: FlaskClient, query: str, status: int) -> None:
    answer = client.get(f"/api/health?{query}")
    assert answer.status_code == status
    assert "databases" not in answer.get_json()


def test_files_that_are_missing_degrade_and_are_not_created(client: FlaskClient, pipeline: Pipeline) -> None:
    body = client.get("/api/health?detailed=true").get_json()
    assert body["status"] == "degraded"
    assert body["databases"] == {"products": "ok", "cal_registry": "ok", "hdf5": "not_found", "ingest": "not_found"}
    assert not (pipeline.products_path.parent / "hdf5.sqlite3").exists()


def test_health_is_told_even_without_any_database(make_app: Callable[[Pipeline], Flask], tmp_path: Path) -> None:
    with Pipeline(tmp_path / "gone") as pipeline:
        client = make_app(pipeline).test_client()
    for path in (tmp_path / "gone").iterdir():
        path.unlink()
    assert client.get("/api/health").status_code == 200
    answer = client.get("/api/health?detailed=true")
    assert (answer.status_code, answer.get_json()["databases"]["products"]) == (200, "not_found")


def test_every_database_there_and_room_on_disk_is_healthy(pipeline: Pipeline, tmp_path: Path) -> None:
    report = service({"products": pipeline.products_path}, redis_url=f"redis://127.0.0.1:{closed_port()}",
                     disk_paths=(tmp_path, tmp_path / "absent")).report(detailed=True)  # fmt: skip
    assert report.databases == {"products": "ok"}
    assert report.redis == RedisState("unavailable", message="Connection refused")
    assert report.disk is not None
    assert list(report.disk) == [str(tmp_path)]
    assert report.status == ("healthy" if report.disk[str(tmp_path)].status != "critical" else "degraded")


def test_a_file_that_is_no_database_says_so_and_never_its_path(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite3").write_bytes(b"not a database, by far" * 100)
    (tmp_path / "d.sqlite3").mkdir()
    databases = service({"x": tmp_path / "x.sqlite3", "d": tmp_path / "d.sqlite3"}).report(detailed=True).databases
    assert databases == {
        "x": "error: the file is not an SQLite database",
        "d": "error: the path is not a file",
    }


def test_a_locked_database_is_an_error_in_time(tmp_path: Path) -> None:
    path = tmp_path / "locked.sqlite3"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA journal_mode = DELETE")
    holder.execute("CREATE TABLE t (x)")
    holder.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()
    databases = service({"locked": path}, timeout_s=0.3).report(detailed=True).databases
    assert time.monotonic() - started < 2
    assert databases is not None
    assert databases["locked"].startswith("error: ")
    holder.close()


def test_probing_again_and_again_leaves_no_descriptor_open(client: FlaskClient, pipeline: Pipeline) -> None:
    client.get("/api/images")  # holds a connection, whose locks a probe must not drop either
    health = client.application.extensions["contimg.services"].health
    health.report(detailed=True)
    opened = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        health.report(detailed=True)
    assert len(os.listdir("/proc/self/fd")) <= opened


def test_a_disk_that_hangs_costs_its_time_once_and_one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    release = threading.Event()
    asked = []

    def hang(path: Path) -> Any:
        asked.append(path)
        release.wait(30)
        raise OSError("was away")

    monkeypatch.setattr("app.services.health.shutil.disk_usage", hang)
    health = service({}, disk_paths=(tmp_path,), timeout_s=0.1)
    for _ in range(3):
        started = time.monotonic()
        report = health.report(detailed=True)
        assert time.monotonic() - started < 1
        assert report.disk == {str(tmp_path): DiskSpace(None, "error")}
    assert len(asked) == 1
    assert health.report().status == "healthy"
    release.set()


def test_a_probe_that_raises_is_raised_once_and_asked_anew() -> None:
    probes: Probes[int] = Probes()
    with pytest.raises(ZeroDivisionError):
        probes.run({"x": lambda: 1 // 0}, 1)
    assert probes.run({"x": lambda: 1}, 1) == {"x": 1}


@pytest.mark.parametrize(
    ("free_gib", "status"), [(5.01, "ok"), (5.0, "warning"), (1.01, "warning"), (1.0, "critical"), (0, "critical")]
)
def test_free_space_is_judged_by_gib(free_gib: float, status: str) -> None:
    assert disk_space(int(free_gib * GIB)).status == status


@pytest.mark.parametrize(
    ("database", "redis_status", "disk", "well"),
    [
        ("ok", "ok", "ok", True),
        ("ok", "unavailable", "warning", True),
        ("ok", "ok", "error", True),
        ("not_found", "ok", "ok", False),
        ("error: x", "ok", "ok", False),
        ("ok", "error", "ok", False),
        ("ok", "unknown", "ok", False),
        ("ok", "ok", "critical", False),
    ],
)
def test_what_degrades(database: str, redis_status: Any, disk: Any, well: bool) -> None:
    assert is_well({"products": database}, RedisState(redis_status), {"/": DiskSpace(1.0, disk)}) is well


# -- Redis

INFO = b"# Server\r\nredis_version:7.2.4\r\nredis_mode:standalone\r\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"$%d\r\n%b\r\n" % (len(INFO), INFO), RedisState("ok", version="7.2.4")),
        (b"$10\r\n# Server\r\n\r\n", RedisState("ok", version=None)),
        (b"-NOAUTH Authentication required.\r\n", RedisState("error", message="NOAUTH Authentication required.")),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", RedisState("error", message="Not a Redis answer")),
        (b"", RedisState("error", message="Not a Redis answer")),
        (None, RedisState("error", message="No answer in time")),
    ],
)
def test_redis_is_read_from_its_answer(answer: bytes | None, expected: RedisState) -> None:
    with neighbour(answer) as port:
        assert redis.look(f"redis://127.0.0.1:{port}/0", timeout_s=0.2) == expected


def test_redis_that_is_down_is_unavailable_and_does_not_break_the_report() -> None:
    state = redis.look(f"redis://127.0.0.1:{closed_port()}", timeout_s=0.2)
    assert state == RedisState("unavailable", message="Connection refused")


@pytest.mark.parametrize("url", ["", "memory://", "unix:///run/redis.sock"])
def test_no_redis_configured_is_unknown(url: str) -> None:
    assert redis.look(url, timeout_s=0.2).status == "unknown"


def test_password_of_the_redis_url_is_used_and_never_told() -> None:
    with neighbour(b"-WRONGPASS invalid username-password pair\r\n") as port:
        state = redis.look(f"redis://user:s3cr%40t@127.0.0.1:{port}/0", timeout_s=0.5)
    assert state.status == "error"
    assert "s3cr" not in str(state)
