"""What statements on the service's own database took in the request at hand.

It belongs to a thread, as a request does and its deadline: whoever answers forgets it at the beginning and reads it at
the end, whichever objects had the file open in between.
"""

from __future__ import annotations

import threading

from app.db.pipeline import Spent

_NOTHING = Spent(0, 0.0)


class _Own(threading.local):
    spent = _NOTHING


_own = _Own()


def forget() -> None:
    """Start counting anew, for another request."""
    _own.spent = _NOTHING


def add(seconds: float, *, slow: bool) -> None:
    """Count a statement that took so long, waiting for locks included [s]."""
    spent = _own.spent
    _own.spent = Spent(spent.statements + 1, spent.seconds + seconds, spent.slow + slow)


def added_to(others: Spent) -> Spent:
    """What this thread's statements took so far, and what others did."""
    own = _own.spent
    if own is _NOTHING:
        return others
    return Spent(own.statements + others.statements, own.seconds + others.seconds, own.slow + others.slow)
