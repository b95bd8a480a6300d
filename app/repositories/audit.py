"""The audit log, in this service's own database."""

from __future__ import annotations

from app.db.state import StateDatabase
from app.domain.audit import Act, Entry

INSERT = f"""INSERT INTO audit ({", ".join(Act._fields)})
VALUES ({", ".join(f":{name}" for name in Act._fields)})"""
# A few at a time: whoever comes after a long pause does not pay for all of it.
FORGET = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < :before ORDER BY at LIMIT 500)"
SINCE = f"""SELECT id, {", ".join(Act._fields)} FROM audit
WHERE at >= :since ORDER BY id DESC LIMIT :limit"""


class AuditRepository:
    """Writes in the order in which they ended."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def insert(self, act: Act, *, forget_before: float) -> None:
        """Keep a write, and forget old ones, before a Unix time [s]."""
        with self._database.transaction() as connection:
            connection.execute(INSERT, act._asdict())
            connection.execute(FORGET, {"before": forget_before})

    def since(self, at: float, *, limit: int) -> list[Entry]:
        """The newest writes since a Unix time [s], no more than a number, oldest of them first."""
        rows = self._database.rows(SINCE, {"since": at, "limit": limit})
        return [Entry(row[0], Act(*row[1:])) for row in reversed(rows)]
