"""gunicorn's worker with threads, with patience for slow clients and none for those that never end.

gunicorn's own gives a thread to a connection as soon as its first byte is there, and the thread then waits for the
rest: as many clients as there are threads, each sending a byte a second, stop the service. This one lets the main loop,
which waits for all connections together, collect a request until it is whole, give the answer itself where there is one
at hand (:mod:`app.web.at_hand`), and only else give the request to a thread. What it collects is bounded in bytes and
time. A client that does not take its answer loses the connection.

Where gunicorn itself speaks TLS or HTTP/2, requests are inside what is encrypted, and its own way remains: put a proxy
in front (docs/access.md).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from selectors import EVENT_READ
from typing import Any

from app.config import Settings
from app.web import at_hand, refusals
from app.web.anteroom import Anteroom
from app.web.loop import LINGER_S, PIECE, SEND_WITHIN_S, LoopWorker
from app.web.memory import MemoryLimit, resident_mib
from app.web.receiving import Incoming, Pieces, State
from app.wiring import Services

# Time for request line and header fields [s]; for the body after them there is as much as for the answer.
HEAD_WITHIN_S = 10.0
LONGEST_HEAD = 65_536
# Bytes of requests that are not whole yet, in this worker; more are not waited for.
MOST_HELD = 64 * 2**20
_SEND_LIMIT = struct.pack("ll", SEND_WITHIN_S, 0)
_MOST_UNDERSTOOD, _LONGEST_UNDERSTOOD = 512, 2048
# Probes have threads of their own: where a disk hangs, and every thread with it, they are to tell so. And whether this
# process lives is told without waiting for those who ask what else is well.
_LIVES, _READY = (b"GET /livez", b"HEAD /livez"), (b"GET /readyz", b"HEAD /readyz")
_READY_THREADS = 4
# Connections are looked through for those whose time has passed, not more often than this [s].
_LOOK_EVERY_S = 0.25


class PatientWorker(LoopWorker):
    """Collects requests in the main loop, answers there what is at hand, and gives threads the rest of them, whole."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._look_at = 0.0
        # Asked for every answer at hand, and gunicorn's own way to ask takes a microsecond.
        self.writes_access_lines = bool(self.cfg.accesslog)
        # Requests that were answered at once: clients ask in the same words again and again.
        self._understood: dict[tuple[Any, bytes], Any] = {}
        self._held = 0
        self._anteroom = Anteroom(1)
        self._lives, self._ready = ThreadPoolExecutor(1, "livez"), ThreadPoolExecutor(_READY_THREADS, "readyz")
        self._longest_body = 0
        self._body_within_s = 0.0
        self._memory = MemoryLimit(0)
        self._services: Services | None = None
        self._heeds_files = False
        self._is_plain = (
            not self.cfg.is_ssl and "h2" not in self.cfg.http_protocols and self.cfg.proxy_protocol == "off"
        )

    def init_process(self) -> None:
        """Learn how long a body may be, and may take, how many threads pictures may hold, and serve."""
        settings = Settings.from_environment()
        # One more than draw, for what was drawn before; and one that does neither.
        self._anteroom = Anteroom(max(1, min(settings.renderings + 1, self.cfg.threads - 1)))
        self._longest_body, self._body_within_s = settings.max_body_bytes, settings.request_timeout_s
        self._memory = MemoryLimit(settings.worker_memory_mib)
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application; its databases are looked at here as well, unless that may wait for another machine."""
        super().load_wsgi()
        self._services = self.wsgi.extensions["contimg.services"]
        self._heeds_files = self._services.changes.is_prompt

    def enqueue_req(self, conn: Any) -> None:
        """Collect a request, of which there may be something already; then have it answered."""
        if not self._is_plain:
            super().enqueue_req(conn)
            return
        if conn.sock.gettimeout() != 0.0:
            conn.sock.setblocking(False)
        if conn.parser is None:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_LIMIT)
            self._expect(conn, min(HEAD_WITHIN_S, self._body_within_s))
            early = b""
        else:
            self._expect(conn, self.cfg.keepalive)
            if isinstance(conn.parser, at_hand.Reread):
                conn.parser = conn.parser.parser
            early = conn.parser.unreader.take_buffered()
        conn.receive = partial(self._receive, conn)
        if not (early and self._take(conn, early)):
            self._receive(conn)

    def handle(self, conn: Any) -> Any:
        """Handle a request that is there; runs in a thread."""
        incoming = conn.__dict__.pop("incoming", None)
        if incoming is not None:
            conn.data_ready = True
            conn.init()
            was_read = isinstance(conn.parser, at_hand.Reread)
            # No thread waits for more than was collected; what ends early is the last on its connection.
            conn.pieces = conn.parser.unreader.chunk = Pieces() if was_read else Pieces(bytes(incoming.data))
        kept = super().handle(conn)
        if kept and incoming is not None:
            conn.parser.unreader.buf.write(conn.pieces.rest())
        return kept

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        pieces: Pieces | None = getattr(conn, "pieces", None)
        return bool(super()._keepalive_after(conn, keepalive)) and not (pieces is not None and pieces.ended_early)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Keep the connection, or part from it without waiting for the client; runs in the main loop."""
        if self._is_plain:
            self._release(conn)
            self._anteroom.leave(conn)
            self._let_in()
        if self._is_plain and not fs.cancelled() and fs.exception() is None and not fs.result():
            self._part(conn)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Give up connections whose time has passed, and end once this worker has grown too large."""
        super().murder_pending()
        now = time.monotonic()
        if self._memory.is_passed(now) and self.alive:
            holds = f"This worker holds {resident_mib():.0f} MiB, more than DSA110_WORKER_MEMORY_MIB allows"
            self._make_way(holds)
        if self.nr_conns >= self.worker_connections and self.alive:
            self._make_room()
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_EVERY_S
        self._look_at_files()
        self._let_in()
        if not self.alive:
            # A request that has begun, and an answer that goes out, keep their time.
            for conn in self._waiting:
                if conn.incoming is not None and not conn.incoming.data:
                    conn.until = min(conn.until, now + LINGER_S)
        for conn in [conn for conn in self._waiting if conn.until <= now]:
            # To whom nothing was said, nothing is answered.
            self._refuse(conn, 408 if conn.incoming is not None and conn.incoming.data else None)

    def _look_at_files(self) -> None:
        """See what becomes of the databases while nobody asks for them."""
        if self._services is None:
            return
        if self._heeds_files:
            self._services.changes.heed()
        if self._services.is_adrift and self.alive:
            self._make_way("The -wal or -shm of a database was deleted beside this worker, which has it open")

    def _make_way(self, reason: str) -> None:
        """Finish what has begun and end, as after ``max_requests``; the master starts another."""
        self.log.warning("%s: another takes its place.", reason)
        self.alive = False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Answer what cannot be parsed, with a problem like every other, and log none of its words."""
        super().handle_error(req, refusals.InProblems(client), addr, refusals.wordless(exc))

    # -- a request comes in

    def _expect(self, conn: Any, within_s: float) -> None:
        """Make ready for a request, whose first byte is to be there within that time [s]."""
        conn.incoming = Incoming(
            longest_line=self.cfg.limit_request_line, longest_head=LONGEST_HEAD, longest_body=self._longest_body
        )
        conn.held, conn.since = 0, time.monotonic()
        conn.until = conn.since + within_s

    def _receive(self, conn: Any, _file: Any = None) -> None:
        """Take what is there."""
        try:
            piece = conn.sock.recv(PIECE)
        except BlockingIOError:
            self._wait(conn, EVENT_READ, conn.receive)
            return
        except OSError:
            piece = b""
        if not piece:
            self._refuse(conn, None)
        elif not self._take(conn, piece):
            self._wait(conn, EVENT_READ, conn.receive)

    def _take(self, conn: Any, piece: bytes) -> bool:
        """Take a piece of a request; whether nothing more is to be waited for."""
        incoming: Incoming = conn.incoming
        before, began = incoming.state, not incoming.data
        state = incoming.feed(piece)
        conn.held += len(piece)
        self._held += len(piece)
        if state is State.ENOUGH:
            self._have_answered(conn)
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
                _say(conn.sock, b"HTTP/1.1 100 Continue\r\n\r\n")
            return False
        return True

    # -- an answer goes out

    def _have_answered(self, conn: Any) -> None:
        """Answer what has come in whole, or let a thread do it."""
        answer = self._at_hand(conn) if conn.incoming.is_bare else None
        if answer is None:
            self._forget(conn)
            self._hand_over(conn)
        else:
            self._release(conn)
            conn.incoming = None
            self._send(conn, memoryview(answer.data), then=self._expect_another if answer.keep else self._part)

    def _hand_over(self, conn: Any) -> None:
        """Give a thread what has come in, or let it wait for one."""
        words = conn.incoming.data
        if words.startswith((*_LIVES, *_READY)):
            future = (self._lives if words.startswith(_LIVES) else self._ready).submit(self.handle, conn)
            future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))
        elif self._anteroom.enter(conn, words):
            super().enqueue_req(conn)

    def _let_in(self) -> None:
        """Give threads the pictures for which there is a place now."""
        for conn in self._anteroom.due():
            super().enqueue_req(conn)

    def _at_hand(self, conn: Any) -> at_hand.Answer | None:
        words = bytes(conn.incoming.data)
        # Some headers are believed of some peers only: whose words they are belongs to them.
        said = (conn.client[0] if isinstance(conn.client, tuple) else conn.client, words)
        request = self._understood.get(said)
        parsed = request is None
        if parsed and (request := self._parse(conn, words)) is None:
            return None
        is_last = not self.alive or not self.cfg.keepalive or len(self._waiting) >= self.max_keepalived
        answer = at_hand.answer(self, conn, request, last=is_last or self.nr + 1 >= self.max_requests)
        if answer is None:
            if parsed:
                conn.parser = at_hand.Reread(conn.parser, request)
            return None
        if parsed and len(words) <= _LONGEST_UNDERSTOOD:
            if len(self._understood) >= _MOST_UNDERSTOOD:
                self._understood.clear()
            self._understood[said] = request
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        return answer

    def _parse(self, conn: Any, words: bytes) -> Any:
        """What gunicorn makes of them; ``None`` for what a thread is to refuse: it finds the same, and has the time."""
        if conn.parser is None:
            conn.init()
            conn.sock.setblocking(False)
        conn.parser.unreader.unread(words)
        try:
            return next(conn.parser)
        except Exception:
            conn.parser, conn.initialized = None, False
            return None

    def _expect_another(self, conn: Any) -> None:
        self._expect(conn, self.cfg.keepalive)
        self._wait(conn, EVENT_READ, conn.receive)

    # -- a connection ends

    def _refuse(self, conn: Any, status: int | None) -> None:
        """Say why, to those to whom anything is said, and part."""
        self._release(conn)
        if status is None:
            self._end(conn)
        else:
            _say(conn.sock, refusals.answer(status))
            self._part(conn)

    def _release(self, conn: Any) -> None:
        """Count what a connection holds no longer."""
        self._held -= conn.held
        conn.held = 0


def _say(connection: socket.socket, data: bytes) -> None:
    """Send what goes out at once; who does not take it has no claim to it."""
    with contextlib.suppress(OSError):
        connection.send(data)
