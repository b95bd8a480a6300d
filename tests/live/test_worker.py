"""The worker's own part: what is at hand it gives at once, and no client can make it wait."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.conftest import StartServer
from tests.support.pipeline import Pipeline
from tests.support.radio_images import write_image
from tests.support.server import Server

pytestmark = pytest.mark.live

THREADS = 2
# More than the system takes in for a client that reads nothing.
FILE_BYTES = 40_000_000
AT_HAND = "/api/v1/images?limit=3"
LARGE = "/api/v1/sources/S000000/lightcurve?limit=100000"
SOON_S = 3.0
STRANGER = "127.0.0.3"


@pytest.fixture(scope="module")
def survey(live_pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Few images, one of which has a large file, and one very long light curve."""
    large = tmp_path_factory.mktemp("files") / "large.fits"
    with large.open("wb") as file:
        file.truncate(FILE_BYTES)
    live_pipeline.make_many_images(40)
    live_pipeline.make_image(id=777, path=str(large))
    live_pipeline.make_many_photometry(1, 40_000)
    return live_pipeline


@pytest.fixture(scope="module")
def server(survey: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker, so that every connection meets the same one."""
    settings = {
        "DSA110_WORKERS": "1",
        "DSA110_THREADS": str(THREADS),
        "DSA110_CACHE_BYTES": str(2**28),
        "DSA110_DATA_ROOTS": "/",
        "DSA110_ALLOWED_IPS": "127.0.0.1,127.0.0.2",
    }
    with Server(tmp_path_factory.mktemp("worker"), survey, **settings) as started:
        assert started.get(AT_HAND).status == 200
        yield started


def words(target: str, *fields: str) -> bytes:
    """A request."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: x", *fields, "", ""]).encode()


@contextlib.contextmanager
def asking(server: Server, times: int, request: bytes, source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """So many clients that have asked, and take nothing in unless the test makes them."""
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(times):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(30)
            connection.bind((source, 0))
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(request)
            made.append(connection)
        yield made


def read(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of the one answer that a connection brings before it is closed."""
    said = bytearray()
    while piece := connection.recv(2**20):
        said += piece
    head, _, body = bytes(said).partition(b"\r\n\r\n")
    return head, body


def times_to_get(server: Server, target: str, n: int = 5) -> list[float]:
    """How long some requests took, one after the other [s]."""
    times = []
    for _ in range(n):
        began = time.monotonic()
        assert server.get(target).status == 200
        times.append(time.monotonic() - began)
    return times


def test_what_is_at_hand_is_given_while_every_thread_waits(server: Server) -> None:
    with asking(server, THREADS, words("/api/v1/images/777/fits")) as slow:
        for connection in slow:
            assert connection.recv(16).startswith(b"HTTP/1.1 200 OK")
        assert max(times_to_get(server, AT_HAND)) < SOON_S
        for probe in ("/livez", "/readyz"):
            assert max(times_to_get(server, probe)) < SOON_S
        # The threads are taken indeed: what must be computed waits.
        with asking(server, 1, words("/api/v1/images?limit=4")) as (other,):
            other.settimeout(0.5)
            with pytest.raises(TimeoutError):
                other.recv(16)


def test_who_does_not_take_what_was_at_hand_holds_no_thread(server: Server) -> None:
    wanted = server.get(LARGE).body
    assert len(wanted) > 5_000_000
    assert server.get(LARGE).body == wanted
    with asking(server, 3 * THREADS, words(LARGE, "Connection: close")) as slow:
        time.sleep(0.2)
        # Each is another question: these are computed, by threads.
        for limit in range(10, 20):
            assert max(times_to_get(server, f"/api/v1/images?limit={limit}", 1)) < SOON_S
        for connection in slow:
            head, body = read(connection)
            assert head.startswith(b"HTTP/1.1 200 OK")
            assert body == wanted


@pytest.mark.parametrize("target", [AT_HAND, "/api/v1/health"], ids=["at hand", "by a thread"])
def test_clients_that_do_not_hang_up_keep_nobody_waiting(server: Server, target: str) -> None:
    with asking(server, 20, words(target, "Connection: close")) as lingering:
        assert max(times_to_get(server, AT_HAND)) < SOON_S
        for connection in lingering:
            head, body = read(connection)
            assert head.startswith(b"HTTP/1.1 200 OK")
            assert json.loads(body)


POST = b"POST /api/v1/images HTTP/1.1\r\nHost: x\r\n"
UNFINISHED = {
    "address as long as may be": b"GET /" + b"A" * 8186,
    "body without end": POST + b"Content-Length: 999999999999\r\n\r\n",
    "long size of a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n0000000000000005\r\n",
    "long chunk line": POST + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"a" * 5000,
}


@pytest.mark.parametrize("request_bytes", UNFINISHED.values(), ids=UNFINISHED.keys())
def test_no_thread_waits_for_what_does_not_come(server: Server, request_bytes: bytes) -> None:
    with asking(server, 3 * THREADS, request_bytes):
        time.sleep(0.2)
        assert max(times_to_get(server, "/livez")) < SOON_S


def test_unchanged_answers_are_counted(server: Server) -> None:
    def counted() -> float:
        lines = server.get("/metrics").body.decode().splitlines()
        found = [line for line in lines if line.startswith("http_requests_total") and 'status="3xx"' in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    before, etag = counted(), server.get(AT_HAND).headers["etag"]
    assert {server.get(AT_HAND, {"If-None-Match": etag}).status for _ in range(7)} == {304}
    server.wait_until(lambda: counted() == before + 7)


def test_same_words_of_others_are_theirs(server: Server) -> None:
    request = words(AT_HAND, "X-Request-ID: same-words", "Connection: close")
    peers = {"127.0.0.1": 200, "127.0.0.2": 200, STRANGER: 403}
    for source, status in [*peers.items()] * 2:
        with asking(server, 1, request, source) as (connection,):
            assert read(connection)[0].startswith(f"HTTP/1.1 {status} ".encode())

    def seen() -> list[tuple[str, int]]:
        lines = [json.loads(line) for line in server.log.splitlines() if '"same-words"' in line]
        return [(line["client_ip"], line["status_code"]) for line in lines]

    server.wait_until(lambda: len(seen()) >= 6)
    assert seen() == [*peers.items()] * 2


def test_same_words_after_a_commit_get_what_was_committed(server: Server, survey: Pipeline) -> None:
    with contextlib.closing(server.connect()) as connection:
        for noise in (0.25, 0.5, 0.75):
            survey.connection.execute("UPDATE images SET noise_jy = ? WHERE id = 5", (noise,))
            survey.connection.commit()
            for _ in range(3):
                connection.request("GET", "/api/v1/images/5")
                assert json.loads(connection.getresponse().read())["noise_jy"] == noise


def test_what_is_not_at_hand_is_counted_and_logged_once(server: Server) -> None:
    fields = ("X-Request-ID: asked-once", "Connection: close")
    for target in ("/api/v1/images?limit=33", "/api/v1/images?limit=33", "/livez"):
        with asking(server, 1, words(target, *fields)) as (connection,):
            assert read(connection)[0].startswith(b"HTTP/1.1 200 OK")

    def seen() -> list[tuple[str, str]]:
        lines = [json.loads(line) for line in server.log.splitlines() if '"asked-once"' in line]
        return [(line["path"], line["cache"]) for line in lines if line["message"] == "request"]

    server.wait_until(lambda: len(seen()) >= 3)
    assert seen() == [("/api/v1/images", "miss"), ("/api/v1/images", "hit"), ("/livez", "miss")]


def test_pictures_asked_for_at_once_wait_without_a_thread_and_all_arrive(
    tmp_path: Path, survey: Pipeline, start_server: StartServer
) -> None:
    drawn = [survey.make_image(path=str(write_image(tmp_path / f"{n}.fits"))) for n in range(8)]
    # With four threads, two draw and one waits for its turn: where more came in, they would be refused.
    four = start_server(survey, DSA110_WORKERS="1", DSA110_THREADS="4", DSA110_DATA_ROOTS=str(tmp_path))
    pictures = [words(f"/api/v1/images/{number}/thumbnail", "Connection: close") for number in drawn]
    with contextlib.ExitStack() as stack:
        asked = [stack.enter_context(asking(four, 1, picture))[0] for picture in pictures * 3]
        assert [read(connection)[0].split()[1] for connection in asked] == [b"200"] * len(asked)


def test_reload_lets_an_upload_come_to_its_end(server: Server) -> None:
    """The last test of this module: afterwards other workers serve."""
    body = b'{"source_ids": ["S000000"]}'
    head = (
        f"POST /api/v1/lightcurves HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    )
    with asking(server, 1, f"{head}\r\n\r\n".encode()) as (connection,):
        earlier = server.worker_pids
        server.signal(signal.SIGHUP)
        for n in range(len(body)):
            connection.sendall(body[n : n + 1])
            time.sleep(0.12)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        while connection.recv(2**20):
            pass
    server.wait_until(lambda: not earlier & server.worker_pids)
