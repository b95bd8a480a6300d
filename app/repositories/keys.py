"""Keys, in this service's own database."""

from __future__ import annotations

from pathlib import Path

from app.db import probe
from app.db.state import FILE_NAME, StateDatabase
from app.domain.errors import NotFound
from app.domain.keys import Key

COLUMNS = ", ".join(Key._fields)
INSERT = """INSERT INTO api_key (name, prefix, digest, scope, created_at, expires_at)
VALUES (:name, :prefix, :digest, :scope, :created_at, :expires_at)"""
UNREVOKED = f"SELECT {COLUMNS} FROM api_key WHERE prefix = :prefix AND revoked_at IS NULL"
ALL = f"SELECT {COLUMNS} FROM api_key ORDER BY id"
NAMED = f"SELECT {COLUMNS} FROM api_key WHERE CAST(id AS TEXT) = :named OR prefix = :named ORDER BY id"
REVOKE = "UPDATE api_key SET revoked_at = :at WHERE id = :id AND revoked_at IS NULL"
USED = "UPDATE api_key SET last_used_at = :at WHERE id = :id AND (last_used_at IS NULL OR last_used_at < :before)"


WRITERS = """SELECT count(*) FROM api_key
WHERE scope IN ('write', 'admin') AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > unixepoch())"""


def count_writers(directory: Path, *, timeout_s: float) -> int:
    """Keys that may write now, of the database in a directory, in which nothing is changed.

    Raises
    ------
    FileNotFoundError
        There is no database.
    DatabaseUnavailable, Busy, QueryFailed
        There is one, and it does not answer, or knows no keys.
    """
    return probe.number(directory / FILE_NAME, StateDatabase.name, WRITERS, timeout_s=timeout_s)


class KeyRepository:
    """Keys by their beginning, under which they are looked up, and by number."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def insert(self, key: Key) -> Key:
        """Keep a key; it gets its number here."""
        with self._database.transaction() as connection:
            number = connection.execute(INSERT, key._asdict()).lastrowid
        assert number is not None
        return key._replace(id=number)

    def beginning_with(self, prefix: str) -> list[Key]:
        """Keys with that beginning that were not revoked: one, but for a great coincidence."""
        return [Key(*row) for row in self._database.rows(UNREVOKED, {"prefix": prefix})]

    def all(self) -> list[Key]:
        """Every key there ever was, oldest first."""
        return [Key(*row) for row in self._database.rows(ALL, {})]

    def get(self, named: str) -> Key:
        """The key of that number or beginning; raises NotFound where there is none, or more than one."""
        found = self._database.rows(NAMED, {"named": named})
        if len(found) != 1:
            raise NotFound("Key", named)
        return Key(*found[0])

    def revoke(self, number: int, at: float) -> None:
        """Let a key open nothing from now on; one that was revoked before stays as it is."""
        with self._database.transaction() as connection:
            connection.execute(REVOKE, {"id": number, "at": at})

    def note_use(self, number: int, at: float, *, at_least_s: float) -> None:
        """Note that a key was used, unless that was noted less than a time ago [s]."""
        with self._database.transaction() as connection:
            connection.execute(USED, {"id": number, "at": at, "before": at - at_least_s})
