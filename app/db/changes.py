"""Has anything been committed since? One number per process that grows whenever something was.

The response cache stores an answer under the generation read *before* the answer was computed, and serves it only
while the generation still stands there. So an answer can be thrown away too early, never too late.

``PRAGMA data_version`` changes on a connection when another connection, of this process or any other, has committed
to the file (https://www.sqlite.org/pragma.html#pragma_data_version). It compares only with itself on the same
connection, hence one watching connection per process, guarded by a lock, that runs nothing else.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import NamedTuple

from app.db.pipeline import Identities, PipelineFiles


class _Watch(NamedTuple):
    connection: sqlite3.Connection
    process: int
    identities: Identities
    pragmas: tuple[str, ...]


class ChangeWatcher:
    """Turns SQLite's change counters, and the identity of the files, into one growing number.

    Parameters
    ----------
    files
        The pipeline's databases; both are watched.
    """

    def __init__(self, files: PipelineFiles) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._generation = 0
        self._seen: tuple[int, ...] | None = None
        self._watch: _Watch | None = None
        self._inherited: list[sqlite3.Connection] = []

    def generation(self) -> int:
        """The current generation: unchanged since the last call only if nothing was committed or swapped in between.

        A file that cannot be read makes every call a new generation, so that nothing old is believed meanwhile.
        """
        with self._lock:
            try:
                seen = self._look()
            except sqlite3.Error:
                self._drop()
                seen = None
            if seen is None or seen != self._seen:
                self._generation += 1
                self._seen = seen
            return self._generation

    def close(self) -> None:
        """Close the watching connection; the next call opens another."""
        with self._lock:
            self._drop()

    def _look(self) -> tuple[int, ...] | None:
        identities = self._files.identities()
        watch = self._watch
        if watch is None or watch.identities != identities or watch.process != os.getpid():
            self._files.settle()
            self._drop()
            identities = self._files.identities()
            if identities[0] is None:
                return None
            watch = self._watch = self._open(identities)
        execute = watch.connection.execute
        return tuple(execute(pragma).fetchone()[0] for pragma in watch.pragmas)

    def _open(self, identities: Identities) -> _Watch:
        # No waiting for locks: a locked file counts as changed, and the query that follows does the waiting.
        connection, registry = self._files.open(busy_timeout_s=0.0, shared=True)
        schemas = ("main", "registry") if registry == "registry" else ("main",)
        pragmas = tuple(f"PRAGMA {schema}.data_version" for schema in schemas)
        return _Watch(connection, os.getpid(), identities, pragmas)

    def _drop(self) -> None:
        watch, self._watch, self._seen = self._watch, None, None
        if watch is None:
            return
        if watch.process != os.getpid():
            self._inherited.append(watch.connection)
            return
        with contextlib.suppress(sqlite3.Error):
            watch.connection.close()
