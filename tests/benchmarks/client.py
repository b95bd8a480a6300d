"""A load generator in Python, for where wrk is absent and for what wrk cannot do: looking at every answer.

Closed loop on kept-alive connections: each has one request under way, and sends the next as soon as it is answered.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle
from typing import Any, NamedTuple


class Answered(NamedTuple):
    """An answer, how long it took [s], and what ``mark`` gave before the request was sent."""

    status: int
    body: bytes
    seconds: float
    mark: Any


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.sent_at = 0.0
        self.mark: Any = None

    def send(self, request: bytes, mark: Any) -> None:
        self.received.clear()
        self.mark = mark
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def read(self) -> Answered | None:
        """The answer, once it is complete."""
        chunk = self.socket.recv(1_048_576)
        if not chunk:
            raise ConnectionError("the server hung up")
        self.received += chunk
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator or len(body) < _length(head):
            return None
        return Answered(int(head[9:12]), bytes(body), time.perf_counter() - self.sent_at, self.mark)


def _length(head: bytearray) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def request_for(target: str, headers: Iterable[str] = ()) -> bytes:
    """The bytes of a GET."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def load(
    port: int,
    targets: Iterable[str],
    *,
    connections: int,
    until: Callable[[], bool],
    headers: Iterable[str] = (),
    mark: Callable[[], Any] = lambda: None,
) -> Iterator[Answered]:
    """Answers as they come, until ``until()``; ``targets`` are repeated."""
    requests = cycle([request_for(target, headers) for target in targets])
    opened = [_Connection(port) for _ in range(connections)]
    try:
        with selectors.DefaultSelector() as selector:
            for connection in opened:
                selector.register(connection.socket, selectors.EVENT_READ, connection)
                connection.send(next(requests), mark())
            while not until():
                for event, _ in selector.select(1.0):
                    connection = event.data
                    answered = connection.read()
                    if answered is not None:
                        yield answered
                        connection.send(next(requests), mark())
    finally:
        for connection in opened:
            connection.socket.close()


def one_by_one(port: int, targets: Iterable[str], headers: Iterable[str] = ()) -> Iterator[Answered]:
    """Answers to requests sent one after another on one connection."""
    connection = _Connection(port)
    try:
        for target in targets:
            connection.send(request_for(target, headers), None)
            while (answered := connection.read()) is None:
                pass
            yield answered
    finally:
        connection.socket.close()


def simultaneous(port: int, target: str, n: int) -> list[Answered]:
    """Answers to n requests sent at the same moment on n connections opened before; times count from that moment."""
    opened = [_Connection(port) for _ in range(n)]
    request = request_for(target)
    answers: list[Answered] = []
    try:
        with selectors.DefaultSelector() as selector:
            for connection in opened:
                selector.register(connection.socket, selectors.EVENT_READ, connection)
            started = time.perf_counter()
            for connection in opened:
                connection.send(request, None)
                connection.sent_at = started
            while len(answers) < n:
                answers += [done for event, _ in selector.select(1.0) if (done := event.data.read()) is not None]
    finally:
        for connection in opened:
            connection.socket.close()
    return answers
