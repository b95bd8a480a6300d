"""Where finished answers lie: one generation of them per process, bounded in bytes, purged by pattern.

The store never holds answers of two generations of the databases. The first look under a newer one empties it, so
that memory is not spent on what can never be served again, and "a commit ends every answer at once" holds literally.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cachetools import LRUCache

Headers = list[tuple[str, str]]

# What an entry takes beside its body: key, headers, tuples, the dictionary's share (measured).
_OVERHEAD_BYTES = 2300
# Nobody asks twice for an address of thousands of characters, and the key is not part of what is counted.
_LONGEST_KEY = 1000
_BODY_HEADERS = frozenset({"content-length", "content-type", "content-encoding"})
_PREFIX = "/api/v1/"


class Key(NamedTuple):
    """All that an answer may depend on, beside the databases."""

    script_name: str
    path: str
    query: str
    encoding: str
    form: str
    origin: str


class Entry(NamedTuple):
    """A finished answer."""

    status: str
    headers: Headers
    bare_headers: Headers
    body: bytes
    etag: str
    route: str

    @classmethod
    def of(cls, status: str, headers: Headers, body: bytes, etag: str, route: str) -> Entry:
        """An entry; ``bare_headers`` are those of a 304, which describes no body (RFC 9110, section 15.4.5)."""
        bare = [header for header in headers if header[0].lower() not in _BODY_HEADERS]
        return cls(status, headers, bare, body, etag, route)


class Token(NamedTuple):
    """What must still stand when an answer arrives: the databases' generation, and no purge in between."""

    generation: int
    purges: int


class Figures(NamedTuple):
    """What a store did and holds. ``hits`` were served without computing; ``misses`` could have been, next time."""

    hits: int
    misses: int
    size_bytes: int
    keys: int


class Store:
    """Entries of one process, least recently used out first; safe for threads.

    Parameters
    ----------
    capacity_bytes
        Most bytes kept; 0 keeps nothing.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self._lock = threading.Lock()
        self._entries: LRUCache[Key, Entry] = LRUCache(capacity_bytes, getsizeof=_size)
        self._generation = -1
        self._purges = 0
        self._hits = 0
        self._misses = 0

    def get(self, key: Key, generation: int) -> Entry | Token:
        """The entry of that generation or, where there is none, the token under which to store one."""
        with self._lock:
            if generation > self._generation:
                self._drop_all()
                self._generation = generation
            # A thread may have read its generation before another read a newer one: nothing here is for it.
            entry = self._entries.get(key) if generation == self._generation else None
            if entry is None:
                return Token(generation, self._purges)
            self._hits += 1
            return entry

    def put(self, key: Key, entry: Entry, token: Token) -> None:
        """Keep an entry, unless it is outdated, purged meanwhile, or would alone fill an eighth of the store."""
        fits = _size(entry) * 8 <= self.capacity_bytes and sum(map(len, key)) <= _LONGEST_KEY
        with self._lock:
            self._misses += 1
            if fits and token == (self._generation, self._purges):
                self._entries[key] = entry

    def count_shared(self) -> None:
        """Count an answer served from another request's computation."""
        with self._lock:
            self._hits += 1

    def purge(self, pattern: str | None = None) -> int:
        """Remove the entries a pattern names (``None``: all); their number. Answers under way are not stored either."""
        matches = compile_glob(pattern) if pattern is not None else None
        with self._lock:
            self._purges += 1
            if matches is None:
                return self._drop_all()
            doomed = [key for key in self._entries if any(map(matches, names(key)))]
            for key in doomed:
                del self._entries[key]
            return len(doomed)

    def figures(self) -> Figures:
        """What it did and holds."""
        with self._lock:
            return Figures(self._hits, self._misses, int(self._entries.currsize), len(self._entries))

    def _drop_all(self) -> int:
        dropped = len(self._entries)
        self._entries.clear()
        return dropped


def _size(entry: Entry) -> int:
    return len(entry.body) + _OVERHEAD_BYTES


def names(key: Key) -> Iterator[str]:
    """Names by which a purge may call an entry.

    The path below ``/api/v1`` with ``:`` for ``/``, and the query: ``sources:S1:lightcurve?start_date=2025-11-01``.
    Besides, where the earlier service's Redis keys had a prefix of their own, one that begins as they did:
    ``images:list``, ``images:detail:7``, ``sources:list``, ``sources:detail:S1``, ``cal:tables:…``, ``cal:matches:…``,
    ``ms:metadata:…``, ``jobs:list``. (``stats`` is called ``stats`` in both.)
    """
    path = key.path.removeprefix(_PREFIX)
    query = f"?{key.query}" if key.query else ""
    yield path.replace("/", ":") + query
    former = _former_name(path)
    if former is not None:
        yield former + query


def _former_name(path: str) -> str | None:
    resource, _, rest = path.partition("/")
    argument = rest.replace("/", ":")
    if resource in {"images", "sources"} and "/" not in rest:
        return f"{resource}:detail:{argument}" if rest else f"{resource}:list"
    if resource == "jobs" and not rest:
        return "jobs:list"
    if resource == "cal":
        return f"cal:tables:{argument}"
    if resource == "ms":
        for ending, prefix in (("/metadata", "ms:metadata"), ("/calibrator-matches", "cal:matches")):
            if rest.endswith(ending):
                return f"{prefix}:{argument.removesuffix(ending.replace('/', ':'))}"
    return None


def compile_glob(pattern: str) -> Callable[[str], object]:
    r"""A predicate for Redis's glob patterns.

    Parameters
    ----------
    pattern
        ``*`` any text, ``?`` any character, ``[abc]``, ``[^abc]`` and ``[a-c]`` one of several, ``\`` takes the
        next character literally.

    Notes
    -----
    What lies between two stars matches where it is first found and is never tried elsewhere (atomic groups), which
    decides the same and keeps the time linear in the text for each star, however hostile the pattern.
    """
    first, *rest = _pieces(pattern)
    if not rest:
        return re.compile(first, re.DOTALL).fullmatch
    *middle, last = rest
    expression = first + "".join(f"(?>.*?{piece})" for piece in middle) + f".*{last}"
    return re.compile(expression, re.DOTALL).fullmatch


def _pieces(pattern: str) -> list[str]:
    """Regular expressions of what stands before, between and behind the stars."""
    pieces = [""]
    rest = pattern
    while rest:
        head, rest = rest[0], rest[1:]
        if head == "*":
            pieces.append("")
        elif head == "?":
            pieces[-1] += "."
        elif head == "[" and "]" in rest:
            inside, _, rest = rest.partition("]")
            pieces[-1] += _one_of(inside)
        else:
            if head == "\\" and rest:
                head, rest = rest[0], rest[1:]
            pieces[-1] += re.escape(head)
    return pieces


def _one_of(inside: str) -> str:
    negated = inside.startswith("^")
    inside = inside.removeprefix("^")
    ranges = []
    while inside:
        if inside[1:2] == "-" and len(inside) > 2:
            low, high = sorted((inside[0], inside[2]))
            inside = inside[3:]
        else:
            low = high = inside[0]
            inside = inside[1:]
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    if not ranges:
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{''.join(ranges)}]"
