"""Workers that speak for each other's caches: real processes, real sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.web import peers
from app.web.peers import PeerSilent, WorkerCaches, human_size
from app.web.store import Entry, Key, Store

WORKER = """
import pathlib, sys
from app.web.peers import WorkerCaches
from tests.unit.test_peers import filled
caches = WorkerCaches(filled(int(sys.argv[2])), pathlib.Path(sys.argv[1]))
assert caches.listen()
print("ready", flush=True)
for line in sys.stdin:
    print(caches.store.figures().keys, flush=True)
"""


def filled(n: int) -> Store:
    """A store with n entries, each read once."""
    store = Store(2**20)
    for number in range(n):
        key = Key("", f"/api/v1/images/{number}", "", "identity", "json", "")
        token: Any = store.get(key, 1)
        store.put(key, Entry.of("200 OK", [], b"x", '"x"', ""), token)
        store.get(key, 1)
    return store


class Worker:
    """Another process that listens with n answers in its cache."""

    def __init__(self, directory: Path, n: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(directory), str(n)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def keys(self) -> int:
        """How many answers it holds, asked on another way than by socket."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self._line())

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "workers"


@pytest.fixture
def other(directory: Path) -> Iterator[Worker]:
    worker = Worker(directory, 3)
    yield worker
    worker.kill()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEER_TIMEOUT_S", 0.1)


def test_figures_are_sums_over_workers(directory: Path, other: Worker) -> None:
    caches = WorkerCaches(filled(2), directory)
    assert caches.listen()
    one = filled(1).figures()
    assert caches.figures() == (5, 5, 5 * one.size_bytes, 5)


def test_purge_is_done_everywhere_when_the_call_returns(directory: Path, other: Worker) -> None:
    caches = WorkerCaches(filled(2), directory)
    assert caches.purge("images:[01]") == 4
    assert (caches.store.figures().keys, other.keys()) == (0, 1)
    assert caches.purge() == 1
    assert other.keys() == 0


def test_worker_that_ended_is_forgotten(directory: Path, other: Worker) -> None:
    other.kill()
    assert len(list(directory.glob("*.sock"))) == 1
    assert WorkerCaches(filled(2), directory).purge() == 2
    assert list(directory.glob("*.sock")) == []


def test_worker_that_has_kept_nothing_yet_needs_no_asking(directory: Path) -> None:
    assert WorkerCaches(filled(2), directory).purge() == 2


def test_worker_listens_once_for_all_its_threads(directory: Path) -> None:
    caches = WorkerCaches(filled(0), directory)
    before = threading.active_count()
    threads = [threading.Thread(target=caches.listen) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert threading.active_count() == before + 1
    assert [path.name for path in directory.iterdir()] == [f"{os.getpid()}.sock"]


def listener(directory: Path) -> socket.socket:
    directory.mkdir(exist_ok=True)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    opened.bind(str(directory / "1.sock"))
    opened.listen()
    return opened


def test_purge_is_not_reported_done_when_a_worker_stays_silent(directory: Path, other: Worker, impatient: None) -> None:
    caches = WorkerCaches(filled(2), directory)
    with listener(directory), pytest.raises(PeerSilent) as raised:
        caches.purge()
    assert dict(raised.value.get_headers())["Retry-After"] == "1"
    assert other.keys() == 0, "the others are asked nevertheless"


def test_silent_worker_shows_in_the_report(directory: Path, impatient: None) -> None:
    with listener(directory):
        report = WorkerCaches(filled(2), directory).report()
    assert (report.enabled, report.status, report.hits) == (True, "error", None)
    assert "1 did not answer" in str(report.error)


def test_worker_that_hangs_up_is_asked_again_and_then_told_of(directory: Path) -> None:
    calls = []

    def hang_up(opened: socket.socket) -> None:
        for _ in range(2):
            connection, _ = opened.accept()
            calls.append(connection)
            connection.close()

    with listener(directory) as opened:
        thread = threading.Thread(target=hang_up, args=(opened,))
        thread.start()
        with pytest.raises(PeerSilent):
            WorkerCaches(filled(2), directory).purge()
        thread.join()
    assert len(calls) == 2


def test_nonsense_on_the_socket_does_not_stop_a_worker(directory: Path, other: Worker) -> None:
    path = next(directory.glob("*.sock"))
    for nonsense in (b"", b"\n", b"[\n", b"{}", b"\xff\n"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(path))
            connection.sendall(nonsense)
            connection.shutdown(socket.SHUT_WR)
    assert WorkerCaches(filled(2), directory).purge() == 5


def test_worker_that_cannot_be_reached_says_so(tmp_path: Path) -> None:
    too_long = tmp_path / ("x" * 120)
    assert WorkerCaches(filled(0), too_long).listen() is False


def test_directory_is_for_its_owner_alone(directory: Path) -> None:
    WorkerCaches(filled(0), directory).listen()
    assert directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1536, "1.50K"), (16 * 2**20 - 1, "16.00M"), (2**50, "1024.00T")],
)
def test_sizes_are_written_as_redis_does(size: int, text: str) -> None:
    assert human_size(size) == text
