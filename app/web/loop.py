"""What gunicorn's worker with threads does to connections in its main loop, made not to wait for any of them.

gunicorn takes in one connection at a turn, and waits up to two seconds for each client that does not hang up.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import socket
import time
from collections.abc import Callable
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

# A connection on which nothing was taken for so long is given up [s].
SEND_WITHIN_S = 30
# More than this of what a client still sends is not taken in, so that it hears what was said to it [bytes].
_MOST_DRAINED = 1_000_000
# Few enough that the other workers get their share.
_MOST_AT_ONCE = 16
# Where the system has no room for another connection, none is taken in for so long [s].
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_REST_S = 0.5
# Who has said nothing for so long [s] may have to make room for others.
_SILENT_S = 1.0
PIECE = 65_536
# A stopping worker waits so long for requests that are under way [s], as gunicorn does for idle connections.
LINGER_S = 2.0


class LoopWorker(ThreadWorker):
    """Takes connections in, sends to them and parts from them without waiting."""

    alive: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Connections that this part of the loop waits for, whichever way: to read, to write, to end.
        self._waiting: dict[Any, Callable[[Any], None]] = {}
        self._accept_at = 0.0

    def accept(self, listener: Any) -> None:
        """Take in some of those who wait: one at a time would wait for a turn of all others each."""
        for _ in range(_MOST_AT_ONCE):
            before = self.nr_conns
            try:
                super().accept(listener)
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                self.log.warning("No connection can be taken in: %s.", error.strerror)
                self._accept_at = time.monotonic() + _REST_S
                self.set_accept_enabled(False)
            if not before < self.nr_conns < self.worker_connections:
                break

    def set_accept_enabled(self, enabled: bool) -> None:
        """Take in connections or not; not while there is no room for any."""
        if not enabled or time.monotonic() >= self._accept_at:
            super().set_accept_enabled(enabled)

    def _make_room(self) -> None:
        """End some of the connections that are silent, those that would be given up first, for others to come in."""
        before = time.monotonic() - _SILENT_S
        most = max(1, self.worker_connections // 20)
        silent = [
            conn
            for conn in self._waiting
            if conn.incoming is not None and not conn.incoming.data and conn.since <= before
        ]
        for conn in heapq.nsmallest(most, silent, key=lambda conn: conn.until):
            self._end(conn)
        if not silent:
            for conn in itertools.islice(self.keepalived_conns, most):
                if conn.timeout - self.cfg.keepalive <= before:
                    conn.timeout = 0.0
            self.murder_keepalived()

    def _send(self, conn: Any, data: memoryview, then: Callable[[Any], None], _file: Any = None) -> None:
        """Send, as far as the client takes it, and the rest when it takes more."""
        try:
            sent = conn.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._end(conn)
            return
        if sent == len(data):
            then(conn)
            return
        if sent:
            conn.until = time.monotonic() + SEND_WITHIN_S
        self._wait(conn, EVENT_WRITE, partial(self._send, conn, data[sent:], then))

    def _part(self, conn: Any) -> None:
        """End a connection once the client has: else what was sent last could be lost (RFC 9112, section 9.6)."""
        conn.incoming, conn.drained, conn.until = None, 0, time.monotonic() + LINGER_S
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._end(conn)
        else:
            self._drain(conn)

    def _drain(self, conn: Any, _file: Any = None) -> None:
        try:
            piece = conn.sock.recv(PIECE)
        except BlockingIOError:
            self._wait(conn, EVENT_READ, partial(self._drain, conn))
            return
        except OSError:
            piece = b""
        conn.drained += len(piece)
        if piece and conn.drained < _MOST_DRAINED:
            self._wait(conn, EVENT_READ, partial(self._drain, conn))
        else:
            self._end(conn)

    def _end(self, conn: Any) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()

    def _wait(self, conn: Any, event: int, then: Callable[[Any], None]) -> None:
        """Come back when the client has sent more, or takes more."""
        if conn not in self._waiting:
            self.poller.register(conn.sock, event, then)
        elif self._waiting[conn] is not then:
            self.poller.modify(conn.sock, event, then)
        self._waiting[conn] = then

    def _forget(self, conn: Any) -> None:
        if self._waiting.pop(conn, None) is not None:
            with contextlib.suppress(OSError, KeyError, ValueError):
                self.poller.unregister(conn.sock)
