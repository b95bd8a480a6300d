"""The stand-in pipeline writes what the real one would: every generation's tables, column by column."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.pipeline import BASE_UNIX_S, GENERATIONS, Pipeline, worked_example

CORE_IMAGE = "id path ms_path created_at type beam_major_arcsec noise_jy pbcor"
FULL_IMAGE = (
    f"{CORE_IMAGE} beam_minor_arcsec beam_pa_deg dynamic_range format field_name center_ra_deg center_dec_deg imsize_x "
    "imsize_y cellsize_arcsec freq_ghz bandwidth_mhz integration_sec"
)
CORE_MS = (
    "path start_mjd end_mjd mid_mjd processed_at status stage stage_updated_at cal_applied imagename ra_deg dec_deg "
    "pointing_ra_deg pointing_dec_deg"
)
CORE_PHOTOMETRY = "id source_id image_path ra_deg dec_deg peak_jyb peak_err_jyb flux_jy flux_err_jy mjd"
MEASURED_PHOTOMETRY = (
    f"{CORE_PHOTOMETRY} measured_at nvss_flux_mjy normalized_flux_jy normalized_flux_err_jy mosaic_path"
)
JOB = "id type status ms_path params logs artifacts created_at started_at finished_at"
BATCH_ITEM = "id batch_id ms_path job_id status error started_at"
IMAGE_QA = (
    "id ms_path job_id image_path rms_noise peak_flux dynamic_range beam_major beam_minor beam_pa num_sources "
    "thumbnail_path overall_quality timestamp"
)
CALIBRATION_QA = "id ms_path job_id k_metrics bp_metrics g_metrics overall_quality flags_total per_spw_stats timestamp"
CALTABLE = (
    "id set_name path table_type order_index cal_field refant created_at valid_start_mjd valid_end_mjd status notes "
    "source_ms_path solver_command solver_version solver_params quality_metrics"
)
HEAD_PHOTOMETRY = (
    f"{MEASURED_PHOTOMETRY} snr sep_from_center_deg local_rms rms_jy peak_flux_jy quality_flag flags"  # the widest
)
MIXED_IMAGE = f"{CORE_IMAGE} dynamic_range center_ra_deg center_dec_deg format"

# One column per generation, in the order of GENERATIONS; the empty string is a table that does not exist.
EXPECTED: dict[str, tuple[str, str, str, str, str]] = {
    "images": (FULL_IMAGE, CORE_IMAGE, FULL_IMAGE, FULL_IMAGE, MIXED_IMAGE),
    "ms_index": (
        f"{CORE_MS} field_name",
        CORE_MS,
        f"{CORE_MS} field_name",
        f"{CORE_MS} field_name group_id created_at",
        f"{CORE_MS} field_name",
    ),
    "photometry": (
        f"{MEASURED_PHOTOMETRY} snr sep_from_center_deg flags",
        MEASURED_PHOTOMETRY,
        f"{CORE_PHOTOMETRY} snr local_rms",
        HEAD_PHOTOMETRY,
        f"{MEASURED_PHOTOMETRY} snr",
    ),
    "jobs": (f"{JOB} run_id", f"{JOB} run_id", f"{JOB} run_id", JOB, f"{JOB} run_id"),
    "batch_jobs": ("id type created_at status total_items completed_items failed_items params",) * 5,
    "batch_job_items": (BATCH_ITEM, *(f"{BATCH_ITEM} completed_at data_id",) * 4),
    "image_qa": ("", IMAGE_QA, "", IMAGE_QA, IMAGE_QA),
    "calibration_qa": ("", CALIBRATION_QA, "", CALIBRATION_QA, CALIBRATION_QA),
    "caltables": (CALTABLE,) * 5,
    "sources": (
        "",
        "",
        "",
        "id name ra_deg dec_deg catalog_match source_type first_detected_mjd last_detected_mjd detection_count",
        "",
    ),
    "qa_flags": ("",) * 5,
}
COLUMN_CASES = [
    pytest.param(generation, table, set(columns.split()), id=f"{generation}-{table}")
    for table, row in EXPECTED.items()
    for generation, columns in zip(("orm", "production", "alembic", "head", "mixed"), row, strict=True)
]
REQUIRED = {  # NOT NULL columns wherever the generations disagree, or a reader might lean on them
    ("orm", "photometry"): "image_path ra_deg dec_deg peak_jyb measured_at",
    ("production", "photometry"): "image_path ra_deg dec_deg peak_jyb measured_at",
    ("alembic", "photometry"): "source_id image_path ra_deg dec_deg",
    ("head", "photometry"): "image_path ra_deg dec_deg",
    ("production", "images"): "path ms_path created_at type",
    ("head", "ms_index"): "created_at",
    ("production", "ms_index"): "",
    ("production", "jobs"): "type status ms_path created_at",
    ("mixed", "images"): "path ms_path created_at type",
    ("production", "image_qa"): "ms_path job_id image_path timestamp",
    ("production", "batch_job_items"): "batch_id ms_path status",
}
INDEXED = {
    "orm": {"images": "ms_path", "ms_index": "stage,path status", "photometry": "source_id image_path"},
    "production": {
        "images": "ms_path",
        "ms_index": "stage,path status",
        "photometry": "source_id image_path source_id,mjd",
        "batch_job_items": "batch_id ms_path",
        "jobs": "status created_at",
    },
    "alembic": {"images": "ms_path created_at", "ms_index": "stage mid_mjd", "photometry": "source_id mjd"},
    "head": {
        "images": "ms_path type created_at",
        "ms_index": "mid_mjd status stage group_id",
        "photometry": "image_path source_id ra_deg,dec_deg mjd",
        "caltables": "set_name valid_start_mjd,valid_end_mjd source_ms_path",
    },
}
BUILDERS: dict[str, Callable[[Pipeline], Any]] = {
    "images": Pipeline.make_image,
    "ms_index": Pipeline.make_ms,
    "photometry": Pipeline.make_photometry,
    "jobs": Pipeline.make_job,
    "caltables": Pipeline.make_caltable,
    "image_qa": Pipeline.make_image_qa,
    "calibration_qa": Pipeline.make_calibration_qa,
    "qa_flags": Pipeline.make_qa_flag,
    "batch_jobs": Pipeline.make_batch_job,
    "batch_job_items": Pipeline.make_batch_item,
}


@pytest.fixture(params=GENERATIONS)
def pipeline(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pipeline]:
    with Pipeline(tmp_path, request.param, qa_flags=True) as made:
        yield made


def path_of(pipeline: Pipeline, table: str) -> Path:
    return pipeline.registry_path if table == "caltables" else pipeline.products_path


def read(
    pipeline: Pipeline, table: str, columns: str = "COUNT(*)", rest: str = "ORDER BY rowid"
) -> list[tuple[Any, ...]]:
    """What another, read-only connection sees, in the order of writing: only what was committed."""
    uri = f"{path_of(pipeline, table).as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as reader:
        return reader.execute(f"SELECT {columns} FROM {table} {rest}").fetchall()


def info(pipeline: Pipeline, sql: str, **values: str) -> list[Any]:
    with closing(sqlite3.connect(path_of(pipeline, values["table"]))) as reader:
        return [value for (value,) in reader.execute(sql, values)]


@pytest.mark.parametrize(("generation", "table", "expected"), COLUMN_CASES)
def test_table_has_the_columns_of_its_generation(
    tmp_path: Path, generation: str, table: str, expected: set[str]
) -> None:
    with Pipeline(tmp_path, generation) as made:
        names = info(made, "SELECT name FROM pragma_table_info(:table)", table=table)
        assert made.columns(table) == tuple(names)
    assert set(names) == expected


@pytest.mark.parametrize(("generation", "table"), REQUIRED)
def test_columns_refuse_null_where_the_generation_does(tmp_path: Path, generation: str, table: str) -> None:
    with Pipeline(tmp_path, generation) as made:
        names = info(made, "SELECT name FROM pragma_table_info(:table) WHERE [notnull]", table=table)
    assert set(names) == set(REQUIRED[generation, table].split())


@pytest.mark.parametrize(("generation", "table"), [(g, table) for g, tables in INDEXED.items() for table in tables])
def test_indexes_are_those_of_the_generation(tmp_path: Path, generation: str, table: str) -> None:
    sql = """SELECT (SELECT GROUP_CONCAT(name) FROM pragma_index_info(i.name))
             FROM pragma_index_list(:table) AS i WHERE i.origin = 'c'"""
    with Pipeline(tmp_path, generation) as made:
        assert set(info(made, sql, table=table)) == set(INDEXED[generation][table].split())


@pytest.mark.parametrize("generation", GENERATIONS)
def test_image_path_is_unique_only_in_alembic_and_head_files(tmp_path: Path, generation: str) -> None:
    with Pipeline(tmp_path, generation) as made:
        made.make_image(path="/stage/img/twice.fits")
        if generation in {"alembic", "head"}:
            with pytest.raises(sqlite3.IntegrityError, match=r"images\.path"):
                made.make_image(path="/stage/img/twice.fits")
        else:
            made.make_image(path="/stage/img/twice.fits")
            assert read(made, "images") == [(2,)]


def test_run_id_is_the_fifth_column_of_new_jobs_tables_and_the_last_of_migrated_ones(tmp_path: Path) -> None:
    with Pipeline(tmp_path / "new") as new, Pipeline(tmp_path / "old", "mixed") as migrated:
        assert new.columns("jobs").index("run_id") == 4
        assert migrated.columns("jobs")[-1] == "run_id"


@pytest.mark.parametrize("table", ["images", "ms_index", "photometry"])
def test_mixed_files_have_another_column_order(tmp_path: Path, table: str) -> None:
    with Pipeline(tmp_path / "a") as production, Pipeline(tmp_path / "b", "mixed") as mixed:
        core = production.columns(table)
        assert [name for name in mixed.columns(table) if name in core] != list(core)


def test_files_are_in_wal_mode(pipeline: Pipeline) -> None:
    for path in (pipeline.products_path, pipeline.registry_path):
        with closing(sqlite3.connect(path)) as reader:
            assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_head_is_one_file_and_the_others_are_two(pipeline: Pipeline) -> None:
    names = sorted(path.name for path in pipeline.products_path.parent.glob("*.sqlite3"))
    assert names == (
        ["pipeline.sqlite3"] if pipeline.generation == "head" else ["cal_registry.sqlite3", "products.sqlite3"]
    )
    assert (pipeline.registry_path == pipeline.products_path) == (pipeline.generation == "head")


def test_deleting_an_image_of_a_head_file_takes_its_photometry_along_when_keys_are_enforced(tmp_path: Path) -> None:
    with Pipeline(tmp_path, "head") as made:
        made.make_image()
        made.make_photometry()
        made.connection.execute("PRAGMA foreign_keys = ON")
        with made.connection:
            made.connection.execute("DELETE FROM images")
        assert read(made, "photometry") == [(0,)]


@pytest.mark.parametrize("table", BUILDERS)
def test_builder_commits_a_row_that_other_connections_see(pipeline: Pipeline, table: str) -> None:
    keys = [BUILDERS[table](pipeline), BUILDERS[table](pipeline)]
    if not pipeline.columns(table):
        assert keys == [None, None]
        return
    key = {"qa_flags": "rowid", "ms_index": "path"}.get(table, "id")
    assert read(pipeline, table, key) == [(keys[0],), (keys[1],)]
    assert pipeline.connection.in_transaction is False


@pytest.mark.parametrize("table", BUILDERS)
def test_builder_refuses_a_column_that_no_generation_has(pipeline: Pipeline, table: str) -> None:
    with pytest.raises(TypeError, match="nosie_jy"):
        BUILDERS[table](pipeline, nosie_jy=0.1)  # type: ignore[call-arg]


def test_builder_leaves_out_columns_of_other_generations(pipeline: Pipeline) -> None:
    pipeline.make_image(dynamic_range=77.0, noise_jy=0.5)
    pipeline.make_photometry(snr=3.0, local_rms=0.1, peak_flux_jy=0.2, peak_jyb=0.25)
    assert read(pipeline, "images", "noise_jy") == [(0.5,)]
    assert read(pipeline, "photometry", "peak_jyb") == [(0.25,)]
    if "dynamic_range" in pipeline.columns("images"):
        assert read(pipeline, "images", "dynamic_range") == [(77.0,)]


def test_nth_rows_belong_together(pipeline: Pipeline) -> None:
    for _ in range(2):
        path = pipeline.make_ms()
        pipeline.make_image()
        pipeline.make_photometry()
        pipeline.make_job()
        pipeline.make_caltable()
    assert path == "/stage/ms/2025-10-31T13:00:02.ms"
    image = read(pipeline, "images", "path, ms_path, created_at")[1]
    assert image[1:] == (path, BASE_UNIX_S + 2)
    assert read(pipeline, "photometry", "image_path")[1] == (image[0],)
    assert read(pipeline, "jobs", "ms_path")[1] == (path,)
    assert read(pipeline, "caltables", "source_ms_path")[1] == (path,)


def test_rows_may_dangle(pipeline: Pipeline) -> None:
    pipeline.make_image(ms_path="/nowhere.ms")
    pipeline.make_photometry(image_path="/nowhere.fits")
    pipeline.make_batch_item(batch_id=99)
    assert read(pipeline, "photometry", "image_path") == [("/nowhere.fits",)]


@pytest.mark.parametrize(
    ("ms_path", "run_id"),
    [
        ("/d/2025-10-31T13:49:06.ms", "job-2025-10-31-134906"),
        ("/d/2025-10-31T13:49:06.123.ms", "job-2025-10-31-134906"),
        ("/d/2025-10-31T13:49:06_TARGET.ms", "job-2025-10-31-134906_TARGET"),
        ("/d/TARGET.ms", "job-TARGET"),
    ],
)
def test_run_id_of_a_job_follows_from_its_ms_path(tmp_path: Path, ms_path: str, run_id: str) -> None:
    with Pipeline(tmp_path) as made:
        made.make_job(ms_path=ms_path)
        made.make_job(ms_path=ms_path, run_id=None)
        assert read(made, "jobs", "run_id") == [(run_id,), (None,)]


def test_batch_item_belongs_to_the_batch_made_last(tmp_path: Path) -> None:
    with Pipeline(tmp_path) as made:
        made.make_batch_job()
        made.make_batch_job(id=40)
        made.make_batch_item()
        assert read(made, "batch_job_items", "batch_id") == [(40,)]


def test_order_index_of_a_caltable_follows_from_its_type(tmp_path: Path) -> None:
    with Pipeline(tmp_path) as made:
        made.make_caltable(table_type="K")
        made.make_caltable(table_type="FLUX")
        made.make_caltable(order_index=5)
        assert read(made, "caltables", "order_index") == [(10,), (70,), (5,)]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_optional_tables_can_be_left_out_and_their_builders_then_say_so(tmp_path: Path, generation: str) -> None:
    with Pipeline(tmp_path, generation, jobs=False, registry=False) as made:
        assert made.columns("jobs") == made.columns("qa_flags") == made.columns("caltables") == ()
        assert made.registry_path.exists() == (generation == "head")
        for build, option in ((made.make_job, "jobs"), (made.make_qa_flag, "qa_flags"), (made.make_caltable, "reg")):
            with pytest.raises(LookupError, match=option):
                build()


def test_registry_can_be_older_than_its_provenance_columns(tmp_path: Path) -> None:
    with Pipeline(tmp_path, registry_provenance=False) as made:
        made.make_caltable(source_ms_path="/d/a.ms")
        assert set(made.columns("caltables")) == set(CALTABLE.split()[:12])


def test_many_images_continue_the_count(pipeline: Pipeline) -> None:
    pipeline.make_image()
    pipeline.make_many_images(500)
    pipeline.make_image()
    rows = read(pipeline, "images", "path, ms_path, created_at, noise_jy")
    assert len(rows) == len({row[0] for row in rows}) == len({row[1] for row in rows}) == 502
    assert [row[2] for row in rows] == [BASE_UNIX_S + n for n in range(1, 503)]
    assert len({row[3] for row in rows}) > 400


def test_many_photometry_is_a_light_curve_for_every_source(pipeline: Pipeline) -> None:
    pipeline.make_many_images(8)
    pipeline.make_many_photometry(30, 8)
    sql = "source_id, COUNT(DISTINCT image_path), COUNT(DISTINCT ra_deg), MAX(flux_jy) / MIN(flux_jy)"
    curves = read(pipeline, "photometry", sql, "GROUP BY source_id")
    assert [curve[:3] for curve in curves] == [(f"S{n:06d}", 8, 1) for n in range(30)]
    assert [curve[0] for curve in curves if curve[3] > 1.5] == ["S000000", "S000010", "S000020"]
    assert read(pipeline, "photometry", rest="JOIN images ON images.path = image_path") == [(240,)]


@pytest.mark.parametrize("count", [0, 1])
def test_many_of_none_or_one_is_no_special_case(pipeline: Pipeline, count: int) -> None:
    pipeline.make_many_images(count)
    pipeline.make_many_photometry(count, 1)
    assert read(pipeline, "images") == read(pipeline, "photometry") == [(count,)]


def test_worked_example_has_its_known_values(pipeline: Pipeline) -> None:
    worked_example(pipeline)
    ms = "/stage/ms/2025-10-31T13:49:06.ms"
    image = "id, path, ms_path, created_at, noise_jy, beam_major_arcsec"
    assert read(pipeline, "images", image) == [(7, "/stage/img/a.fits", ms, 1761922146.5, 0.00035, 12.34)]
    columns = "path, stage, processed_at, cal_applied, pointing_ra_deg, pointing_dec_deg, ra_deg"
    assert read(pipeline, "ms_index", columns) == [(ms, "imaged", 1761918546, 0, 0.0, 37.2, 12.0)]
    assert read(pipeline, "caltables", "path, table_type, source_ms_path") == [("/stage/cal/bp.tbl", "BP", ms)]
    if "center_ra_deg" in pipeline.columns("images"):
        centre = "dynamic_range, center_ra_deg, center_dec_deg"
        assert read(pipeline, "images", centre) == [(1200.4, 180.0, 37.2)]


def test_two_pipelines_write_the_same_rows(tmp_path: Path) -> None:
    dumps = []
    for name in ("a", "b"):
        with Pipeline(tmp_path / name, "head", qa_flags=True) as made:
            for build in BUILDERS.values():
                build(made)
            made.make_many_photometry(3, 3)
            dumps.append(list(made.connection.iterdump()))
    assert dumps[0] == dumps[1]
