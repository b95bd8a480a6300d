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

from app.domain.run_id import run_id


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
    Table("batch_jobs", "id type created_at status total_items completed_items failed_items"),
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

# REAL values that are not finite are missing values; 9e999 is SQLite's way to write infinity.
_FLUX = "CASE WHEN abs(p.flux_jy) < 9e999 THEN p.flux_jy WHEN abs(p.peak_jyb) < 9e999 THEN p.peak_jyb END"
_FLUX_ERR = (
    "CASE WHEN abs(p.flux_err_jy) < 9e999 THEN p.flux_err_jy WHEN abs(p.peak_err_jyb) < 9e999 THEN p.peak_err_jyb END"
)

# Sort keys are never NULL (keyset paging compares them): a missing number sorts as minus infinity, where SQLite puts
# NULL anyway. Indexes made by the upgrade are on the same expressions.
JOINS = {
    "v_image": """
        SELECT i.id, i.path, i.ms_path, i.created_at, i.type, i.noise_jy, i.dynamic_range, i.beam_major_arcsec,
               i.beam_minor_arcsec, i.beam_pa_deg, i.field_name, i.center_ra_deg, i.center_dec_deg, i.imsize_x,
               i.imsize_y, i.cellsize_arcsec, i.freq_ghz, i.bandwidth_mhz, i.integration_sec, i.pbcor, i.format,
               m.path IS NOT NULL AS has_ms, m.stage AS stage
        FROM t_images AS i LEFT JOIN t_ms_index AS m ON m.path = i.ms_path""",
    "v_image_detail": """
        SELECT i.id, i.path, i.ms_path, i.created_at, i.center_ra_deg, i.center_dec_deg, i.has_ms, i.stage,
               (SELECT c.path FROM t_caltables AS c WHERE c.source_ms_path = i.ms_path
                ORDER BY c.created_at DESC, c.id DESC LIMIT 1) AS cal_table,
               ifnull(i.noise_jy, q.rms_noise) AS noise_jy,
               ifnull(i.dynamic_range, q.dynamic_range) AS dynamic_range,
               ifnull(q.beam_major, i.beam_major_arcsec) AS beam_major_arcsec,
               ifnull(q.beam_minor, i.beam_minor_arcsec) AS beam_minor_arcsec,
               ifnull(q.beam_pa, i.beam_pa_deg) AS beam_pa_deg,
               q.num_sources AS n_sources, q.peak_flux AS peak_flux_jy, q.overall_quality, q.timestamp AS qa_timestamp,
               q.rms_noise AS qa_rms_noise, q.dynamic_range AS qa_dynamic_range, q.beam_major AS qa_beam_major,
               q.beam_minor AS qa_beam_minor, q.beam_pa AS qa_beam_pa
        FROM v_image AS i LEFT JOIN t_image_qa AS q ON q.id = ifnull(
            (SELECT a.id FROM t_image_qa AS a WHERE a.image_path = i.path ORDER BY a.timestamp DESC, a.id DESC LIMIT 1),
            (SELECT b.id FROM t_image_qa AS b WHERE b.ms_path = i.ms_path ORDER BY b.timestamp DESC, b.id DESC LIMIT 1)
        )""",
    "v_ms": """
        SELECT m.path, m.start_mjd, m.end_mjd, m.mid_mjd, m.processed_at, m.status, m.stage, m.cal_applied,
               m.imagename, m.field_name,
               ifnull(m.pointing_ra_deg, m.ra_deg) AS pointing_ra_deg,
               ifnull(m.pointing_dec_deg, m.dec_deg) AS pointing_dec_deg,
               ifnull(m.processed_at, -9e999) AS sort_processed_at
        FROM t_ms_index AS m""",
    "v_photometry": f"""
        SELECT p.id, p.source_id, p.image_path, p.ra_deg, p.dec_deg,
               ifnull(p.mjd, p.measured_at / 86400.0 + 40587.0) AS mjd,
               {_FLUX} AS flux_jy, {_FLUX_ERR} AS flux_err_jy, p.snr, p.measured_at
        FROM t_photometry AS p""",
    "v_source": """
        SELECT p.source_id AS id,
               (SELECT n.ra_deg FROM v_photometry AS n WHERE n.source_id = p.source_id
                ORDER BY n.mjd DESC, n.id DESC LIMIT 1) AS ra_deg,
               (SELECT n.dec_deg FROM v_photometry AS n WHERE n.source_id = p.source_id
                ORDER BY n.mjd DESC, n.id DESC LIMIT 1) AS dec_deg,
               count(DISTINCT i.path) AS num_images,
               CAST(substr(max(printf('%032.6f%020d', i.created_at, i.id)), 33) AS INTEGER) AS image_id
        FROM t_photometry AS p LEFT JOIN t_images AS i ON i.path = p.image_path
        WHERE p.source_id IS NOT NULL GROUP BY p.source_id""",
    "v_caltable": """
        SELECT c.id, c.path, c.table_type, c.set_name, c.order_index, c.cal_field, c.refant, c.created_at,
               c.valid_start_mjd, c.valid_end_mjd, c.status, c.notes, c.source_ms_path
        FROM t_caltables AS c""",
    # A run is a processed measurement set, or a rerun recorded in the jobs table. run_id() is this service's own
    # function; {same_run} is filled in by lay_views().
    "v_job_processed": """
        SELECT run_id(m.path) AS run_id, m.path AS ms_path, j.status AS recorded_status, m.status AS ms_status,
               m.stage, m.processed_at, m.processed_at AS started_at, j.finished_at, j.params,
               ifnull(m.processed_at, -9e999) AS sort_started_at, m.path AS sort_key
        FROM t_ms_index AS m LEFT JOIN t_jobs AS j ON j.id = (
            SELECT k.id FROM t_jobs AS k WHERE {same_run} ORDER BY k.created_at DESC, k.id DESC LIMIT 1)
        WHERE m.processed_at IS NOT NULL""",
    "v_job_rerun": """
        SELECT j.run_id, j.ms_path, j.status AS recorded_status, NULL AS ms_status, NULL AS stage,
               NULL AS processed_at, j.started_at, j.finished_at, j.params,
               ifnull(ifnull(j.started_at, j.created_at), -9e999) AS sort_started_at, 'rerun:' || j.id AS sort_key
        FROM t_jobs AS j WHERE j.type = 'pipeline_rerun' AND j.run_id IS NOT NULL""",
}


def lay_views(connection: sqlite3.Connection, *, registry: str | None) -> None:
    """Lay the canonical views over a freshly opened connection.

    Parameters
    ----------
    connection
        With the pipeline's file as ``main``.
    registry
        Schema name that holds ``caltables``: ``main`` for a unified file, the attached name, or ``None``.
    """
    connection.create_function("run_id", 1, run_id, deterministic=True)
    for table in TABLES:
        schema = registry if table.schema == "registry" else table.schema
        present = columns_of(connection, schema, table.name) if schema else set()
        statement = _table_view(table, schema, present)
        if statement is not None:
            connection.execute(statement)
    # A row of the jobs table speaks for a measurement set when their run ids agree; by path only in files whose jobs
    # table has no run_id column, because reruns share the path of the original.
    has_run_id = "run_id" in columns_of(connection, "main", "jobs")
    same_run = "k.run_id = run_id(m.path)" if has_run_id else "k.ms_path = m.path"
    for name, select in JOINS.items():
        connection.execute(f"CREATE TEMP VIEW {name} AS {select.replace('{same_run}', same_run)}")


def columns_of(connection: sqlite3.Connection, schema: str, table: str) -> set[str]:
    """Names of a table's columns; empty where there is no such table."""
    return {row[1] for row in connection.execute(f"PRAGMA {schema}.table_info({table})")}


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
