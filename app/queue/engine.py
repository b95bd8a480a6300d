"""The engine: huey over SQLite, Redis or PostgreSQL. This module is the only one that knows which.

Two things are used of huey. Its queue carries the names of jobs to workers, by priority, each to one of them. Its
key/value store holds the facts about jobs, and :meth:`Engine.claim` decides between processes that want to write the
same one. Everything in the store is JSON: whoever could write to a shared store must not be able to make a worker run
code, as pickle would.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import orjson

from app.domain.errors import QueueUnavailable
from app.queue.breaker import SLOW_S, Breaker

if TYPE_CHECKING:
    from huey.api import Huey

log = logging.getLogger(__name__)

T = TypeVar("T")

FILE_NAME = "queue.sqlite3"
LOCK_TIMEOUT_S = 5
_CONNECT_TIMEOUT_S = 2
# A store that hangs holds whoever asks for no longer than this.
_ANSWER_TIMEOUT_S = 3


class JsonSerializer:
    """huey's messages and our facts as JSON."""

    def serialize(self, data: Any) -> bytes:
        """Bytes of a message or a fact."""
        from huey.registry import Message

        return orjson.dumps({"message": list(data)} if isinstance(data, Message) else {"fact": data})

    def deserialize(self, data: bytes) -> Any:
        """The message or fact in some bytes; ValueError for anything else."""
        from huey.registry import Message

        value = orjson.loads(bytes(data))
        if not isinstance(value, dict) or not value.keys() <= {"message", "fact"}:
            raise ValueError("neither a message nor a fact")
        return Message(*value["message"]) if "message" in value else value.get("fact")


class Engine:
    """The queue's store, opened by the first use in each process.

    Parameters
    ----------
    url
        ``redis://…``, ``rediss://…``, ``postgresql://…``, or empty for a file of our own.
    name
        Name of the queue; several can share a store.
    directory
        Where that file lies.
    patient
        Whether whoever asks has time, as workers have: no question is refused because the one before hung, and one that
        hung is asked again. Else a store that hangs costs a question :data:`_ANSWER_TIMEOUT_S`, and those that follow
        nothing (:mod:`app.queue.breaker`).
    """

    def __init__(self, url: str, name: str, directory: Path, *, patient: bool = False) -> None:
        self._url = url
        self.name = name
        self._directory = directory
        self._patient = patient
        self._breakers: dict[int, Breaker] = {}
        self._lock = threading.Lock()
        self._opened: tuple[int, Huey] | None = None
        self._inherited: list[Huey] = []
        self._faults: tuple[type[Exception], ...] = (OSError,)
        self.execute: Callable[[str], None] = _nobody

    @property
    def kind(self) -> str:
        """``sqlite``, ``redis`` or ``postgresql``."""
        scheme = urlsplit(self._url).scheme
        return {"": "sqlite", "rediss": "redis", "unix": "redis", "postgres": "postgresql"}.get(scheme, scheme)

    @property
    def shown_url(self) -> str | None:
        """URL of a Redis without user, password or options; ``None`` for other stores."""
        parts = urlsplit(self._url)
        if self.kind != "redis":
            return None
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"

    @property
    def place(self) -> str:
        """Where the store is, for people who run the service; never with a password."""
        return str(self._directory / FILE_NAME) if self.kind == "sqlite" else self.shown_url or self.kind

    def read(self, *keys: str) -> dict[str, Any]:
        """The facts at some keys, as many as there are."""
        found = self._ask(lambda huey: huey.storage.peek_many(list(keys))) if keys else {}
        return _decoded(found)

    def read_all(self) -> dict[str, Any]:
        """Every fact."""
        return _decoded(self._ask(lambda huey: huey.storage.result_items()))

    def write(self, key: str, fact: Any) -> None:
        """Write a fact, over any that is there."""
        self._ask(lambda huey: huey.put(key, fact))

    def claim(self, key: str, fact: Any) -> bool:
        """Write a fact where there is none; whether it is ours that stands there now.

        Notes
        -----
        Of any number of processes one is told yes. The fact must name its writer, so that a claim whose confirmation
        was lost on the way is recognized when it is tried again.
        """
        if self._ask(lambda huey: huey.put_if_empty(key, fact)):
            return True
        return bool(self.read(key).get(key) == orjson.loads(orjson.dumps(fact)))

    def remove(self, key: str) -> None:
        """Remove a fact, if it is there."""
        self._ask(lambda huey: huey.delete(key))

    def send(self, job_id: str, priority: int) -> None:
        """Put a job's name into the queue; higher priorities leave it first, equal ones in order."""
        self._ask(lambda huey: huey.enqueue(huey.run.s(job_id, priority=priority)))

    def waiting(self) -> set[str]:
        """Names of the jobs in the queue."""
        return {task.args[0] for task in self._ask(lambda huey: huey.pending()) if task.args}

    def close(self) -> None:
        """Close what this process opened; the next use opens it again."""
        opened, self._opened = self._opened, None
        if opened is not None and opened[0] == os.getpid():
            with contextlib.suppress(*self._faults):
                opened[1].storage.close()

    @property
    def huey(self) -> Huey:
        """This process's huey; a fork opens its own."""
        with self._lock:
            if self._opened is not None and self._opened[0] != os.getpid():
                # What came through a fork is neither used nor closed: it is the parent's.
                self._inherited.append(self._opened[1])
                self._opened = None
            if self._opened is None:
                self._opened = (os.getpid(), self._open())
            return self._opened[1]

    @property
    def _breaker(self) -> Breaker:
        """This process's: a lock that came through a fork may be held by a thread that did not."""
        process = os.getpid()
        known = self._breakers.get(process)
        # A file that is locked hangs as a server does: it has one connection, behind which all would stand in line for
        # LOCK_TIMEOUT_S each.
        return known or self._breakers.setdefault(process, Breaker(one_at_a_time=self.kind != "redis"))

    def _ask(self, question: Callable[[Any], T]) -> T:
        if self._patient:
            return self._answer(question)
        with self._breaker.question():
            return self._answer(question)

    def _answer(self, question: Callable[[Any], T]) -> T:
        # Once more after a fault: a server that was restarted has closed the connection we kept. Asking twice does no
        # harm: facts are written once, and a job's name that is in the queue twice still runs once.
        asked_at = time.monotonic()
        try:
            return question(self.huey)
        except QueueUnavailable:
            raise
        except self._faults as first:
            if not self._patient and _is_slow(asked_at):
                raise QueueUnavailable("The work queue's store does not answer in time.") from first
            log.info("Asking the queue's store once more after: %s", first)
        try:
            return question(self.huey)
        except self._faults as error:
            raise QueueUnavailable("The work queue's store does not answer.") from error

    def _open(self) -> Huey:
        from huey.api import Huey

        storage, options = self._storage()
        for attempts_left in (2, 1, 0):
            asked_at = time.monotonic()
            try:
                # Processes that start together make the tables together, and some stores refuse all but one.
                huey = Huey(self.name, results=False, serializer=JsonSerializer(), storage_class=storage, **options)
                break
            except self._faults as error:
                if not attempts_left or _is_slow(asked_at):
                    raise QueueUnavailable("The work queue's store cannot be opened.") from error
                time.sleep(0.1)
        huey.run = huey.task(name="run")(self._run)
        return huey

    def _run(self, job_id: str) -> None:
        self.execute(job_id)

    def _storage(self) -> tuple[type, dict[str, Any]]:
        from huey import storage

        if self.kind == "redis":
            self._faults = (OSError, *_redis_faults())
            return storage.PriorityRedisStorage, {"connection_pool": _redis_pool(self._url), "clean_name": False}
        if self.kind == "postgresql":
            from psycopg import Error

            from app.queue import postgresql

            self._faults = (OSError, Error)
            limits = {"connect_timeout_s": _CONNECT_TIMEOUT_S, "answer_timeout_s": _ANSWER_TIMEOUT_S}
            return storage.PostgresStorage, {"connection": partial(postgresql.connect, self._url, **limits)}
        self._faults = (OSError, storage.sqlite3.Error)
        self._directory.mkdir(parents=True, exist_ok=True)
        # fsync: an order that was confirmed outlives a power cut.
        file = str(self._directory / FILE_NAME)
        return storage.SqliteStorage, {"filename": file, "timeout": LOCK_TIMEOUT_S, "fsync": True, "strict_fifo": True}


def _nobody(job_id: str) -> None:
    raise RuntimeError("only a worker executes jobs")


def _is_slow(asked_at: float) -> bool:
    """Whether a question asked at ``asked_at`` [s, monotonic] has taken so long that it is not asked again."""
    return time.monotonic() - asked_at >= SLOW_S


def _redis_faults() -> Iterator[type[Exception]]:
    from redis.exceptions import RedisError

    yield RedisError


def _redis_pool(url: str) -> Any:
    from redis import ConnectionPool
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as Lost
    from redis.retry import Retry

    return ConnectionPool.from_url(
        url,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_timeout=_ANSWER_TIMEOUT_S,
        health_check_interval=30,
        # A connection that was lost is made anew; for an answer that did not come nobody waits a second time.
        retry=Retry(NoBackoff(), 1, supported_errors=(Lost,)),
    )


def _decoded(items: Mapping[Any, bytes] | Iterable[tuple[Any, bytes]]) -> dict[str, Any]:
    """Keys as text and values as facts; what is neither ours nor JSON is passed over."""
    serializer = JsonSerializer()
    facts = {}
    for key, data in dict(items).items():
        name = key.decode("utf-8", "replace") if isinstance(key, bytes) else key
        try:
            facts[name] = serializer.deserialize(data)
        except ValueError:
            log.warning("Passed over what is no JSON in the queue's store: %s", name)
    return facts
