"""Metrics of light curves as the views give them: from the kept sums, from the rows, and always as numpy has them."""

from __future__ import annotations

import math
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db import upgrade as upgrade_module
from app.db.files import PipelineFiles
from app.db.pipeline import PipelineDatabase
from app.db.upgrade import PipelineUpgrade
from tests.support.light_curves import COLUMNS, true_metrics
from tests.support.pipeline import GENERATIONS, Pipeline
from tests.support.pipeline_schema import columns_of

FLUX_TYPES = ("integrated", "peak")


def shown(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """What the service shows: metrics by type of flux and source."""
    database = PipelineDatabase(PipelineFiles(path, None))
    try:
        return {
            flux_type: {
                source: dict(zip(COLUMNS, values, strict=True))
                for source, *values in database.rows(f"SELECT id, {', '.join(COLUMNS)} FROM v_source_{flux_type}")
            }
            for flux_type in FLUX_TYPES
        }
    finally:
        database.close()


def assert_shown_as_true(path: Path, connection: sqlite3.Connection) -> None:
    for flux_type, found in shown(path).items():
        true = true_metrics(connection, flux_type)
        assert found.keys() == true.keys()
        for source, metrics in true.items():
            for name, value in metrics.items():
                if name == "v" and abs(metrics["mean_flux_jy"] or 0.0) < 1e-9:
                    continue  # the mean vanishes but for rounding: V may be anything or nothing
                expected = None if value is None else pytest.approx(value, rel=1e-9, abs=1e-12)
                assert found[source][name] == expected, (flux_type, source, name)


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An upgraded file of each generation with a few measurements."""
    made = {}
    for generation in GENERATIONS:
        with Pipeline(tmp_path_factory.mktemp(generation), generation, registry=False) as pipeline:
            for number in range(1, 5):
                pipeline.make_photometry(source_id="S1", image_path="/i/a", mjd=float(number), flux_jy=0.1 * number)
            PipelineUpgrade(pipeline.products_path, "products").upgrade()
            pipeline.connection.execute("PRAGMA journal_mode = DELETE")
            made[generation] = pipeline.products_path
    return made


FLUXES = st.sampled_from([None, 0.0, -0.3, 0.1, 0.2, 0.2, 1.0, 1.5, 900.0, 9e999, -9e999, 1e300, "text"]) | st.floats(
    -1.0, 1e3, allow_subnormal=False
).map(lambda flux: round(flux, 9))
ERRORS = st.sampled_from([None, 0.0, -0.1, 1e-3, 0.01, 0.05, 0.05, 30.0, 9e999, "text", 1e-300])
ROWS = st.fixed_dictionaries(
    {
        "id": st.integers(-1, 12), "source_id": st.sampled_from(["S1", "S1", "S2"]),
        "flux_jy": FLUXES, "flux_err_jy": ERRORS, "peak_jyb": FLUXES, "peak_err_jyb": ERRORS, "peak_flux_jy": FLUXES,
        "snr": st.sampled_from([None, 5.0, 9e999, -1.0]), "mjd": st.sampled_from([None, 1.0, 5.0, 9e999]),
        "measured_at": st.sampled_from([0.0, 86400.0, -9e9]),
    }
)  # fmt: skip
OTHERS = ["INSERT OR REPLACE", "INSERT OR IGNORE", "UPDATE", "UPDATE OR REPLACE", "DELETE"]
VERBS = ["INSERT"] * 4 + OTHERS


def open_copy(path: Path, directory: Path, recursive_triggers: bool = False) -> sqlite3.Connection:
    """The pipeline's connection to a fresh copy of a file."""
    shutil.copyfile(path, directory / "copy.sqlite3")
    connection = sqlite3.connect(directory / "copy.sqlite3", isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = MEMORY")
    connection.execute(f"PRAGMA recursive_triggers = {recursive_triggers:d}")
    return connection


def carry_out(connection: sqlite3.Connection, verb: str, row: dict[str, Any], target: int) -> None:
    """One statement; what SQLite refuses is refused."""
    present = set(columns_of(connection, "photometry"))
    names = [name for name in row if name in present and (verb != "INSERT" or name != "id")]
    if verb.startswith("INSERT"):
        columns = ", ".join([*names, "image_path", "ra_deg", "dec_deg"])
        sql = f"{verb} INTO photometry ({columns}) VALUES ({', '.join(f':{name}' for name in names)}, '/i/a', 0, 0)"
    elif verb.startswith("UPDATE"):
        sql = f"{verb} photometry SET {', '.join(f'{name} = :{name}' for name in names)} WHERE id = :target"
    else:
        sql = "DELETE FROM photometry WHERE id = :target"
    with suppress(sqlite3.IntegrityError):
        connection.execute(sql, row | {"target": target})


@pytest.mark.parametrize("generation", GENERATIONS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.sampled_from(VERBS), ROWS, st.integers(1, 12)), min_size=1, max_size=20),
    recursive_triggers=st.booleans(),
)
def test_metrics_are_those_of_the_rows_after_any_statements(
    upgraded: dict[str, Path], tmp_path: Path, generation: str, steps: list[Any], recursive_triggers: bool
) -> None:
    with closing(open_copy(upgraded[generation], tmp_path, recursive_triggers)) as connection:
        for verb, row, target in steps:
            carry_out(connection, verb, row, target)
        assert_shown_as_true(tmp_path / "copy.sqlite3", connection)


KEPT = "SELECT unsettled, integrated_m2, integrated_chi2 FROM contimg_api_source WHERE source_id = 'S1'"
MEASURE = """INSERT INTO photometry
    (source_id, image_path, ra_deg, dec_deg, peak_jyb, flux_jy, flux_err_jy, measured_at, mjd)
    VALUES ('S1', '/i/a', 0, 0, 1, ?, ?, 0, ?)"""


@pytest.mark.parametrize("scatter", [1e-6, 1e-9])
def test_bright_steady_source_keeps_its_scatter_step_by_step(
    upgraded: dict[str, Path], tmp_path: Path, scatter: float
) -> None:
    with closing(open_copy(upgraded["production"], tmp_path)) as connection:
        connection.execute("DELETE FROM photometry")
        fluxes = [1e3 + scatter * math.sin(number) for number in range(500)]
        for number, flux in enumerate(fluxes):
            connection.execute(MEASURE, (flux, scatter, number))
        exact = [flux - 1e3 for flux in fluxes]
        mean = math.fsum(exact) / len(exact)
        m2 = math.fsum((each - mean) ** 2 for each in exact)
        found = connection.execute(KEPT).fetchone()
        assert found == (0, pytest.approx(m2, rel=1e-9, abs=0), pytest.approx(m2 / scatter**2, rel=1e-9))


def test_first_flux_far_off_does_not_spoil_the_rest(upgraded: dict[str, Path], tmp_path: Path) -> None:
    with closing(open_copy(upgraded["production"], tmp_path)) as connection:
        connection.execute("DELETE FROM photometry")
        connection.execute(MEASURE, (1e9, None, 0.0))  # without an error it takes no part in the weighted sums
        for number in range(100):
            connection.execute(MEASURE, (1.0 + 1e-6 * math.sin(number), 1e-6, number))
        assert_shown_as_true(tmp_path / "copy.sqlite3", connection)


@pytest.mark.parametrize("change", ["DELETE FROM photometry WHERE id = 2", "UPDATE photometry SET flux_jy = 7"])
def test_changed_source_is_settled_by_its_next_measurement(
    upgraded: dict[str, Path], tmp_path: Path, change: str
) -> None:
    with closing(open_copy(upgraded["production"], tmp_path)) as connection:
        assert connection.execute(KEPT).fetchone()[0] == 0
        connection.execute(change)
        assert connection.execute(KEPT).fetchone()[0] == 1
        assert_shown_as_true(tmp_path / "copy.sqlite3", connection)
        connection.execute(MEASURE, (3.0, 0.1, 9.0))
        assert connection.execute(KEPT).fetchone()[0] == 0
        assert_shown_as_true(tmp_path / "copy.sqlite3", connection)


def test_best_of_all_pairs_is_found_in_steps_and_from_the_rows(upgraded: dict[str, Path], tmp_path: Path) -> None:
    with closing(open_copy(upgraded["production"], tmp_path)) as connection:
        for number in range(200):
            error = [0.05, 0.4, 3.0][number % 3]
            connection.execute(MEASURE, (1 + 0.9 * math.sin(number * 1.7) + number % 3, error, number))
        assert_shown_as_true(tmp_path / "copy.sqlite3", connection)
        connection.execute("UPDATE photometry SET flux_jy = flux_jy")
        connection.execute(MEASURE, (2.0, 0.1, 1.0))
        assert connection.execute(KEPT).fetchone()[0] == 0
        assert_shown_as_true(tmp_path / "copy.sqlite3", connection)


def test_default_type_is_integrated_where_there_is_any(any_pipeline: Pipeline) -> None:
    for source, fluxes in {"both": (None, 2.0), "peak only": (None, None)}.items():
        for number, flux in enumerate(fluxes):
            any_pipeline.make_photometry(source_id=source, flux_jy=flux, peak_jyb=1.0 + number, mjd=float(number))
    sql = "SELECT id, flux_type, n_points, n_fluxes, mean_flux_jy, peak_flux_jy, zone FROM v_source ORDER BY id"
    expected = [("both", "integrated", 2, 1, 2.0, 2.0, 1272), ("peak only", "peak", 2, 2, 1.5, 2.0, 1272)]
    for act in (lambda: None, PipelineUpgrade(any_pipeline.products_path, "products").upgrade):
        act()
        database = PipelineDatabase(PipelineFiles(any_pipeline.products_path, None))
        assert database.rows(sql) == expected
        database.close()


@pytest.mark.parametrize("generation", GENERATIONS)
def test_metrics_are_the_same_before_and_after_the_upgrade(tmp_path: Path, generation: str) -> None:
    with Pipeline(tmp_path, generation, registry=False) as pipeline:
        pipeline.make_many_photometry(20, 30)
        before = shown(pipeline.products_path)
        PipelineUpgrade(pipeline.products_path, "products").upgrade()
        after = shown(pipeline.products_path)
        for flux_type, sources in before.items():
            for source, metrics in sources.items():
                assert after[flux_type][source] == pytest.approx(metrics, rel=1e-9)


@pytest.mark.parametrize(
    ("fluxes", "m"),
    [
        ([10.0, 10.1, 9.35], 2 * 0.75 / 19.45),  # a dip, just significant, and only from the highest
        ([10.0, 9.9, 10.65], 2 * 0.75 / 20.55),  # a flare likewise
        ([10.0, 10.1, 9.55], 0.0),
        ([1.0, -0.5, 0.5], 6.0),  # with the sky below zero; the last two add up to nothing
        ([5.0, 1.0, 2.0, 5.0], 4 / 3),  # as good as the best so far
    ],
)
def test_pair_that_a_new_flux_makes_is_not_overlooked(
    upgraded: dict[str, Path], tmp_path: Path, fluxes: list[float], m: float
) -> None:
    with closing(open_copy(upgraded["production"], tmp_path)) as connection:
        connection.execute("DELETE FROM photometry")
        for number, flux in enumerate(fluxes):
            connection.execute(MEASURE, (flux, 0.1, number))
        assert_shown_as_true(tmp_path / "copy.sqlite3", connection)
        assert shown(tmp_path / "copy.sqlite3")["integrated"]["S1"]["m"] == pytest.approx(m)


def test_upgrade_settles_every_source_and_once_more_what_changed_since(pipeline: Pipeline) -> None:
    pipeline.make_many_photometry(40, 5)
    upgrade = PipelineUpgrade(pipeline.products_path, "products")
    unsettled = "SELECT count(*) FROM contimg_api_source WHERE unsettled"
    upgrade.upgrade()
    assert pipeline.connection.execute(unsettled).fetchone() == (0,)
    with pipeline.connection as connection:
        connection.execute("UPDATE photometry SET flux_jy = 2 * flux_jy WHERE source_id < 'S000010' AND id % 2")
        connection.execute("DELETE FROM photometry WHERE source_id = 'S000020' AND id % 3 = 0")
    (before,) = pipeline.connection.execute(unsettled).fetchone()
    assert before > 5
    assert_shown_as_true(pipeline.products_path, pipeline.connection)
    assert upgrade.upgrade() == []
    assert pipeline.connection.execute(unsettled).fetchone() == (0,)
    assert_shown_as_true(pipeline.products_path, pipeline.connection)


def test_settling_lets_the_pipeline_write_in_between(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.db.upgrade.LONGEST_STEP_S", 0.0)
    pipeline.make_many_photometry(30, 3)
    begun: list[str] = []
    connect = upgrade_module.connect

    def watched(path: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
        connection = connect(path, busy_timeout_s=busy_timeout_s)
        connection.set_trace_callback(lambda sql: begun.append(sql) if sql == "BEGIN IMMEDIATE" else None)
        return connection

    monkeypatch.setattr(upgrade_module, "connect", watched)
    revisions = PipelineUpgrade(pipeline.products_path, "products").upgrade()
    assert len(begun) >= len(revisions) + 30
    assert_shown_as_true(pipeline.products_path, pipeline.connection)
