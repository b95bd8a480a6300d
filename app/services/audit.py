"""What the service does with its audit log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from app.domain.audit import Act, Entry
from app.domain.errors import DatabaseError
from app.repositories.audit import AuditRepository

log = logging.getLogger(__name__)

_DAY_S = 86_400.0


class AuditService:
    """Keeps writes for a number of days.

    Parameters
    ----------
    entries
        Where they are kept.
    retention_days
        How long [d].
    clock
        Tells Unix time [s].
    """

    def __init__(self, entries: AuditRepository, retention_days: float, clock: Callable[[], float] = time.time) -> None:
        self._entries = entries
        self._retention_s = retention_days * _DAY_S
        self._clock = clock

    def record(self, act: Act) -> bool:
        """Keep a write; whether that was possible. Where not, the service's own log tells all of it."""
        try:
            self._entries.insert(act, forget_before=self._clock() - self._retention_s)
        except DatabaseError as error:
            log.error("A write is missing in the audit log (%s): %s", error, act._asdict())
            return False
        return True

    def since(self, at: float, *, limit: int) -> list[Entry]:
        """The newest writes since a Unix time [s], no more than a number, in their order."""
        return self._entries.since(at, limit=limit)
