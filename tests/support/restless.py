"""Clients that ask without pause and never try twice, and an account of every request: answered, wrong, cut, lost."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

TIMEOUT_S = 30.0
# Whatever becomes of the test, nobody asks for longer than this [s].
LONGEST_S = 600.0

Judge = Callable[[str, bytes], bool]


class Lost(NamedTuple):
    """A request that got no answer, or none in time."""

    client: str
    after_s: float
    error: str


class RestlessClients:
    """Threads that ask a server again and again until told to stop.

    Parameters
    ----------
    port
        Of 127.0.0.1.
    targets
        What they ask for, in turn.
    keeping
        Clients that keep their connection for as long as the server lets them.
    fresh
        Clients that open a connection for each request.
    right
        Whether the body of an answer with status 200 is right, given its target.
    asking_again
        Whether is asked once more, as clients do, where an answer was cut off in the middle, or a kept connection was
        closed before any of it (RFC 9112, section 9.3.1): no proxy can mend the one, and HAProxy leaves the other to
        the client.
    """

    def __init__(
        self,
        port: int,
        targets: tuple[str, ...],
        *,
        keeping: int = 3,
        fresh: int = 3,
        right: Judge = lambda target, body: True,
        asking_again: bool = False,
    ) -> None:
        self.port = port
        self.statuses: Counter[int] = Counter()
        self.wrong: list[tuple[str, bytes]] = []
        self.refused: list[tuple[str, bytes]] = []
        self.lost: list[Lost] = []
        self.cut: list[str] = []
        self._asking_again = asking_again
        self._targets = targets
        self._right = right
        self._stop = threading.Event()
        self._ends_s = time.monotonic() + LONGEST_S
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._keep, args=(f"keeping {n}",)) for n in range(keeping)]
        self._threads += [threading.Thread(target=self._renew, args=(f"fresh {n}",)) for n in range(fresh)]

    @property
    def answered(self) -> int:
        """Requests that got an answer, whatever it was."""
        with self._lock:
            return sum(self.statuses.values())

    def __enter__(self) -> RestlessClients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int, timeout_s: float = 30.0) -> None:
        """Wait until so many more requests were answered."""
        goal, limit = self.answered + more, time.monotonic() + timeout_s
        while self.answered < goal:
            if time.monotonic() > limit:
                raise TimeoutError(f"only {self.answered} of {goal} in {timeout_s} s; lost: {self.lost[:3]}")
            time.sleep(0.005)

    def _next(self) -> Iterator[str]:
        while True:
            for target in self._targets:
                if self._stop.is_set() or time.monotonic() > self._ends_s:
                    return
                yield target

    def _keep(self, name: str) -> None:
        connection = self._connection()
        for target in self._next():
            is_kept = connection.sock is not None
            if self._ask(name, connection, target, is_kept=is_kept):
                connection.close()
        connection.close()

    def _renew(self, name: str) -> None:
        for target in self._next():
            with closing(self._connection()) as connection:
                self._ask(name, connection, target)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)

    def _ask(self, name: str, connection: http.client.HTTPConnection, target: str, *, is_kept: bool = False) -> bool:
        """One request; whether the connection is over. ``is_kept``: there was another on it before."""
        started = time.monotonic()
        answer = None
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            if self._asking_again and (answer is not None or (is_kept and isinstance(error, ConnectionError))):
                self.cut.append(target)
                with closing(self._connection()) as another:
                    self._ask(name, another, target)
                return True
            with self._lock:
                self.lost.append(Lost(name, time.monotonic() - started, repr(error)))
            with contextlib.suppress(OSError):
                connection.close()
            return True
        with self._lock:
            self.statuses[answer.status] += 1
            if answer.status != 200:
                self.refused.append((target, body[:1000]))
            elif not self._right(target, body):
                self.wrong.append((target, body[:200]))
        return answer.will_close
