"""Summaries stay exact, whatever the pipeline does to its tables and in whichever way it says so."""

from __future__ import annotations

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
from tests.support.pipeline_schema import registry_script
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
                pipeline.make_image(path=image, ms_path=ms, id=number)
                pipeline.make_photometry(image_path=image, source_id=SOURCES[number % 2])
            pipeline.make_photometry(image_path=PATHS[0], source_id="S1")
            PipelineUpgrade(pipeline.products_path, "products").upgrade()
            pipeline.connection.execute("PRAGMA journal_mode = DELETE")
            made[generation] = pipeline.products_path
    return made


@pytest.mark.parametrize("generation", GENERATIONS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    path = tmp_path / "copy.sqlite3"
    shutil.copyfile(upgraded[generation], path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute(f"PRAGMA foreign_keys = {foreign_keys:d}")
        connection.execute(f"PRAGMA recursive_triggers = {recursive_triggers:d}")
        enact(connection, steps, kept[: len(steps)])
        assert kept_counts(connection) == true_counts(connection)
        assert kept_sources(connection) == true_sources(connection)
