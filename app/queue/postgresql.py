"""Connections to PostgreSQL that wait for an answer only so long.

The library waits for ever. ``tcp_user_timeout`` helps where the machine is gone, since then nothing is acknowledged;
of a server that is stopped or stuck the kernel still acknowledges everything.
"""

from __future__ import annotations

import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

T = TypeVar("T")


class Connection(psycopg.Connection[Any]):
    """A connection that is closed when the server has been silent for ``answer_timeout_s`` [s]."""

    answer_timeout_s: float

    def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """Wait for what the server says; raises TimeoutError."""
        try:
            return super().wait(_answered(gen, self.answer_timeout_s), *args, **kwargs)
        except TimeoutError:
            # The answer may still come, and would be taken for that to the next question.
            self.close()
            raise


def connect(url: str, *, connect_timeout_s: int, answer_timeout_s: float) -> Connection:
    """A connection to a server.

    Parameters
    ----------
    url
        ``postgresql://…``.
    connect_timeout_s
        Time for connecting and signing in [s].
    answer_timeout_s
        How long the server may be silent afterwards [s].
    """
    unacknowledged_ms = int(answer_timeout_s * 1000)
    connection = Connection.connect(url, connect_timeout=connect_timeout_s, tcp_user_timeout=unacknowledged_ms)
    connection.answer_timeout_s = answer_timeout_s
    return connection


def _answered(conversation: PQGen[T], silence_s: float) -> PQGen[T]:
    """The same conversation with the server, given up where that says nothing for ``silence_s`` [s]."""
    give_up_at = time.monotonic() + silence_s
    try:
        awaited = next(conversation)
        while True:
            ready = yield awaited
            now = time.monotonic()
            if ready:
                give_up_at = now + silence_s
            elif now >= give_up_at:
                raise TimeoutError("no answer in time")
            awaited = conversation.send(ready)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
