"""Where requests for pictures wait until there is a thread for them to be drawn by.

A page of the console asks for a dozen pictures at once. Each takes tenths of a second the first time, and a thread that
draws, or waits for its turn to, is missing elsewhere. So a few threads are given to pictures, and the others wait here,
in the worker's main loop, where they cost a connection and nothing else.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from typing import Any

# Who has waited for so long is let through, to be told by the service how things stand [s].
PATIENCE_S = 10.0
# More do not wait; they are let through as well.
MOST_WAITING = 200
# Routes that draw (a test compares them with the application's).
DRAWN = re.compile(
    rb"(?:GET|POST) [^ ?]*/"
    rb"(?:thumbnail|cutout|animation|soda/sync|(?:preview|lightcurve|candidates|timeline)\.(?:png|svg))[ ?]"
)


class Anteroom:
    """Lets requests for pictures through, so many at a time, in the order in which they came.

    Parameters
    ----------
    places
        Threads that pictures may hold.
    clock
        Tells how time passes [s].
    """

    def __init__(self, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._clock = clock
        self._inside: set[Any] = set()
        self._waiting: deque[tuple[float, Any]] = deque()

    def enter(self, conn: Any, words: bytes | bytearray) -> bool:
        """Whether a request may be given to a thread now; else it waits until it is among those :meth:`due`.

        Parameters
        ----------
        conn
            The connection that it came on.
        words
            The request as it was sent.
        """
        if not DRAWN.match(words):
            return True
        if len(self._inside) >= self._places and len(self._waiting) < MOST_WAITING:
            self._waiting.append((self._clock() + PATIENCE_S, conn))
            return False
        self._inside.add(conn)
        return True

    def leave(self, conn: Any) -> None:
        """Note that a thread has done with a connection."""
        self._inside.discard(conn)

    def due(self) -> list[Any]:
        """Connections that may be given to a thread now: there is a place for them, or their patience is at its end."""
        found = []
        while self._waiting and (len(self._inside) < self._places or self._waiting[0][0] <= self._clock()):
            found.append(self._waiting.popleft()[1])
            self._inside.add(found[-1])
        return found
