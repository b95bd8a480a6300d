"""Slow statements are told with their plan, and do not fill the log."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from app.db import slow
from app.db.slow import SlowQueries

SQL = """
    SELECT n
    FROM numbers WHERE n > :least
"""


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE numbers (n INTEGER)")
        yield made


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(slow.log, "propagate", True)
    monkeypatch.setattr(logging.getLogger("app"), "propagate", True)
    caplog.set_level(logging.WARNING, logger="app.db.slow")
    return caplog


def test_statement_is_told_in_one_line_with_its_plan_and_no_values(
    connection: sqlite3.Connection, told: pytest.LogCaptureFixture
) -> None:
    SlowQueries(1.0).tell(connection, SQL, {"least": 424242}, 1.2345)
    (line,) = told.messages
    assert line == "A statement took 1.234 s: SELECT n FROM numbers WHERE n > :least -- plan: SCAN numbers"


def test_each_statement_is_told_once_a_minute_with_the_number_in_between(
    connection: sqlite3.Connection, told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(slow.time, "monotonic", lambda: now[0])
    queries = SlowQueries(1.0)
    for _ in range(5):
        queries.tell(connection, SQL, {"least": 1}, 2.0)
    queries.tell(connection, "SELECT 1", {}, 2.0)
    assert len(told.messages) == 2
    now[0] += 61
    queries.tell(connection, SQL, {"least": 1}, 2.0)
    assert "(4 times more in the minute before)" in told.messages[-1]


def test_what_is_remembered_is_bounded(connection: sqlite3.Connection) -> None:
    queries = SlowQueries(1.0)
    for number in range(slow._MOST_REMEMBERED + 10):
        queries.tell(connection, f"SELECT {number}", {}, 2.0)
    assert len(queries._told) <= slow._MOST_REMEMBERED


def test_statement_without_a_plan_is_told_all_the_same(
    connection: sqlite3.Connection, told: pytest.LogCaptureFixture
) -> None:
    SlowQueries(1.0).tell(connection, "SELECT nothing FROM nowhere", {}, 2.0)
    assert told.messages[0].endswith("plan: not known")
