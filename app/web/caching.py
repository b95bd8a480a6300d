"""The response cache: answers kept for exactly as long as the databases stand still.

It stands in front of Flask, so that a hit costs no routing, no context and no serialization. An answer is stored under
the generation of the databases (:mod:`app.db.changes`) read *before* it was computed, and served only while that is
still the current one; so a stale answer cannot be served, and a commit anywhere ends every answer at once. Each worker
has a cache of its own, bounded in bytes; several requests for the same answer wait for one computation.

Stored are 200s of GET from views marked ``cacheable``, nothing that carries credentials or sets a cookie. The ETag is
a hash of the bytes sent, so it agrees between workers and hosts, whether or not anything is stored.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from cachetools import LRUCache
from werkzeug.http import parse_accept_header, parse_etags

from app.web.api import CACHEABLE
from app.web.browsers import ALGORITHMS

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]
Key = tuple[str, str, str, str, str]

ROUTE = "contimg.route"
HIT = "contimg.cache_hit"

# What an entry takes beside its body: headers, key, bookkeeping.
_OVERHEAD_BYTES = 1500
_BODY_HEADERS = {"content-length", "content-type", "content-encoding"}


class Entry(NamedTuple):
    """A finished answer."""

    generation: int
    status: str
    headers: list[tuple[str, str]]
    body: bytes
    etag: str
    route: str

    @property
    def size(self) -> int:
        """Bytes it takes, roughly."""
        return len(self.body) + _OVERHEAD_BYTES


@dataclass
class _Flight:
    """A computation under way, and what came of it."""

    generation: int
    landed: threading.Event = field(default_factory=threading.Event)
    entry: Entry | None = None


class Store:
    """Entries of one process, least recently used out first; safe for threads.

    Parameters
    ----------
    capacity_bytes
        Most bytes kept; 0 keeps nothing.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self._entries: LRUCache[Key, Entry] = LRUCache(max(capacity_bytes, 1), getsizeof=lambda entry: entry.size)
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    def get(self, key: Key, generation: int) -> Entry | None:
        """The entry of that generation, if there is one."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and entry.generation == generation:
                self.hits += 1
                return entry
            self.misses += 1
            return None

    def put(self, key: Key, entry: Entry) -> None:
        """Keep an entry, unless it alone would fill an eighth of the cache."""
        if entry.size * 8 > self.capacity_bytes:
            return
        with self._lock:
            self._entries[key] = entry


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
    origins
        Origins that get CORS headers; all others get the same answer.
    credentials
        WSGI names of headers that carry credentials.
    """

    def __init__(
        self,
        app: WsgiApp,
        generation: Callable[[], int],
        store: Store,
        *,
        origins: Iterable[str] = (),
        credentials: Iterable[str] = ("HTTP_AUTHORIZATION",),
    ) -> None:
        self._app = app
        self._generation = generation
        self.store = store
        self._origins = {origin.casefold() for origin in origins}
        self._credentials = tuple(credentials)
        self._flights: dict[Key, _Flight] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return self._app(environ, start_response)
        key = self._key(environ)
        if self.store.capacity_bytes == 0 or any(name in environ for name in self._credentials):
            answer = self._compute(environ, generation=0)
            return _respond(answer, environ, start_response)
        generation = self._generation()
        entry = self.store.get(key, generation)
        if entry is not None:
            environ[ROUTE], environ[HIT] = entry.route, True
            return _respond(entry, environ, start_response)
        return _respond(self._once(key, generation, environ), environ, start_response)

    def _key(self, environ: Environ) -> Key:
        encoding = environ["HTTP_ACCEPT_ENCODING"] = chosen_encoding(environ.get("HTTP_ACCEPT_ENCODING", ""))
        origin = environ.get("HTTP_ORIGIN", "")
        return (
            environ.get("SCRIPT_NAME", ""),
            environ.get("PATH_INFO", ""),
            environ.get("QUERY_STRING", ""),
            encoding,
            origin if origin.casefold() in self._origins else "",
        )

    def _once(self, key: Key, generation: int, environ: Environ) -> Entry | _Passing:
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None or flight.generation != generation
            if leads:
                flight = self._flights[key] = _Flight(generation)
        assert flight is not None
        if not leads:
            flight.landed.wait()
            return flight.entry or self._compute(environ, generation)
        try:
            answer = self._compute(environ, generation)
            if isinstance(answer, Entry):
                flight.entry = answer
                self.store.put(key, answer)
            return answer
        finally:
            with self._lock:
                if self._flights.get(key) is flight:
                    del self._flights[key]
            flight.landed.set()

    def _compute(self, environ: Environ, generation: int) -> Entry | _Passing:
        """Ask the application; a HEAD is asked as GET, so that it gets the very headers of the GET."""
        method, environ["REQUEST_METHOD"] = environ["REQUEST_METHOD"], "GET"
        # Conditions are judged here, on the finished answer; a file answers its own and its ranges.
        started: list[Any] = []
        try:
            body = self._app(environ, lambda status, headers, exc_info=None: started.extend((status, headers)))
        finally:
            environ["REQUEST_METHOD"] = method
        status, headers = started
        names = {name.lower() for name, _ in headers}
        if CACHEABLE not in environ or not status.startswith("200") or "set-cookie" in names:
            return _Passing(status, headers, body)
        try:
            data = b"".join(body)
        finally:
            _close(body)
        etag = f'"{hashlib.blake2b(data, digest_size=16).hexdigest()}"'
        return Entry(generation, status, [*headers, ("ETag", etag)], data, etag, environ.get(ROUTE, ""))


class _Passing(NamedTuple):
    """An answer that goes through as it is."""

    status: str
    headers: list[tuple[str, str]]
    body: Iterable[bytes]


@lru_cache(maxsize=256)
def chosen_encoding(header: str) -> str:
    """The one encoding that an Accept-Encoding header gets, or ``identity``."""
    return parse_accept_header(header).best_match([*ALGORITHMS, "identity"]) or "identity" if header else "identity"


def _respond(answer: Entry | _Passing, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    head = environ["REQUEST_METHOD"] == "HEAD"
    if isinstance(answer, _Passing):
        start_response(answer.status, answer.headers)
        if head:
            _close(answer.body)
            return []
        return answer.body
    condition = environ.get("HTTP_IF_NONE_MATCH")
    if condition is not None and (condition == answer.etag or parse_etags(condition).contains_weak(answer.etag[1:-1])):
        kept = [(name, value) for name, value in answer.headers if name.lower() not in _BODY_HEADERS]
        start_response("304 NOT MODIFIED", kept)
        return []
    start_response(answer.status, list(answer.headers))
    return [] if head else [answer.body]


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
