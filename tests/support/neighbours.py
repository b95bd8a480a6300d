"""Servers on a port of 127.0.0.1 that answer one way only, or never."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def neighbour(answer: bytes | None, heard: list[bytes] | None = None) -> Iterator[int]:
    """A server that reads once and sends ``answer`` to every connection, or accepts and says nothing; its port.

    What it reads is kept in ``heard``.
    """
    heard = [] if heard is None else heard
    listening = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []
    stopped = threading.Event()

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            if stopped.is_set():
                connection.close()
                return
            kept.append(connection)
            if answer is not None:
                with contextlib.suppress(OSError), connection:
                    heard.append(connection.recv(65536))
                    connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        stopped.set()
        with contextlib.suppress(OSError):  # wakes the thread up
            socket.create_connection(listening.getsockname(), timeout=1).close()
        thread.join(5)
        listening.close()
        for connection in kept:
            connection.close()


def http(status: str, body: bytes = b"{}") -> bytes:
    """An HTTP answer."""
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status.encode(), len(body), body)


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
