"""The pipeline's databases, read-only: one connection per thread, canonical views on it, files watched for swaps.

A connection opens on a thread's first query, never before a fork, and stays. Before each query cheap looks are taken,
some five microseconds: the same file at the path? the same schema in it, should anything have been committed? If not,
the connection is replaced, so that a restored or replicated file and an upgraded schema are seen at once.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from app.db import deadline
from app.db.errors import is_missing_object, translate
from app.db.files import MISSING, NAME, Identities, PipelineFiles, State
from app.db.per_thread import PerThread
from app.db.slow import SlowQueries
from app.db.views import lay_views
from app.domain.errors import DatabaseUnavailable

Row = tuple[Any, ...]
Params = Mapping[str, Any]

_NO_PARAMS: Params = {}
# How often something is read while its file changes between the look and the query.
_ATTEMPTS = 3


class Spent(NamedTuple):
    """Statements run, the time they took [s], and how many of them were slow."""

    statements: int
    seconds: float
    slow: int = 0


_NOTHING = Spent(0, 0.0)

# Pages that each thread keeps of each file; the system keeps them all, once for everybody.
_CACHE_KIB = 1024


class _Opened(NamedTuple):
    connection: sqlite3.Connection
    process: int
    identities: Identities
    schema_versions: tuple[int, ...]
    state: State | None


class PipelineDatabase:
    """Runs read-only statements on the pipeline's files.

    Parameters
    ----------
    files
        Paths of the databases.
    busy_timeout_s
        How long a statement waits for a lock [s].
    slow_query_s
        What is told as slow in the log [s].
    """

    name = NAME

    def __init__(
        self, files: PipelineFiles, *, busy_timeout_s: float = 30.0, slow_query_s: float = float("inf")
    ) -> None:
        self.files = files
        self._busy_timeout_s = busy_timeout_s
        self._slow = SlowQueries(slow_query_s)
        self._open_here: PerThread[_Opened] = PerThread()
        self._local = threading.local()
        self.on_open: list[Callable[[sqlite3.Connection], None]] = []

    def rows(self, sql: str, params: Params = _NO_PARAMS) -> list[Row]:
        """Every row of a statement.

        Raises
        ------
        DatabaseUnavailable, Busy, QueryTimeout, QueryFailed
            As :func:`app.db.errors.translate` tells them apart.
        """
        rows: list[Row] = self._attempt(sql, params, sqlite3.Cursor.fetchall)
        return rows

    def row(self, sql: str, params: Params = _NO_PARAMS, *, missing: Exception) -> Row:
        """The one row of a statement; raises ``missing`` where there is none."""
        found = self.find(sql, params)
        if found is None:
            raise missing
        return found

    def find(self, sql: str, params: Params = _NO_PARAMS) -> Row | None:
        """The first row of a statement, or ``None``."""
        found: Row | None = self._attempt(sql, params, sqlite3.Cursor.fetchone)
        return found

    def value(self, sql: str, params: Params = _NO_PARAMS) -> Any:
        """The first column of the first row, or ``None``."""
        found = self.find(sql, params)
        return None if found is None else found[0]

    def close(self) -> None:
        """Close this thread's connection; the next query opens another."""
        self._open_here.close()

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection, for a caller that needs several statements on it; errors are translated."""
        try:
            yield self._current()
        except sqlite3.Error as error:
            raise translate(error, self.name) from error

    def spent(self) -> Spent:
        """What this thread's statements took so far in the request at hand."""
        spent: Spent = getattr(self._local, "spent", _NOTHING)
        return spent

    def forget_spent(self) -> None:
        """Start counting anew, for another request."""
        self._local.spent = _NOTHING

    def _attempt(self, sql: str, params: Params, fetch: Callable[[sqlite3.Cursor], Any]) -> Any:
        started = time.perf_counter()
        try:
            return self._read(lambda connection: fetch(connection.execute(sql, params)))
        finally:
            seconds = time.perf_counter() - started
            slow = seconds >= self._slow.at_least_s
            spent = self.spent()
            self._local.spent = Spent(spent.statements + 1, spent.seconds + seconds, spent.slow + slow)
            opened = self._open_here.get()
            if slow:
                self._slow.tell(opened and opened.connection, sql, params, seconds)

    def _read(self, read: Callable[[sqlite3.Connection], Any]) -> Any:
        for _ in range(_ATTEMPTS - 1):
            try:
                return read(self._current())
            except sqlite3.Error as error:
                # The schema or the file may have changed between the look and the query: again, on a fresh connection.
                if not self._may_have_come_between(error):
                    raise translate(error, self.name) from error
        try:
            return read(self._current())
        except sqlite3.Error as error:
            if is_missing_object(error) and self.files.identities()[0] is None:
                raise DatabaseUnavailable(self.name, MISSING) from error
            raise translate(error, self.name) from error

    def _may_have_come_between(self, error: sqlite3.Error) -> bool:
        """Whether an error may be due to a change since the connection was looked at, which it then does not survive.

        Of a file that was just replaced, SQLite takes the new one's journal for its own: as read-only, or damaged.
        """
        missing = is_missing_object(error)
        opened = self._open_here.get()
        swapped = opened is not None and opened.identities != self.files.identities()
        if missing or swapped or isinstance(translate(error, self.name), DatabaseUnavailable):
            self.close()
        return missing or swapped

    def _current(self) -> sqlite3.Connection:
        opened = self._open_here.get()
        if opened is None or not self._still_right(opened):
            self.files.settle()
            self.close()
            opened = self._open_here.keep(self._open())
        self.files.check_sight()
        return opened.connection

    def _still_right(self, opened: _Opened) -> bool:
        """Whether a connection shows the files that are there now, with the schema that they have now."""
        identities = self.files.identities()
        if opened.identities != identities:
            return False
        state = self.files.state(identities)
        if state is not None and state == opened.state:
            return True
        if opened.schema_versions != _schema_versions(opened.connection, self.files, identities):
            return False
        self._open_here.keep(opened._replace(state=state))
        return True

    def _open(self) -> _Opened:
        connection, registry, identities = self.files.open(busy_timeout_s=self._busy_timeout_s)
        try:
            state = self.files.state(identities)
            versions = _schema_versions(connection, self.files, identities)
            lay_views(connection, registry=registry, products=identities[0] is not None)
            connection.execute("PRAGMA query_only = ON")
            connection.execute(f"PRAGMA main.cache_size = -{_CACHE_KIB}")
            # Neither ATTACH nor VACUUM INTO, which that leaves to whoever gets a statement of their own in here.
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, int(registry == "registry"))
            connection.set_progress_handler(deadline.passed, deadline.INSTRUCTIONS_BETWEEN_LOOKS)
            for prepare in self.on_open:
                prepare(connection)
        except BaseException:
            connection.close()
            raise
        return _Opened(connection, os.getpid(), identities, versions, state)


def _schema_versions(connection: sqlite3.Connection, files: PipelineFiles, identities: Identities) -> tuple[int, ...]:
    versions = [connection.execute("PRAGMA main.schema_version").fetchone()[0]]
    if not files.unified and identities[1] is not None:
        versions.append(connection.execute("PRAGMA registry.schema_version").fetchone()[0])
    return tuple(versions)
