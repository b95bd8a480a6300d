"""Statements that took long: written to the log with the plan that SQLite has for them.

What was slow is told once a minute for each statement, with the number of times in between, so that a bad plan under
load does not fill the log. Values are never written, only the statement, which is one of ours.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)

_TOLD_EVERY_S = 60.0
# Lists build statements out of the conditions asked for: many, but not without end.
_MOST_REMEMBERED = 500


class SlowQueries:
    """Tells of slow statements.

    Parameters
    ----------
    at_least_s
        What counts as slow [s], waiting for locks included.
    """

    def __init__(self, at_least_s: float) -> None:
        self.at_least_s = at_least_s
        self._lock = threading.Lock()
        self._told: dict[str, tuple[float, int]] = {}

    def tell(self, connection: sqlite3.Connection | None, sql: str, params: Mapping[str, Any], seconds: float) -> None:
        """Write a statement and its plan down, unless that was done within the last minute."""
        before = self._count(sql)
        if before is None:
            return
        statement = " ".join(sql.split())
        plan = "; ".join(_plan(connection, sql, params)) or "not known"
        again = f" ({before} times more in the minute before)" if before else ""
        log.warning(
            "A statement took %.3f s%s: %s -- plan: %s",
            seconds,
            again,
            statement,
            plan,
            extra={"duration_ms": round(seconds * 1000, 3)},
        )

    def _count(self, sql: str) -> int | None:
        """How often it was slow without being told; ``None`` where it is not to be told now either."""
        now = time.monotonic()
        with self._lock:
            told_at, untold = self._told.get(sql, (-math.inf, 0))
            if now - told_at < _TOLD_EVERY_S:
                self._told[sql] = (told_at, untold + 1)
                return None
            if len(self._told) >= _MOST_REMEMBERED:
                self._told.clear()
            self._told[sql] = (now, 0)
            return untold


def _plan(connection: sqlite3.Connection | None, sql: str, params: Mapping[str, Any]) -> list[str]:
    if connection is None:
        return []
    try:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", params)]
    except sqlite3.Error:
        return []
