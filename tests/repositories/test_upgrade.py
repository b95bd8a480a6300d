"""The upgrade: what it adds, that it leaves no trace, and that nobody is in anybody's way."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.db.files import PipelineFiles
from app.db.parts import parts_of, standing_parts
from app.db.pipeline import PipelineDatabase
from app.db.upgrade import PipelineUpgrade
from app.domain.errors import Busy, DatabaseError, DatabaseUnavailable
from tests.support.pipeline import BASE_UNIX_S, GENERATIONS, Pipeline, image_path, ms_path
from tests.support.summaries import kept_counts, kept_sources, true_counts, true_sources

REVISIONS = ["0001", "0002", "0003", "0004", "0005", "0006", "0007"]


def upgrades(pipeline: Pipeline) -> list[PipelineUpgrade]:
    """The upgrade of each of a pipeline's files."""
    paths = dict.fromkeys((pipeline.products_path, pipeline.registry_path))
    return [PipelineUpgrade(path, path.stem, busy_timeout_s=5.0) for path in paths if path.exists()]


def upgrade(pipeline: Pipeline) -> None:
    for each in upgrades(pipeline):
        each.upgrade()


def schema(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()


def fill(pipeline: Pipeline) -> None:
    """A few rows of every kind; one measurement without a source, one without an image, one image twice."""
    for n in range(1, 6):
        pipeline.make_ms(stage=["imaged", None, "calibrated"][n % 3])
        pipeline.make_image(type=["image", "pbcor"][n % 2])
        pipeline.make_photometry(source_id=f"S{n % 2}")
        pipeline.make_job()
        pipeline.make_batch_job(status=["done", "pending"][n % 2])
        pipeline.make_caltable()
        pipeline.make_image_qa()
        pipeline.make_calibration_qa()
    pipeline.make_photometry(source_id="alone", image_path="/nowhere")
    if pipeline.generation not in {"alembic", "head"}:
        pipeline.make_image(path=image_path(1), created_at=BASE_UNIX_S + 1)
    if pipeline.generation != "alembic":
        pipeline.make_photometry(source_id=None)


def read(pipeline: Pipeline, sql: str) -> list[tuple[Any, ...]]:
    """Rows as the service reads them."""
    database = PipelineDatabase(PipelineFiles(pipeline.products_path, pipeline.registry_path))
    try:
        return database.rows(sql)
    finally:
        database.close()


def counts(pipeline: Pipeline) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for kind, key, n in read(pipeline, "SELECT kind, key, n FROM v_count"):
        found[kind, key] = found.get((kind, key), 0) + n
    return found


SOURCES = "SELECT id, ra_deg, dec_deg, num_images, image_id FROM v_source ORDER BY id"


def test_source_and_count_views_give_the_same_rows_before_and_after(any_pipeline: Pipeline) -> None:
    fill(any_pipeline)
    before = read(any_pipeline, SOURCES), counts(any_pipeline)
    upgrade(any_pipeline)
    assert (read(any_pipeline, SOURCES), counts(any_pipeline)) == before
    assert before[0][-1][3:] == (0, None)  # a source whose image is not registered has none, and not image 0
    assert before[1]["caltables", ""] == 5


def test_views_read_the_summaries_once_they_are_there(any_pipeline: Pipeline) -> None:
    fill(any_pipeline)
    upgrade(any_pipeline)
    any_pipeline.connection.execute("UPDATE contimg_api_source SET ra_deg = 12.5")
    any_pipeline.connection.execute("UPDATE contimg_api_count SET n = 77 WHERE kind = 'sources'")
    any_pipeline.connection.commit()
    assert {row[1] for row in read(any_pipeline, SOURCES)} == {12.5}
    assert counts(any_pipeline)["sources", ""] == 77


def test_summaries_start_exact_on_a_file_with_rows(any_pipeline: Pipeline) -> None:
    fill(any_pipeline)
    upgrade(any_pipeline)
    expected = {key: n for key, n in true_counts(any_pipeline.connection).items() if key[0] != "caltables"}
    kept = {key: n for key, n in kept_counts(any_pipeline.connection).items() if key[0] != "caltables"}
    assert kept == expected
    assert kept_sources(any_pipeline.connection) == true_sources(any_pipeline.connection)


def test_downgrade_leaves_no_trace(any_pipeline: Pipeline) -> None:
    fill(any_pipeline)
    paths = (any_pipeline.products_path, any_pipeline.registry_path)
    before = [schema(path) for path in paths]
    upgrade(any_pipeline)
    assert [schema(path) for path in paths] != before
    for each in upgrades(any_pipeline):
        assert each.downgrade()
    assert [schema(path) for path in paths] == before


def test_downgrade_of_a_file_never_upgraded_changes_nothing(any_pipeline: Pipeline) -> None:
    before = schema(any_pipeline.products_path)
    assert [each.downgrade() for each in upgrades(any_pipeline)].count(True) == 0
    assert schema(any_pipeline.products_path) == before


def test_every_object_is_named_as_ours_and_none_of_the_pipeline_is_altered(any_pipeline: Pipeline) -> None:
    before = schema(any_pipeline.products_path)
    upgrade(any_pipeline)
    after = schema(any_pipeline.products_path)
    added = [row[1] for row in after if row not in before]
    assert all(row in after for row in before)
    assert all(name.startswith(("contimg_api_", "sqlite_autoindex_contimg_api_")) for name in added)


def test_upgrade_runs_every_revision_once(any_pipeline: Pipeline) -> None:
    first, *_ = upgrades(any_pipeline)
    assert first.status().revision is None
    assert first.upgrade() == REVISIONS
    assert first.upgrade() == []
    assert first.status().current


def test_status_writes_nothing(pipeline: Pipeline) -> None:
    before = pipeline.products_path.read_bytes()
    for each in upgrades(pipeline):
        assert each.status().pending == REVISIONS
    assert pipeline.products_path.read_bytes() == before


def test_interrupted_upgrade_is_continued(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.db import upgrade as module

    first, *_ = upgrades(pipeline)
    checks = iter([None, None, None, OSError("power cut")])

    def check(_driver: sqlite3.Connection) -> None:
        if failure := next(checks, None):
            raise failure

    monkeypatch.setattr(module, "_check", check)
    with pytest.raises(OSError, match="power cut"):
        first.upgrade()
    assert first.status().revision == "0003"  # the fourth was rolled back as a whole
    assert not [row for row in schema(pipeline.products_path) if row[1] == "contimg_api_photometry_measured"]
    assert first.upgrade() == REVISIONS[3:]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_journal_mode_stays_what_it_was(tmp_path: Path, mode: str) -> None:
    with Pipeline(tmp_path, "production") as pipeline:
        pipeline.connection.execute(f"PRAGMA journal_mode = {mode}")
        for step in (upgrade, lambda pipeline: [each.downgrade() for each in upgrades(pipeline)]):
            step(pipeline)
            with closing(sqlite3.connect(pipeline.products_path)) as connection:
                assert connection.execute("PRAGMA journal_mode").fetchone() == (mode,)


@pytest.mark.parametrize("act", ["upgrade", "downgrade", "status"])
def test_missing_file_is_an_error_and_is_not_created(tmp_path: Path, act: str) -> None:
    path = tmp_path / "absent.sqlite3"
    with pytest.raises(DatabaseUnavailable, match="does not exist"):
        getattr(PipelineUpgrade(path, "products"), act)()
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "products.sqlite3"
    path.write_text("not a database, but long enough to be taken for one" * 100)
    with pytest.raises(DatabaseUnavailable, match="not an SQLite database"):
        PipelineUpgrade(path, "products").upgrade()


def test_file_kept_locked_is_busy(pipeline: Pipeline) -> None:
    pipeline.connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy):
        PipelineUpgrade(pipeline.products_path, "products", busy_timeout_s=0.1).upgrade()
    pipeline.connection.rollback()


def test_file_of_a_later_version_is_left_alone(pipeline: Pipeline) -> None:
    first, *_ = upgrades(pipeline)
    first.upgrade()
    pipeline.connection.execute("UPDATE contimg_api_version SET version_num = '9999'")
    pipeline.connection.commit()
    before = schema(pipeline.products_path)
    with pytest.raises(DatabaseError, match="another version"):
        first.upgrade()
    assert schema(pipeline.products_path) == before


def test_unique_index_on_an_expression_refuses_the_counts_and_keeps_the_indexes(pipeline: Pipeline) -> None:
    pipeline.connection.execute("CREATE UNIQUE INDEX odd ON images (lower(path))")
    first, *_ = upgrades(pipeline)
    with pytest.raises(DatabaseError, match="unique index on an expression"):
        first.upgrade()
    assert first.status().revision == "0004"
    pipeline.make_image()


REBUILD = (
    "CREATE TABLE rebuilt AS SELECT id, source_id, image_path, ra_deg, dec_deg, mjd, measured_at FROM photometry",
    "DROP TABLE photometry",
    "PRAGMA legacy_alter_table = ON",
    "ALTER TABLE rebuilt RENAME TO photometry",
)


@pytest.mark.parametrize(
    ("changes", "fallen"),
    [
        (["DROP TRIGGER contimg_api_photometry_source_insert"], {"source_summary"}),
        (["DROP TRIGGER contimg_api_images_note_insert"], {"counts"}),
        (["DROP INDEX contimg_api_images_path"], {"indexes"}),
        (["CREATE UNIQUE INDEX later ON images (path, id)"], {"counts", "indexes", "sky", "source_summary"}),
        (["ALTER TABLE images RENAME COLUMN created_at TO made_at"], {"counts", "indexes", "source_summary"}),
        (["ALTER TABLE photometry RENAME COLUMN ra_deg TO right_ascension"], {"source_summary"}),
        (REBUILD, {"photometry_by_day", "photometry_by_image", "photometry_by_source", "source_summary"}),
    ],
    ids=["source-trigger", "note-trigger", "index", "unique-key", "image-column", "photometry-column", "table-rebuilt"],
)
def test_summary_overtaken_by_the_pipeline_is_noticed(pipeline: Pipeline, changes: list[str], fallen: set[str]) -> None:
    fill(pipeline)
    upgrade(pipeline)
    for change in changes:
        pipeline.connection.execute(change)
    pipeline.connection.commit()
    assert {part.name for part in parts_of(pipeline.connection, "main") if part.fallen} == fallen
    assert set(upgrades(pipeline)[0].status().fallen) == fallen


def test_stale_summary_is_not_read_and_is_mended_by_the_next_upgrade(any_pipeline: Pipeline) -> None:
    fill(any_pipeline)
    upgrade(any_pipeline)
    writer = any_pipeline.connection
    writer.execute("DROP TRIGGER contimg_api_photometry_source_delete")
    writer.execute("DROP TRIGGER contimg_api_images_count_delete")
    writer.execute("DELETE FROM photometry WHERE source_id = 'S1'")
    writer.commit()
    assert "S1" in kept_sources(writer)
    assert [row[0] for row in read(any_pipeline, SOURCES)] == ["S0", "alone"]
    assert counts(any_pipeline)["sources", ""] == 2
    upgrade(any_pipeline)
    assert upgrades(any_pipeline)[0].status().current
    assert kept_sources(writer) == true_sources(writer)
    assert standing_parts(writer, "main", ["counts", "source_summary"]) == {"counts", "source_summary"}


def test_column_added_later_is_noticed_and_taken_in(tmp_path: Path) -> None:
    with Pipeline(tmp_path, "production") as pipeline:
        fill(pipeline)
        pipeline.connection.execute("DROP INDEX idx_photometry_source_mjd")
        pipeline.connection.execute("ALTER TABLE photometry DROP COLUMN mjd")
        upgrade(pipeline)
        pipeline.connection.execute("ALTER TABLE photometry ADD COLUMN mjd REAL")
        pipeline.connection.execute("UPDATE photometry SET mjd = 99999 - id, ra_deg = id")
        pipeline.connection.commit()
        assert set(upgrades(pipeline)[0].status().fallen) == {"photometry_by_source", "source_summary"}
        expected = {"S0": 2.0, "S1": 1.0, "alone": 6.0}
        assert {row[0]: row[1] for row in read(pipeline, SOURCES)} == expected
        upgrade(pipeline)
        assert {row[0]: row[1] for row in read(pipeline, SOURCES)} == expected
        assert kept_sources(pipeline.connection) == true_sources(pipeline.connection)


def test_table_made_later_is_noticed_and_taken_in(tmp_path: Path) -> None:
    with Pipeline(tmp_path, "orm") as pipeline:
        upgrade(pipeline)
        pipeline.connection.execute("CREATE TABLE image_qa (id INTEGER PRIMARY KEY, image_path TEXT, timestamp REAL)")
        first = upgrades(pipeline)[0]
        assert first.status().fallen == ["indexes"]
        assert first.upgrade() == REVISIONS
        assert [row for row in schema(pipeline.products_path) if row[1] == "contimg_api_image_qa_image"]


def test_downgrade_works_where_our_books_were_lost(pipeline: Pipeline) -> None:
    before = schema(pipeline.products_path)
    first, *_ = upgrades(pipeline)
    first.upgrade()
    pipeline.connection.execute("DROP TABLE contimg_api_part")
    first.downgrade()
    assert schema(pipeline.products_path) == before


@pytest.mark.parametrize("generation", GENERATIONS)
def test_open_reader_moves_to_the_summaries_and_back_without_an_error(tmp_path: Path, generation: str) -> None:
    with Pipeline(tmp_path, generation) as pipeline:
        fill(pipeline)
        database = PipelineDatabase(PipelineFiles(pipeline.products_path, pipeline.registry_path))
        expected = database.rows(SOURCES)
        upgrade(pipeline)
        assert database.rows(SOURCES) == expected
        for each in upgrades(pipeline):
            each.downgrade()
        assert database.rows(SOURCES) == expected
        database.close()


def test_writer_sees_its_own_row_counts_and_numbers(any_pipeline: Pipeline) -> None:
    fill(any_pipeline)
    upgrade(any_pipeline)
    with any_pipeline.connection as writer:
        inserted = writer.execute(
            "INSERT INTO images (id, path, ms_path, created_at, type) VALUES (900, '/new', ?, 1.0, 'image')",
            (ms_path(1),),
        )
        assert (inserted.lastrowid, inserted.rowcount) == (900, 1)
        assert writer.execute("DELETE FROM photometry WHERE source_id = 'S0'").rowcount == 2


WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
connection.execute("PRAGMA synchronous = OFF")
print("ready", flush=True)
rows, end = 0, time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    rows += 1
    connection.execute(
        "INSERT INTO photometry (source_id, image_path, ra_deg, dec_deg, peak_jyb, measured_at, mjd) "
        "VALUES (?, ?, ?, 0, 1, ?, ?)", (f"S{rows % 7}", f"/stage/img/{rows % 9:06d}.fits", rows, rows, rows))
    if rows % 5 == 0:
        connection.execute("DELETE FROM photometry WHERE id = (SELECT min(id) FROM photometry)")
    time.sleep(0.001)
print(rows)
"""


def run_writer(path: Path, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(seconds)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_pipeline_writes_on_while_two_processes_upgrade_and_downgrade(tmp_path: Path) -> None:
    with Pipeline(tmp_path, "production") as pipeline:
        fill(pipeline)
        writer = run_writer(pipeline.products_path, 2.0)
        failures: list[BaseException] = []

        def go_up_and_down() -> None:
            try:
                each = PipelineUpgrade(pipeline.products_path, "products")
                for _ in range(4):
                    each.upgrade()
                    each.downgrade()
            except BaseException as failure:
                failures.append(failure)

        threads = [threading.Thread(target=go_up_and_down) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        upgrade(pipeline)
        output, errors = writer.communicate(timeout=30)
        assert (failures, errors) == ([], "")
        assert int(output) >= 1
        assert kept_sources(pipeline.connection) == true_sources(pipeline.connection)
        assert kept_counts(pipeline.connection) == true_counts(pipeline.connection)


# -- the commands


@pytest.fixture
def run(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs ``contimg-api db`` on the pipeline's files."""
    monkeypatch.setenv("PIPELINE_PRODUCTS_DB", str(pipeline.products_path))
    monkeypatch.setenv("PIPELINE_CAL_REGISTRY_DB", str(pipeline.registry_path))
    return lambda *arguments: CliRunner().invoke(main, ["db", *arguments])


def test_commands_go_up_and_down_and_say_so(run: Callable[..., Result], pipeline: Pipeline) -> None:
    assert run("status", "--check").exit_code == 1
    assert run("upgrade").output.count("ran 0001") == 2
    assert run("upgrade").output.count("up to date already") == 2
    assert run("status", "--check").exit_code == 0
    assert run("downgrade").output.count("removed") == 2
    assert run("downgrade").output.count("nothing to remove") == 2


def test_command_takes_one_database(run: Callable[..., Result], pipeline: Pipeline) -> None:
    assert run("upgrade", "--db", "registry").exit_code == 0
    products, registry = upgrades(pipeline)
    assert (products.status().revision, registry.status().revision) == (None, "0007")


def test_command_on_a_missing_registry_fails_only_if_asked_for(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIPELINE_CAL_REGISTRY_DB", str(tmp_path / "absent.sqlite3"))
    assert run("upgrade").exit_code == 0
    refused = run("upgrade", "--db", "registry")
    assert (refused.exit_code, "does not exist" in refused.output) == (1, True)


def test_service_starts_without_loading_alembic() -> None:
    code = (
        "import sys, app, app.cli, app.db.pipeline; print([m for m in ('alembic', 'sqlalchemy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
