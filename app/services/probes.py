"""Questions to things that may never answer: asked all at once, each in a thread, and waited for only so long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

T = TypeVar("T")


class Probes(Generic[T]):
    """Runs probes; one that still hangs is not started again, so a dead disk costs one thread and not one a minute.

    Threads are daemons: a hanging one never keeps the process from ending. Time counts from when a probe began, whoever
    began it: where one hangs, those who ask next do not each wait for it again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, tuple[float, Future[T]]] = {}

    def run(self, probes: Mapping[str, Callable[[], T]], timeout_s: float) -> dict[str, T | None]:
        """Results by name, in the order given; ``None`` for a probe that took longer than ``timeout_s`` [s]."""
        started = {name: self._start(name, probe) for name, probe in probes.items()}
        for began, future in started.values():
            wait([future], timeout=max(0.0, began + timeout_s - time.monotonic()))
        return {name: future.result() if future.done() else None for name, (_, future) in started.items()}

    def _start(self, name: str, probe: Callable[[], T]) -> tuple[float, Future[T]]:
        with self._lock:
            started = self._under_way.get(name)
            if started is None:
                future: Future[T] = Future()
                threading.Thread(
                    target=self._work, args=(name, probe, future), name=f"probe {name}", daemon=True
                ).start()
                started = self._under_way[name] = (time.monotonic(), future)
            return started

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
