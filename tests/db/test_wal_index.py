"""SQLite's own note of the last commit: changes exactly when the pragma says so, and disturbs no lock."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.db import wal_index
from app.db.files import PipelineFiles
from app.db.pipeline import PipelineDatabase
from app.db.swaps import Identity
from app.db.wal_index import WalIndexes
from tests.support.pipeline import Pipeline

CHECKPOINT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0)
print(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
"""


def identity(path: Path) -> Identity:
    status = path.stat()
    return Identity(status.st_dev, status.st_ino)


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "a database.sqlite3"
    with closing(connect(made)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (n INTEGER)")
    return made


@pytest.fixture
def reader(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(path)) as connection:
        connection.execute("SELECT n FROM t").fetchall()
        yield connection


def found(path: Path) -> bytes | None:
    indexes = WalIndexes()
    indexes.find(path, identity(path))
    return indexes.header(identity(path))


OPERATIONS = {
    "insert": "INSERT INTO t VALUES (1)",
    "nothing": "DELETE FROM t WHERE n = 99",
    "delete": "DELETE FROM t",
    "begin": "BEGIN IMMEDIATE",
    "rollback": "ROLLBACK",
    "commit": "COMMIT",
    "read": "SELECT count(*) FROM t",
    "checkpoint": "PRAGMA wal_checkpoint(PASSIVE)",
    "restart": "PRAGMA wal_checkpoint(TRUNCATE)",
    "alter": "CREATE TABLE IF NOT EXISTS u (n INTEGER)",
    "drop": "DROP TABLE IF EXISTS u",
}


@settings(max_examples=60, deadline=None)
@given(names=st.lists(st.sampled_from(sorted(OPERATIONS)), max_size=25))
def test_note_changes_whenever_the_pragma_says_that_something_was_committed(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    path = tmp_path_factory.mktemp("wal") / "a.sqlite3"
    with closing(connect(path)) as writer, closing(connect(path)) as reader:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (n INTEGER)")
        version = reader.execute("PRAGMA data_version").fetchone()
        indexes = WalIndexes()
        indexes.find(path, identity(path))
        note = indexes.header(identity(path))
        assert note is not None
        for name in names:
            try:
                writer.execute(OPERATIONS[name]).fetchall()
            except sqlite3.OperationalError:
                continue
            now, noted = reader.execute("PRAGMA data_version").fetchone(), indexes.header(identity(path))
            if now != version:
                assert noted != note, f"{name} was committed and the note says nothing"
            if name in {"read", "nothing", "rollback", "begin"}:
                assert noted == note, f"{name} changed nothing and the note says it did"
            version, note = now, noted


def test_commit_of_another_process_is_noted(path: Path, reader: sqlite3.Connection) -> None:
    indexes = WalIndexes()
    indexes.find(path, identity(path))
    before = indexes.header(identity(path))
    statement = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('DELETE FROM t'); c.execute('INSERT INTO t VALUES (1)'); c.commit()"  # noqa: E501
    subprocess.run([sys.executable, "-c", statement, str(path)], check=True, timeout=20)
    assert indexes.header(identity(path)) not in {None, before}


def test_looking_drops_no_lock_that_sqlite_holds(path: Path, reader: sqlite3.Connection) -> None:
    def busy() -> bool:
        done = subprocess.run(
            [sys.executable, "-c", CHECKPOINT, str(path)], capture_output=True, text=True, check=True, timeout=20
        )
        return done.stdout.strip() == "1"

    assert not busy()
    with closing(connect(path)) as writer:
        writer.execute("INSERT INTO t VALUES (1)")
        reader.execute("BEGIN")
        reader.execute("SELECT n FROM t").fetchall()
        for _ in range(3):
            assert found(path) is not None
        assert busy(), "the reader's lock is gone"
        reader.execute("COMMIT")
        assert not busy()


def test_file_reached_by_a_link_is_found(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.sqlite3"
    link.symlink_to(path)
    with closing(connect(link)) as reader:
        reader.execute("SELECT n FROM t").fetchall()
        assert found(link) is not None


def test_database_that_this_process_has_not_open_is_not_looked_at(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.execute("SELECT n FROM t").fetchall()
        shared = path.with_name(path.name + "-shm").read_bytes()
    path.with_name(path.name + "-shm").write_bytes(shared)
    assert found(path) is None


@pytest.mark.parametrize("mode", ["delete", "truncate", "memory"])
def test_other_journal_modes_are_left_to_sqlite(path: Path, mode: str) -> None:
    with closing(connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("SELECT n FROM t").fetchall()
        assert found(path) is None


def test_log_of_another_file_is_never_believed(path: Path, reader: sqlite3.Connection) -> None:
    indexes = WalIndexes()
    orphan = identity(path)._replace(orphaned_log=True)
    indexes.find(path, orphan)
    assert indexes.header(orphan) is None


def test_system_that_does_not_tell_what_is_mapped_is_left_to_sqlite(
    path: Path, reader: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(wal_index, "_MAPS", tmp_path / "absent")
    assert found(path) is None


def opened_database(path: Path) -> sqlite3.Connection:
    connection = connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (n INTEGER)")
    return connection


def test_number_of_kept_handles_is_bounded_and_deleted_files_make_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wal_index, "_kept", {})
    monkeypatch.setattr(wal_index, "_MOST", 3)
    indexes = WalIndexes()
    paths = [tmp_path / f"{n}.sqlite3" for n in range(6)]
    connections = [opened_database(path) for path in paths]
    for path in paths[:5]:
        indexes.find(path, identity(path))
    assert [indexes.header(identity(path)) is not None for path in paths[:5]] == [True, True, True, False, False]
    connections[0].close()  # SQLite deletes the shared memory with the last connection
    indexes.find(paths[5], identity(paths[5]))
    assert indexes.header(identity(paths[5])) is not None
    for connection in connections:
        connection.close()


def test_handle_is_kept_when_whoever_asked_for_it_is_gone(path: Path, reader: sqlite3.Connection) -> None:
    handles = {handle for handle, _ in wal_index._kept.values()}
    assert found(path) is not None
    (handle,) = {handle for handle, _ in wal_index._kept.values()} - handles
    assert os.fstat(handle).st_ino == path.with_name(path.name + "-shm").stat().st_ino


def test_inode_number_that_comes_back_is_another_database(path: Path, tmp_path: Path) -> None:
    """As when a file was deleted and a new one got its number: what was mapped for the first must not speak for it."""
    indexes = WalIndexes()
    number = identity(path)
    with closing(connect(path)) as first:
        first.execute("SELECT n FROM t").fetchall()
        indexes.find(path, number)
        old = indexes.header(number)
    other = tmp_path / "other.sqlite3"
    with closing(connect(other)) as second:
        second.execute("PRAGMA journal_mode = WAL")
        second.execute("CREATE TABLE t (n INTEGER)")
        indexes.find(other, number)
        before = indexes.header(number)
        assert before not in {None, old}
        second.execute("INSERT INTO t VALUES (1)")
        assert indexes.header(number) != before


def test_query_asks_no_pragma_while_nothing_was_committed(pipeline: Pipeline) -> None:
    database = PipelineDatabase(PipelineFiles(pipeline.products_path, pipeline.registry_path))
    seen: list[str] = []
    database.on_open.append(lambda connection: connection.set_trace_callback(seen.append))
    try:
        database.value("SELECT count(*) FROM t_images")
        seen.clear()
        database.value("SELECT count(*) FROM t_images")
        assert not [statement for statement in seen if "PRAGMA" in statement]
        pipeline.make_image()
        assert database.value("SELECT count(*) FROM t_images") == 1
        assert [statement for statement in seen if "PRAGMA" in statement]
        seen.clear()
        database.value("SELECT count(*) FROM t_images")
        assert not [statement for statement in seen if "PRAGMA" in statement]
    finally:
        database.close()


def test_files_that_stay_open_are_counted_once(pipeline: Pipeline) -> None:
    files = PipelineFiles(pipeline.products_path, pipeline.registry_path)
    databases = [PipelineDatabase(files) for _ in range(5)]
    for database in databases:
        database.value("SELECT count(*) FROM t_images")
    opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_open(fd)]
    shared = [path for path in opened if path == f"{pipeline.products_path}-shm"]
    for database in databases:
        database.close()
    assert len(shared) <= 3  # SQLite's one for all connections, and ours: a handle, and the mapping's


def _is_open(fd: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{fd}")


def test_deletion_is_seen_whatever_was_looked_at_before(path: Path, reader: sqlite3.Connection) -> None:
    """A directory in which nothing changed for long is believed; one that just changed is not."""
    indexes, database = WalIndexes(), identity(path)
    indexes.find(path, database)
    long_ago_s = path.stat().st_mtime - 3600
    for calm in (False, True):
        if calm:
            os.utime(path.parent, (long_ago_s, long_ago_s))
        assert not any(indexes.is_any_lost([database, database]) for _ in range(3))
    aside = path.with_name("aside")
    os.link(f"{path}-wal", aside)
    Path(f"{path}-wal").unlink()
    assert not indexes.is_any_lost([database]), "it is there, under another name"
    aside.unlink()
    assert indexes.is_any_lost([database])
    assert indexes.is_any_lost([None, database])


def test_directory_that_may_be_searched_and_not_read_is_looked_at(path: Path, reader: sqlite3.Connection) -> None:
    path.parent.chmod(0o311)
    try:
        indexes = WalIndexes()
        indexes.find(path, identity(path))
        assert not indexes.is_any_lost([identity(path)])
    finally:
        path.parent.chmod(0o755)
