"""The breaker: a store that hangs holds one thread of a process at a time, not all of them.

A store that is down refuses connections, and whoever asks knows at once. One that hangs accepts them and says nothing:
each question then costs its thread the whole time that is waited for an answer, until every thread waits and nobody is
left to answer what needs no queue. So after one such question a process fails the following ones at once:

- *closed*: all may ask;
- *open*: a question has just hung, and for :data:`REST_S` nobody may;
- *half-open*: the rest is over, and one may, as a probe. The others wait for what becomes of it no more than before.

What hangs is told by time alone, whatever the error: what counts is what it costs, and between a silent server, a name
that cannot be resolved and a file that is locked there is no difference in that. What fails sooner than
:data:`SLOW_S` opens nothing, so that a server that was started again is used by the very next request.

References
----------
M. T. Nygard, Release It! Design and Deploy Production-Ready Software, 2nd ed. (2018), "Circuit Breaker"
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from app.domain.errors import QueueUnavailable

# Together with the answer that a probe waits for, the 5 s after which clients are told to come back (Retry-After).
REST_S = 2.0
# Every limit of time that a store is given is longer than this [s], every refusal is shorter.
SLOW_S = 1.0


class Breaker:
    """Lets questions to a store through, or not; for one process, and all of its threads.

    Parameters
    ----------
    one_at_a_time
        Whether the store has but one connection, so that all stand in line behind a question that hangs.
    clock
        Tells the time [s]; never goes back.
    """

    def __init__(self, *, one_at_a_time: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # Held for a few instructions, never while a question is asked.
        self._lock = threading.Lock()
        self._open_until: float | None = None
        self._probing = False
        self._line: contextlib.AbstractContextManager[object] = (
            threading.Lock() if one_at_a_time else contextlib.nullcontext()
        )

    @contextlib.contextmanager
    def question(self) -> Iterator[None]:
        """Inside, a question is asked.

        Raises
        ------
        QueueUnavailable
            It may not be asked now.
        """
        is_probe = self._admit()
        try:
            with self._line:
                if not is_probe:
                    self._check_after_the_line()
                yield from self._timed()
        finally:
            if is_probe:
                self._probing = False

    def _timed(self) -> Iterator[None]:
        asked_at = self._clock()
        try:
            yield
        except BaseException:
            self._judge(hung=self._clock() - asked_at >= SLOW_S)
            raise
        self._judge(hung=False)

    def _admit(self) -> bool:
        """Whether who asks is the probe; raises where it may not ask at all."""
        with self._lock:
            if self._open_until is None:
                return False
            if self._probing or self._clock() < self._open_until:
                raise _hangs()
            self._probing = True
            return True

    def _check_after_the_line(self) -> None:
        """Who stood in line behind the question that hung is not to hang in turn."""
        with self._lock:
            if self._open_until is not None:
                raise _hangs()

    def _judge(self, *, hung: bool) -> None:
        with self._lock:
            self._open_until = self._clock() + REST_S if hung else None


def _hangs() -> QueueUnavailable:
    return QueueUnavailable("The work queue's store does not answer; it is asked again in a moment.")
