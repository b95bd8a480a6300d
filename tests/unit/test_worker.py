"""How the worker shares its attention, without a socket."""

from __future__ import annotations

import errno
import logging
from typing import Any

import pytest
from gunicorn.workers.gthread import ThreadWorker

from app.web.worker import PatientWorker


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
