"""Queues on every kind of store."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from app.queue.engine import Engine
from app.queue.heartbeat import Workers
from app.queue.records import JobRecords
from tests.support.stores import STORES


class Store(NamedTuple):
    """Where a queue lives: its settings."""

    url: str
    name: str
    directory: Path

    @property
    def settings(self) -> dict[str, str]:
        """Variables that lead a process to it."""
        return {
            "DSA110_QUEUE_URL": self.url,
            "DSA110_QUEUE_NAME": self.name,
            "DSA110_API_STATE_DIR": str(self.directory),
        }


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, store_url: Callable[[str], str], tmp_path: Path) -> Store:
    """An empty queue."""
    return Store(store_url(request.param), f"test-{secrets.token_hex(4)}", tmp_path / "api")


@pytest.fixture
def engines(store: Store) -> Iterator[Callable[[], Engine]]:
    """Makes engines of that queue, each as another process would have it."""
    made: list[Engine] = []

    def make() -> Engine:
        made.append(Engine(store.url, store.name, store.directory))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def engine(engines: Callable[[], Engine]) -> Engine:
    """One engine of that queue."""
    return engines()


@pytest.fixture
def records(engine: Engine) -> JobRecords:
    """Its records."""
    return JobRecords(engine, Workers(engine))


@pytest.fixture
def file_engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine of a queue in a file."""
    made = Engine("", "test", tmp_path / "api")
    yield made
    made.close()
