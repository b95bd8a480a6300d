"""Questions to things that may never answer: asked all at once, each in a thread, and waited for only so long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

T = TypeVar("T")


class Probes(Generic[T]):
    """Runs probes; one that still hangs is not started again, so a dead disk costs one thread and not one a minute.

    Threads are daemons: a hanging one never keeps the process from ending.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[T]] = {}

    def run(self, probes: Mapping[str, Callable[[], T]], timeout_s: float) -> dict[str, T | None]:
        """Results by name, in the order given; ``None`` for a probe that took longer than ``timeout_s`` [s]."""
        futures = {name: self._start(name, probe) for name, probe in probes.items()}
        wait(futures.values(), timeout=timeout_s)
        return {name: future.result() if future.done() else None for name, future in futures.items()}

    def _start(self, name: str, probe: Callable[[], T]) -> Future[T]:
        with self._lock:
            future = self._under_way.get(name)
            if future is None:
                future = Future()
                threading.Thread(
                    target=self._work, args=(name, probe, future), name=f"probe {name}", daemon=True
                ).start()
                self._under_way[name] = future
            return future

    def _work(self, name: str, probe: Callable[[], T], future: Future[T]) -> None:
        try:
            outcome = probe()
        except BaseException as error:
            self._land(name)
            future.set_exception(error)
        else:
            self._land(name)
            future.set_result(outcome)

    def _land(self, name: str) -> None:
        with self._lock:
            del self._under_way[name]
