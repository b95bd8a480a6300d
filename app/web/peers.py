"""The caches of all workers as one: figures are summed, and a purge is done everywhere before it is reported.

Each worker that may store answers listens on a Unix socket in the runtime directory, and whichever worker is asked
about the cache asks the others there. The wire: one JSON line there, one back.

- A worker binds its socket before it computes the first answer it might keep, hence after the fork. So whoever has no
  socket has nothing to purge; and where the socket cannot be made, the worker keeps nothing.
- A socket that refuses was left behind by a worker that ended, and its cache with it.
- A worker that is alive and does not answer in time makes the call fail: a purge is never reported done that is not.

Outside of gunicorn there is no runtime directory, and a process speaks for itself alone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from flask import Flask, current_app
from werkzeug.exceptions import ServiceUnavailable

from app.config import Settings
from app.web import runtime
from app.web.store import Figures, Store

log = logging.getLogger(__name__)

PEER_TIMEOUT_S = 2.0
# A question is one line and comes at once; nobody keeps the others waiting for longer.
_QUESTION_TIMEOUT_S = 0.5

# What connecting to the socket of a worker that has ended gives.
_GONE = (ConnectionRefusedError, FileNotFoundError)

_EXTENSION = "contimg.cache"
_LONGEST_LINE = 65_536
_BACKLOG = 64


class PeerSilent(ServiceUnavailable):
    """A worker is there and did not answer in time."""

    def __init__(self, worker: str, what: str) -> None:
        super().__init__(f"Worker {worker} {what}; it may not have done what was asked.", retry_after=1)


class Answer(NamedTuple):
    """What one worker says: its figures, and how many entries it removed."""

    figures: Figures
    removed: int


class Report(NamedTuple):
    """The state of the cache as published; figures are None where it is off or they are not to be had."""

    enabled: bool
    status: str
    hits: int | None = None
    misses: int | None = None
    hit_rate: float | None = None
    memory_used_bytes: int | None = None
    memory_used_human: str | None = None
    total_keys: int | None = None
    error: str | None = None


class WorkerCaches:
    """The response caches of one gunicorn, reached from any of its workers.

    Parameters
    ----------
    store
        This process's own.
    directory
        Where the sockets lie; ``None`` where there is but one process.
    """

    def __init__(self, store: Store, directory: Path | None) -> None:
        self.store = store
        self._directory = directory
        self._listening: tuple[int, bool] | None = None
        self._lock = threading.Lock()

    def listen(self) -> bool:
        """Make this process reachable, if it is not yet; whether the others can reach it."""
        listening = self._listening
        if listening is None or listening[0] != os.getpid():
            with self._lock:
                if self._listening is None or self._listening[0] != os.getpid():
                    self._listening = (os.getpid(), self._directory is None or self._open(self._directory))
                listening = self._listening
        return listening[1]

    def figures(self) -> Figures:
        """Sums over all workers; raises PeerSilent."""
        told = [answer.figures for answer in self._ask({"do": "figures"})]
        return Figures(*map(sum, zip(*told, strict=True)))

    def purge(self, pattern: str | None = None) -> int:
        """Remove what a pattern names (``None``: everything) from every worker; the number of entries removed.

        Raises
        ------
        PeerSilent
            Not every worker has confirmed. Those that answer have purged.
        """
        return sum(answer.removed for answer in self._ask({"do": "purge", "pattern": pattern}))

    def report(self) -> Report:
        """The state of the cache over all workers."""
        if not self.store.capacity_bytes:
            return Report(enabled=False, status="disabled")
        try:
            sums = self.figures()
        except PeerSilent as error:
            return Report(enabled=True, status="error", error=error.description)
        return Report(
            enabled=True,
            status="connected",
            hits=sums.hits,
            misses=sums.misses,
            hit_rate=round(sums.hits / max(sums.hits + sums.misses, 1), 4),
            memory_used_bytes=sums.size_bytes,
            memory_used_human=human_size(sums.size_bytes),
            total_keys=sums.keys,
        )

    def _ask(self, question: dict[str, Any]) -> list[Answer]:
        """Everyone's answer. All are asked before the first failure is told."""
        answers = [_obey(self.store, question)]
        silent: PeerSilent | None = None
        for path in self._others():
            try:
                answers.append(_call(path, question))
            except PeerSilent as error:
                silent = error
            except _GONE:
                path.unlink(missing_ok=True)
        if silent is not None:
            raise silent
        return answers

    def _others(self) -> Iterator[Path]:
        if self._directory is not None:
            own = _socket_of(self._directory)
            yield from (path for path in sorted(self._directory.glob("*.sock")) if path != own)

    def _open(self, directory: Path) -> bool:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # It gets its name once it listens: a socket that does not listen yet refuses, as that of a dead worker does.
        unnamed = directory / f".{os.getpid()}"
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            unnamed.unlink(missing_ok=True)
            listener.bind(str(unnamed))
            listener.listen(_BACKLOG)
            unnamed.rename(_socket_of(directory))
        except OSError as error:
            listener.close()
            log.error("This worker caches no answers: its control socket cannot be made: %s", error)
            return False
        threading.Thread(target=_serve, args=(listener, self.store), name="cache-control", daemon=True).start()
        return True


def install(app: Flask, settings: Settings) -> WorkerCaches:
    """Give the application its caches; their sockets lie in ``workers/`` of the runtime directory."""
    store = Store(settings.cache_bytes if settings.cache_enabled else 0)
    directory = runtime.current()
    caches = WorkerCaches(store, directory / "workers" if directory is not None else None)
    app.extensions[_EXTENSION] = caches
    return caches


def caches() -> WorkerCaches:
    """The caches of the running application."""
    return cast(WorkerCaches, current_app.extensions[_EXTENSION])


def human_size(size_bytes: int) -> str:
    """A size as Redis writes it: ``512B``, ``1.50K``, ``15.98M``."""
    if size_bytes < 1024:
        return f"{size_bytes}B"
    size, units = size_bytes / 1024, list("KMGT")
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.2f}{units[0]}"


def _socket_of(directory: Path) -> Path:
    return directory / f"{os.getpid()}.sock"


def _obey(store: Store, question: dict[str, Any]) -> Answer:
    removed = store.purge(question.get("pattern")) if question.get("do") == "purge" else 0
    return Answer(store.figures(), removed)


def _serve(listener: socket.socket, store: Store) -> None:
    """Answer other workers, one after another, for as long as the process lives."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError as error:  # out of handles, most likely; whoever asks meanwhile is told that nobody answered
            log.error("Other workers cannot reach this one: %s", error)
            time.sleep(1.0)
            continue
        with connection:
            try:
                connection.settimeout(_QUESTION_TIMEOUT_S)
                answer = _obey(store, json.loads(_line(connection)))
                connection.sendall(json.dumps(answer).encode() + b"\n")
            except (OSError, ValueError) as error:
                log.warning("A question about the cache went unanswered: %s", error)


def _call(path: Path, question: dict[str, Any]) -> Answer:
    """One worker's answer. Who hangs up may have ended just then: asked again, its socket refuses."""
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, contextlib.suppress(_HungUp):
            connection.settimeout(PEER_TIMEOUT_S)
            try:
                figures, removed = json.loads(_exchange(connection, path, question))
            except (TimeoutError, BlockingIOError) as error:
                raise PeerSilent(path.stem, f"did not answer within {PEER_TIMEOUT_S:g} s") from error
            return Answer(Figures(*figures), removed)
    raise PeerSilent(path.stem, "hung up")


class _HungUp(Exception):
    """The connection ended without an answer."""


def _exchange(connection: socket.socket, path: Path, question: dict[str, Any]) -> bytes:
    connection.connect(str(path))
    try:
        connection.sendall(json.dumps(question).encode() + b"\n")
        line = _line(connection)
    except (ConnectionResetError, BrokenPipeError) as error:
        raise _HungUp from error
    if not line:
        raise _HungUp
    return line


def _line(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as reader:
        return reader.readline(_LONGEST_LINE)
