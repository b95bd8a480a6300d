"""SQLite's errors, translated once into the domain's."""

from __future__ import annotations

import sqlite3

from app.domain.errors import Busy, DatabaseError, DatabaseUnavailable, QueryFailed, QueryTimeout

_BUSY = {"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"}
_AWAY = {
    "SQLITE_CANTOPEN": "the file cannot be opened",
    "SQLITE_NOTADB": "the file is not an SQLite database",
    "SQLITE_CORRUPT": "the file is damaged",
    "SQLITE_IOERR": "the disk returned an error",
    "SQLITE_PERM": "permission denied",
    "SQLITE_AUTH": "permission denied",
    "SQLITE_READONLY": "the file or its directory is read-only",
    "SQLITE_READONLY_ROLLBACK": "a writer ended in the middle of a write, which the next writer has to take back",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_SCHEMA": "its schema keeps changing",
}


def primary_code(error: sqlite3.Error) -> str:
    """Name of the primary result code, ``SQLITE_BUSY`` for ``SQLITE_BUSY_SNAPSHOT`` and its like."""
    name: str = getattr(error, "sqlite_errorname", None) or "SQLITE_ERROR"
    return "_".join(name.split("_")[:2])


def is_missing_object(error: sqlite3.Error) -> bool:
    """Whether a statement named a table, view or column that the file does not have."""
    return primary_code(error) == "SQLITE_ERROR" and str(error).startswith(("no such table", "no such column"))


def translate(error: sqlite3.Error, database: str) -> DatabaseError:
    """The domain's error for one of SQLite's.

    Parameters
    ----------
    error
        As raised by :mod:`sqlite3`; its extended result code decides, not its text.
    database
        Logical name for the message (``products``); a path is never shown.

    References
    ----------
    https://www.sqlite.org/rescode.html
    """
    code = primary_code(error)
    if code in _BUSY:
        return Busy(f"The {database} database is locked by another process", database=database)
    if code == "SQLITE_INTERRUPT":
        return QueryTimeout("The query took longer than the request may take")
    if code in _AWAY:
        return DatabaseUnavailable(database, _AWAY.get(error.sqlite_errorname, _AWAY[code]))
    if is_missing_object(error):
        return DatabaseUnavailable(database, "it lacks a table or column that the pipeline always makes")
    return QueryFailed(f"A query on the {database} database failed", database=database)
