"""How much of a body was sent, as far as that can be known."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from gunicorn import util
from gunicorn.http.wsgi import FileWrapper

from app.web.bodies import watched

SIZE = 8 * 2**20


@pytest.fixture
def file(tmp_path: Path) -> Iterator[FileWrapper]:
    path = tmp_path / "a.fits"
    with path.open("wb") as made:
        made.truncate(SIZE)
    with path.open("rb") as opened:
        yield FileWrapper(opened)


def test_file_stays_one_that_the_system_can_send(file: FileWrapper) -> None:
    notes: list[int] = []
    body = watched(file, {"wsgi.file_wrapper": FileWrapper}, lambda sent, began: notes.append(sent))
    assert isinstance(body, FileWrapper)
    assert util.has_fileno(body.filelike)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendfile(body.filelike, count=1000)
        assert len(theirs.recv(2000)) == 1000
    body.close()
    assert notes == [1000]
    assert file.filelike.closed


def test_file_whose_client_left_is_told_up_to_there(file: FileWrapper) -> None:
    notes: list[int] = []
    body = watched(file, {"wsgi.file_wrapper": FileWrapper}, lambda sent, began: notes.append(sent))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ours.sendfile(body.filelike)
        taken = 0
        theirs.setblocking(False)
        while piece := _received(theirs):
            taken += len(piece)
    body.close()
    assert notes == [taken]
    assert 0 < taken < SIZE


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(2**20)
    except BlockingIOError:
        return b""


def test_file_that_the_server_reads_is_counted_too(file: FileWrapper) -> None:
    notes: list[int] = []
    body = watched(file, {"wsgi.file_wrapper": FileWrapper}, lambda sent, began: notes.append(sent))
    assert sum(map(len, body)) == SIZE
    body.close()
    assert notes == [SIZE]


def test_piece_that_was_not_taken_does_not_count() -> None:
    notes: list[int] = []
    body = watched(iter([b"abc", b"defg", b"h"]), {}, lambda sent, began: notes.append(sent))
    pieces = iter(body)
    assert [next(pieces), next(pieces)] == [b"abc", b"defg"]
    body.close()
    assert notes == [3]
