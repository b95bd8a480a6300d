"""The response cache: answers kept for exactly as long as the databases stand still.

It stands in front of Flask, so that a hit costs no routing, no context and no serialization. An answer is stored under
the generation of the databases (:mod:`app.db.changes`) read *before* it was computed, and served only to requests that
read the same generation *after* they arrived. Between the two readings nothing was committed, so the answer is what
computing it anew would give: it can be thrown away too early, never served too late.

Several requests for the same answer of the same generation share one computation; all others compute for themselves.
Stored are 200s of GET from views marked ``cacheable``, nothing that carries credentials or sets a cookie. The ETag is
a hash of the bytes sent, so it agrees between workers and hosts, whether or not anything is stored.

Whatever must happen for every request (access control, request ids, metrics, logs, rate limits) stands further out.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from werkzeug.http import parse_accept_header, parse_etags

from app.db import deadline
from app.web.api import CACHEABLE
from app.web.browsers import ALGORITHMS, PATTERN_CHARACTERS
from app.web.environ import only_at_hand
from app.web.media import LONGEST_WISH, accepted_format
from app.web.store import Entry, Headers, Key, Store, Token

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

ROUTE = "contimg.route"
HIT = "contimg.cache_hit"

_MOST_REMEMBERED = 4096


class _Passing(NamedTuple):
    """An answer that goes through as it is."""

    status: str
    headers: Headers
    body: Iterable[bytes]


@dataclass
class _Flight:
    """A computation under way, and what came of it."""

    token: Token
    landed: threading.Event = field(default_factory=threading.Event)
    entry: Entry | None = None


class ResponseCache:
    """WSGI middleware that answers from the store what it may.

    Parameters
    ----------
    app
        The application behind it.
    generation
        Current generation of the databases.
    store
        Where entries are kept.
    standing
        The same where it can be told at once, else ``None``.
    origins
        Origins that get CORS headers; all others get the same answer.
    credentials
        WSGI names of headers that carry credentials.
    before_storing
        Called before anything may be stored, often; false keeps this process from storing.
    """

    def __init__(
        self,
        app: WsgiApp,
        generation: Callable[[], int],
        store: Store,
        *,
        standing: Callable[[], int | None] = lambda: None,
        origins: Iterable[str] = (),
        credentials: Iterable[str] = ("HTTP_AUTHORIZATION",),
        before_storing: Callable[[], bool] = lambda: True,
    ) -> None:
        self._app = app
        self._generation = generation
        self._standing = standing
        self.store = store
        self._origins = {origin.casefold() for origin in origins}
        self._any_origin = any(PATTERN_CHARACTERS & set(origin) for origin in self._origins)
        self._credentials = frozenset(credentials)
        self._before_storing = before_storing
        self._flights: dict[Key, _Flight] = {}
        self._never_stored: OrderedDict[Key, None] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            only_at_hand(environ)
            return self._app(environ, start_response)
        key = self._key(environ)
        if not self.store.capacity_bytes or not self._credentials.isdisjoint(environ):
            only_at_hand(environ)
            return _respond(self._compute(environ), environ, start_response)
        generation = self._standing()
        if generation is None:
            only_at_hand(environ)
            generation = self._generation()
        found = self.store.get(key, generation)
        if isinstance(found, Entry):
            environ[ROUTE], environ[HIT] = found.route, True
            return _respond(found, environ, start_response)
        only_at_hand(environ)
        return _respond(self._computed(key, found, environ), environ, start_response)

    def _key(self, environ: Environ) -> Key:
        # Each form of an answer is stored once, however the wish for it was worded.
        encoding = environ["HTTP_ACCEPT_ENCODING"] = chosen_encoding(environ.get("HTTP_ACCEPT_ENCODING", ""))
        origin = environ.get("HTTP_ORIGIN", "")
        return Key(
            environ.get("SCRIPT_NAME", ""),
            environ.get("PATH_INFO", ""),
            environ.get("QUERY_STRING", ""),
            encoding,
            accepted_format(environ.get("HTTP_ACCEPT", "")),
            origin if self._any_origin or origin.casefold() in self._origins else "",
        )

    def _computed(self, key: Key, token: Token, environ: Environ) -> Entry | _Passing:
        if not self._before_storing():
            return self._compute(environ)
        if key in self._never_stored:
            # No use in waiting for an answer that cannot be shared: files, logs, health, streams of events.
            return self._stored(key, token, self._compute(environ))
        flight, leads = self._board(key, token)
        if leads:
            return self._lead(key, flight, environ)
        flight.landed.wait(deadline.remaining())
        if flight.entry is None:
            # It failed, is not to be shared, or takes longer than this request may.
            return self._stored(key, token, self._compute(environ))
        self.store.count_shared()
        environ[ROUTE], environ[HIT] = flight.entry.route, True
        return flight.entry

    def _board(self, key: Key, token: Token) -> tuple[_Flight, bool]:
        """The computation under way for this very state of the databases, or a new one to lead."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and flight.token == token:
                return flight, False
            flight = self._flights[key] = _Flight(token)
            return flight, True

    def _lead(self, key: Key, flight: _Flight, environ: Environ) -> Entry | _Passing:
        try:
            answer = self._stored(key, flight.token, self._compute(environ))
            if isinstance(answer, Entry):
                flight.entry = answer
            return answer
        finally:
            with self._lock:
                if self._flights.get(key) is flight:
                    del self._flights[key]
            flight.landed.set()

    def _stored(self, key: Key, token: Token, answer: Entry | _Passing) -> Entry | _Passing:
        if isinstance(answer, Entry):
            self.store.put(key, answer, token)
        with self._lock:
            if isinstance(answer, Entry):
                self._never_stored.pop(key, None)
            else:
                self._never_stored[key] = None
                if len(self._never_stored) > _MOST_REMEMBERED:
                    self._never_stored.popitem(last=False)
        return answer

    def _compute(self, environ: Environ) -> Entry | _Passing:
        """Ask the application; a HEAD is asked as GET, so that it gets the very headers of the GET."""
        method, environ["REQUEST_METHOD"] = environ["REQUEST_METHOD"], "GET"
        started: list[Any] = []

        def start(status: str, headers: Headers, exc_info: Any = None) -> None:
            started[:] = status, headers

        # Conditions are judged here, on the finished answer; a file answers its own and its ranges.
        try:
            body = self._app(environ, start)
        finally:
            environ["REQUEST_METHOD"] = method
        status, headers = started
        names = {name.lower() for name, _ in headers}
        if CACHEABLE not in environ or not status.startswith("200") or "set-cookie" in names:
            return _Passing(status, headers, body)
        try:
            # A copy: what orjson returns keeps the buffer of several kilobytes that it was written in.
            data = bytes(memoryview(_timeless(b"".join(body), headers)))
        finally:
            close(body)
        etag = f'"{hashlib.blake2b(data, digest_size=16).hexdigest()}"'
        return Entry.of(status, [*headers, ("ETag", etag)], data, etag, environ.get(ROUTE, ""))


def chosen_encoding(header: str) -> str:
    """The one encoding that an Accept-Encoding header gets, or ``identity``."""
    return _liked_best(header) if header and len(header) <= LONGEST_WISH else "identity"


@lru_cache(maxsize=256)
def _liked_best(header: str) -> str:
    return parse_accept_header(header).best_match([*ALGORITHMS, "identity"]) or "identity"


def _respond(answer: Entry | _Passing, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    head = environ["REQUEST_METHOD"] == "HEAD"
    if isinstance(answer, _Passing):
        start_response(answer.status, answer.headers)
        if head:
            close(answer.body)
            return []
        return answer.body
    # Layers further out add headers of their own to what they are given: a copy, always.
    condition = environ.get("HTTP_IF_NONE_MATCH")
    if condition is not None and (condition == answer.etag or parse_etags(condition).contains_weak(answer.etag[1:-1])):
        start_response("304 NOT MODIFIED", answer.bare_headers.copy())
        return []
    start_response(answer.status, answer.headers.copy())
    return [] if head else [answer.body]


def _timeless(data: bytes, headers: Headers) -> bytes:
    """Zero the time of compression that gzip writes (RFC 1952, section 2.3.1): equal answers, equal bytes."""
    return data[:4] + b"\0\0\0\0" + data[8:] if ("Content-Encoding", "gzip") in headers else data


def close(body: Iterable[bytes]) -> None:
    """Close a body that is not sent to its end, or not at all (PEP 3333)."""
    closes = getattr(body, "close", None)
    if closes is not None:
        closes()
