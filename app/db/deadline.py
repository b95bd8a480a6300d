"""The time by which the request at hand must be answered; SQLite looks at it while it works.

A deadline belongs to a thread, as a request does. The edge starts it; every connection's progress handler reads it;
nobody has to stop it, because the next request on the thread starts its own. gunicorn's own timeout is a heartbeat of
the worker and does not stop a request.
"""

from __future__ import annotations

import threading
import time

# SQLite's virtual machine calls the handler after so many instructions: some 50 microseconds of work.
INSTRUCTIONS_BETWEEN_LOOKS = 10_000


class _Deadline(threading.local):
    at: float | None = None
    span_s: float | None = None


_deadline = _Deadline()


def start(seconds: float | None) -> None:
    """Give this thread ``seconds`` from now; ``None`` for as long as it takes."""
    _deadline.span_s = seconds
    renew()


def renew() -> None:
    """Give this thread once more what it was given: a long stream begins anew with each part that it sends."""
    span_s = _deadline.span_s
    _deadline.at = None if span_s is None else time.monotonic() + span_s


def remaining() -> float | None:
    """Seconds left to this thread (negative once passed); ``None`` without a deadline."""
    return None if _deadline.at is None else _deadline.at - time.monotonic()


def passed() -> bool:
    """Whether this thread's deadline has passed."""
    return _deadline.at is not None and time.monotonic() > _deadline.at
