"""Summaries stay exact, whatever the pipeline does to its tables and in whichever way it says so."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db.upgrade import PipelineUpgrade
from tests.support.pipeline import GENERATIONS, Pipeline
from tests.support.pipeline_schema import columns_of, registry_script
from tests.support.summaries import kept_counts, kept_sources, true_counts, true_sources

# Small pools, so that rows meet: the same paths, the same numbers, the same times.
PATHS = ["/i/a", "/i/b", "/i/c"]
SOURCES = ["S1", "S2", None]
NUMBERS = [-1, 1, 2, 3, None]
MS = ["/m/1.ms", "/m/2.ms", "/m/3.ms"]
TIMES = [-50.0, 0.0, 86400.0, 1761915600.25, 1761915600.5]

VALUES: dict[str, dict[str, list[Any]]] = {
    "images": {"id": NUMBERS, "path": PATHS, "ms_path": MS, "created_at": TIMES, "type": ["image", "pbcor"]},
    "photometry": {
        "id": NUMBERS, "source_id": SOURCES, "image_path": PATHS, "ra_deg": [0.0, 180.0], "dec_deg": [-1.0, 37.2],
        "peak_jyb": [0.1], "measured_at": TIMES, "mjd": [None, 40587.0, 60979.5],
    },
    "ms_index": {"path": MS, "stage": [None, "", "imaged", "calibrated"]},
    "batch_jobs": {
        "id": NUMBERS, "type": ["t"], "created_at": TIMES, "status": ["pending", "done", "failed"], "total_items": [1],
    },
    "caltables": {
        "id": NUMBERS, "set_name": ["s"], "path": ["/c/1", "/c/2", "/c/3"], "table_type": ["BP"], "order_index": [1],
        "created_at": TIMES, "status": ["active"],
    },
}  # fmt: skip
CONFLICT = ["", "OR REPLACE", "OR REPLACE", "OR IGNORE", "OR FAIL", "OR ROLLBACK"]

Statement = tuple[str, dict[str, Any]]


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    """One statement on one of the tables: table, SQL with ``{columns}`` left to the generation, values."""
    table = draw(st.sampled_from(["photometry", "photometry", "images", "images", *VALUES]))
    row = {name: draw(st.sampled_from(values)) for name, values in VALUES[table].items()}
    verb = draw(st.sampled_from(["insert", "insert", "upsert", "update", "update", "delete", "clear"]))
    where = draw(st.sampled_from([name for name, values in VALUES[table].items() if len(values) > 1]))
    changed = draw(st.lists(st.sampled_from(sorted(row)), min_size=1, unique=True))
    conflict = draw(st.sampled_from(CONFLICT))
    picked = draw(st.sampled_from(VALUES[table][where]))
    plan = {"verb": verb, "row": row, "where": where, "changed": changed, "conflict": conflict}
    return table, plan | {"picked": picked}


def spell(table: str, plan: dict[str, Any], present: set[str]) -> tuple[str, dict[str, Any]]:
    """The statement in the words of one generation."""
    row = {name: value for name, value in plan["row"].items() if name in present}
    changed = [name for name in plan["changed"] if name in present] or ["path" if table == "ms_index" else "id"]
    where = plan["where"] if plan["where"] in present else changed[0]
    values = row | {"picked": plan["picked"]}
    insert = f"INTO {table} ({', '.join(row)}) VALUES ({', '.join(':' + name for name in row)})"
    assigned = ", ".join(f"{name} = :{name}" for name in changed)
    match plan["verb"]:
        case "insert":
            return f"INSERT {plan['conflict']} {insert}", values
        case "upsert":
            return f"INSERT {insert} ON CONFLICT DO UPDATE SET {assigned}", values
        case "update":
            return f"UPDATE {plan['conflict']} {table} SET {assigned} WHERE {where} IS :picked", values
        case "delete":
            return f"DELETE FROM {table} WHERE {where} IS :picked", values
    return f"DELETE FROM {table}", values


def enact(connection: sqlite3.Connection, steps: list[list[Statement]], kept: list[bool]) -> None:
    """Run each list of statements as a transaction and keep or undo it; what SQLite refuses is refused."""
    for transaction, keep in zip(steps, kept, strict=True):
        connection.execute("BEGIN IMMEDIATE")
        for table, plan in transaction:
            present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            with suppress(sqlite3.IntegrityError):
                connection.execute(*spell(table, plan, present))
            if not connection.in_transaction:  # OR ROLLBACK
                connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT" if keep else "ROLLBACK")


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An upgraded file of each generation with calibration tables and a few rows to run into."""
    made = {}
    for generation in GENERATIONS:
        with Pipeline(tmp_path_factory.mktemp(generation), generation, registry=False) as pipeline:
            pipeline.connection.executescript(registry_script(generation))
            for number, (ms, image) in enumerate(zip(MS, PATHS, strict=True), start=1):
                pipeline.make_ms(ms)
                pipeline.make_image(path=image, ms_path=ms, id=number, created_at=float(number))
                pipeline.make_photometry(image_path=image, source_id="S1", mjd=float(number), ra_deg=float(number))
            pipeline.make_photometry(image_path=PATHS[0], source_id="S2", mjd=1.0)
            PipelineUpgrade(pipeline.products_path, "products").upgrade()
            pipeline.connection.execute("PRAGMA journal_mode = DELETE")
            made[generation] = pipeline.products_path
    return made


def open_copy(path: Path, directory: Path, foreign_keys: bool, recursive_triggers: bool) -> sqlite3.Connection:
    """The pipeline's connection to a fresh copy of a file, set up in one of the ways a pipeline may."""
    shutil.copyfile(path, directory / "copy.sqlite3")
    connection = sqlite3.connect(directory / "copy.sqlite3", isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute(f"PRAGMA foreign_keys = {foreign_keys:d}")
    connection.execute(f"PRAGMA recursive_triggers = {recursive_triggers:d}")
    return connection


@pytest.mark.parametrize("generation", GENERATIONS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.lists(statements(), min_size=1, max_size=8), min_size=1, max_size=3),
    kept=st.lists(st.booleans(), min_size=3, max_size=3),
    foreign_keys=st.booleans(),
    recursive_triggers=st.booleans(),
)
def test_summaries_equal_the_tables_after_any_statements(
    upgraded: dict[str, Path], tmp_path: Path, generation: str, steps: list[list[Statement]], kept: list[bool],
    foreign_keys: bool, recursive_triggers: bool,
) -> None:  # fmt: skip
    with closing(open_copy(upgraded[generation], tmp_path, foreign_keys, recursive_triggers)) as connection:
        enact(connection, steps, kept[: len(steps)])
        assert kept_counts(connection) == true_counts(connection)
        assert kept_sources(connection) == true_sources(connection)


MEASURE = "INSERT INTO photometry (id, source_id, image_path, ra_deg, dec_deg, peak_jyb, {when}) VALUES "
IMAGE = "INTO images (id, path, ms_path, created_at, type) VALUES "
SCENARIOS = {
    "the newest image loses its measurements": ["DELETE FROM photometry WHERE image_path = '/i/c'"],
    "an image between loses its measurements": ["DELETE FROM photometry WHERE image_path = '/i/b'"],
    "the only image of a source loses its measurements": ["DELETE FROM photometry WHERE source_id = 'S2'"],
    "a source is left with an image that nobody registered": [
        "PRAGMA foreign_keys = OFF",
        MEASURE + "(50, 'S2', '/nowhere', 9, 9, 1, 0.5)",
        "DELETE FROM photometry WHERE id = 4",
    ],
    "a source is measured twice in an image and once is withdrawn": [
        MEASURE + "(50, 'S1', '/i/c', 9, 9, 1, 3.0)",
        "DELETE FROM photometry WHERE id = 3",
    ],
    "the newest image is deleted": ["DELETE FROM images WHERE id = 3"],
    "every image is deleted": ["DELETE FROM images"],
    "a measurement set is deleted": ["DELETE FROM ms_index WHERE path = '/m/3.ms'"],
    "a measurement set is replaced": ["INSERT OR REPLACE INTO ms_index (path, stage) VALUES ('/m/3.ms', 'cataloged')"],
    "an image is replaced under its number": [f"INSERT OR REPLACE {IMAGE} (3, '/i/d', '/m/3.ms', 9.0, 'pbcor')"],
    "an image is replaced under its path": [f"INSERT OR REPLACE {IMAGE} (9, '/i/c', '/m/3.ms', 0.5, 'pbcor')"],
    "an image takes the number of another": ["UPDATE OR REPLACE images SET id = 1 WHERE id = 3"],
    "an image is registered after its measurements": [
        "PRAGMA foreign_keys = OFF",
        MEASURE + "(50, 'S1', '/i/z', 9, 9, 1, 0.5)",
        f"INSERT {IMAGE} (9, '/i/z', '/m/3.ms', 9.0, 'image')",
    ],
    "a measurement of the same date comes with a lower number": [MEASURE + "(-7, 'S1', '/i/c', 9, 9, 1, 3.0)"],
    "a measurement of the same date comes with a higher number": [MEASURE + "(70, 'S1', '/i/c', 9, 9, 1, 3.0)"],
    "the newest measurement is withdrawn while an ignored image left its note": [
        f"INSERT OR IGNORE {IMAGE} (1, '/i/y', '/m/3.ms', 9.0, 'image')",
        "DELETE FROM photometry WHERE id = 3",
    ],
    "a measurement takes the number of another": ["UPDATE OR REPLACE photometry SET id = 3 WHERE id = 4"],
    "a measurement is replaced": [MEASURE.replace("INSERT", "INSERT OR REPLACE") + "(3, 'S1', '/i/b', 9, 9, 1, 2.5)"],
    "a measurement is replaced by one of another source": [
        MEASURE.replace("INSERT", "INSERT OR REPLACE") + "(3, 'S2', '/i/b', 9, 9, 1, 2.5)"
    ],
    "a measurement moves to another source": ["UPDATE photometry SET source_id = 'S2' WHERE id = 3"],
    "the newest measurement becomes the oldest": ["UPDATE photometry SET mjd = 0 WHERE id = 3"],
    "an ignored image and then one of the same number": [
        f"INSERT OR IGNORE {IMAGE} (3, '/i/y', '/m/3.ms', 9.0, 'image')",
        "DELETE FROM images WHERE id = 3",
        f"INSERT {IMAGE} (3, '/i/y', '/m/3.ms', 9.0, 'pbcor')",
    ],
}


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("statements", SCENARIOS.values(), ids=[name.replace(" ", "-") for name in SCENARIOS])
@pytest.mark.parametrize("recursive_triggers", [False, True], ids=["", "recursive"])
@pytest.mark.parametrize("foreign_keys", [False, True], ids=["", "foreign-keys"])
def test_summaries_stay_exact_when(
    upgraded: dict[str, Path], tmp_path: Path, generation: str, statements: list[str], foreign_keys: bool,
    recursive_triggers: bool,
) -> None:  # fmt: skip
    with closing(open_copy(upgraded[generation], tmp_path, foreign_keys, recursive_triggers)) as connection:
        when = "mjd" if "measured_at" not in columns_of(connection, "photometry") else "measured_at, mjd"
        for statement in statements:
            sql = statement.replace("{when}", when)
            connection.execute(sql if when == "mjd" else re.sub(r"(?<=9, 9, 1, )", "0.0, ", sql))
        assert kept_counts(connection) == true_counts(connection)
        assert kept_sources(connection) == true_sources(connection)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_measuring_the_newest_image_again_settles_the_doubt(
    upgraded: dict[str, Path], tmp_path: Path, generation: str
) -> None:
    doubtful = "SELECT source_id, doubtful FROM contimg_api_source ORDER BY source_id"
    with closing(open_copy(upgraded[generation], tmp_path, False, False)) as connection:
        row = dict.fromkeys(columns_of(connection, "photometry"))
        (ids,) = zip(*connection.execute("SELECT id FROM photometry WHERE image_path = '/i/c'"), strict=True)
        assert len(ids) == 1
        values = connection.execute(f"SELECT {', '.join(row)} FROM photometry WHERE id = ?", ids).fetchone()
        connection.execute("DELETE FROM photometry WHERE id = ?", ids)
        assert connection.execute(doubtful).fetchall() == [("S1", 1), ("S2", 0)]
        connection.execute(f"INSERT INTO photometry ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", values)
        assert connection.execute(doubtful).fetchall() == [("S1", 0), ("S2", 0)]
        assert kept_sources(connection) == true_sources(connection)
