"""What each thread has open for itself: SQLite's connections are not shared between threads, nor across a fork."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import Generic, Protocol, TypeVar


class Opened(Protocol):
    """An open connection, and the process that opened it."""

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection."""

    @property
    def process(self) -> int:
        """Id of the process."""


O = TypeVar("O", bound=Opened)  # noqa: E741


class PerThread(Generic[O]):
    """One open connection for each thread.

    A connection that came through a fork may be neither used nor closed, because its locks are the parent's. It is
    laid aside, where nothing collects it.
    """

    def __init__(self) -> None:
        self._local = threading.local()
        self._inherited: list[O] = []

    def get(self) -> O | None:
        """What this thread has open in this process, or ``None``."""
        opened: O | None = getattr(self._local, "opened", None)
        if opened is None or opened.process == os.getpid():
            return opened
        self.close()
        return None

    def keep(self, opened: O) -> O:
        """Keep it for this thread."""
        self._local.opened = opened
        return opened

    def close(self) -> None:
        """Close what this thread has open."""
        opened: O | None = getattr(self._local, "opened", None)
        self._local.opened = None
        if opened is None:
            return
        if opened.process != os.getpid():
            self._inherited.append(opened)
            return
        with contextlib.suppress(sqlite3.Error):
            opened.connection.close()
