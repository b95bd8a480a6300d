"""A bounded number of threads at work, fewer waiting, the rest turned away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.db import deadline
from app.domain.errors import Overloaded


class Turnstile:
    """Lets a bounded number of threads in.

    Drawing is bound by Python's lock, so more at a time would be no faster; and every thread that draws or waits is
    missing elsewhere, so that a page full of previews must not take them all.

    Parameters
    ----------
    places
        Threads inside at a time; half as many again, at least one, may wait.
    patience_s
        How long one waits [s].
    """

    def __init__(self, places: int, patience_s: float = 5.0) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._queue = threading.BoundedSemaphore(places + max(1, places // 2))
        self._patience_s = patience_s

    @contextmanager
    def passage(self) -> Iterator[None]:
        """A place for the length of the block; raises Overloaded where none becomes free in time."""
        if not self._queue.acquire(blocking=False):
            raise Overloaded("As many pictures as may be are in the making; try again soon")
        try:
            left_s = deadline.remaining()
            patience_s = self._patience_s if left_s is None else min(self._patience_s, max(0.0, left_s))
            if not self._places.acquire(timeout=patience_s):
                raise Overloaded("As many pictures as may be are in the making; try again soon")
            try:
                yield
            finally:
                self._places.release()
        finally:
            self._queue.release()
