"""The commands ``init`` and ``ingest``, as an operator types them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.db.empty import create_pair
from app.db.files import PipelineFiles
from app.db.pipeline import PipelineDatabase
from app.db.views import TABLES
from tests.support.radio_images import write_image


@pytest.fixture
def state(tmp_path: Path) -> Path:
    assert run("init", tmp_path / "state").exit_code == 0
    return tmp_path / "state"


@pytest.fixture
def reader(state: Path) -> Iterator[PipelineDatabase]:
    """The service's own reader over the new files."""
    opened = PipelineDatabase(PipelineFiles(state / "products.sqlite3", state / "cal_registry.sqlite3"))
    yield opened
    opened.close()


def run(*arguments: object, state: Path | None = None) -> Result:
    environ = {"DSA110_ENV": "testing", "DSA110_DB_TIMEOUT": "0.2"}
    if state is not None:
        environ["DSA110_STATE_DIR"] = str(state)
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env=environ)


def query(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_init_makes_databases_in_wal_mode_with_every_canonical_column(state: Path, reader: PipelineDatabase) -> None:
    for table in TABLES:
        file = state / ("cal_registry.sqlite3" if table.schema == "registry" else "products.sqlite3")
        present = {name for (name,) in query(file, f"SELECT name FROM pragma_table_info('{table.name}')")}
        missing = {column for column in table.columns.split() if not set(column.split("|")) & present}
        assert missing <= {"quality_flag"}, table.name
        assert query(file, "PRAGMA journal_mode") == [("wal",)]
    assert reader.rows("SELECT count(*) FROM v_image_detail") == [(0,)]
    assert reader.rows("SELECT count(*) FROM v_ms") == [(0,)]
    assert sorted(path.name for path in state.iterdir() if "sqlite3-" not in path.name) == [
        "cal_registry.sqlite3",
        "products.sqlite3",
    ]


def test_init_prints_the_environment_and_the_next_commands(tmp_path: Path) -> None:
    result = run("init", tmp_path / "my state")
    exports = dict(
        line.removeprefix("export ").split("=", 1) for line in result.output.splitlines() if "export" in line
    )
    assert exports["PIPELINE_PRODUCTS_DB"] == f"'{tmp_path}/my state/products.sqlite3'"
    assert set(exports) == {
        "PIPELINE_PRODUCTS_DB", "PIPELINE_CAL_REGISTRY_DB", "DSA110_DATA_ROOTS", "DSA110_API_STATE_DIR",
    }  # fmt: skip
    assert f"contimg-api ingest --survey '{tmp_path}/my state' images" in result.output


def test_init_twice_leaves_the_files_as_they_are(state: Path) -> None:
    before = (state / "products.sqlite3").read_bytes()
    (state / "cal_registry.sqlite3").unlink()
    result = run("init", state)
    assert result.exit_code == 0
    assert "products.sqlite3: exists already" in result.output
    assert "cal_registry.sqlite3: made" in result.output
    assert (state / "products.sqlite3").read_bytes() == before


def test_init_never_replaces_a_file_that_came_meanwhile(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(state / "products.sqlite3")) as writer:
        writer.execute("CREATE TABLE mine (x)")
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert create_pair(state).made == frozenset()
    assert query(state / "products.sqlite3", "SELECT count(*) FROM mine") == [(0,)]
    assert not list(state.glob(".*"))


def test_init_in_an_impossible_place_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("init", tmp_path / "file" / "state")
    assert result.exit_code == 1
    assert result.output.startswith("Error: The products database is unavailable")


def test_ingest_images_reports_and_fails_when_any_file_failed(state: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "deep" / "a.fits")
    result = run("ingest", "images", tmp_path / "images", state=state)
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "1 registered, 0 updated, 0 failed")
    (tmp_path / "images" / "b.fits").write_text("no")
    result = run("ingest", "images", tmp_path / "images", state=state)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "0 registered, 0 updated, 1 unchanged, 1 failed"
    assert f"failed: {tmp_path}/images/b.fits: The file is not FITS" in result.stderr


def test_ingest_ms_takes_pointing_field_stage_and_time(state: Path, tmp_path: Path) -> None:
    (tmp_path / "night" / "2025-10-31T13:49:06.ms").mkdir(parents=True)
    options = (
        "--stage", "imaged", "--status", "done", "--pointing", "0.0,-5", "--field", "3C286",
        "--processed-at", "2025-10-31T15:00:00Z",
    )  # fmt: skip
    result = run("ingest", "ms", tmp_path / "night", *options, state=state)
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "1 registered, 0 updated, 0 failed")
    columns = "stage, status, pointing_ra_deg, pointing_dec_deg, field_name, processed_at"
    assert query(state / "products.sqlite3", f"SELECT {columns} FROM ms_index") == [
        ("imaged", "done", 0.0, -5.0, "3C286", 1761922800.0)
    ]


@pytest.mark.parametrize("pointing", ["12", "a,b", "360,0", "10,91", "nan,0"])
def test_ingest_ms_refuses_an_impossible_pointing(state: Path, tmp_path: Path, pointing: str) -> None:
    result = run("ingest", "ms", tmp_path, "--pointing", pointing, state=state)
    assert result.exit_code == 2
    assert "Invalid value for '--pointing'" in result.output


def test_ingest_photometry_into_a_database_that_is_named(state: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("source_id,image_path,ra_deg,dec_deg,flux_mjy,mjd\na,/i.fits,1,2,3,60000\nb,/i.fits,1,2,x,60000\n")
    result = run("ingest", "photometry", path, "--products-db", state / "products.sqlite3")
    assert (result.exit_code, result.stdout) == (1, "1 registered, 0 updated, 1 failed\n")
    assert result.stderr.startswith("failed: line 3: Validation failed for 'flux_jy'")


def test_ingest_photometry_from_an_unreadable_file_is_one_line(state: Path, tmp_path: Path) -> None:
    (tmp_path / "c.csv").touch()
    result = run("ingest", "photometry", tmp_path / "c.csv", state=state)
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "is empty" in result.stderr


def test_ingest_caltables_go_into_the_registry(state: Path, tmp_path: Path) -> None:
    for name in ("a.kcal", "a.bcal"):
        (tmp_path / "cal" / name).mkdir(parents=True)
    result = run("ingest", "caltables", tmp_path / "cal", "--ms", tmp_path / "a.ms", "--refant", "pad103", state=state)
    assert result.exit_code == 0
    rows = query(state / "cal_registry.sqlite3", "SELECT table_type, refant, source_ms_path FROM caltables ORDER BY id")
    assert rows == [("BP", "pad103", str(tmp_path / "a.ms")), ("K", "pad103", str(tmp_path / "a.ms"))]


def test_ingest_without_a_database_says_so(tmp_path: Path) -> None:
    result = run("ingest", "images", write_image(tmp_path / "a.fits"), state=tmp_path / "nowhere")
    assert result.exit_code == 1
    assert "products database is unavailable" in result.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_busy_database_is_one_line_and_exit_code_1(state: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(state / "products.sqlite3", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        result = run("ingest", "images", write_image(tmp_path / "a.fits"), state=state)
    assert result.exit_code == 1
    assert "locked by another process" in result.stderr


def test_survey_names_the_databases_to_fill(tmp_path: Path, state: Path) -> None:
    write_image(tmp_path / "fits" / "one.fits")
    result = run("ingest", "--survey", state, "images", tmp_path / "fits")
    assert result.exit_code == 0, result.output
    assert query(state / "products.sqlite3", "SELECT count(*) FROM images") == [(1,)]
    refused = run("ingest", "--survey", tmp_path / "fits", "images", tmp_path / "fits")
    assert refused.exit_code == 2
    assert "contimg-api init" in refused.output
