"""Heartbeats: how a worker tells that it lives, and how others see that it does not.

Every worker writes ``worker:<id>`` every other second, with a counter. Whether the service is *connected* is judged by
the time in it. Whether a worker is *lost* is judged without clocks, which differ between machines: an observer must
have seen the counter stand still for a while of its own time (:mod:`app.queue.sweep`).
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from app.domain.errors import ContimgError
from app.domain.queue import Worker
from app.queue.engine import Engine

log = logging.getLogger(__name__)

# Heartbeats missed before a worker stops its own jobs, because it can no longer tell others that it lives. Less than
# LOST_AFTER by enough for the jobs to be gone when others start them again.
SILENT_AFTER = 3
LOST_AFTER = 6


class Workers:
    """The workers that have told of themselves."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self, items: Mapping[str, Any] | None = None) -> list[Worker]:
        """Workers by name, dead ones too while their last heartbeat is kept."""
        items = self._engine.read_all() if items is None else items
        return [Worker(**fact) for key, fact in sorted(items.items()) if key.startswith("worker:")]

    def living(self, items: Mapping[str, Any] | None = None) -> list[Worker]:
        """Workers whose heartbeat is fresh."""
        now = time.time()
        return [worker for worker in self.all(items) if worker.fresh(now)]

    def alive(self, items: Mapping[str, Any] | None = None) -> Callable[[str], bool]:
        """Tells whether a worker lives, from one look at all of them."""
        return {worker.worker_id for worker in self.living(items)}.__contains__


class Heart:
    """The heartbeat of this process, beaten by a thread of its own.

    Parameters
    ----------
    engine
        Where it is written.
    every_s
        Its pace [s].
    concurrency
        Jobs that this worker can run at a time.
    running
        Names of the jobs that it runs.
    """

    def __init__(self, engine: Engine, *, every_s: float, concurrency: int, running: Callable[[], list[str]]) -> None:
        self._engine = engine
        self._every_s = every_s
        self._concurrency = concurrency
        self._running = running
        self._started_at = time.time()
        self._beat = 0
        self._last = time.monotonic()
        self._stop = threading.Event()
        self.worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._thread = threading.Thread(target=self._go_on, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Beat once, so that a store that is away stops the start, and go on in the background."""
        self.beat()
        self._thread.start()

    def stop(self) -> None:
        """Stop, and take this worker off the list."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._engine.remove(f"worker:{self.worker_id}")

    def beat(self) -> None:
        """One beat."""
        self._beat += 1
        worker = Worker(
            worker_id=self.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_at=self._started_at,
            last_seen=time.time(),
            every_s=self._every_s,
            beat=self._beat,
            concurrency=self._concurrency,
            running=self._running(),
        )
        self._engine.write(f"worker:{self.worker_id}", worker._asdict())
        self._last = time.monotonic()

    @property
    def silent(self) -> bool:
        """Whether no beat got through for so long that others will soon take this worker for lost."""
        return time.monotonic() - self._last > SILENT_AFTER * self._every_s

    def _go_on(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self.beat()
            except ContimgError as error:
                log.warning("No heartbeat: %s", error.message)
