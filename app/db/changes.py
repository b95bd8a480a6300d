"""Has anything been committed since? One number per process that grows whenever something was.

The response cache stores an answer under the generation read *before* the answer was computed, and serves it only
while the generation still stands there. So an answer can be thrown away too early, never too late.

Of a file in WAL mode, SQLite's own note of the last commit is compared (:mod:`app.db.wal_index`). Of any other,
``PRAGMA data_version``, which changes on a connection when another connection, of this process or any other, has
committed to the file (https://www.sqlite.org/pragma.html#pragma_data_version). It compares only with itself on the same
connection, hence one watching connection per process, guarded by a lock, that runs nothing else; it also keeps the file
and its log open, so that neither the inode nor the note can become another's.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import Any, NamedTuple

from app.db.files import Identities, PipelineFiles, State
from app.db.filesystems import is_local
from app.domain.errors import DatabaseUnavailable


class _Watch(NamedTuple):
    connection: sqlite3.Connection
    process: int
    identities: Identities
    pragmas: tuple[str, ...]


class _Standing(NamedTuple):
    """A generation, and what was seen when it began."""

    generation: int
    seen: Any


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
        self._standing = _Standing(0, None)
        self._watch: _Watch | None = None
        self._inherited: list[sqlite3.Connection] = []

    @property
    def is_prompt(self) -> bool:
        """Whether :meth:`standing` waits for no other machine; where a network's file system has the files, it may."""
        return all(is_local(path) for path in (self._files.products, self._files.registry) if path is not None)

    def generation(self) -> int:
        """The current generation: unchanged since the last call only if nothing was committed or swapped in between.

        A file that cannot be read makes every call a new generation, so that nothing old is believed meanwhile.
        """
        standing = self.standing()
        return self._look_closely() if standing is None else standing

    def standing(self) -> int | None:
        """The current generation, if that can be told without a statement and without waiting for another thread."""
        # Read before looking: what was seen when this generation began is still to be seen, so it still stands.
        standing, watch = self._standing, self._watch
        if watch is not None and watch.process == os.getpid():
            state = self._files.state(self._files.identities())
            if state is not None and state == standing.seen:
                return standing.generation
        return None

    def _look_closely(self) -> int:
        with self._lock:
            try:
                seen = self._look()
            except (sqlite3.Error, DatabaseUnavailable):
                self._drop()
                seen = None
            if seen is None or seen != self._standing.seen:
                self._standing = _Standing(self._standing.generation + 1, seen)
            return self._standing.generation

    @property
    def is_adrift(self) -> bool:
        """Whether this process will not see commits, because files were deleted beside the database."""
        return self._files.is_adrift

    def heed(self) -> None:
        """Look, though nobody asks: who has a file open before it is replaced knows whose log is left behind."""
        self._files.learn()
        self.generation()

    def close(self) -> None:
        """Close the watching connection; the next call opens another."""
        with self._lock:
            self._drop()

    def _look(self) -> State | tuple[int, ...]:
        identities = self._files.identities()
        watch = self._watch
        if watch is None or watch.identities != identities or watch.process != os.getpid():
            self._files.settle()
            self._drop()
            watch = self._watch = self._open()
        state = self._files.state(watch.identities)
        if state is not None:
            return state
        self._files.check_sight()
        execute = watch.connection.execute
        return tuple(execute(pragma).fetchone()[0] for pragma in watch.pragmas)

    def _open(self) -> _Watch:
        # No waiting for locks: a locked file counts as changed, and the query that follows does the waiting.
        connection, registry, identities = self._files.open(busy_timeout_s=0.0, shared=True)
        schemas = ("main", "registry") if registry == "registry" else ("main",)
        pragmas = tuple(f"PRAGMA {schema}.data_version" for schema in schemas)
        return _Watch(connection, os.getpid(), identities, pragmas)

    def _drop(self) -> None:
        watch, self._watch = self._watch, None
        self._standing = _Standing(self._standing.generation, None)
        if watch is None:
            return
        if watch.process != os.getpid():
            self._inherited.append(watch.connection)
            return
        with contextlib.suppress(sqlite3.Error):
            watch.connection.close()
