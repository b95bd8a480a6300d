"""The service as it is deployed: gunicorn, several workers, requests over sockets."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.live.conftest import StartServer
from tests.support.pipeline import Pipeline, worked_example
from tests.support.server import Server, environment, refusal

pytestmark = pytest.mark.live

MS = "/stage/ms/2025-10-31T13:49:06.ms"
FITS = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def survey(live_pipeline: Pipeline, server: Server) -> int:
    """The worked example, and an image whose file is there; its id."""
    worked_example(live_pipeline)
    path = server.directory / "data" / "live.fits"
    path.write_bytes(FITS)
    return live_pipeline.make_image(path=str(path))


def counted(server: Server, handler: str) -> float:
    """Requests to a route that /metrics tells."""
    lines = server.get("/metrics").body.decode().splitlines()
    found = [line for line in lines if line.startswith("http_requests_total") and f'handler="{handler}"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


def test_access_lines_are_written_where_the_command_line_asks_for_them(
    start_server: StartServer, pipeline: Pipeline, tmp_path: Path
) -> None:
    """One each: of what a thread computed, of what was at hand, and of what is nowhere."""
    worked_example(pipeline)
    lines = tmp_path / "access.log"
    server = start_server(pipeline, GUNICORN_CMD_ARGS=f"--access-logfile {lines}", DSA110_WORKERS="1")
    for target in ("/api/v1/images/7", "/api/v1/images/7", "/nowhere"):
        server.get(target)
    # A thread writes its line when the answer has gone out.
    server.wait_until(lambda: lines.read_text().count("/api/v1/images/7") == 2 and "/nowhere" in lines.read_text(), 5)
    found = re.findall(r'^127.0.0.1 .* "GET (\S+) HTTP/1.1" (\d+) (\d+) ', lines.read_text(), re.MULTILINE)
    images = [(status, int(length) > 100) for target, status, length in found if target == "/api/v1/images/7"]
    assert images == [("200", True)] * 2
    assert [status for target, status, _ in found if target == "/nowhere"] == ["404"]
    assert "127.0.0.1 - -" not in server.log


# -- paths and prefixes


@pytest.mark.parametrize(
    "target",
    [
        f"/ms/{quote(MS, safe='')}/metadata",
        f"/ms/{quote(MS, safe='')}/calibrator-matches",
        f"/qa/ms/{quote(MS, safe='')}",
        f"/cal/{quote('/stage/cal/bp.tbl', safe='')}",
        f"/ms{MS}/metadata",  # a proxy that decodes and merges slashes
    ],
)
def test_absolute_paths_travel_as_one_percent_encoded_segment(server: Server, survey: int, target: str) -> None:
    answers = [server.get(f"{prefix}{target}") for prefix in ("/api/v1", "/api")]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].body == answers[1].body


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_gets_a_measurement_set_by_its_encoded_path(server: Server, survey: int) -> None:
    url = f"{server.base}/api/v1/ms/{quote(MS, safe='')}/metadata"
    done = subprocess.run(["curl", "-sS", "--fail", "--compressed", url], capture_output=True, check=True, timeout=20)
    assert json.loads(done.stdout)["path"] == MS


@pytest.mark.parametrize(
    "path", ["/images", "/images/7", "/images/7/provenance", "/sources", "/jobs", "/nowhere", "/images?limit=x"]
)
def test_both_prefixes_answer_the_same_bytes(server: Server, survey: int, path: str) -> None:
    new, legacy = server.get(f"/api/v1{path}"), server.get(f"/api{path}")
    assert (new.status, new.headers.get("etag")) == (legacy.status, legacy.headers.get("etag"))
    if new.status == 200:
        assert new.body == legacy.body


# -- HTTP


def test_head_has_the_headers_of_get_and_no_body(server: Server, survey: int) -> None:
    get, head = (server.get("/api/images/7", method=method) for method in ("GET", "HEAD"))
    assert (head.status, head.body) == (200, b"")
    for name in ("etag", "content-length", "content-type", "cache-control"):
        assert head.headers[name] == get.headers[name]


def test_unchanged_answer_is_304_whichever_worker_is_asked(server: Server, survey: int) -> None:
    etag = server.get("/api/images/7").headers["etag"]
    for _ in range(8):
        answer = server.get("/api/v1/images/7", {"If-None-Match": etag})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)


def test_broken_download_resumes_with_a_range(server: Server, survey: int) -> None:
    whole = server.get(f"/api/images/{survey}/fits")
    assert (whole.status, whole.body) == (200, FITS)
    rest = server.get(f"/api/images/{survey}/fits", {"Range": "bytes=5000-", "If-Range": whole.headers["etag"]})
    assert (rest.status, rest.body) == (206, FITS[5000:])
    beyond = server.get(f"/api/images/{survey}/fits", {"Range": "bytes=99999-"})
    assert beyond.status == 416


LARGE = 64 * 2**20


@pytest.fixture(scope="module")
def large(live_pipeline: Pipeline, server: Server, survey: int) -> str:
    """Path of an image whose file no buffer on the way holds."""
    path = server.directory / "data" / "large.fits"
    with path.open("wb") as file:
        file.truncate(LARGE)
    return f"/api/v1/images/{live_pipeline.make_image(path=str(path))}/fits"


def told(server: Server, request_id: str) -> dict[str, Any]:
    """The line that the log has of a request."""
    server.wait_until(lambda: f'"request_id":"{request_id}"' in server.log, 10)
    (line,) = [line for line in server.log.splitlines() if f'"request_id":"{request_id}"' in line]
    record: dict[str, Any] = json.loads(line)
    return record


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [("GET", {}, LARGE), ("GET", {"Range": "bytes=1000-2999"}, 2000), ("HEAD", {}, 0)],
    ids=["whole", "a range", "head"],
)
def test_bytes_of_a_file_are_those_that_were_sent(
    server: Server, large: str, method: str, headers: dict[str, str], expected: int
) -> None:
    name = f"{method}-{expected}"
    answer = server.get(large, {"X-Request-ID": name, **headers}, method=method)
    assert (answer.status, len(answer.body)) == (206 if "Range" in headers else 200, expected)
    assert told(server, name)["bytes"] == expected


def test_file_is_told_when_it_was_sent_and_timed_until_its_client_left(server: Server, large: str) -> None:
    connection = server.connect()
    connection.request("GET", large, headers={"X-Request-ID": "left-early"})
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    answer = connection.getresponse()
    answer.read(2**20)
    time.sleep(0.5)
    assert '"left-early"' not in server.log
    answer.close()
    connection.close()
    record = told(server, "left-early")
    # What it took, and what is on the way to it.
    assert 2**20 <= record["bytes"] < LARGE // 2
    assert record["duration_ms"] >= 500


def test_request_id_is_kept_if_it_is_harmless_and_stands_in_the_log(server: Server, survey: int) -> None:
    assert server.get("/api/images", {"X-Request-ID": "abc-123"}).headers["x-request-id"] == "abc-123"
    made = server.get("/api/images", {"X-Request-ID": 'a"b {}'}).headers["x-request-id"]
    assert made.isalnum()
    server.wait_until(lambda: '"abc-123"' in server.log)


def test_every_line_of_the_log_is_json_gunicorns_too(server: Server) -> None:
    records = [json.loads(line) for line in server.log.splitlines()]
    assert {"gunicorn.error", "app.requests"} <= {record["logger"] for record in records}
    assert all({"level", "message", "timestamp", "request_id"} <= record.keys() for record in records)


def test_connection_is_kept_alive_between_requests(server: Server, survey: int) -> None:
    connection = server.connect()
    for _ in range(3):
        connection.request("GET", "/api/images/7")
        answer = connection.getresponse()
        answer.read()
        assert not answer.will_close
    connection.close()


# -- several workers


def test_requests_of_all_workers_are_summed(server: Server, survey: int) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: server.get("/api/images/7/qa").status, range(60)))
    assert set(statuses) == {200}
    server.wait_until(lambda: counted(server, "/api/v1/images/<image_id>/qa") == 60, 5)
    assert len(server.worker_pids) == 2


def test_services_monitor_tells_the_port_that_is_really_listened_on(server: Server) -> None:
    own = server.get(f"/api/services/status/{server.port}").json()
    assert (own["name"], own["status"], own["port"]) == ("FastAPI Backend", "running", server.port)


def test_monitor_answers_with_one_worker_and_one_thread(start_server: StartServer, pipeline: Pipeline) -> None:
    lone = start_server(pipeline, DSA110_WORKERS="1", DSA110_THREADS="1")
    started = time.monotonic()
    assert lone.get("/api/services/status").status == 200
    assert time.monotonic() - started < 3


def test_reload_replaces_the_workers_and_forgets_no_count(start_server: StartServer, pipeline: Pipeline) -> None:
    server = start_server(pipeline)
    for _ in range(10):
        assert server.get("/api/images").status == 200
    old = server.worker_pids
    server.signal(signal.SIGHUP)
    server.wait_until(lambda: len(server.worker_pids) == 2 and not server.worker_pids & old)
    for _ in range(5):
        assert server.get("/api/images").status == 200
    server.wait_until(lambda: counted(server, "/api/v1/images") == 15, 5)


def test_worker_that_is_killed_is_replaced(start_server: StartServer, pipeline: Pipeline) -> None:
    server = start_server(pipeline)
    victim = min(server.worker_pids)
    os.kill(victim, signal.SIGKILL)
    server.wait_until(lambda: victim not in server.worker_pids and len(server.worker_pids) == 2)
    assert server.get("/api/images").status == 200


# -- start and stop


def children(pid: int) -> set[int]:
    """Processes that a process started and that live."""
    try:
        return {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except FileNotFoundError:
        return set()


def runtime_directory(server: Server) -> Path:
    """Where the master keeps what its workers share, as a worker's environment tells."""
    variables = Path(f"/proc/{min(server.worker_pids)}/maps").read_text()
    return next(Path(line.split()[-1]).parents[1] for line in variables.splitlines() if "/metrics/" in line)


def test_stop_is_quick_clean_and_leaves_no_directory(start_server: StartServer, pipeline: Pipeline) -> None:
    server = start_server(pipeline)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: server.get("/api/images"), range(20)))
    directory = runtime_directory(server)
    assert directory.stat().st_mode & 0o777 == 0o700
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 5
    assert not directory.exists()
    assert "Traceback" not in server.log


FORK_AND_STOP = """
import os, signal, time
from app.gunicorn_conf import on_starting
class Server:
    class cfg:
        address, worker_connections, threads = [], 10, 1
signal.signal(signal.SIGTERM, lambda *_: None)
on_starting(Server)
worker = os.fork()
if not worker:
    time.sleep(10)
    os._exit(0)
os.kill(worker, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]))
"""


def test_no_worker_misses_the_stop_that_comes_before_it_listens(tmp_path: Path) -> None:
    """A worker just forked still has the master's handler, which would keep the order in a queue nobody reads."""
    ended = subprocess.run(
        [sys.executable, "-c", FORK_AND_STOP], env=environment(tmp_path, None), capture_output=True, text=True
    )
    assert ended.stdout.strip() == str(-signal.SIGTERM), ended.stderr


def test_stop_waits_for_the_request_under_way(start_server: StartServer, pipeline: Pipeline) -> None:
    server = start_server(pipeline, DSA110_WORKERS="1")
    path = server.directory / "data" / "large.fits"
    path.write_bytes(b"x" * 30_000_000)
    number = pipeline.make_image(path=str(path))
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"GET /api/images/%d/fits HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % number)
        received = len(slow.recv(1000))
        server.signal(signal.SIGTERM)
        while chunk := slow.recv(1_000_000):
            received += len(chunk)
    assert received > 30_000_000
    assert server.stop() == 0


def test_next_master_takes_over_without_a_gap(start_server: StartServer, pipeline: Pipeline) -> None:
    server = start_server(pipeline)
    old = {server.process.pid, *server.worker_pids}
    server.signal(signal.SIGUSR2)
    server.wait_until(lambda: any(len(children(pid)) == 2 for pid in server.worker_pids - old))
    (new,) = (pid for pid in server.worker_pids - old if children(pid))
    try:
        assert server.stop() == 0
        assert [server.get("/api/images").status for _ in range(4)] == [200] * 4
        server.wait_until(lambda: counted(server, "/api/v1/images") == 4, 5)
    finally:
        os.kill(new, signal.SIGTERM)
        server.wait_until(lambda: not Path(f"/proc/{new}").exists() or " Z " in Path(f"/proc/{new}/stat").read_text())


def test_busy_port_is_a_plain_error_and_its_owner_lives(tmp_path: Path, server: Server) -> None:
    done = refusal(tmp_path, DSA110_PORT=str(server.port))
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{server.port}: another program is using it" in done.stderr
    assert "Traceback" not in done.stderr
    assert server.get("/api/health").status == 200


@pytest.mark.parametrize(
    ("settings", "sentences"),
    [
        ({"DSA110_ENV": "production", "DSA110_AUTH_DISABLED": "true"}, ["DSA110_AUTH_DISABLED"]),
        ({"DSA110_ENV": "production", "DSA110_API_KEYS": ""}, ["DSA110_API_KEYS: production needs at least one key"]),
        ({"DSA110_ENV": "production", "DSA110_JWT_SECRET": "short"}, ["DSA110_JWT_SECRET"]),
        ({"DSA110_PORT": "seventy", "DSA110_WORKERS": "0"}, ["DSA110_PORT", "DSA110_WORKERS"]),
        (
            {"DSA110_TLS_ENABLED": "true", "DSA110_TLS_CERT": "/nowhere.pem"},
            ["DSA110_TLS_CERT: /nowhere.pem is not a readable file", "DSA110_TLS_KEY: TLS needs this file"],
        ),
    ],
)
def test_wrong_and_unsafe_settings_are_refused_in_sentences(
    tmp_path: Path, settings: dict[str, str], sentences: list[str]
) -> None:
    (tmp_path / "state").mkdir()
    done = refusal(tmp_path, **settings)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for sentence in sentences:
        assert sentence in done.stderr


def test_service_starts_without_databases_and_serves_them_once_they_are_there(
    start_server: StartServer, tmp_path: Path
) -> None:
    state = tmp_path / "late"
    paths = {
        "PIPELINE_PRODUCTS_DB": str(state / "products.sqlite3"),
        "PIPELINE_CAL_REGISTRY_DB": str(state / "cal_registry.sqlite3"),
    }
    server = start_server(**paths)
    assert server.get("/api/images").status == 503
    assert not state.exists()
    with Pipeline(state, "production") as pipeline:
        pipeline.make_image()
        server.wait_until(lambda: server.get("/api/images").status == 200)


def test_tls_is_spoken_by_gunicorn_itself(start_server: StartServer, tmp_path: Path, pipeline: Pipeline) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    server = start_server(
        pipeline, certificate=cert, DSA110_TLS_ENABLED="true", DSA110_TLS_CERT=str(cert), DSA110_TLS_KEY=str(key)
    )
    assert server.get("/api/health").status == 200
