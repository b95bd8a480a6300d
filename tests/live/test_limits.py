"""Limits as they are deployed: several workers, real sockets, clients that are slow on purpose."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.db.state import StateDatabase
from app.repositories.keys import KeyRepository
from app.services.keys import KeyService
from tests.support.pipeline import Pipeline
from tests.support.server import Server

pytestmark = pytest.mark.live

WORKERS = 3
QUOTA = 40
PATIENCE_S = 40
REQUEST_TIMEOUT_S = 2


@pytest.fixture(scope="module")
def server(live_pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Three workers with quotas, and little time for a request."""
    live_pipeline.make_image(path="/a.fits")
    settings = {
        "DSA110_WORKERS": str(WORKERS),
        "DSA110_RATE_LIMIT_EXPORTS": f"{QUOTA} per hour",
        "DSA110_RATE_LIMIT_BURST": f"{QUOTA} per hour",
        "DSA110_REQUEST_TIMEOUT": str(REQUEST_TIMEOUT_S),
        "DSA110_MAX_DOWNLOADS": "100",
        "GUNICORN_CMD_ARGS": f"--graceful-timeout {PATIENCE_S}",
    }
    with Server(tmp_path_factory.mktemp("limits"), live_pipeline, **settings) as started:
        yield started


def statuses(server: Server, target: str, peer: str, times: int) -> Counter[int]:
    """What so many requests get that come from everywhere at once, for one peer behind the proxy."""
    with ThreadPoolExecutor(12) as threads:
        headers = {"X-Forwarded-For": peer}
        return Counter(threads.map(lambda _: server.get(target, headers).status, range(times)))


@pytest.mark.parametrize(
    ("target", "peer"),
    [("/api/v1/images?format=csv&count=exact", "10.1.1.1"), ("/api/v1/images", "10.1.1.2")],
    ids=["exports, counted in Flask", "requests, counted in front of the cache"],
)
def test_workers_together_admit_exactly_the_quota(server: Server, target: str, peer: str) -> None:
    assert statuses(server, target, peer, QUOTA * 2) == {200: QUOTA, 429: QUOTA}


def test_what_is_unchanged_costs_nothing_in_any_worker(server: Server) -> None:
    peer = {"X-Forwarded-For": "10.1.1.3"}
    known = {**peer, "If-None-Match": server.get("/api/v1/images", peer).headers["etag"]}

    def unchanged() -> Counter[int]:
        with ThreadPoolExecutor(12) as threads:
            got = threads.map(lambda _: server.get("/api/v1/images", known).status, range(QUOTA * 2))
            return Counter(got)

    assert unchanged() == {304: QUOTA * 2}
    assert statuses(server, "/api/v1/images", "10.1.1.3", QUOTA) == {200: QUOTA - 1, 429: 1}
    assert unchanged() == {304: QUOTA * 2}


def test_revoked_key_is_refused_by_every_worker_within_a_second(server: Server) -> None:
    own = StateDatabase(server.directory / "state" / "api")
    keys = KeyService(KeyRepository(own))
    made = keys.create("live", "write")
    headers = {"X-API-Key": made.secret}

    def everywhere() -> set[int]:
        return {server.get("/api/v1/cache/clear", headers, method="POST").status for _ in range(12)}

    assert everywhere() == {200}
    keys.revoke(str(made.key.id))
    assert everywhere() == {401}
    own.close()


# -- slow clients


@contextlib.contextmanager
def dripping(server: Server, count: int, beginning: bytes) -> Iterator[list[socket.socket]]:
    """So many connections that sent the beginning of a request, and send on a byte at a time."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(count)]
        for connection in made:
            connection.sendall(beginning)
        over = threading.Event()

        def drip() -> None:
            while not over.wait(0.1):
                for connection in made:
                    with contextlib.suppress(OSError):
                        connection.send(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield made
        finally:
            over.set()
            thread.join()


SLOW_HEAD = b"GET /api/health HTTP/1.1\r\nX-Slow: "
SLOW_BODY = (
    b"POST /api/v1/images/bulk-download HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100000\r\n\r\n"
)
SLOW_CHUNKS = b"POST /api/v1/images/bulk-download HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n"


def test_a_hundred_clients_that_send_a_byte_at_a_time_stop_nobody(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        parts = ((SLOW_HEAD, 40), (SLOW_BODY, 40), (SLOW_CHUNKS, 20))
        slow = [stack.enter_context(dripping(server, count, beginning))[0] for beginning, count in parts]
        slowest = 0.0
        for _ in range(20):
            began = time.monotonic()
            assert server.get("/api/health").status == 200
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < REQUEST_TIMEOUT_S, "threads wait for what is not sent"
        for connection in slow:
            connection.settimeout(10)
            head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 ")
            assert b"application/problem+json" in head
            assert json.loads(body)["status"] == 408


def exchange(server: Server, *pieces: bytes) -> bytes:
    """What comes back for pieces sent one after the other, until the server hangs up or has nothing to say."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(5)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.02)
        said = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while piece := connection.recv(65_536):
                said += piece
        return said


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /api/v1/images?x=" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /api/health HTTP/1.1\r\nX-A: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET /api/health HTTP/1.1\r\n" + b"X-A: a\r\n" * 150 + b"\r\n", 431),
        (b"GET /api/health HTTP/1.1\r\n" + b"X-A: aaaaaaaa\r\n" * 9000, 431),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /api/health HTTP/1.1\r\nbad header\r\n\r\n", 400),
    ],
    ids=["address", "field", "many fields", "endless fields", "no HTTP", "no field"],
)
def test_past_every_bound_of_http_there_is_a_problem(server: Server, request_bytes: bytes, status: int) -> None:
    head, _, body = exchange(server, request_bytes).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    problem = json.loads(body)
    assert (problem["status"], bool(problem["detail"])) == (status, True)
    assert b"aaaa" not in body


@pytest.mark.parametrize("address", [b"images/bulk-download", b"cache/clear", b"jobs/job-1/rerun"])
def test_body_that_is_too_long_is_refused_unread(server: Server, address: bytes) -> None:
    head = (
        b"POST /api/v1/%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"X-API-Key: dsa110_live_test_key\r\nConnection: close\r\nContent-Length: 2000000\r\n\r\n" % address
    )
    answer = exchange(server, head)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"PAYLOAD_TOO_LARGE" in answer


def chunked(target: str, body: bytes, size: int) -> bytes:
    """A request whose body comes in chunks of so many bytes."""
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(body[start : start + size]), body[start : start + size])
        for start in range(0, len(body), size)
    )
    return (
        (
            f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
            "X-API-Key: dsa110_live_test_key\r\nTransfer-Encoding: chunked\r\n\r\n"
        ).encode()
        + chunks
        + b"0\r\n\r\n"
    )


@pytest.mark.parametrize("target", ["/api/v1/images/1/rating", "/api/v1/cache/clear", "/api/v1/images"])
def test_body_in_chunks_is_not_cut_where_it_is_too_long(server: Server, target: str) -> None:
    body = b'{"rating": 1, "confidence": "true"}' + b" " * 2**20 + b"more"
    answer = exchange(server, chunked(target, body, 65_536))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"PAYLOAD_TOO_LARGE" in answer


def test_body_in_tiny_chunks_costs_in_proportion_to_its_size(server: Server) -> None:
    """Where each chunk costs as much as all that follow it, this takes half a minute."""
    body = b'{"source_ids": ["S1"' + b" " * 150_000 + b"]}"
    began = time.monotonic()
    answer = exchange(server, chunked("/api/v1/lightcurves", body, 1))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert time.monotonic() - began < 5
    assert server.get("/api/v1/images").status == 200


def test_what_follows_a_body_in_chunks_is_the_next_request(server: Server) -> None:
    first = chunked("/api/v1/lightcurves", b'{"source_ids": ["S1"' + b" " * 30_000 + b"]}", 1_000)
    last = b"GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    between = b"GET /api/v1/images?limit=1 HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = exchange(server, first.replace(b"Connection: close\r\n", b"") + between + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 3


def test_request_in_pieces_and_several_at_once_are_all_answered(server: Server) -> None:
    one = b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answer = exchange(server, one[:10], one[10:] + one + one[:30], one[30:] + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 4


def test_client_that_asks_before_it_sends_its_body_is_told_to_go_on(server: Server) -> None:
    head = (
        b"POST /api/v1/images/bulk-download HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    answer = exchange(server, head, b"{}")
    assert answer.count(b"HTTP/1.1 100 Continue") == 1
    assert b"HTTP/1.1 400 " in answer or b"HTTP/1.1 422 " in answer


@pytest.mark.parametrize("length", [2, 2_000_000], ids=["body", "body that is too long"])
def test_client_of_http_1_0_is_never_told_to_go_on(server: Server, length: int) -> None:
    head = (
        b"POST /api/v1/images/bulk-download HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length
    )
    began = time.monotonic()
    answer = exchange(server, head, b"{}")
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer[:100]
    assert b"100 Continue" not in answer
    assert time.monotonic() - began < 3


def test_more_clients_than_files_may_be_open_leave_room_for_answers(live_pipeline: Pipeline, tmp_path: Path) -> None:
    """As many as 128 are taken in where 256 files may be open; the others wait until some have gone."""
    few = ("prlimit", "--nofile=256:256")
    with Server(tmp_path, live_pipeline, before=few, DSA110_WORKERS="1") as server:
        assert "takes 128 connections instead of 1000" in server.log
        with contextlib.ExitStack() as stack:
            clients = [
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
                for _ in range(300)
            ]
            for limit, client in enumerate(clients[:20], 1):
                client.sendall(b"GET /api/v1/images?limit=%d HTTP/1.1\r\nHost: x\r\n\r\n" % limit)
                assert client.recv(16).startswith(b"HTTP/1.1 200 OK")
        assert server.get("/api/v1/images").status == 200
        assert "Too many open files" not in server.log


def test_clients_that_say_nothing_keep_nobody_out(live_pipeline: Pipeline, tmp_path: Path) -> None:
    """Twice as many as a worker takes in; and every other that was answered once stays connected."""
    with (
        Server(tmp_path, live_pipeline, DSA110_WORKERS="1", GUNICORN_CMD_ARGS="--worker-connections 40") as server,
        contextlib.ExitStack() as stack,
    ):
        for n in range(80):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            if n < 10:
                client.sendall(b"GET /api/%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"health" if n % 2 else b"v1/images"))
                assert client.recv(16).startswith(b"HTTP/1.1 200 OK")
        began = time.monotonic()
        assert server.get("/livez").status == 200
        assert time.monotonic() - began < 8


def test_connection_that_has_asked_nothing_is_given_up_soon_and_one_that_has_is_kept(server: Server) -> None:
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as silent,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as kept,
    ):
        ask = b"HEAD /api/v1/images?limit=1 HTTP/1.1\r\nHost: x\r\n\r\n"
        for _ in range(2):
            kept.sendall(ask)
            assert kept.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        assert silent.recv(1) == b""
        time.sleep(REQUEST_TIMEOUT_S)
        kept.sendall(ask)
        assert kept.recv(65_536).startswith(b"HTTP/1.1 200 OK")


def test_workers_that_stop_do_not_wait_for_slow_clients(server: Server) -> None:
    """The last test of this module: afterwards its server is gone."""
    with dripping(server, 5, SLOW_HEAD), socket.create_connection(("127.0.0.1", server.port)):
        time.sleep(0.1)
        began = time.monotonic()
        assert server.stop() == 0
        # Else it would take as long as the master has patience.
        assert time.monotonic() - began < PATIENCE_S / 2
