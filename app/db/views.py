"""Canonical views: one column list over every generation of the pipeline's schema.

Databases in the field were made by several versions of the pipeline and by mixtures of them. When a connection opens,
this module reads which columns are there and lays two storeys of TEMP views over them:

- ``t_*``, one per table, always with the full canonical column list. A missing column reads NULL, a later name is
  mapped to the canonical one, a missing optional table is an empty view. A missing table that the pipeline always
  makes gets no view, so that a query needing it fails as unavailable and no other does.
- ``v_*``, the joins that repositories select from, written once, on top of ``t_*``.

TEMP views live in the connection, so nothing is written into the pipeline's file; SQLite flattens them away and uses
the base tables' indexes.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from app.db import functions
from app.db.introspection import columns_of as columns_of
from app.db.qa_flags import qa_flags_view
from app.db.summaries import summary_views


class Table(NamedTuple):
    """A table of the pipeline: where it lies, what it is called, and its canonical columns.

    A column reads the table's column of that name, or NULL where the file has none. ``a|b`` is published as ``a`` and
    reads the first of several names that is not NULL in the row.
    """

    name: str
    columns: str
    required: bool = False
    schema: str = "main"

    @property
    def view(self) -> str:
        """Name of the canonical view."""
        return f"t_{self.name}"


TABLES = (
    Table(
        "images",
        "id path ms_path created_at type beam_major_arcsec beam_minor_arcsec beam_pa_deg noise_jy pbcor dynamic_range "
        "format field_name center_ra_deg center_dec_deg imsize_x imsize_y cellsize_arcsec freq_ghz bandwidth_mhz "
        "integration_sec",
        required=True,
    ),
    Table(
        "ms_index",
        "path start_mjd end_mjd mid_mjd processed_at status stage stage_updated_at cal_applied imagename ra_deg "
        "dec_deg pointing_ra_deg pointing_dec_deg field_name",
        required=True,
    ),
    Table(
        "photometry",
        "id source_id image_path ra_deg dec_deg peak_jyb|peak_flux_jy peak_err_jyb flux_jy flux_err_jy mjd snr "
        "measured_at flags quality_flag local_rms nvss_flux_mjy normalized_flux_jy normalized_flux_err_jy mosaic_path "
        "sep_from_center_deg",
        required=True,
    ),
    Table("jobs", "id type status ms_path run_id params created_at started_at finished_at"),
    Table("batch_jobs", "id type created_at status total_items completed_items failed_items params"),
    Table("batch_job_items", "id batch_id ms_path job_id status error started_at completed_at"),
    Table(
        "image_qa",
        "id ms_path image_path rms_noise peak_flux dynamic_range beam_major beam_minor beam_pa num_sources "
        "overall_quality timestamp",
    ),
    Table(
        "calibration_qa",
        "id ms_path k_metrics bp_metrics g_metrics overall_quality flags_total timestamp",
    ),
    Table(
        "caltables",
        "id set_name path table_type order_index cal_field refant created_at valid_start_mjd valid_end_mjd status "
        "notes source_ms_path",
        schema="registry",
    ),
)

# A REAL column may hold infinity, or even text; only finite numbers are values. (Text sorts behind every number.)
_FINITE = "BETWEEN -1.7e308 AND 1.7e308"


def finite(column: str) -> str:
    """SQL for a column's finite numbers, NULL for all else. No index is used for it, so not what lists sort by."""
    return f"CASE WHEN {column} {_FINITE} THEN {column} END"


def _first_finite(*columns: str) -> str:
    return f"coalesce({', '.join(map(finite, columns))})"


_ONLY_FINITE = {column: finite(f"p.{column}") for column in ("flux_jy", "flux_err_jy", "peak_jyb", "peak_err_jyb")}
_FLUX = f"CASE WHEN p.flux_jy {_FINITE} THEN p.flux_jy WHEN p.peak_jyb {_FINITE} THEN p.peak_jyb END"
_FLUX_ERR = (
    f"CASE WHEN p.flux_err_jy {_FINITE} THEN p.flux_err_jy WHEN p.peak_err_jyb {_FINITE} THEN p.peak_err_jyb END"
)

# Where an image points and when it was taken, as well as the databases know.
_IMAGE_RA = "coalesce(i.center_ra_deg, m.pointing_ra_deg, m.ra_deg)"
_IMAGE_DEC = "coalesce(i.center_dec_deg, m.pointing_dec_deg, m.dec_deg)"
_OBSERVED_MJD = "coalesce(m.mid_mjd, m.start_mjd, i.created_at / 86400.0 + 40587.0)"

# Base name of a measurement set's path, in functions that every SQLite has, so that an index can be made on it.
_MS_NAME = "replace(rtrim(m.path, '/'), rtrim(rtrim(m.path, '/'), replace(m.path, '/', '')), '')"

# Sort keys are never NULL (keyset paging compares them): a missing number sorts as minus infinity, where SQLite puts
# NULL anyway. Indexes made by the upgrade are on the same expressions.
JOINS = {
    "v_image": f"""
        SELECT i.id, i.path, i.ms_path, i.created_at, i.type, i.noise_jy, i.dynamic_range, i.beam_major_arcsec,
               i.beam_minor_arcsec, i.beam_pa_deg, i.field_name, i.center_ra_deg, i.center_dec_deg, i.imsize_x,
               i.imsize_y, i.cellsize_arcsec, i.freq_ghz, i.bandwidth_mhz, i.integration_sec, i.pbcor, i.format,
               m.path IS NOT NULL AS has_ms, m.stage AS stage,
               CASE WHEN m.path IS NOT NULL THEN grade_of_stage(m.stage) END AS qa_grade,
               run_id(i.ms_path) AS run_id, {_IMAGE_RA} AS ra_deg, {_IMAGE_DEC} AS dec_deg,
               {_OBSERVED_MJD} AS observed_mjd
        FROM t_images AS i LEFT JOIN t_ms_index AS m ON m.path = i.ms_path""",
    "v_image_detail": f"""
        SELECT i.id, i.path, i.ms_path, {finite("i.created_at")} AS created_at,
               {finite("i.center_ra_deg")} AS center_ra_deg, {finite("i.center_dec_deg")} AS center_dec_deg,
               i.has_ms, i.stage,
               (SELECT c.path FROM t_caltables AS c WHERE c.source_ms_path = i.ms_path
                ORDER BY c.created_at DESC, c.id DESC LIMIT 1) AS cal_table,
               {_first_finite("i.noise_jy", "q.rms_noise")} AS noise_jy,
               {_first_finite("i.dynamic_range", "q.dynamic_range")} AS dynamic_range,
               {_first_finite("q.beam_major", "i.beam_major_arcsec")} AS beam_major_arcsec,
               {_first_finite("q.beam_minor", "i.beam_minor_arcsec")} AS beam_minor_arcsec,
               {_first_finite("q.beam_pa", "i.beam_pa_deg")} AS beam_pa_deg,
               {finite("q.num_sources")} AS n_sources, {finite("q.peak_flux")} AS peak_flux_jy, q.overall_quality,
               {finite("q.timestamp")} AS qa_timestamp, {finite("q.rms_noise")} AS qa_rms_noise,
               {finite("q.dynamic_range")} AS qa_dynamic_range, {finite("q.beam_major")} AS qa_beam_major,
               {finite("q.beam_minor")} AS qa_beam_minor, {finite("q.beam_pa")} AS qa_beam_pa
        FROM v_image AS i LEFT JOIN t_image_qa AS q ON q.id = ifnull(
            (SELECT a.id FROM t_image_qa AS a WHERE a.image_path = i.path ORDER BY a.timestamp DESC, a.id DESC LIMIT 1),
            (SELECT b.id FROM t_image_qa AS b WHERE b.ms_path = i.ms_path ORDER BY b.timestamp DESC, b.id DESC LIMIT 1)
        )""",
    "v_frame": f"""
        SELECT i.id, i.path, i.type, ifnull(nullif(i.field_name, ''), nullif(m.field_name, '')) AS field_name,
               {_first_finite("i.center_ra_deg", "m.pointing_ra_deg", "m.ra_deg")} AS ra_deg,
               {_first_finite("i.center_dec_deg", "m.pointing_dec_deg", "m.dec_deg")} AS dec_deg,
               coalesce({_first_finite("m.mid_mjd", "m.start_mjd")},
                        {finite("i.created_at")} / 86400.0 + 40587.0) AS observed_mjd
        FROM t_images AS i LEFT JOIN t_ms_index AS m ON m.path = i.ms_path""",
    "v_ms": """
        SELECT m.path, m.start_mjd, m.end_mjd, m.mid_mjd, m.processed_at, m.status, m.stage, m.cal_applied,
               m.imagename, m.field_name,
               ifnull(m.pointing_ra_deg, m.ra_deg) AS pointing_ra_deg,
               ifnull(m.pointing_dec_deg, m.dec_deg) AS pointing_dec_deg,
               ifnull(m.pointing_ra_deg, m.ra_deg) AS ra_deg, ifnull(m.pointing_dec_deg, m.dec_deg) AS dec_deg,
               grade_of_stage(m.stage) AS qa_grade, run_id(m.path) AS run_id,
               ifnull(m.processed_at, -9e999) AS sort_processed_at
        FROM t_ms_index AS m WHERE +m.path IS NOT NULL""",
    "v_ms_detail": """
        SELECT m.path, m.processed_at, m.status, m.stage, m.cal_applied, m.pointing_ra_deg, m.pointing_dec_deg,
               (SELECT json_group_array(json_array(c.path, c.table_type)) FROM (
                   SELECT o.path, CASE typeof(o.table_type) WHEN 'text' THEN o.table_type END AS table_type
                   FROM t_caltables AS o WHERE o.source_ms_path = m.path AND typeof(o.path) = 'text'
                   ORDER BY o.order_index, o.id) AS c) AS calibrators,
               (SELECT c.path FROM t_caltables AS c WHERE c.source_ms_path = m.path
                ORDER BY c.created_at DESC, c.id DESC LIMIT 1) AS newest_cal_table,
               (SELECT i.id FROM t_images AS i WHERE i.ms_path = m.path
                ORDER BY i.created_at DESC, i.id DESC LIMIT 1) AS newest_image_id
        FROM v_ms AS m""",
    "v_ms_quality": """
        SELECT m.path, m.status, m.stage, m.cal_applied, q.overall_quality, q.k_metrics, q.bp_metrics, q.g_metrics,
               q.flags_total, q.timestamp
        FROM v_ms AS m LEFT JOIN t_calibration_qa AS q ON q.id = (
            SELECT n.id FROM t_calibration_qa AS n WHERE n.ms_path = m.path
            ORDER BY n.timestamp DESC, n.id DESC LIMIT 1)""",
    "v_photometry": f"""
        SELECT p.id, p.source_id, p.image_path, p.ra_deg, p.dec_deg,
               ifnull(p.mjd, p.measured_at / 86400.0 + 40587.0) AS mjd,
               {_FLUX} AS flux_jy, {_FLUX_ERR} AS flux_err_jy, p.snr, p.measured_at,
               {_ONLY_FINITE["peak_jyb"]} AS peak_jyb, {_ONLY_FINITE["peak_err_jyb"]} AS peak_err_jyb,
               {_ONLY_FINITE["flux_jy"]} AS integrated_jy, {_ONLY_FINITE["flux_err_jy"]} AS integrated_err_jy,
               p.flags, p.quality_flag, p.local_rms,
               p.nvss_flux_mjy, p.normalized_flux_jy, p.normalized_flux_err_jy, p.mosaic_path, p.sep_from_center_deg
        FROM t_photometry AS p""",
    "v_caltable": """
        SELECT c.id, c.path, c.table_type, c.set_name, c.order_index, c.cal_field, c.refant, c.created_at,
               c.valid_start_mjd, c.valid_end_mjd, c.status, c.notes, c.source_ms_path
        FROM t_caltables AS c""",
    "v_batch": """
        SELECT b.id, b.type, b.status, b.created_at, b.total_items, b.completed_items, b.failed_items,
               b.params AS params_text
        FROM t_batch_jobs AS b""",
    "v_batch_item": """
        SELECT i.id, i.batch_id, i.ms_path, j.run_id, i.status, i.error, i.started_at, i.completed_at
        FROM t_batch_job_items AS i LEFT JOIN t_jobs AS j ON j.id = i.job_id""",
    # A run belongs to a measurement set, or is a rerun recorded in the jobs table. run_id() is this service's own
    # function; {same_run} and {same_job} are filled in by lay_views(). Joined like this, a file without an index on
    # jobs.run_id gets one for the length of the query, which it would not in a correlated subquery.
    "v_job": f"""
        SELECT run_id(m.path) AS run_id, m.path AS ms_path, j.status AS recorded_status, m.status AS ms_status,
               m.stage, m.processed_at, ifnull(m.processed_at, j.started_at) AS started_at, j.finished_at, j.params,
               ifnull(m.processed_at, -9e999) AS sort_started_at, m.path AS sort_key, {_MS_NAME} AS ms_name
        FROM t_ms_index AS m LEFT JOIN t_jobs AS j ON {{same_run}} AND NOT EXISTS (
            SELECT 1 FROM t_jobs AS n
            WHERE {{same_job}} AND (n.created_at > j.created_at OR n.created_at = j.created_at AND n.id > j.id))
        WHERE +m.path IS NOT NULL""",
    "v_job_processed": """
        SELECT j.run_id, j.ms_path, j.recorded_status, j.ms_status, j.stage, j.processed_at, j.started_at,
               j.finished_at, j.params, j.sort_started_at, j.sort_key,
               job_status(j.recorded_status, j.ms_status, j.stage, j.processed_at) AS status
        FROM v_job AS j WHERE j.processed_at IS NOT NULL""",
    "v_job_recorded": """
        SELECT j.run_id, j.ms_path, j.status AS recorded_status, NULL AS ms_status, NULL AS stage,
               NULL AS processed_at, j.started_at, j.finished_at, j.params,
               ifnull(ifnull(j.started_at, j.created_at), -9e999) AS sort_started_at, 'rerun:' || j.id AS sort_key,
               j.type, j.created_at, j.id
        FROM t_jobs AS j WHERE j.run_id IS NOT NULL""",
    # A row that records the original run of a measurement set is that run, listed already.
    "v_job_rerun": """
        SELECT j.run_id, j.ms_path, j.recorded_status, j.ms_status, j.stage, j.processed_at, j.started_at,
               j.finished_at, j.params, j.sort_started_at, j.sort_key,
               job_status(j.recorded_status, j.ms_status, j.stage, j.processed_at) AS status
        FROM v_job_recorded AS j
        WHERE j.type = 'pipeline_rerun' AND NOT EXISTS (
            SELECT 1 FROM t_ms_index AS m
            WHERE m.path = j.ms_path AND m.processed_at IS NOT NULL AND run_id(m.path) = j.run_id)""",
}


def lay_views(connection: sqlite3.Connection, *, registry: str | None, products: bool = True) -> None:
    """Lay the canonical views over a freshly opened connection.

    Parameters
    ----------
    connection
        With the pipeline's file as ``main``.
    registry
        Schema name that holds ``caltables``: ``main`` for a unified file, the attached name, or ``None``.
    products
        Whether the pipeline's file is there. Without it nothing of it is known, not even that a table is empty.
    """
    functions.register(connection)
    for table in TABLES:
        schema = registry if table.schema == "registry" else table.schema
        if not products and table.schema != "registry":
            continue
        present = columns_of(connection, schema, table.name) if schema else set()
        statement = _table_view(table, schema, present)
        if statement is not None:
            connection.execute(statement)
    if products:
        connection.execute(qa_flags_view(connection))
    # A row of the jobs table speaks for a measurement set when their run ids agree; by path only in files whose jobs
    # table has no run_id column, because reruns share the path of the original.
    has_run_id = "run_id" in columns_of(connection, "main", "jobs")
    same_run = "j.run_id = run_id(m.path)" if has_run_id else "j.ms_path = m.path"
    same_job = "n.run_id = j.run_id" if has_run_id else "n.ms_path = j.ms_path"
    for name, select in (JOINS | summary_views(connection, registry=registry)).items():
        select = select.replace("{same_run}", same_run).replace("{same_job}", same_job)
        connection.execute(f"CREATE TEMP VIEW {name} AS {select}")


def column_expression(column: str, present: set[str]) -> str:
    """SQL that reads a canonical column (``a`` or ``a|b``) from a table with the given columns."""
    names = [name for name in column.split("|") if name in present]
    if not names:
        return "NULL"
    return names[0] if len(names) == 1 else f"coalesce({', '.join(names)})"


def _table_view(table: Table, schema: str | None, present: set[str]) -> str | None:
    if not present and table.required:
        return None
    selected = [f"{column_expression(column, present)} AS {column.split('|')[0]}" for column in table.columns.split()]
    origin = f"FROM {schema}.{table.name}" if present else "WHERE 0"
    return f"CREATE TEMP VIEW {table.view} AS SELECT {', '.join(selected)} {origin}"
