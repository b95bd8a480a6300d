"""Server-Sent Events: an answer that goes on while there is news.

A stream occupies a thread of its gunicorn worker, so each worker serves a bounded number; past it the answer is 503
with Retry-After, and ordinary requests keep their threads. A client that hangs up is noticed at once where the server
lets us see the connection, else by the comment that is sent while nothing happens. A worker that is to stop ends its
streams; clients come back to another and go on where they were.

References
----------
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, current_app, request

from app.config import Settings
from app.db import deadline
from app.domain.errors import TooManyStreams
from app.domain.time import iso_from_unix
from app.services.following import Event, Feed
from app.web.json import encode as encode_json

if TYPE_CHECKING:
    # gunicorn's configuration imports this module, and prometheus_client, which looks for the runtime directory when it
    # is imported, must not be there before that is made.
    from app.web.metrics import RequestCounter

CONTENT_TYPE = "text/event-stream"

_SLOTS = "contimg.streams"
_LOOK_EVERY_S = 0.5
# Proxies close connections on which nothing is sent.
_COMMENT_EVERY_S = 0.9
_LOOK_DEADLINE_S = 5.0
# A client that does not read for so long is let go.
_SEND_TIMEOUT_S = 10
_RECONNECT_AFTER_MS = 2000
_PIECE_BYTES = 1 << 15

# Whether this process is to go on serving; gunicorn's configuration says so.
serving: Callable[[], bool] = lambda: True  # noqa: E731


class Slots:
    """Places for streams in this process.

    Parameters
    ----------
    count
        How many there are.
    counter
        Where streams are counted.
    """

    def __init__(self, count: int, counter: RequestCounter) -> None:
        self.count = count
        self._free = threading.BoundedSemaphore(count)
        self._counter = counter

    def take(self) -> None:
        """Take a place; raises TooManyStreams where there is none."""
        if not self._free.acquire(blocking=False):
            self._counter.streams_refused.inc()
            raise TooManyStreams(f"This process serves {self.count} streams at a time, and all are taken.")
        self._counter.streams.inc()

    def leave(self) -> None:
        """Leave a place."""
        self._counter.streams.dec()
        self._free.release()


def install(app: Flask, settings: Settings, counter: RequestCounter) -> None:
    """Give the application its places for streams, counted by ``counter``."""
    app.extensions[_SLOTS] = Slots(settings.max_streams, counter)


def respond(make: Callable[[], Feed]) -> Response:
    """Answer with the feed that ``make`` makes, if there is a place for one more."""
    slots: Slots = current_app.extensions[_SLOTS]
    slots.take()
    try:
        feed = make()
        stream = Stream(feed, slots, request.environ.get("gunicorn.socket"))
    except BaseException:
        slots.leave()
        raise
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(stream, content_type=CONTENT_TYPE, headers=headers)


class Stream:
    """Body of an answer; closing it, which a server does in every case, leaves the place.

    Parameters
    ----------
    feed
        What to send.
    slots
        Where this stream has its place.
    connection
        The client's socket where the server shows it.
    """

    def __init__(self, feed: Feed, slots: Slots, connection: socket.socket | None = None) -> None:
        self._feed = feed
        self._slots: Slots | None = slots
        self._connection = connection
        if connection is not None:
            limit = struct.pack("ll", _SEND_TIMEOUT_S, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def __iter__(self) -> Iterator[bytes]:
        """Events, and comments while there are none."""
        try:
            yield from self._sent()
        finally:
            self.close()

    def _sent(self) -> Iterator[bytes]:
        yield f"retry: {_RECONNECT_AFTER_MS}\n\n".encode()
        sent = time.monotonic()
        while serving():
            deadline.start(_LOOK_DEADLINE_S)
            for piece in _pieces(self._feed.news()):
                yield piece
                sent = time.monotonic()
            if self._feed.over or self._gone(_LOOK_EVERY_S):
                return
            if time.monotonic() - sent >= _COMMENT_EVERY_S:
                yield b":\n\n"
                sent = time.monotonic()

    def close(self) -> None:
        """Leave."""
        slots, self._slots = self._slots, None
        if slots is not None:
            try:
                self._feed.close()
            finally:
                slots.leave()

    def _gone(self, wait_s: float) -> bool:
        """Wait, and tell whether the client hung up meanwhile."""
        if self._connection is None:
            time.sleep(wait_s)
            return False
        poll = select.poll()
        poll.register(self._connection.fileno(), select.POLLRDHUP)
        return bool(poll.poll(wait_s * 1000))


def _pieces(events: Iterable[Event]) -> Iterator[bytes]:
    """Events put together, so that a long log is not sent line by line."""
    piece = b""
    for event in events:
        piece += encode(event)
        if len(piece) >= _PIECE_BYTES:
            yield piece
            piece = b""
    if piece:
        yield piece


def encode(event: Event) -> bytes:
    """An event's bytes; data other than text goes out as JSON, a ``timestamp`` in it [Unix s] as ISO 8601."""
    lines = [f"event: {event.name}"]
    if event.id is not None:
        lines.insert(0, f"id: {event.id}")
    # A carriage return would end the line too.
    lines += [f"data: {part}" for part in _text(event.data).replace("\r", "\n").split("\n")]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


def _text(data: Any) -> str:
    if isinstance(data, str):
        return data
    if isinstance(data, dict) and "timestamp" in data:
        data = {**data, "timestamp": iso_from_unix(data["timestamp"])}
    return encode_json(data).decode()
