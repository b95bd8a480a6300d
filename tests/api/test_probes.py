"""/livez and /readyz, as load balancers and service managers read them."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.domain.readiness import LEAST_FREE_BYTES
from app.services import readiness
from app.services.readiness import WITHIN_S, ReadinessService
from tests.support.neighbours import closed_port
from tests.support.pipeline import Pipeline

EVERY_CHECK = ["products", "cal_registry", "schema", "state", "disk", "queue"]


@pytest.fixture
def service(client: FlaskClient) -> Iterator[ReadinessService]:
    """The readiness of the application under test, for tests that make it look at something else."""
    found: ReadinessService = client.application.extensions["contimg.services"].readiness
    found._known.clear()
    return found  # type: ignore[return-value]


@pytest.fixture
def hang() -> Iterator[Callable[[], str]]:
    """A look that takes for ever, as on a disk that is gone; let go at the end of the test."""
    gone = threading.Event()

    def look() -> str:
        gone.wait(30)
        return "back"

    yield look
    gone.set()


def put_in_place_of(path: Path, new: Path) -> None:
    """Replace a database as a restore does: without what the earlier one left beside it."""
    new.replace(path)
    for companion in ("-wal", "-shm"):
        Path(f"{path}{companion}").unlink(missing_ok=True)


def failing(client: FlaskClient) -> list[str]:
    answer = client.get("/readyz")
    failed: list[str] = answer.get_json()["failing"]
    assert answer.status_code == (503 if failed else 200)
    return failed


def test_service_that_is_well_is_ready(any_client: FlaskClient) -> None:
    answer = any_client.get("/readyz")
    body = answer.get_json()
    assert (answer.status_code, body["status"], body["failing"]) == (200, "ready", [])
    assert list(body["checks"]) == EVERY_CHECK
    assert all(check["ok"] and check["found"] for check in body["checks"].values())


def test_missing_database_is_named_and_no_path_told(client: FlaskClient, pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.products_path.rename(tmp_path / "elsewhere.sqlite3")
    assert failing(client) == ["products", "schema"]
    assert str(tmp_path) not in client.get("/readyz").text
    assert not pipeline.products_path.exists()


def test_file_that_is_no_database_is_named(client: FlaskClient, pipeline: Pipeline) -> None:
    garbage = pipeline.products_path.with_suffix(".new")
    garbage.write_bytes(b"not a database " * 500)
    put_in_place_of(pipeline.products_path, garbage)
    assert failing(client) == ["products", "schema"]


def test_database_of_something_else_fails_for_its_schema(client: FlaskClient, pipeline: Pipeline) -> None:
    other = pipeline.products_path.with_suffix(".new")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE recipes (id INTEGER)")
    put_in_place_of(pipeline.products_path, other)
    assert failing(client) == ["schema"]
    assert "images" in client.get("/readyz").get_json()["checks"]["schema"]["found"]


def test_absent_registry_is_no_reason_to_stay_away(client: FlaskClient, pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.registry_path.rename(tmp_path / "elsewhere.sqlite3")
    assert failing(client) == []


def test_registry_that_cannot_be_read_is_named(client: FlaskClient, pipeline: Pipeline) -> None:
    garbage = pipeline.registry_path.with_suffix(".new")
    garbage.write_bytes(b"not a database " * 500)
    put_in_place_of(pipeline.registry_path, garbage)
    assert failing(client) == ["cal_registry"]


def test_state_directory_is_really_written_to(client: FlaskClient, environ: dict[str, str]) -> None:
    directory = client.application.extensions["contimg.settings"].api_state_dir
    assert failing(client) == []
    assert [path.name for path in directory.iterdir() if not path.name.startswith("queue.sqlite3")] == []


def test_database_in_the_state_directory_that_cannot_be_written_to_fails(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = client.application.extensions["contimg.settings"].api_state_dir / "api.sqlite3"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.touch()
    monkeypatch.setattr(readiness.os, "access", lambda path, mode: path != own)
    assert failing(client) == ["state"]


def test_state_directory_that_cannot_be_made_fails(
    make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "a-file").write_text("in the way")
    environ["DSA110_API_STATE_DIR"] = str(tmp_path / "a-file" / "api")
    assert {"state", "queue"} <= set(failing(make_app(pipeline).test_client()))


def test_disk_that_is_nearly_full_fails(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness.shutil, "disk_usage", lambda _: type("Usage", (), {"free": LEAST_FREE_BYTES - 1}))
    assert failing(client) == ["disk"]


def test_queue_that_is_away_fails_unless_the_asker_can_do_without(
    make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, environ: dict[str, str]
) -> None:
    environ["DSA110_QUEUE_URL"] = f"redis://127.0.0.1:{closed_port()}/0"
    client = make_app(pipeline).test_client()
    assert failing(client) == ["queue"]
    without = client.get("/readyz?exclude=queue")
    assert (without.status_code, list(without.get_json()["checks"])) == (200, EVERY_CHECK[:-1])


def test_queue_in_a_file_is_looked_at(client: FlaskClient, service: ReadinessService) -> None:
    engine = client.application.extensions["contimg.services"].engine
    assert client.get("/readyz").get_json()["checks"]["queue"] == {"ok": True, "found": "not made yet"}
    engine.write("job:1", {})
    service._known.clear()
    assert client.get("/readyz").get_json()["checks"]["queue"] == {"ok": True, "found": "reachable"}
    engine.close()
    directory = client.application.extensions["contimg.settings"].api_state_dir
    for ending in ("-wal", "-shm"):
        (directory / f"queue.sqlite3{ending}").unlink(missing_ok=True)
    (directory / "queue.sqlite3").write_bytes(b"not a database " * 500)
    service._known.clear()
    assert failing(client) == ["queue"]


def test_recovery_is_seen_within_a_second(client: FlaskClient, pipeline: Pipeline, tmp_path: Path) -> None:
    aside = tmp_path / "elsewhere.sqlite3"
    pipeline.products_path.rename(aside)
    assert failing(client) == ["products", "schema"]
    aside.rename(pipeline.products_path)
    limit = time.monotonic() + 1
    while failing(client):
        assert time.monotonic() < limit


def test_disk_that_hangs_is_named_in_time_and_costs_one_thread(
    client: FlaskClient, service: ReadinessService, hang: Callable[[], str]
) -> None:
    assert WITHIN_S < 1.9
    service._within_s = 0.1
    service._looks["products"] = hang
    started = time.monotonic()
    assert failing(client) == ["products"]
    assert time.monotonic() - started < WITHIN_S
    assert client.get("/readyz").get_json()["checks"]["products"]["found"] == "no answer within 0.1 s"
    before = threading.active_count()
    for _ in range(5):
        assert failing(client) == ["products"]
    assert threading.active_count() <= before


def test_disk_that_hangs_makes_those_who_ask_next_wait_no_longer(
    service: ReadinessService, hang: Callable[[], str]
) -> None:
    service._within_s = 0.5
    service._looks["products"] = hang
    began = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        reports = list(threads.map(lambda _: service.report().failing, range(24)))
    assert reports == [["products"]] * 24
    assert time.monotonic() - began < 1.5, "each waited for the same look as long as the first"


def test_probes_do_not_look_at_the_databases_on_the_requests_own_thread(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response cache does, so a probe that passed through it would hang with the disk."""
    files = client.application.extensions["contimg.services"].database.files
    looked = []
    found = files.identities
    monkeypatch.setattr(files, "identities", lambda: looked.append(1) or found())
    assert [client.get(path).status_code for path in ("/livez", "/readyz")] == [200, 200]
    assert looked == []
    client.get("/api/images")
    assert looked, "any other request does look"


def test_process_lives_whatever_became_of_its_databases(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.products_path.unlink()
    answer = client.get("/livez")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "alive"})


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_may_come_from_anywhere_and_are_never_kept(client: FlaskClient, path: str) -> None:
    answer = client.get(path, environ_base={"REMOTE_ADDR": "203.0.113.9"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert client.head(path).status_code == 200
    assert client.get(f"/api/v1{path}").status_code == 404
    assert path not in client.get("/api/openapi.json").get_json()["paths"]


def test_many_probes_leave_no_descriptor_behind(client: FlaskClient, service: ReadinessService) -> None:
    def once() -> int:
        service._known.clear()
        assert failing(client) == []
        return len(os.listdir("/proc/self/fd"))

    first = [once() for _ in range(5)][-1]
    assert max(once() for _ in range(40)) <= first + 2
