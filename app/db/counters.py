"""Counts of requests in windows of time, shared by all processes of a machine: ``limits.sqlite3``.

Nothing here is worth keeping: commits are not waited for (``synchronous = OFF``), a damaged file is made anew, and
whoever asks is never kept waiting for long.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from app.db.errors import primary_code, translate
from app.db.per_thread import PerThread
from app.db.writing import connect
from app.domain.errors import DatabaseUnavailable

FILE_NAME = "limits.sqlite3"

_BUSY_TIMEOUT_S = 1.0
_SWEPT_EVERY_S = 60.0
_LATE_S = 5.0
"""How long after a request read the clock its count may be written: others may have begun the window meanwhile."""

CREATE = """CREATE TABLE IF NOT EXISTS counted (
    key TEXT PRIMARY KEY, hits INTEGER NOT NULL, ends_at REAL NOT NULL -- Unix time [s]
) STRICT, WITHOUT ROWID"""
# One statement, so that no other process comes in between. A window that ends much later than a whole one from now
# was begun before the clock was put back: it counts as over.
COUNT = """INSERT INTO counted (key, hits, ends_at) VALUES (:key, max(:amount, 0), :now + :window)
ON CONFLICT (key) DO UPDATE SET
    hits = CASE WHEN ends_at > :now AND ends_at <= :latest THEN max(hits + :amount, 0) ELSE excluded.hits END,
    ends_at = CASE WHEN ends_at > :now AND ends_at <= :latest THEN ends_at ELSE excluded.ends_at END
RETURNING hits"""
READ = "SELECT hits, ends_at FROM counted WHERE key = :key AND ends_at > :now"
FORGET = "DELETE FROM counted WHERE key = :key"
FORGET_ALL = "DELETE FROM counted"
SWEEP = "DELETE FROM counted WHERE ends_at <= :now"


class Count(NamedTuple):
    """How many in the window at hand, and when it ends [Unix s]."""

    hits: int
    ends_at: float


class _Opened(NamedTuple):
    connection: sqlite3.Connection
    process: int
    file: tuple[int, int]


class Counters:
    """Counts, by key.

    Parameters
    ----------
    directory
        Where the file lies; made if missing.
    clock
        Tells Unix time [s].

    Notes
    -----
    Every method raises a :class:`~app.domain.errors.DatabaseError` where the file cannot be had.
    """

    name = "limits"

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = directory / FILE_NAME
        self._clock = clock
        self._open_here: PerThread[_Opened] = PerThread()
        self._swept_at = 0.0

    def add(self, key: str, window_s: float, amount: int = 1) -> int:
        """Count ``amount`` more in a window that is ``window_s`` [s] long if it begins now; how many that makes."""
        now_s = self._clock()
        with self._connection() as connection:
            latest_s = now_s + window_s + _LATE_S
            values = {"key": key, "amount": amount, "now": now_s, "window": window_s, "latest": latest_s}
            hits: int = connection.execute(COUNT, values).fetchall()[0][0]
            if not 0.0 <= now_s - self._swept_at < _SWEPT_EVERY_S:
                self._swept_at = now_s
                connection.execute(SWEEP, {"now": now_s})
        return hits

    def read(self, key: str) -> Count:
        """How many were counted, and until when; none until now where there is no window."""
        now_s = self._clock()
        with self._connection() as connection:
            row = connection.execute(READ, {"key": key, "now": now_s}).fetchone()
        return Count(*row) if row else Count(0, now_s)

    def forget(self, key: str | None = None) -> int:
        """Forget a key, or everything; how many windows that were."""
        with self._connection() as connection:
            sql, values = (FORGET_ALL, {}) if key is None else (FORGET, {"key": key})
            return connection.execute(sql, values).rowcount

    def close(self) -> None:
        """Close this thread's connection; the next use opens another."""
        self._open_here.close()

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._current()
        except sqlite3.Error as error:
            self.close()
            if primary_code(error) in {"SQLITE_NOTADB", "SQLITE_CORRUPT"}:
                self._discard()
            raise translate(error, self.name) from error
        except OSError as error:
            raise DatabaseUnavailable(self.name, "its directory cannot be written to") from error

    def _current(self) -> sqlite3.Connection:
        opened = self._open_here.get()
        if opened is None or opened.file != _identity(self.path):
            self.close()
            opened = self._open_here.keep(self._open())
        return opened.connection

    def _open(self) -> _Opened:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o660))
        connection = connect(self.path, busy_timeout_s=_BUSY_TIMEOUT_S)
        try:
            # Changing the journal's mode needs the file alone; where others are at it, they do it.
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(CREATE)
        except BaseException:
            connection.close()
            raise
        return _Opened(connection, os.getpid(), _identity(self.path))

    def _discard(self) -> None:
        """Remove a damaged file; whoever has it open notices that it is another."""
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(f"{self.path}{ending}")


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino
