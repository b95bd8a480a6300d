"""The database room: one connection a thread, canonical views, typed errors, swapped files."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.db import deadline, orphans
from app.db.changes import ChangeWatcher
from app.db.errors import translate
from app.db.files import PipelineFiles
from app.db.pipeline import PipelineDatabase
from app.db.views import JOINS, TABLES
from app.db.writing import WritableDatabase
from app.domain.errors import Busy, DatabaseUnavailable, QueryFailed, QueryTimeout
from tests.support.pipeline import Pipeline

COUNT_IMAGES = "SELECT count(*) FROM t_images"


def open_database(pipeline: Pipeline, busy_timeout_s: float = 0.2) -> PipelineDatabase:
    return PipelineDatabase(
        PipelineFiles(pipeline.products_path, pipeline.registry_path), busy_timeout_s=busy_timeout_s
    )


def test_every_view_has_its_full_column_list_in_every_generation(any_pipeline: Pipeline) -> None:
    database = open_database(any_pipeline)
    for table in TABLES:
        expected = [column.split("|")[0] for column in table.columns.split()]
        with database.connection() as connection:
            described = connection.execute(f"SELECT {', '.join(expected)} FROM {table.view}").description
        assert [column[0] for column in described] == expected
    for view in JOINS:
        database.rows(f"SELECT count(*) FROM {view}")
    database.close()


def test_row_of_one_table_reads_alike_in_every_generation(any_pipeline: Pipeline) -> None:
    any_pipeline.make_image(path="/stage/img/x.fits", noise_jy=0.0)
    database = open_database(any_pipeline)
    assert database.rows("SELECT path, noise_jy FROM t_images") == [("/stage/img/x.fits", 0.0)]
    database.close()


@pytest.mark.parametrize("optional", ["jobs", "image_qa", "calibration_qa", "batch_jobs"])
def test_missing_optional_table_is_an_empty_view(pipeline: Pipeline, optional: str) -> None:
    pipeline.connection.execute(f"DROP TABLE IF EXISTS {optional}")
    pipeline.connection.commit()
    database = open_database(pipeline)
    assert database.rows(f"SELECT * FROM t_{optional}") == []
    database.close()


@pytest.mark.parametrize("core", ["images", "ms_index", "photometry"])
def test_missing_core_table_makes_only_queries_on_it_unavailable(pipeline: Pipeline, core: str) -> None:
    pipeline.connection.execute(f"DROP TABLE {core}")
    pipeline.connection.commit()
    database = open_database(pipeline)
    with pytest.raises(DatabaseUnavailable):
        database.rows(f"SELECT count(*) FROM t_{core}")
    assert database.rows("SELECT count(*) FROM t_jobs") == [(0,)]
    database.close()


def test_registry_may_be_absent_and_appear_later(tmp_path: Path) -> None:
    with Pipeline(tmp_path, "production", registry=False) as pipeline:
        database = open_database(pipeline)
        assert database.rows("SELECT path FROM t_caltables") == []
        with Pipeline(tmp_path / "other", "production") as donor:
            donor.make_caltable(path="/stage/cal/late.tbl")
            donor_path = donor.registry_path
        shutil.copy(donor_path, pipeline.registry_path)
        assert database.rows("SELECT path FROM t_caltables") == [("/stage/cal/late.tbl",)]
        database.close()


def test_unified_file_serves_calibration_tables_even_where_only_the_products_path_names_it(tmp_path: Path) -> None:
    with Pipeline(tmp_path, "head") as pipeline:
        pipeline.make_caltable(path="/stage/cal/one.tbl")
        database = PipelineDatabase(PipelineFiles(pipeline.products_path, tmp_path / "no_registry.sqlite3"))
        assert database.rows("SELECT path FROM t_caltables") == [("/stage/cal/one.tbl",)]
        database.close()


def test_missing_file_is_unavailable_and_is_not_created(tmp_path: Path) -> None:
    absent = tmp_path / "absent.sqlite3"
    database = PipelineDatabase(PipelineFiles(absent, tmp_path / "registry.sqlite3"))
    with pytest.raises(DatabaseUnavailable) as caught:
        database.rows(COUNT_IMAGES)
    assert str(tmp_path) not in caught.value.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"this is no database" * 100, b""], ids=["foreign", "empty"])
def test_foreign_file_is_unavailable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "products.sqlite3"
    path.write_bytes(content)
    database = PipelineDatabase(PipelineFiles(path, None))
    with pytest.raises(DatabaseUnavailable):
        database.rows(COUNT_IMAGES)
    database.close()


def test_truncated_file_is_unavailable(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.make_many_images(2000)
    pipeline.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = pipeline.products_path.read_bytes()
    half = tmp_path / "half.sqlite3"
    half.write_bytes(whole[: len(whole) // 2])
    database = PipelineDatabase(PipelineFiles(half, None))
    with pytest.raises(DatabaseUnavailable):
        database.rows("SELECT sum(length(path)) FROM t_images")
    database.close()


def test_locked_file_is_busy_after_the_timeout(tmp_path: Path) -> None:
    with Pipeline(tmp_path, "production") as pipeline:
        pipeline.connection.execute("PRAGMA journal_mode = DELETE")
        database = open_database(pipeline, busy_timeout_s=0.05)
        pipeline.connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Busy):
            database.rows(COUNT_IMAGES)
        pipeline.connection.rollback()
        assert database.rows(COUNT_IMAGES) == [(0,)]
        database.close()


def test_reader_is_not_held_up_by_a_writer_in_wal_mode(pipeline: Pipeline, database: PipelineDatabase) -> None:
    pipeline.connection.execute("BEGIN IMMEDIATE")
    assert database.rows(COUNT_IMAGES) == [(0,)]
    pipeline.connection.rollback()


def test_query_past_the_deadline_is_stopped(database: PipelineDatabase) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n"
    deadline.start(0.05)
    try:
        with pytest.raises(QueryTimeout):
            database.rows(endless)
    finally:
        deadline.start(None)
    assert database.rows(COUNT_IMAGES) == [(0,)]


def test_statement_that_sqlite_refuses_is_a_failed_query_without_the_statement(database: PipelineDatabase) -> None:
    with pytest.raises(QueryFailed) as caught:
        database.rows("SELECT secret_column_name FROM")
    assert "secret" not in caught.value.message


def test_nothing_can_be_written_through_a_reader(pipeline: Pipeline, database: PipelineDatabase) -> None:
    pipeline.make_image()
    with pytest.raises(DatabaseUnavailable):
        database.rows("DELETE FROM images")
    assert database.rows(COUNT_IMAGES) == [(1,)]


def test_journal_mode_of_the_pipeline_is_left_alone(tmp_path: Path) -> None:
    with Pipeline(tmp_path, "production") as pipeline:
        pipeline.connection.execute("PRAGMA journal_mode = DELETE")
        database = open_database(pipeline)
        database.rows(COUNT_IMAGES)
        database.close()
        assert pipeline.connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_replaced_file_is_seen_by_the_next_query(
    pipeline: Pipeline, database: PipelineDatabase, tmp_path: Path
) -> None:
    assert database.rows(COUNT_IMAGES) == [(0,)]
    with Pipeline(tmp_path / "fresh", "head") as other:
        other.make_image()
        other.make_image()
        other.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.replace(other.products_path, pipeline.products_path)
    assert database.rows(COUNT_IMAGES) == [(2,)]


def test_file_replaced_between_the_look_and_the_query_is_no_failure(tmp_path: Path) -> None:
    with Pipeline(tmp_path / "state", "production") as pipeline, Pipeline(tmp_path / "fresh", "production") as other:
        other.make_image()
        for connection in (pipeline.connection, other.connection):
            connection.execute("PRAGMA journal_mode = DELETE")
    database = open_database(pipeline)
    assert database.rows(COUNT_IMAGES) == [(0,)]
    reads = 0

    def read(connection: sqlite3.Connection) -> int:
        nonlocal reads
        reads += 1
        if reads > 1:
            count: int = connection.execute(COUNT_IMAGES).fetchone()[0]
            return count
        os.replace(other.products_path, pipeline.products_path)
        # The new file's journal, which a reader of the old file takes for the old one's.
        with closing(sqlite3.connect(pipeline.products_path, isolation_level=None)) as writer:
            for statement in ("PRAGMA cache_size = 1", "BEGIN", "CREATE TABLE more AS SELECT zeroblob(200000)"):
                writer.execute(statement)
            connection.execute(COUNT_IMAGES).fetchone()
        raise AssertionError("the old file was read beside the new one's journal")

    assert database._read(read) == 1
    database.close()


def test_log_left_beside_a_replaced_file_is_not_laid_over_the_new_one(
    pipeline: Pipeline, database: PipelineDatabase, tmp_path: Path
) -> None:
    pipeline.make_image()
    assert database.rows(COUNT_IMAGES) == [(1,)]
    assert Path(f"{pipeline.products_path}-wal").stat().st_size > 0
    with Pipeline(tmp_path / "fresh", "head") as other:
        other.make_image()
        other.make_image()
    os.replace(other.products_path, pipeline.products_path)
    seen: list[int] = [database.value(COUNT_IMAGES)]

    def look() -> None:
        seen.append(database.value(COUNT_IMAGES))
        database.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert [*seen, database.value(COUNT_IMAGES)] == [2, 2, 2]


def torn_copy(other: Pipeline, directory: Path) -> Path:
    """What a machine that went down leaves of a database: the file, and a log that is not folded in."""
    copy = directory / "torn.sqlite3"
    for ending in ("", "-wal"):
        shutil.copy(f"{other.products_path}{ending}", f"{copy}{ending}")
    return copy


def put_in_place(torn: Path, path: Path) -> None:
    for ending in ("-wal", ""):
        os.replace(f"{torn}{ending}", f"{path}{ending}")


def test_log_that_comes_with_a_new_file_is_its_own_whoever_opened_it_first(
    pipeline: Pipeline, database: PipelineDatabase, tmp_path: Path
) -> None:
    """A probe may open it, or a thread in the very moment in which it comes."""
    assert database.rows(COUNT_IMAGES) == [(0,)]
    with Pipeline(tmp_path / "fresh", "head") as other:
        other.make_image()
        put_in_place(torn_copy(other, tmp_path), pipeline.products_path)
    with closing(sqlite3.connect(pipeline.products_path)) as first:
        assert first.execute("SELECT count(*) FROM images").fetchall() == [(1,)]
        assert database.rows(COUNT_IMAGES) == [(1,)]
    assert database.rows(COUNT_IMAGES) == [(1,)]


@pytest.mark.parametrize("with_log", [True, False], ids=["with a log of its own", "alone"])
def test_file_that_is_replaced_while_it_is_opened_is_opened_again(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_log: bool
) -> None:
    with Pipeline(tmp_path / "fresh", "head") as other:
        other.make_image()
        if not with_log:
            other.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        torn = torn_copy(other, tmp_path)
    pipeline.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files = PipelineFiles(pipeline.products_path, pipeline.registry_path)
    seen: list[object] = []

    def open_as_it_comes(*given: object, **options: object) -> sqlite3.Connection:
        connection = connect(*given, **options)
        if torn.exists():
            put_in_place(torn, pipeline.products_path)
        return connection

    connect: Any = sqlite3.connect
    monkeypatch.setattr("app.db.files.sqlite3.connect", open_as_it_comes)
    first, second = PipelineDatabase(files), PipelineDatabase(files)
    for database in (first, second, first):
        seen += database.rows(COUNT_IMAGES)
    first.close()
    second.close()
    assert seen == [(1,)] * 3


def test_file_that_is_replaced_without_end_is_unavailable(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = PipelineDatabase(PipelineFiles(pipeline.products_path, None))
    connect: Any = sqlite3.connect

    def open_as_another_comes(*given: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*given, **options)
        shutil.copy(pipeline.products_path, tmp_path / "next.sqlite3")
        os.replace(tmp_path / "next.sqlite3", pipeline.products_path)
        return connection

    monkeypatch.setattr("app.db.files.sqlite3.connect", open_as_another_comes)
    with pytest.raises(DatabaseUnavailable, match="again and again"):
        database.rows(COUNT_IMAGES)


def test_log_left_behind_is_known_also_where_the_old_file_was_gone_before_the_new_one_came(
    pipeline: Pipeline, database: PipelineDatabase, tmp_path: Path
) -> None:
    pipeline.make_image()
    assert database.rows(COUNT_IMAGES) == [(1,)]
    with Pipeline(tmp_path / "fresh", "head") as other:
        other.make_image()
        other.make_image()
    aside = tmp_path / "aside.sqlite3"
    os.replace(pipeline.products_path, aside)
    with pytest.raises(DatabaseUnavailable):
        database.rows(COUNT_IMAGES)
    shutil.copy(other.products_path, pipeline.products_path)
    assert database.rows(COUNT_IMAGES) == [(2,)]
    # The old file is back: the log is its own.
    os.replace(aside, pipeline.products_path)
    assert database.rows(COUNT_IMAGES) == [(1,)]
    pipeline.make_image()
    assert database.rows(COUNT_IMAGES) == [(2,)]


@pytest.mark.parametrize("linked", [False, True], ids=["file", "link"])
def test_log_left_behind_is_told_to_those_who_come_after(
    pipeline: Pipeline, tmp_path: Path, linked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "link.sqlite3" if linked else pipeline.products_path
    if linked:
        path.symlink_to(pipeline.products_path)
    pipeline.make_image()
    first, idle = (PipelineDatabase(PipelineFiles(path, None, tmp_path / "notes")) for _ in range(2))
    assert first.rows(COUNT_IMAGES) == [(1,)]
    with Pipeline(tmp_path / "fresh", "head") as other:
        other.make_image()
        other.make_image()
    os.replace(other.products_path, pipeline.products_path)
    assert first.rows(COUNT_IMAGES) == [(2,)]
    assert "the log of the file before lies beside it" in caplog.text
    later = PipelineDatabase(PipelineFiles(path, None, tmp_path / "notes"))
    assert (later.rows(COUNT_IMAGES), idle.rows(COUNT_IMAGES)) == ([(2,)], [(2,)])
    # As it is repaired: the log goes, and the next writer begins another.
    for ending in ("-wal", "-shm"):
        Path(f"{pipeline.products_path}{ending}").unlink()
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("DELETE FROM images WHERE id = (SELECT min(id) FROM images)")
        writer.commit()
        assert [database.rows(COUNT_IMAGES) for database in (first, later, idle)] == [[(1,)]] * 3
    for database in (first, later, idle):
        database.close()


def test_nothing_is_written_beside_a_log_that_was_left_behind(pipeline: Pipeline, tmp_path: Path) -> None:
    """SQLite would take the old file's last pages into the new one."""
    pipeline.make_image()
    notes = tmp_path / "notes"
    database = PipelineDatabase(PipelineFiles(pipeline.products_path, None, notes))
    writing = WritableDatabase(pipeline.products_path, "products", notes=notes)
    database.rows(COUNT_IMAGES)
    with writing.transaction() as connection:
        connection.execute("DELETE FROM images")
    with Pipeline(tmp_path / "fresh", "production") as other:
        other.make_image()
        other.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.replace(other.products_path, pipeline.products_path)
    assert database.rows(COUNT_IMAGES) == [(1,)]
    with pytest.raises(DatabaseUnavailable, match="the log of a file that was replaced"), writing.transaction():
        pass
    database.close()


def test_process_that_opened_too_early_learns_whose_log_it_read(pipeline: Pipeline, tmp_path: Path) -> None:
    """The first to look at a new file was one that had never seen the old one."""
    pipeline.make_image()
    knows, new = (PipelineFiles(pipeline.products_path, None, tmp_path / "notes") for _ in range(2))
    first, second = PipelineDatabase(knows), PipelineDatabase(new)
    first.rows(COUNT_IMAGES)
    with Pipeline(tmp_path / "fresh", "production") as other:
        other.make_image()
        other.make_image()
        other.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.replace(other.products_path, pipeline.products_path)
    with contextlib.suppress(DatabaseUnavailable):
        second.rows(COUNT_IMAGES)
    assert first.rows(COUNT_IMAGES) == [(2,)]
    new.learn()
    assert second.rows(COUNT_IMAGES) == [(2,)]
    first.close()
    second.close()


def test_notes_that_cannot_be_read_or_written_stop_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / orphans.FILE_NAME).write_text('{"a": 1, "b": [1, 2]}')
    pipeline.make_image()
    database = PipelineDatabase(PipelineFiles(pipeline.products_path, None, notes))
    assert database.rows(COUNT_IMAGES) == [(1,)]
    (notes / orphans.FILE_NAME).unlink()
    notes.rmdir()
    notes.write_text("no directory")
    with Pipeline(tmp_path / "fresh", "head") as other:
        other.make_image()
        other.make_image()
    os.replace(other.products_path, pipeline.products_path)
    assert database.rows(COUNT_IMAGES) == [(2,)]
    database.close()


@pytest.mark.parametrize("gone", [["-shm"], ["-wal", "-shm"]], ids="+".join)
def test_commits_that_cannot_be_seen_any_more_are_not_passed_over_in_silence(
    pipeline: Pipeline, gone: list[str]
) -> None:
    """Whoever deletes these files beside an open database splits it: later commits go where nobody here looks."""
    pipeline.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files = PipelineFiles(pipeline.products_path, None)
    database = PipelineDatabase(files)
    pipeline.close()
    assert (database.rows(COUNT_IMAGES), files.is_adrift) == ([(0,)], False)
    for ending in gone:
        Path(f"{pipeline.products_path}{ending}").unlink()
    assert (database.rows(COUNT_IMAGES), files.is_adrift) == ([(0,)], True)
    with Process(pipeline.products_path):
        with pytest.raises(DatabaseUnavailable, match="was deleted while it was open"):
            database.rows(COUNT_IMAGES)
        watcher = ChangeWatcher(files)
        assert watcher.generation() != watcher.generation()
        watcher.close()
    database.close()


class Process:
    """Another process that makes an image and keeps the database open."""

    def __init__(self, path: Path) -> None:
        program = (
            "import sqlite3, sys, time; connection = sqlite3.connect(sys.argv[1]); "
            "connection.execute(\"INSERT INTO images (path, ms_path, created_at, type) VALUES ('a', 'b', 0, 'c')\"); "
            "connection.commit(); print(flush=True); time.sleep(60)"
        )
        self._process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)

    def __enter__(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def test_new_file_is_followed_again_once_the_orphaned_log_is_gone(
    pipeline: Pipeline, database: PipelineDatabase, tmp_path: Path
) -> None:
    pipeline.make_image()
    database.rows(COUNT_IMAGES)
    with Pipeline(tmp_path / "fresh", "head") as other:
        other.make_image()
        other.make_image()
    os.replace(other.products_path, pipeline.products_path)
    assert database.rows(COUNT_IMAGES) == [(2,)]
    for companion in ("-wal", "-shm"):
        Path(f"{pipeline.products_path}{companion}").unlink()
    with closing(sqlite3.connect(pipeline.products_path)) as writer:
        writer.execute("DELETE FROM images WHERE id = (SELECT min(id) FROM images)")
        writer.commit()
        assert database.rows(COUNT_IMAGES) == [(1,)]


def test_deleted_file_is_unavailable_and_its_return_is_seen(
    pipeline: Pipeline, database: PipelineDatabase, tmp_path: Path
) -> None:
    database.rows(COUNT_IMAGES)
    aside = tmp_path / "aside.sqlite3"
    os.replace(pipeline.products_path, aside)
    with pytest.raises(DatabaseUnavailable):
        database.rows(COUNT_IMAGES)
    os.replace(aside, pipeline.products_path)
    assert database.rows(COUNT_IMAGES) == [(0,)]


def test_column_added_meanwhile_is_read_by_the_next_query(tmp_path: Path) -> None:
    with Pipeline(tmp_path, "production") as pipeline:
        database = open_database(pipeline)
        number = pipeline.make_image()
        assert database.rows("SELECT dynamic_range FROM t_images") == [(None,)]
        pipeline.connection.execute("ALTER TABLE images ADD COLUMN dynamic_range REAL")
        pipeline.connection.execute("UPDATE images SET dynamic_range = 12.5 WHERE id = ?", (number,))
        pipeline.connection.commit()
        assert database.rows("SELECT dynamic_range FROM t_images") == [(12.5,)]
        database.close()


def test_threads_have_connections_of_their_own(database: PipelineDatabase) -> None:
    seen: list[int] = []

    def look() -> None:
        with database.connection() as connection:
            seen.append(id(connection))
        database.close()

    with database.connection() as here:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert seen != [id(here)]


def test_forked_child_opens_its_own_connection(pipeline: Pipeline, database: PipelineDatabase) -> None:
    pipeline.make_image()
    with database.connection() as inherited:
        pass
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        with database.connection() as own:
            verdict = b"own" if own is not inherited else b"inherited"
        os.write(write_end, verdict + b" %d" % database.value(COUNT_IMAGES))
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        assert pipe.read() == b"own 1"
    os.waitpid(child, 0)
    assert database.value(COUNT_IMAGES) == 1


def test_infinite_fluxes_are_missing_and_zero_is_a_flux(pipeline: Pipeline, database: PipelineDatabase) -> None:
    for flux, peak in ((0.0, 9.0), (float("inf"), 0.5), (None, 0.25), (float("-inf"), float("inf"))):
        pipeline.make_photometry(flux_jy=flux, peak_jyb=peak)
    assert database.rows("SELECT flux_jy FROM v_photometry ORDER BY id") == [(0.0,), (0.5,), (0.25,), (None,)]


def test_translation_knows_extended_codes() -> None:
    error = sqlite3.OperationalError("anything")
    error.sqlite_errorname = "SQLITE_BUSY_SNAPSHOT"
    assert isinstance(translate(error, "products"), Busy)


def test_registry_that_goes_while_it_is_opened_is_no_failure(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = PipelineFiles(pipeline.products_path, pipeline.registry_path)
    database = PipelineDatabase(files)
    opened = files.open

    def gone_meanwhile(**options: float) -> object:
        pipeline.registry_path.unlink(missing_ok=True)
        return opened(**options)

    monkeypatch.setattr(files, "open", gone_meanwhile)
    assert database.value("SELECT count(*) FROM t_caltables") == 0
    database.close()


def test_lock_that_is_waited_for_while_opening_is_told_as_slow(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Pipeline(tmp_path, "production") as pipeline:
        pipeline.connection.execute("PRAGMA journal_mode = DELETE")
        pipeline.connection.execute("BEGIN EXCLUSIVE")
        files = PipelineFiles(pipeline.products_path, None)
        database = PipelineDatabase(files, busy_timeout_s=0.1, slow_query_s=0.05)
        with pytest.raises(Busy):
            database.rows(COUNT_IMAGES)
        assert COUNT_IMAGES in caplog.text
        assert database.spent().slow == 1
        database.close()


def test_registry_is_read_while_the_products_are_missing(tmp_path: Path) -> None:
    with Pipeline(tmp_path, "production") as pipeline:
        pipeline.make_caltable()
        pipeline.make_image()
    aside = tmp_path / "aside.sqlite3"
    os.replace(pipeline.products_path, aside)
    database = open_database(pipeline)
    calibration = "SELECT count(*) FROM v_caltable"
    assert database.rows(calibration) == [(1,)]
    for view in ("t_images", "t_jobs", "t_batch_jobs", "v_job", "v_batch", "t_image_qa"):
        with pytest.raises(DatabaseUnavailable, match="the file does not exist"):
            database.rows(f"SELECT count(*) FROM {view}")
    watcher = ChangeWatcher(database.files)
    assert watcher.generation() == watcher.generation()
    before = watcher.generation()
    os.replace(aside, pipeline.products_path)
    assert watcher.generation() != before
    assert [database.rows(sql) for sql in (COUNT_IMAGES, calibration)] == [[(1,)], [(1,)]]
    os.replace(pipeline.products_path, aside)
    assert database.rows(calibration) == [(1,)]
    with pytest.raises(DatabaseUnavailable, match="the file does not exist"):
        database.rows(COUNT_IMAGES)
    watcher.close()
    database.close()
