"""Registering measurement sets and calibration tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.db.writing import WritableDatabase
from app.domain.time import mjd_from_iso
from app.services.ingest.caltables import find_caltables, ingest_caltables
from app.services.ingest.measurement_sets import (
    find_measurement_sets,
    ingest_measurement_sets,
    measurement_set_row,
    raised_stage,
)
from app.services.ingest.report import Report
from tests.support.pipeline import Pipeline

NOW_S = 1_762_000_000.0


def make_tables(directory: Path, *names: str) -> list[Path]:
    paths = [directory / name for name in names]
    for path in paths:
        path.mkdir(parents=True)
    return paths


def register(pipeline: Pipeline, *paths: Path, **facts: Any) -> Report:
    products = WritableDatabase(pipeline.products_path, "products")
    return ingest_measurement_sets(products, [measurement_set_row(path, facts) for path in paths], now=lambda: NOW_S)


def ms_rows(pipeline: Pipeline) -> list[dict[str, Any]]:
    cursor = pipeline.connection.execute("SELECT * FROM ms_index ORDER BY path")
    return [dict(zip((column[0] for column in cursor.description), row, strict=True)) for row in cursor]


def test_a_measurement_set_is_registered_with_the_times_of_its_name(any_pipeline: Pipeline, tmp_path: Path) -> None:
    (path,) = make_tables(tmp_path, "2025-10-31T13:49:06.ms")
    assert register(any_pipeline, path, pointing_ra_deg=0.0, pointing_dec_deg=37.2).summary.startswith("1 registered")
    (row,) = ms_rows(any_pipeline)
    start = mjd_from_iso("2025-10-31T13:49:06")
    assert row["start_mjd"] == pytest.approx(start, abs=1e-9)
    assert row["mid_mjd"] == pytest.approx(start + 309.12 / 2 / 86400, abs=1e-9)
    assert row["end_mjd"] == pytest.approx(start + 309.12 / 86400, abs=1e-9)
    assert (row["stage"], row["stage_updated_at"], row["pointing_ra_deg"]) == ("ingested", NOW_S, 0.0)
    assert row["processed_at"] is None


def test_registering_again_changes_nothing(any_pipeline: Pipeline, tmp_path: Path) -> None:
    (path,) = make_tables(tmp_path, "2025-10-31T13:49:06.ms")
    register(any_pipeline, path, stage="imaged", status="done")
    before = ms_rows(any_pipeline)
    assert register(any_pipeline, path).summary == "0 registered, 0 updated, 1 unchanged, 0 failed"
    assert ms_rows(any_pipeline) == before


def test_measured_times_are_not_replaced_by_those_of_a_name(pipeline: Pipeline, tmp_path: Path) -> None:
    (path,) = make_tables(tmp_path, "2025-10-31T13:49:06.ms")
    pipeline.make_ms(str(path), start_mjd=1.0, mid_mjd=None, status="converted", stage="converted")
    register(pipeline, path, status="done")
    (row,) = ms_rows(pipeline)
    assert row["start_mjd"] == 1.0
    assert row["mid_mjd"] > 60000
    assert (row["status"], row["stage"]) == ("done", "converted")


@pytest.mark.parametrize(
    ("current", "proposed", "written"),
    [
        (None, None, None),
        (None, "imaged", "imaged"),
        ("", "ingested", "ingested"),
        ("imaged", None, None),
        ("imaged", "ingested", None),
        ("imaged", "imaged", None),
        ("imaged", "cataloged", "cataloged"),
        ("converted", "calibrated", "calibrated"),
        ("frobnicated", "imaged", None),
        ("imaged", "frobnicated", None),
        (None, "frobnicated", "frobnicated"),
    ],
)
def test_a_stage_is_only_ever_raised(current: str | None, proposed: str | None, written: str | None) -> None:
    assert raised_stage(current, proposed) == written


def test_a_stage_that_is_kept_keeps_its_time(pipeline: Pipeline, tmp_path: Path) -> None:
    (path,) = make_tables(tmp_path, "a.ms")
    pipeline.make_ms(str(path), stage="imaged", stage_updated_at=7.0)
    register(pipeline, path, stage="calibrated")
    assert [(row["stage"], row["stage_updated_at"]) for row in ms_rows(pipeline)] == [("imaged", 7.0)]
    register(pipeline, path, stage="mosaicked")
    assert [(row["stage"], row["stage_updated_at"]) for row in ms_rows(pipeline)] == [("mosaicked", NOW_S)]


@pytest.mark.parametrize("name", ["TARGET.ms", "2025-13-45T13:49:06.ms", "100%.ms"])
def test_a_name_without_a_time_leaves_the_times_open(pipeline: Pipeline, tmp_path: Path, name: str) -> None:
    register(pipeline, *make_tables(tmp_path, name))
    assert [(row["path"], row["start_mjd"]) for row in ms_rows(pipeline)] == [(str(tmp_path / name), None)]


def test_measurement_sets_are_found_below_folders_but_not_inside_each_other(tmp_path: Path) -> None:
    paths = make_tables(tmp_path, "a.ms", "night/b.ms", "night/c.image")
    make_tables(tmp_path, "a.ms/inner.ms")
    (tmp_path / "file.ms").touch()
    assert find_measurement_sets([tmp_path]) == paths[:2]
    assert find_measurement_sets([tmp_path / "a.ms", tmp_path]) == paths[:2]


def caltable_rows(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    register_ = WritableDatabase(pipeline.registry_path, "cal_registry")
    with register_.transaction() as connection:
        cursor = connection.execute("SELECT * FROM caltables ORDER BY path")
        names = [column[0] for column in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor]
    return {Path(row["path"]).name: row for row in found}


def register_caltables(pipeline: Pipeline, *paths: Path, **facts: Any) -> Report:
    return ingest_caltables(WritableDatabase(pipeline.registry_path, "cal_registry"), paths, facts)


def test_calibration_tables_are_typed_and_ordered_by_their_suffix(any_pipeline: Pipeline, tmp_path: Path) -> None:
    expected = {
        "n.kcal": ("K", 10), "n.bacal": ("BA", 20), "n.bcal": ("BP", 30), "n_bpcal": ("BP", 30), "n.gacal": ("GA", 40),
        "n.gcal": ("GP", 50), "n_gpcal": ("GP", 50), "n_2gcal": ("2G", 60), "n.fluxcal": ("FLUX", 70),
    }  # fmt: skip
    make_tables(tmp_path, *expected)
    report = register_caltables(any_pipeline, *find_caltables([tmp_path]), source_ms_path="/stage/ms/a.ms")
    assert report.summary == "9 registered, 0 updated, 0 failed"
    rows = caltable_rows(any_pipeline)
    assert {name: (row["table_type"], row["order_index"]) for name, row in rows.items()} == expected
    assert {(row["set_name"], row["status"]) for row in rows.values()} == {("n", "active")}
    assert {row["source_ms_path"] for row in rows.values() if "source_ms_path" in row} <= {"/stage/ms/a.ms"}


def test_a_retired_table_stays_retired_when_registered_again(pipeline: Pipeline, tmp_path: Path) -> None:
    (path,) = make_tables(tmp_path, "n.bcal")
    pipeline.make_caltable(path=str(path), status="retired", set_name="night", order_index=3)
    assert register_caltables(pipeline, path, refant="pad103").summary == "0 registered, 1 updated, 0 failed"
    row = caltable_rows(pipeline)["n.bcal"]
    assert (row["status"], row["set_name"], row["order_index"], row["refant"]) == ("retired", "night", 3, "pad103")


def test_a_table_of_another_name_needs_its_type(pipeline: Pipeline, tmp_path: Path) -> None:
    (path,) = make_tables(tmp_path, "solutions.tbl")
    (path / "table.dat").touch()
    assert find_caltables([path]) == [path]
    report = register_caltables(pipeline, path)
    assert "give the type" in report.failures[0].reason
    assert register_caltables(pipeline, path, table_type="bandpass").registered == 1
    assert caltable_rows(pipeline)["solutions.tbl"]["order_index"] == 100
