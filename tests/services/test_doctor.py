"""The doctor finds what is wrong, names it, and says what to do."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import CliRunner

from app.cli import main
from app.config import Settings
from app.db import probe
from app.db.files import PipelineFiles
from app.db.pipeline import PipelineDatabase
from app.db.upgrade import PipelineUpgrade
from app.domain.errors import Busy
from app.domain.readiness import LEAST_FREE_BYTES
from app.queue.engine import Engine
from app.queue.heartbeat import Heart
from app.services import readiness, soundness, surroundings
from app.services.doctor import Check, examine
from tests.support.neighbours import closed_port
from tests.support.pipeline import GENERATIONS, Pipeline

Examine = Callable[..., dict[str, Check]]

NAMES = {
    "orm": "models", "production": "tables as", "alembic": "migrations", "head": "unified", "mixed": "a mixture",
}  # fmt: skip


@pytest.fixture
def variables(environ: dict[str, str], pipeline: Pipeline, tmp_path: Path) -> dict[str, str]:
    """Settings of a service that is well."""
    (tmp_path / "logs").mkdir()
    return environ | {
        "PIPELINE_PRODUCTS_DB": str(pipeline.products_path),
        "PIPELINE_CAL_REGISTRY_DB": str(pipeline.registry_path),
        "DSA110_HOST": "127.0.0.1",
        "DSA110_PORT": str(closed_port()),
        "DSA110_DISK_PATHS": str(tmp_path),
    }


@pytest.fixture
def checks(variables: dict[str, str]) -> Examine:
    """Examines with some settings changed; checks by what was looked at."""

    def examined(**changed: str) -> dict[str, Check]:
        found = examine(Settings.from_environment(variables | changed))
        return {check.what: check for check in found}

    return examined


def test_a_service_that_is_well_has_nothing_wrong(checks: Examine) -> None:
    found = checks()
    assert [check for check in found.values() if check.verdict == "wrong"] == []
    for what in ("configuration", "products database", "products tables", "products journal", "cal_registry database",
                 "state directory", "port", "write access"):  # fmt: skip
        assert found[what].verdict == "ok", found[what]


def test_examining_creates_and_changes_nothing(checks: Examine, tmp_path: Path) -> None:
    def everything() -> set[Path]:
        return set(tmp_path.rglob("*"))

    before = everything()
    checks(PIPELINE_HDF5_DB=str(tmp_path / "absent.sqlite3"))
    assert everything() == before


@pytest.mark.parametrize("generation", GENERATIONS)
def test_generation_of_the_schema_is_named(checks: Examine, tmp_path: Path, generation: str) -> None:
    with Pipeline(tmp_path / "other", generation) as other:
        found = checks(PIPELINE_PRODUCTS_DB=str(other.products_path), PIPELINE_CAL_REGISTRY_DB=str(other.registry_path))
    assert NAMES[generation] in found["products generation"].found
    assert [check for check in found.values() if check.verdict == "wrong"] == []


def test_missing_products_database_is_wrong_and_a_missing_registry_is_not(checks: Examine, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere.sqlite3")
    found = checks(PIPELINE_PRODUCTS_DB=nowhere, PIPELINE_CAL_REGISTRY_DB=nowhere + "2")
    assert found["products database"].verdict == "wrong"
    assert "PIPELINE_PRODUCTS_DB" in (found["products database"].remedy or "")
    assert "contimg-api init" in (found["products database"].remedy or "")
    assert found["cal_registry database"].verdict == "note"


def test_a_file_that_is_no_database_is_wrong(checks: Examine, tmp_path: Path) -> None:
    (tmp_path / "text.sqlite3").write_text("hello " * 1000)
    found = checks(PIPELINE_PRODUCTS_DB=str(tmp_path / "text.sqlite3"))["products database"]
    assert found.verdict == "wrong"
    assert "not an SQLite database" in found.found


@pytest.mark.parametrize(
    ("change", "what", "verdict", "said"),
    [
        ("DROP TABLE images", "products table images", "wrong", "is missing"),
        ("ALTER TABLE images RENAME COLUMN created_at TO made_at", "products table images", "wrong", "created_at"),
        ("DROP TABLE jobs", "products table jobs", "note", "is missing"),
        ("PRAGMA journal_mode = DELETE", "products journal", "note", "delete"),
    ],
)
def test_what_the_schema_lacks_is_named(
    checks: Examine, pipeline: Pipeline, change: str, what: str, verdict: str, said: str
) -> None:
    pipeline.close()
    with closing(sqlite3.connect(pipeline.products_path)) as connection:
        connection.execute(change)
    check = checks()[what]
    assert check.verdict == verdict
    assert said in check.found


def test_a_file_without_our_indexes_is_told_how_to_get_them(checks: Examine) -> None:
    check = checks()["products upgrade"]
    assert check.verdict == "note"
    assert "contimg-api db upgrade" in (check.remedy or "")


def test_an_upgraded_file_is_well_until_a_trigger_of_ours_is_gone(checks: Examine, pipeline: Pipeline) -> None:
    PipelineUpgrade(pipeline.products_path, "products").upgrade()
    assert checks()["products upgrade"].verdict == "ok"
    trigger = "SELECT min(name) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'photometry'"
    (name,) = pipeline.connection.execute(trigger).fetchone()
    pipeline.connection.execute(f"DROP TRIGGER {name}")
    pipeline.connection.commit()
    check = checks()["products upgrade"]
    assert check.verdict == "note"
    assert "contimg-api db upgrade" in (check.remedy or "")


def test_a_port_in_use_is_a_note_and_its_owner_is_left_alone(checks: Examine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        check = checks(DSA110_PORT=str(owner.getsockname()[1]))["port"]
        assert (check.verdict, "in use" in check.found) == ("note", True)
        with socket.create_connection(owner.getsockname(), timeout=1):
            pass


def test_an_address_of_another_host_is_wrong(checks: Examine) -> None:
    assert checks(DSA110_HOST="203.0.113.1")["port"].verdict == "wrong"


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"DSA110_AUTH_DISABLED": "true"}, "write access"),
        ({"DSA110_API_KEYS": ""}, "write access"),
        ({"DSA110_ALLOWED_IPS": "0.0.0.0/0"}, "networks"),
        ({"DSA110_DEBUG": "true"}, "debugging"),
    ],
)
def test_settings_that_are_only_safe_at_home_are_pointed_out(
    checks: Examine, settings: dict[str, str], what: str
) -> None:
    check = checks(**settings)[what]
    assert check.verdict == "note"
    assert check.remedy


def test_directories_that_are_missing_are_noted_with_what_follows(checks: Examine, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    found = checks(DSA110_DATA_ROOTS=str(absent), DSA110_LOG_DIRS=str(absent))
    assert "images cannot be served" in found[f"data root {absent}"].found
    assert found[f"log directory {absent}"].verdict == "note"


def test_a_state_directory_that_cannot_be_made_is_wrong(checks: Examine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = checks(DSA110_API_STATE_DIR=str(tmp_path / "file" / "api"))["state directory"]
    assert check.verdict == "wrong"
    assert "DSA110_API_STATE_DIR" in (check.remedy or "")


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_who_must_be_let_in(checks: Examine, pipeline: Pipeline) -> None:
    pipeline.products_path.chmod(0)
    check = checks()["products database"]
    assert f"uid {os.getuid()}" in (check.remedy or "")


# -- what /readyz would find


def fill(path: Path) -> None:
    """Make a database of several pages, all of them in the file itself."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS filling (text)")
        connection.executemany("INSERT INTO filling VALUES (?)", [("x" * 2000,)] * 200)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def damage(path: Path) -> None:
    """Overwrite what lies in the last quarter of a file."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size * 3 // 4)
        file.write(os.urandom(size // 8))


@pytest.mark.parametrize(("file", "what"), [("products", "products content"), ("own", "own content")])
def test_file_that_is_damaged_in_the_middle_is_wrong(
    checks: Examine, variables: dict[str, str], pipeline: Pipeline, file: str, what: str
) -> None:
    own = Settings.from_environment(variables).api_state_dir / "api.sqlite3"
    own.parent.mkdir(parents=True)
    path = pipeline.products_path if file == "products" else own
    pipeline.close()
    fill(path)
    assert checks()[what].verdict == "ok"
    damage(path)
    found = checks()[what]
    assert (found.verdict, "damaged" in found.found) == ("wrong", True)
    assert "contimg-api restore" in (found.remedy or "")


def test_large_file_is_looked_at_for_some_seconds_only_and_says_so(
    checks: Examine, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(pipeline.products_path)
    monkeypatch.setattr(soundness, "_READS_FOR_S", 0.0)
    monkeypatch.setattr(probe, "_INSTRUCTIONS_BETWEEN_LOOKS", 10)
    found = checks()["products content"]
    assert (found.verdict, "not looked at in full" in found.found) == ("ok", True)


def test_own_database_that_cannot_be_written_to_is_wrong(
    checks: Examine, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Settings.from_environment(variables).api_state_dir / "api.sqlite3"
    own.parent.mkdir(parents=True)
    own.touch()
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != own and may(path, mode))
    found = checks()["state directory"]
    assert (found.verdict, "api.sqlite3 cannot be written to" in found.found) == ("wrong", True)
    assert f"uid {os.getuid()}" in (found.remedy or "")


def test_full_disk_of_the_state_directory_is_wrong(
    checks: Examine, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Settings.from_environment(variables).api_state_dir.mkdir(parents=True)
    assert checks()["state directory"].verdict == "ok"
    assert "disk of the state directory" not in checks()
    monkeypatch.setattr(readiness.shutil, "disk_usage", lambda _: type("Usage", (), {"free": LEAST_FREE_BYTES - 1}))
    found = checks()["disk of the state directory"]
    assert (found.verdict, found.remedy) == ("wrong", "Make room.")


def test_limiter_whose_redis_is_away_is_wrong(checks: Examine) -> None:
    assert "rate limits" not in checks()
    away = f"redis://:secret@127.0.0.1:{closed_port()}/0"
    found = checks(DSA110_RATE_LIMIT_STORAGE_URL=away)["rate limits"]
    assert (found.verdict, "nobody is limited" in found.found, "secret" in str(found)) == ("wrong", True, False)


def test_journal_of_a_writer_that_ended_half_way_is_told_from_a_file_that_is_read_only(
    checks: Examine, pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.close()
    with closing(sqlite3.connect(pipeline.products_path)) as writer:
        writer.execute("PRAGMA journal_mode = DELETE")
        fill(pipeline.products_path)
        writer.execute("PRAGMA cache_size = 2")
        writer.execute("UPDATE filling SET text = zeroblob(2000)")
        # As a power failure leaves them: half written.
        for ending in ("", "-journal"):
            shutil.copy(f"{pipeline.products_path}{ending}", tmp_path / f"left.sqlite3{ending}")
    (tmp_path / "link.sqlite3").symlink_to(tmp_path / "left.sqlite3")
    for path in (tmp_path / "left.sqlite3", tmp_path / "link.sqlite3"):
        found = checks(PIPELINE_PRODUCTS_DB=str(path))["products database"]
        assert (found.verdict, "in the middle of a write" in found.found) == ("wrong", True)
        assert f"{tmp_path / 'left.sqlite3'}-journal" in (found.remedy or "")


def test_products_file_at_an_upgrade_that_nobody_knows_is_one_check_among_the_others(
    checks: Examine, pipeline: Pipeline
) -> None:
    PipelineUpgrade(pipeline.products_path, "products").upgrade()
    pipeline.connection.execute("UPDATE contimg_api_version SET version_num = '0099'")
    pipeline.connection.commit()
    found = checks()
    assert (found["products upgrade"].verdict, "0099" in found["products upgrade"].found) == ("wrong", True)
    assert found["port"].verdict == "ok"


@pytest.mark.parametrize("place", ["inspect", "PipelineUpgrade.status"])
def test_products_file_that_is_locked_half_way_is_one_check_among_the_others(
    checks: Examine, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def locked(*_: object, **__: object) -> NoReturn:
        raise Busy("The products database is locked by another process", database="products")

    monkeypatch.setattr(f"app.services.doctor.{place}", locked)
    found = checks()
    what = "products tables" if place == "inspect" else "products upgrade"
    assert (found[what].verdict != "ok", "is locked" in found[what].found) == (True, True)
    assert found["port"].verdict == "ok"


def test_log_is_looked_for_where_a_link_leads(
    checks: Examine, pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "products.sqlite3"
    link.symlink_to(pipeline.products_path)
    pipeline.make_image()
    monkeypatch.setattr(surroundings, "_LARGE_LOG_BYTES", 1)
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and may(path, mode))
    found = checks(PIPELINE_PRODUCTS_DB=str(link))
    assert found["products log"].verdict == "note"
    assert found["products journal"].verdict == "ok"


# -- the command


def run(variables: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Exit code and output of ``contimg-api doctor``."""
    result = CliRunner().invoke(main, ["doctor", *arguments], env=variables)
    return result.exit_code, result.output


def test_command_says_that_the_service_can_start(variables: dict[str, str]) -> None:
    code, output = run(variables)
    assert code == 0
    assert output.rstrip().endswith("The service can start.")


def test_command_fails_and_says_what_to_do_where_something_is_wrong(variables: dict[str, str]) -> None:
    code, output = run(variables | {"PIPELINE_PRODUCTS_DB": "/nowhere/products.sqlite3"})
    assert code == 1
    assert "WRONG  products database: there is no /nowhere/products.sqlite3" in output
    assert "→ Point PIPELINE_PRODUCTS_DB" in output


def test_command_explains_settings_that_cannot_be_understood(variables: dict[str, str]) -> None:
    code, output = run(variables | {"DSA110_PORT": "eighty", "DSA110_WORKERS": "-1"})
    assert code == 1
    assert "WRONG  DSA110_PORT" in output
    assert "WRONG  DSA110_WORKERS: expected a whole number of at least 1" in output


def test_command_speaks_json(variables: dict[str, str]) -> None:
    code, output = run(variables, "--json")
    checks = json.loads(output)
    assert code == 0
    assert {"what": "configuration", "verdict": "ok", "found": "understood; the environment is testing",
            "remedy": None} in checks  # fmt: skip


# -- what surrounds the databases


def test_queue_and_own_database_that_are_not_made_yet_are_well_and_stay_so(checks: Examine, tmp_path: Path) -> None:
    found = checks()
    assert (found["work queue"].verdict, found["own database"].verdict) == ("ok", "ok")
    assert not list(tmp_path.rglob("queue.sqlite3*"))
    assert not list(tmp_path.rglob("api.sqlite3*"))


def test_queue_that_is_away_is_wrong(checks: Examine) -> None:
    found = checks(DSA110_QUEUE_URL=f"redis://127.0.0.1:{closed_port()}/0")["work queue"]
    assert (found.verdict, found.found) == ("wrong", "redis: The work queue's store does not answer.")


def test_reruns_without_a_living_worker_are_noted(checks: Examine, variables: dict[str, str]) -> None:
    settings = Settings.from_environment(variables)
    engine = Engine("", settings.queue_name, settings.api_state_dir)
    heart = Heart(engine, every_s=5, concurrency=1, running=list)
    heart.beat()
    assert checks(DSA110_PIPELINE_RUN_CMD="true")["workers"].found == "1 alive"
    heart.stop()
    engine.close()
    assert checks(DSA110_PIPELINE_RUN_CMD="true")["workers"].verdict == "note"
    assert checks()["workers"].verdict == "ok"


def test_own_database_of_a_newer_version_is_wrong(checks: Examine, variables: dict[str, str]) -> None:
    directory = Settings.from_environment(variables).api_state_dir
    directory.mkdir(parents=True)
    with closing(sqlite3.connect(directory / "api.sqlite3")) as connection:
        connection.execute("PRAGMA user_version = 10000")
    found = checks()["own database"]
    assert (found.verdict, "newer version" in found.found) == ("wrong", True)
    (directory / "api.sqlite3").write_bytes(b"not a database " * 500)
    assert checks()["own database"].verdict == "wrong"


def test_log_that_nobody_folds_in_is_noted(
    checks: Examine, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "products log" not in checks()
    monkeypatch.setattr(surroundings, "_LARGE_LOG_BYTES", 1)
    pipeline.make_image()
    assert checks()["products log"].verdict == "note"


def test_log_of_a_file_that_was_replaced_is_wrong(
    checks: Examine, variables: dict[str, str], pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.make_image()
    directory = Settings.from_environment(variables).api_state_dir
    database = PipelineDatabase(PipelineFiles(pipeline.products_path, None, directory))
    database.rows("SELECT 1 FROM t_images")
    with Pipeline(tmp_path / "fresh", "production") as other:
        other.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.replace(other.products_path, pipeline.products_path)
    database.rows("SELECT 1 FROM t_images")
    found = checks()["products log"]
    assert (found.verdict, f"rm {pipeline.products_path}-wal" in (found.remedy or "")) == ("wrong", True)
    for ending in ("-wal", "-shm"):
        Path(f"{pipeline.products_path}{ending}").unlink()
    assert "products log" not in checks()
    database.close()


def test_streams_that_can_take_every_thread_are_noted(checks: Examine) -> None:
    assert checks()["threads"].verdict == "ok"
    assert checks(DSA110_THREADS="4", DSA110_MAX_STREAMS="4")["threads"].verdict == "note"


def test_too_few_open_files_are_noted(checks: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings.resource, "getrlimit", lambda _: (1024, 1024))
    assert checks()["open files"].verdict == "note"
