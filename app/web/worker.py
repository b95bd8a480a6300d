"""gunicorn's worker with threads, with patience for slow clients and none for those that never end.

gunicorn's own gives a thread to a connection as soon as its first byte is there, and the thread then waits for the
rest: as many clients as there are threads, each sending a byte a second, stop the service. This one lets the main loop,
which waits for all connections together, collect a request until it is whole, and only then gives it to a thread.
What it collects is bounded in bytes and time. A client that does not take its answer loses the connection.

Where gunicorn itself speaks TLS or HTTP/2, requests are inside what is encrypted, and its own way remains: put a proxy
in front (docs/access.md).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from app.config import Settings
from app.web.problems import CONTENT_TYPE, encode, problem
from app.web.receiving import Incoming, State

# Time for request line and header fields [s]; for the body after them there is as much as for the answer.
HEAD_WITHIN_S = 10.0
# A connection on which nothing was taken for so long is given up [s].
SEND_WITHIN_S = 30
LONGEST_HEAD = 65_536
# Bytes of requests that are not whole yet, in this worker; more are not waited for.
MOST_HELD = 64 * 2**20
_PIECE = 65_536
_SEND_LIMIT = struct.pack("ll", SEND_WITHIN_S, 0)
# A stopping worker waits so long for requests that are under way [s], as gunicorn does for idle connections.
_LINGER_S = 2.0

_DETAILS: Mapping[int, str] = {
    400: "The request is not HTTP that can be read.",
    408: "The request did not come in whole in time.",
    414: "The address is too long.",
    431: "The header fields are too long, or too many.",
    503: "Too much is coming in at once; try again soon.",
}


class PatientWorker(ThreadWorker):
    """Collects requests in the main loop; threads get whole ones."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: set[Any] = set()
        self._held = 0
        self._longest_body = 0
        self._body_within_s = 0.0

    def init_process(self) -> None:
        """Learn how long a body may be, and may take, and serve."""
        settings = Settings.from_environment()
        self._longest_body, self._body_within_s = settings.max_body_bytes, settings.request_timeout_s
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """Collect a request, of which there may be something already; then have it handled."""
        if self.cfg.is_ssl or conn.is_http2:
            super().enqueue_req(conn)
            return
        conn.incoming = Incoming(
            longest_line=self.cfg.limit_request_line, longest_head=LONGEST_HEAD, longest_body=self._longest_body
        )
        conn.held, conn.until = 0, time.monotonic() + self.cfg.keepalive
        if conn.sock.gettimeout() != 0.0:
            conn.sock.setblocking(False)
        if conn.parser is None:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_LIMIT)
            early = b""
        else:
            early = conn.parser.unreader.take_buffered()
        if not (early and self._take(conn, early)):
            self._receive(conn)

    def handle(self, conn: Any) -> Any:
        """Handle a request that is there; runs in a thread."""
        incoming = conn.__dict__.pop("incoming", None)
        if incoming is not None:
            conn.data_ready = True
            conn.init()
            conn.parser.unreader.unread(bytes(incoming.data))
        return super().handle(conn)

    def murder_pending(self) -> None:
        """Give up connections whose time has passed."""
        super().murder_pending()
        now = time.monotonic()
        if not self.alive:
            for conn in self._waiting:
                conn.until = min(conn.until, now + _LINGER_S)
        for conn in [conn for conn in self._waiting if conn.until <= now]:
            # To whom nothing was said, nothing is answered.
            self._refuse(conn, 408 if conn.incoming.data else None)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Answer what cannot be parsed, with a problem like every other."""
        super().handle_error(req, _Problems(client), addr, exc)

    def _receive(self, conn: Any, _file: Any = None) -> None:
        """Take what is there."""
        try:
            piece = conn.sock.recv(_PIECE)
        except BlockingIOError:
            self._wait(conn)
            return
        except OSError:
            piece = b""
        if not piece:
            self._refuse(conn, None)
        elif not self._take(conn, piece):
            self._wait(conn)

    def _take(self, conn: Any, piece: bytes) -> bool:
        """Take a piece of a request; whether nothing more is to be waited for."""
        incoming: Incoming = conn.incoming
        before, began = incoming.state, not incoming.data
        state = incoming.feed(piece)
        conn.held += len(piece)
        self._held += len(piece)
        if state is State.ENOUGH:
            self._hand_over(conn)
        elif state is State.HEAD_TOO_LONG:
            self._refuse(conn, 431)
        elif self._held > MOST_HELD:
            self._refuse(conn, 503)
        else:
            # A connection may be idle for long, a request may not; each part has its time, however it trickles in.
            if state is not before:
                conn.until = time.monotonic() + self._body_within_s
            elif began:
                conn.until = time.monotonic() + min(HEAD_WITHIN_S, self._body_within_s)
            if incoming.wants_to_be_asked:
                incoming.wants_to_be_asked = False
                _send(conn.sock, b"HTTP/1.1 100 Continue\r\n\r\n")
            return False
        return True

    def _wait(self, conn: Any) -> None:
        """Come back when there is more."""
        if conn not in self._waiting:
            self._waiting.add(conn)
            self.poller.register(conn.sock, EVENT_READ, partial(self._receive, conn))

    def _hand_over(self, conn: Any) -> None:
        self._forget(conn)
        super().enqueue_req(conn)

    def _refuse(self, conn: Any, status: int | None) -> None:
        self._forget(conn)
        if status is not None:
            _send(conn.sock, _answer(status))
        self.nr_conns -= 1
        conn.close()

    def _forget(self, conn: Any) -> None:
        self._held -= conn.held
        if conn in self._waiting:
            self._waiting.remove(conn)
            with contextlib.suppress(OSError, KeyError, ValueError):
                self.poller.unregister(conn.sock)


class _Problems:
    """A client's socket that turns gunicorn's pages of HTML into problems."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def sendall(self, page: bytes) -> None:
        """Send the problem that a page is about."""
        self._client.sendall(_answer(int(page.split(b" ", 2)[1])))


def _answer(status: int) -> bytes:
    phrase = HTTPStatus(status).phrase
    code = phrase.upper().replace(" ", "_").replace("-", "_")
    body = encode(problem(status, code, _DETAILS.get(status, f"{phrase}."), environ={}))
    lines = [f"HTTP/1.1 {status} {phrase}", "Connection: close", f"Content-Type: {CONTENT_TYPE}"]
    lines += [f"Content-Length: {len(body)}", "Cache-Control: no-store", "X-Content-Type-Options: nosniff"]
    lines += ["Retry-After: 1"] if status == 503 else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def _send(connection: socket.socket, data: bytes) -> None:
    """Send what goes out at once; who does not take it has no claim to it."""
    with contextlib.suppress(OSError):
        connection.send(data)
