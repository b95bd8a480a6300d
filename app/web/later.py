"""Work that an answer need not wait for, done a moment later for many requests together.

A line written or a counter advanced costs a request little by itself; what costs is that each gives other threads the
interpreter in between. Fifty times a second, for all requests since, it costs next to nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

WITHIN_S = 0.02
# So many may wait; then whoever comes does the work, so that a slow disk slows the requests and not the memory.
_MOST = 2_000


class Later(Generic[T]):
    """Collects items and hands them on within :data:`WITHIN_S`; safe for threads.

    Parameters
    ----------
    work
        Takes the items in the order in which they came.

    Notes
    -----
    The thread that does it lives for one batch. The interpreter waits for it at exit, so nothing is lost but by a kill.
    """

    def __init__(self, work: Callable[[list[T]], None]) -> None:
        self._work = work
        self._items: deque[T] = deque()
        self._working = threading.Lock()
        self._calling = threading.Lock()
        self._due = False

    def add(self, item: T) -> None:
        """Leave an item."""
        self._items.append(item)
        if not self._due:
            self._call_for()
        elif len(self._items) >= _MOST:
            self.flush()

    def flush(self) -> None:
        """Do what is there now."""
        with self._working:
            # Cleared first: an item that comes too late for this batch calls for another; but not while one waits here.
            self._due = False
            items = [self._items.popleft() for _ in range(len(self._items))]
            if items:
                self._work(items)

    @property
    def is_full(self) -> bool:
        """Whether whoever adds an item does the work, and may wait."""
        return len(self._items) >= _MOST

    def _call_for(self) -> None:
        with self._calling:
            if self._due:
                return
            self._due = True
        threading.Timer(WITHIN_S, self.flush).start()
