"""How the worker shares its attention, without a socket."""

from __future__ import annotations

import errno
import logging
import threading
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import ThreadWorker

from app.web.anteroom import MOST_WAITING, PATIENCE_S, Anteroom
from app.web.worker import PatientWorker

PICTURE = b"GET /api/v1/images/7/thumbnail?size=256 HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("waiting", "capacity", "left"),
    [(40, 1000, 24), (3, 1000, 0), (0, 1000, 0), (40, 5, 35)],
    ids=["many", "few", "none", "more than there is room for"],
)
def test_those_who_wait_are_taken_in_several_at_a_time(
    monkeypatch: pytest.MonkeyPatch, waiting: int, capacity: int, left: int
) -> None:
    def accept_one(worker: Any, listener: list[int]) -> None:
        if listener:
            listener.pop()
            worker.nr_conns += 1

    monkeypatch.setattr(ThreadWorker, "accept", accept_one)
    worker = object.__new__(PatientWorker)
    worker.nr_conns, worker.worker_connections, worker._accept_at = 0, capacity, 0.0
    listener = list(range(waiting))
    worker.accept(listener)
    assert len(listener) == left


def test_where_there_is_no_room_nothing_is_taken_in_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    enabled: list[bool] = []

    def refuse(worker: Any, listener: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(ThreadWorker, "accept", refuse)
    monkeypatch.setattr(ThreadWorker, "set_accept_enabled", lambda worker, wanted: enabled.append(wanted))
    worker = object.__new__(PatientWorker)
    worker.nr_conns, worker.worker_connections, worker._accept_at = 0, 10, 0.0
    worker.log = logging.getLogger("test")
    worker.accept(None)
    worker.set_accept_enabled(True)
    assert enabled == [False], "and not at once again"
    worker._accept_at = 0.0
    worker.set_accept_enabled(True)
    assert enabled == [False, True]


def test_process_tells_that_it_lives_while_all_wait_that_ask_what_else_is_well() -> None:
    worker = PatientWorker(0, 0, [], None, 1.0, Config(), logging.getLogger("test"))
    asked, over, done = [f"GET {path} HTTP/1.1".encode() for path in ("/readyz", "/livez")], threading.Event(), Queue()
    worker.method_queue = SimpleNamespace(defer=lambda finish, conn, future: done.put(conn))
    worker.handle = lambda conn: over.wait(30) if asked[0] in conn.incoming.data else None
    try:
        for words in [asked[0]] * 20 + [asked[1]]:
            worker._hand_over(SimpleNamespace(incoming=SimpleNamespace(data=bytearray(words))))
        assert done.get(timeout=5).incoming.data == asked[1]
    finally:
        over.set()
        worker.tmp.close()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_pictures_wait_for_a_place_in_the_order_in_which_they_were_asked_for() -> None:
    anteroom = Anteroom(2)
    assert [anteroom.enter(conn, PICTURE) for conn in "abcde"] == [True, True, False, False, False]
    assert anteroom.due() == []
    anteroom.leave("b")
    assert anteroom.due() == ["c"]
    for conn in "ac":
        anteroom.leave(conn)
    assert anteroom.due() == ["d", "e"]
    anteroom.leave("d")
    assert anteroom.enter("f", PICTURE)


def test_what_is_no_picture_never_waits_and_takes_no_place() -> None:
    anteroom = Anteroom(1)
    for n, target in enumerate(("images/7", "images?name=/thumbnail", "images/7/fits", "stats/timeline")):
        assert anteroom.enter(n, f"GET /api/v1/{target} HTTP/1.1\r\n".encode()), target
    assert anteroom.enter("a", PICTURE)
    anteroom.leave(0)
    assert not anteroom.enter("b", PICTURE), "who leaves from elsewhere makes no place"


def test_nobody_waits_for_a_picture_longer_than_their_patience() -> None:
    clock = Clock()
    anteroom = Anteroom(1, clock)
    assert [anteroom.enter(conn, PICTURE) for conn in "ab"] == [True, False]
    clock.now = PATIENCE_S / 2
    assert not anteroom.enter("c", PICTURE)
    assert anteroom.due() == []
    clock.now = PATIENCE_S
    assert anteroom.due() == ["b"]
    clock.now = 1.5 * PATIENCE_S
    assert anteroom.due() == ["c"]


def test_the_many_for_whom_there_is_no_room_are_let_through() -> None:
    anteroom = Anteroom(1)
    answers = [anteroom.enter(n, PICTURE) for n in range(MOST_WAITING + 3)]
    assert [n for n, through in enumerate(answers) if through] == [0, MOST_WAITING + 1, MOST_WAITING + 2]
