"""This service's own database, ``api.sqlite3``: what it must remember and the pipeline's files have no place for.

Made and brought up to date by whoever opens it first, under SQLite's own write lock, from the scripts in
``migrations/state``. One connection per thread, opened by the first use and never shared with a fork. Every commit is
on the disk before it is confirmed (``synchronous = FULL``).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from app.db import deadline, own_time
from app.db.errors import primary_code, translate
from app.db.per_thread import PerThread
from app.db.pipeline import Params, Row
from app.db.slow import SlowQueries
from app.db.swaps import Identity
from app.db.wal_index import WHY_ADRIFT, WalIndexes
from app.db.writing import connect
from app.domain.errors import DatabaseUnavailable

FILE_NAME = "api.sqlite3"
_BETWEEN_ATTEMPTS_S = 0.01

# Stands for what is done to open the file, where a lock may have to be waited for too.
_OPENING = f"-- opening {FILE_NAME}"
_NO_PARAMS: Params = {}
_Counted = contextlib.AbstractContextManager[None]


class _Opened(NamedTuple):
    connection: sqlite3.Connection
    process: int
    file: tuple[int, int] | None


class Transaction:
    """A transaction under way; its statements are counted like all others."""

    def __init__(self, connection: sqlite3.Connection, counted: Callable[[str, Params], _Counted]) -> None:
        self._connection = connection
        self._counted = counted
        self.rollback = connection.rollback

    def execute(self, sql: str, params: Params = _NO_PARAMS) -> sqlite3.Cursor:
        """Run a statement."""
        with self._counted(sql, params):
            return self._connection.execute(sql, params)


class StateDatabase:
    """Reads and writes the service's own database.

    Parameters
    ----------
    directory
        Where it lies; made if missing.
    busy_timeout_s
        How long to wait for another writer [s] before :class:`~app.domain.errors.Busy`.
    slow_query_s
        What is told as slow in the log [s].

    Notes
    -----
    Every method raises Busy, :class:`~app.domain.errors.DatabaseUnavailable` where the file can be neither opened nor
    made, and :class:`~app.domain.errors.QueryTimeout` past the request's deadline.
    """

    name = "api"

    def __init__(self, directory: Path, *, busy_timeout_s: float = 30.0, slow_query_s: float = float("inf")) -> None:
        self.path = directory / FILE_NAME
        self._busy_timeout_s = busy_timeout_s
        self._slow = SlowQueries(slow_query_s)
        self._open_here: PerThread[_Opened] = PerThread()
        self._opening = threading.Lock()
        self._wal_indexes = WalIndexes()
        # Whether this process goes on with deleted files; only another process can help.
        self.is_adrift = False

    def rows(self, sql: str, params: Params) -> list[Row]:
        """Every row of a statement."""
        with self._connection() as connection, self._counted(sql, params):
            rows: list[Row] = connection.execute(sql, params).fetchall()
        return rows

    def find(self, sql: str, params: Params) -> Row | None:
        """The first row of a statement, or ``None``."""
        with self._connection() as connection, self._counted(sql, params):
            found: Row | None = connection.execute(sql, params).fetchone()
        return found

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All or nothing: ``BEGIN IMMEDIATE``, then commit, or roll back on any exception."""
        with self._connection() as connection:
            transaction = Transaction(connection, self._counted)
            with _transaction(transaction):
                yield transaction

    def close(self) -> None:
        """Close this thread's connection; the next use opens another."""
        self._open_here.close()

    @contextlib.contextmanager
    def _counted(self, sql: str, params: Params) -> Iterator[None]:
        """Count a statement and the time that it takes, and tell of a slow one."""
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            slow = seconds >= self._slow.at_least_s
            own_time.add(seconds, slow=slow)
            if slow:
                opened = self._open_here.get()
                self._slow.tell(opened and opened.connection, sql, params, seconds)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._current()
        except sqlite3.Error as error:
            raise translate(error, self.name) from error

    def _current(self) -> sqlite3.Connection:
        opened = self._open_here.get()
        # A file that was removed or restored under us is not written to: what it is told would be lost.
        if opened is None or opened.file != _identity(self.path):
            self.close()
            with self._counted(_OPENING, _NO_PARAMS), self._opening:
                opened = self._open_here.keep(self._open())
        # Nor is one whose log is deleted: SQLite shares that between all connections of a process, new ones too.
        if opened.file is not None and self._wal_indexes.is_any_lost([Identity(*opened.file)]):
            self.is_adrift = True
            raise DatabaseUnavailable(self.name, WHY_ADRIFT)
        return opened.connection

    def _open(self) -> _Opened:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _make(self.path)
        except OSError as error:
            raise DatabaseUnavailable(self.name, "its directory cannot be written to") from error
        connection = connect(self.path, busy_timeout_s=self._busy_timeout_s)
        try:
            _write_ahead(connection, self._busy_timeout_s)
            connection.execute("PRAGMA synchronous = FULL")
            _bring_up_to_date(connection, self.name)
            connection.set_progress_handler(deadline.passed, deadline.INSTRUCTIONS_BETWEEN_LOOKS)
        except BaseException:
            connection.close()
            raise
        file = _identity(self.path)
        self._wal_indexes.find(self.path, None if file is None else Identity(*file))
        return _Opened(connection, os.getpid(), file)


def bring_up_to_date(path: Path) -> None:
    """Carry out, on a copy that nobody else has open, the steps that are not behind it yet.

    Raises
    ------
    DatabaseUnavailable
        It is no database of this service, or that of a newer version.
    """
    try:
        with contextlib.closing(connect(path, busy_timeout_s=0)) as connection:
            # All in the one file: whoever copies that looks at no log.
            connection.execute("PRAGMA journal_mode = DELETE")
            _bring_up_to_date(connection, StateDatabase.name)
    except sqlite3.Error as error:
        raise translate(error, StateDatabase.name) from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _make(path: Path) -> None:
    """Make an empty file unless there is one: not for everybody to read, whatever the umask says.

    Nobody in this process has the new file open yet, so closing it drops no lock of SQLite's.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o660))


def _write_ahead(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Turn the write-ahead log on. Processes that do so together refuse each other at once instead of waiting."""
    until = time.monotonic() + timeout_s
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if primary_code(error) != "SQLITE_BUSY" or time.monotonic() > until:
                raise
            time.sleep(_BETWEEN_ATTEMPTS_S)


def _bring_up_to_date(connection: sqlite3.Connection, name: str) -> None:
    """Carry out the steps that a file has not behind it yet, all in one transaction."""
    scripts = steps()
    if _version(connection) == len(scripts):
        return
    with _transaction(connection):
        version = _version(connection)
        if version > len(scripts):
            raise DatabaseUnavailable(name, "a newer version of this service has been at work on it")
        for number, script in enumerate(scripts[version:], start=version + 1):
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection | Transaction) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


@cache
def steps() -> tuple[str, ...]:
    """The scripts of the steps, in their order."""
    scripts = [entry for entry in (files("migrations") / "state").iterdir() if entry.name.endswith(".sql")]
    return tuple(entry.read_text("utf-8") for entry in sorted(scripts, key=lambda entry: entry.name))


def _statements(script: str) -> Iterator[str]:
    # executescript() would commit the transaction that this happens in.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
