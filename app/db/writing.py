"""Connections that write: to our own files, and to the pipeline's when an operator says so (ingest, upgrade)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from app.db.errors import translate
from app.db.orphans import is_left_behind
from app.domain.errors import DatabaseUnavailable


def connect(path: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
    """Open an existing database for writing; it is never created here (``mode=rw``)."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=busy_timeout_s, isolation_level=None
    )
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


class WritableDatabase:
    """One database file and the transactions that change it.

    Parameters
    ----------
    path
        An existing SQLite file.
    name
        Logical name used in errors (``products``).
    busy_timeout_s
        How long to wait for another writer [s] before :class:`~app.domain.errors.Busy`.
    notes
        Directory where is noted which logs were left behind; beside one, nothing is written.
    """

    def __init__(self, path: Path, name: str, *, busy_timeout_s: float = 30.0, notes: Path | None = None) -> None:
        self.path = path
        self.name = name
        self._notes = notes
        self._busy_timeout_s = busy_timeout_s

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing: ``BEGIN IMMEDIATE``, then commit, or roll back on any exception.

        The write lock is taken at once, because a transaction that starts as a reader and turns writer later is
        refused without waiting (https://www.sqlite.org/isolation.html).

        Raises
        ------
        Busy
            Another process held the write lock for longer than the busy timeout.
        DatabaseUnavailable
            The file is missing, unreadable or not SQLite, or was put where another's log still lies: SQLite would write
            that into it.
        """
        if self._notes is not None and is_left_behind(self._notes, self.path):
            raise DatabaseUnavailable(self.name, "the log of a file that was replaced lies beside it")
        try:
            with closing(connect(self.path, busy_timeout_s=self._busy_timeout_s)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translate(error, self.name) from error
