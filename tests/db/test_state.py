"""The service's own database: made by whoever comes first, once, and never lost."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.db import deadline, own_time, state
from app.db.pipeline import Spent
from app.db.state import FILE_NAME, StateDatabase, steps
from app.domain.errors import Busy, DatabaseUnavailable, QueryFailed, QueryTimeout

INSERT = """INSERT INTO rating (image_id, image_path, rating, comment, rater, rated_at)
VALUES (:n, '/a.fits', 3, '', 'me', 0.0)"""
COUNT = "SELECT count(*) FROM rating"
WRITER = f"""
import sys
from pathlib import Path
from app.db.state import StateDatabase
database = StateDatabase(Path(sys.argv[1]))
sys.stdin.readline()
for n in range(20):
    with database.transaction() as connection:
        connection.execute({INSERT!r}, {{"n": n}})
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[StateDatabase]:
    database = StateDatabase(tmp_path / "api", busy_timeout_s=0.1)
    yield database
    database.close()


def count(database: StateDatabase) -> int:
    found: int = (database.find(COUNT, {}) or (0,))[0]
    return found


def add(database: StateDatabase, n: int = 1) -> None:
    with database.transaction() as connection:
        connection.execute(INSERT, {"n": n})


def test_nothing_is_made_before_somebody_needs_it(own: StateDatabase) -> None:
    assert not own.path.parent.exists()
    assert count(own) == 0
    assert own.path.is_file()
    assert own.path.stat().st_mode & 0o007 == 0


def test_commits_are_on_the_disk_before_they_are_confirmed(own: StateDatabase) -> None:
    assert own.rows("PRAGMA synchronous", {}) == [(2,)]
    assert own.rows("PRAGMA journal_mode", {}) == [("wal",)]
    assert own.rows("PRAGMA user_version", {}) == [(len(steps()),)]


# -- what it takes is counted


def test_statements_are_counted_with_the_time_that_they_wait(own: StateDatabase) -> None:
    count(own)
    own_time.forget()
    with closing(sqlite3.connect(own.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy):
            add(own)
    waited = own_time.added_to(Spent(1, 1.0, 1))
    assert waited.statements == 2
    assert waited.seconds >= 1.0 + 0.09
    add(own)
    assert own_time.added_to(Spent(0, 0.0)).statements == 1 + 3
    own_time.forget()
    assert own_time.added_to(Spent(0, 0.0)) == (0, 0.0, 0)


def test_opening_counts_too(own: StateDatabase) -> None:
    own_time.forget()
    count(own)
    assert own_time.added_to(Spent(0, 0.0)).statements == 2
    own_time.forget()


def test_slow_statements_are_told_with_their_plan(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("app"), "propagate", True)
    caplog.set_level(logging.WARNING, logger="app.db.slow")
    own = StateDatabase(tmp_path / "api", slow_query_s=0.0)
    with closing(own):
        add(own)
        count(own)
    told = [message.partition(" s: ")[2] for message in caplog.messages]
    assert told[0] == "-- opening api.sqlite3 -- plan: not known"
    assert "BEGIN IMMEDIATE -- plan: not known" in told
    assert any(line.startswith(COUNT) and "SCAN rating" in line for line in told)
    own_time.forget()


def test_every_table_is_strict(own: StateDatabase) -> None:
    tables = own.rows("SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite%'", {})
    assert ("rating", 1) in tables
    assert [name for name, strict in tables if not strict] == []


def test_processes_that_open_it_first_together_all_write(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "api")]
    together = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in together:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in together] == [("", 0)] * 4
    with closing(sqlite3.connect(tmp_path / "api" / FILE_NAME)) as connection:
        assert connection.execute(COUNT).fetchone() == (80,)


@pytest.mark.parametrize("at_work", ["BEGIN EXCLUSIVE", "BEGIN; SELECT 1 FROM sqlite_master"])
def test_who_opens_it_waits_for_whoever_is_making_it(tmp_path: Path, at_work: str) -> None:
    own = StateDatabase(tmp_path / "api", busy_timeout_s=20.0)
    own.path.parent.mkdir()
    maker = sqlite3.connect(own.path, isolation_level=None, check_same_thread=False)
    maker.execute("CREATE TABLE t (n)")
    for statement in at_work.split(";"):
        maker.execute(statement).fetchone()
    done = threading.Timer(0.1, maker.execute, ["COMMIT"])
    done.start()
    assert count(own) == 0
    assert own.rows("PRAGMA journal_mode", {}) == [("wal",)]
    done.join()
    maker.close()
    own.close()


def test_refusal_without_waiting_is_no_reason_to_give_up(own: StateDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of processes that turn the log on together SQLite refuses some at once (some 2 in 100), timeout or not."""
    own.path.parent.mkdir()
    refusals = [True, True]

    class Refusing(sqlite3.Connection):
        def execute(self, sql: str, *params: Any) -> sqlite3.Cursor:
            if sql == "PRAGMA journal_mode = WAL" and refusals:
                refusals.pop()
                error = sqlite3.OperationalError("database is locked")
                error.sqlite_errorname = "SQLITE_BUSY"
                raise error
            return super().execute(sql, *params)

    monkeypatch.setattr(
        state, "connect", lambda path, busy_timeout_s: sqlite3.connect(path, factory=Refusing, isolation_level=None)
    )
    assert own.rows("PRAGMA journal_mode", {}) == [("wal",)]
    assert refusals == []


def test_threads_that_open_it_first_together_all_write(tmp_path: Path) -> None:
    own = StateDatabase(tmp_path / "api", busy_timeout_s=10.0)
    start, failed = threading.Barrier(8), []

    def work() -> None:
        start.wait()
        try:
            add(own)
        except Exception as error:
            failed.append(error)
        own.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert count(own) == 8
    own.close()


def test_fork_opens_a_connection_of_its_own(own: StateDatabase) -> None:
    add(own)
    parents = own._open_here.get()
    child = os.fork()
    if child == 0:
        try:
            add(own)
            os._exit(0 if own._open_here.get() is not parents else 3)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert count(own) == 2


def test_failed_transaction_leaves_nothing(own: StateDatabase) -> None:
    def add_two() -> None:
        with own.transaction() as connection:
            for n in (1, None):
                connection.execute(INSERT, {"n": n})

    with pytest.raises(QueryFailed):
        add_two()
    assert count(own) == 0
    add(own)
    assert count(own) == 1


def test_locked_is_busy_and_reading_goes_on(own: StateDatabase) -> None:
    add(own)
    with closing(sqlite3.connect(own.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy):
            add(own)
        assert count(own) == 1
        other.execute("ROLLBACK")
    add(own)


def test_directory_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailable, match="directory"):
        count(StateDatabase(tmp_path / "file" / "api"))


def test_file_of_a_newer_version_is_left_alone(own: StateDatabase) -> None:
    own.path.parent.mkdir()
    with closing(sqlite3.connect(own.path)) as connection:
        connection.execute("PRAGMA user_version = 1000")
    with pytest.raises(DatabaseUnavailable, match="newer"):
        count(own)


def test_what_is_no_database_is_unavailable_and_untouched(own: StateDatabase) -> None:
    own.path.parent.mkdir()
    own.path.write_bytes(b"precious " * 1000)
    with pytest.raises(DatabaseUnavailable):
        count(own)
    assert own.path.read_bytes() == b"precious " * 1000


def test_file_that_was_taken_away_is_not_written_to(own: StateDatabase) -> None:
    add(own)
    for file in own.path.parent.iterdir():
        file.rename(file.with_name(f"old-{file.name}"))
    add(own)
    assert count(own) == 1


@pytest.mark.parametrize("gone", [["-shm"], ["-wal"], ["-wal", "-shm"]], ids="+".join)
def test_deleted_log_is_not_written_to(own: StateDatabase, gone: list[str]) -> None:
    """What is confirmed would be in a file that nobody finds any more."""
    with own.transaction() as connection:
        connection.execute("SELECT 1")
    assert not own.is_adrift
    for ending in gone:
        Path(f"{own.path}{ending}").unlink()
    with pytest.raises(DatabaseUnavailable, match="was deleted while it was open"), own.transaction():
        pass
    assert own.is_adrift


def test_later_step_is_carried_out_on_an_older_file(own: StateDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    add(own)
    own.close()
    later = "CREATE TABLE other (n INTEGER) STRICT;\n-- ; in a comment\nINSERT INTO other VALUES (';' <> '');\n"
    monkeypatch.setattr(state, "steps", lambda: (*steps(), later))
    assert own.rows("SELECT n FROM other", {}) == [(1,)]
    assert count(own) == 1


def test_step_that_fails_leaves_the_file_as_it_was(own: StateDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    add(own)
    own.close()
    monkeypatch.setattr(state, "steps", lambda: (*steps(), "CREATE TABLE other (n INTEGER);\nSELECT nonsense;\n"))
    with pytest.raises(DatabaseUnavailable):
        count(own)
    monkeypatch.undo()
    assert own.rows("SELECT name FROM sqlite_master WHERE name = 'other'", {}) == []
    assert count(own) == 1


def test_statement_is_stopped_at_the_deadline(own: StateDatabase) -> None:
    add(own)
    deadline.start(0.01)
    with pytest.raises(QueryTimeout):
        own.rows("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", {})
    deadline.start(None)
    assert count(own) == 1
