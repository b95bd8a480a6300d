"""The tables as each generation of the pipeline makes them; the SQL that :mod:`tests.support.pipeline` runs.

Nobody but the pipeline decides how these tables look, so nothing here is imported from the application: if both were
written from one source, a misunderstanding would pass every test.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache

GENERATIONS = ("orm", "production", "alembic", "head", "mixed")

IMAGES_MEASURED = """
    beam_minor_arcsec REAL, beam_pa_deg REAL, dynamic_range REAL, format TEXT DEFAULT 'fits', field_name TEXT,
    center_ra_deg REAL, center_dec_deg REAL, imsize_x INTEGER, imsize_y INTEGER, cellsize_arcsec REAL, freq_ghz REAL,
    bandwidth_mhz REAL, integration_sec REAL"""

MS_INDEX_COLUMNS = """
    path TEXT PRIMARY KEY, start_mjd REAL, end_mjd REAL, mid_mjd REAL, processed_at REAL, status TEXT, stage TEXT,
    stage_updated_at REAL, cal_applied INTEGER DEFAULT 0, imagename TEXT, ra_deg REAL, dec_deg REAL,
    pointing_ra_deg REAL, pointing_dec_deg REAL"""

BATCH = """
CREATE TABLE batch_jobs (
    id INTEGER PRIMARY KEY, type TEXT NOT NULL, created_at REAL NOT NULL, status TEXT NOT NULL,
    total_items INTEGER NOT NULL, completed_items INTEGER DEFAULT 0, failed_items INTEGER DEFAULT 0, params TEXT);
CREATE TABLE batch_job_items (
    id INTEGER PRIMARY KEY, batch_id INTEGER NOT NULL REFERENCES batch_jobs (id), ms_path TEXT NOT NULL,
    job_id INTEGER, status TEXT NOT NULL, error TEXT, started_at REAL, completed_at REAL);
ALTER TABLE batch_job_items ADD COLUMN data_id TEXT;
CREATE INDEX idx_batch_items_batch_id ON batch_job_items (batch_id);
CREATE INDEX idx_batch_items_ms_path ON batch_job_items (ms_path);
"""

QA = """
CREATE TABLE image_qa (
    id INTEGER PRIMARY KEY, ms_path TEXT NOT NULL, job_id INTEGER NOT NULL, image_path TEXT NOT NULL,
    rms_noise REAL, peak_flux REAL, dynamic_range REAL, beam_major REAL, beam_minor REAL, beam_pa REAL,
    num_sources INTEGER, thumbnail_path TEXT, overall_quality TEXT, timestamp REAL NOT NULL{foreign_key});
CREATE TABLE calibration_qa (
    id INTEGER PRIMARY KEY, ms_path TEXT NOT NULL, job_id INTEGER NOT NULL, k_metrics TEXT, bp_metrics TEXT,
    g_metrics TEXT, overall_quality TEXT, flags_total REAL, per_spw_stats TEXT, timestamp REAL NOT NULL{foreign_key});
CREATE INDEX idx_image_qa_ms_path ON image_qa (ms_path);
CREATE INDEX idx_calibration_qa_ms_path ON calibration_qa (ms_path);
"""

MONITORING_SOURCES = """
CREATE TABLE monitoring_sources (
    id INTEGER PRIMARY KEY, source_id TEXT NOT NULL UNIQUE, name TEXT, ra_deg REAL NOT NULL, dec_deg REAL NOT NULL,
    catalog TEXT, priority TEXT DEFAULT 'normal', n_detections INTEGER DEFAULT 0, mean_flux_jy REAL, std_flux_jy REAL,
    eta REAL, v_index REAL, chi_squared REAL, is_variable INTEGER DEFAULT 0, ese_candidate INTEGER DEFAULT 0,
    first_detected_at REAL, last_detected_at REAL, last_updated REAL, notes TEXT);
"""

ORM = f"""
CREATE TABLE images (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, ms_path TEXT NOT NULL, created_at REAL NOT NULL,
    type TEXT NOT NULL, beam_major_arcsec REAL, noise_jy REAL, pbcor INTEGER DEFAULT 0, {IMAGES_MEASURED});
CREATE INDEX idx_images_ms_path ON images (ms_path);
CREATE TABLE ms_index ({MS_INDEX_COLUMNS}, field_name TEXT);
CREATE INDEX idx_ms_index_stage_path ON ms_index (stage, path);
CREATE INDEX idx_ms_index_status ON ms_index (status);
CREATE TABLE photometry (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source_id TEXT, image_path TEXT NOT NULL, ra_deg REAL NOT NULL,
    dec_deg REAL NOT NULL, nvss_flux_mjy REAL, peak_jyb REAL NOT NULL, peak_err_jyb REAL, flux_jy REAL,
    flux_err_jy REAL, normalized_flux_jy REAL, normalized_flux_err_jy REAL, measured_at REAL NOT NULL, mjd REAL,
    mosaic_path TEXT, snr REAL, sep_from_center_deg REAL, flags INTEGER DEFAULT 0);
CREATE INDEX idx_photometry_image ON photometry (image_path);
CREATE INDEX idx_photometry_source_id ON photometry (source_id);
CREATE TABLE batch_jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, created_at REAL NOT NULL, status TEXT NOT NULL,
    total_items INTEGER NOT NULL, completed_items INTEGER DEFAULT 0, failed_items INTEGER DEFAULT 0, params TEXT);
CREATE TABLE batch_job_items (
    id INTEGER PRIMARY KEY AUTOINCREMENT, batch_id INTEGER NOT NULL REFERENCES batch_jobs (id), ms_path TEXT NOT NULL,
    job_id INTEGER, status TEXT NOT NULL, error TEXT, started_at REAL);
"""

PRODUCTION = f"""
CREATE TABLE images (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL, ms_path TEXT NOT NULL, created_at REAL NOT NULL, type TEXT NOT NULL,
    beam_major_arcsec REAL, noise_jy REAL, pbcor INTEGER DEFAULT 0);
CREATE INDEX idx_images_ms_path ON images (ms_path);
CREATE TABLE ms_index ({MS_INDEX_COLUMNS});
CREATE INDEX idx_ms_index_stage_path ON ms_index (stage, path);
CREATE INDEX idx_ms_index_status ON ms_index (status);
CREATE TABLE photometry (
    id INTEGER PRIMARY KEY, source_id TEXT, image_path TEXT NOT NULL, ra_deg REAL NOT NULL, dec_deg REAL NOT NULL,
    nvss_flux_mjy REAL, peak_jyb REAL NOT NULL, peak_err_jyb REAL, flux_jy REAL, flux_err_jy REAL,
    normalized_flux_jy REAL, normalized_flux_err_jy REAL, measured_at REAL NOT NULL, mjd REAL, mosaic_path TEXT);
CREATE INDEX idx_photometry_image ON photometry (image_path);
CREATE INDEX idx_photometry_source_id ON photometry (source_id);
CREATE INDEX idx_photometry_source_mjd ON photometry (source_id, mjd);
{QA.format(foreign_key="")}
{MONITORING_SOURCES}
{BATCH}
"""

ALEMBIC = f"""
CREATE TABLE images (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, ms_path TEXT NOT NULL, created_at REAL NOT NULL,
    type TEXT NOT NULL, beam_major_arcsec REAL, noise_jy REAL, pbcor INTEGER DEFAULT 0, {IMAGES_MEASURED});
CREATE INDEX idx_images_ms_path ON images (ms_path);
CREATE INDEX idx_images_created_at ON images (created_at);
CREATE TABLE ms_index ({MS_INDEX_COLUMNS}, field_name TEXT);
CREATE INDEX idx_ms_index_stage ON ms_index (stage);
CREATE INDEX idx_ms_index_mid_mjd ON ms_index (mid_mjd);
CREATE TABLE photometry (
    id INTEGER PRIMARY KEY, source_id TEXT NOT NULL, image_path TEXT NOT NULL, ra_deg REAL NOT NULL,
    dec_deg REAL NOT NULL, mjd REAL, flux_jy REAL, flux_err_jy REAL, peak_jyb REAL, peak_err_jyb REAL, snr REAL,
    local_rms REAL);
CREATE INDEX idx_photometry_source_id ON photometry (source_id);
CREATE INDEX idx_photometry_mjd ON photometry (mjd);
{BATCH}
"""

HEAD = f"""
CREATE TABLE ms_index ({MS_INDEX_COLUMNS}, field_name TEXT, group_id TEXT,
    created_at REAL NOT NULL DEFAULT (strftime('%s', 'now')));
CREATE INDEX idx_ms_index_mid_mjd ON ms_index (mid_mjd);
CREATE INDEX idx_ms_index_status ON ms_index (status);
CREATE INDEX idx_ms_index_stage ON ms_index (stage);
CREATE INDEX idx_ms_index_group_id ON ms_index (group_id);
CREATE TABLE images (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, ms_path TEXT NOT NULL, created_at REAL NOT NULL,
    type TEXT NOT NULL, beam_major_arcsec REAL, noise_jy REAL, pbcor INTEGER DEFAULT 0, {IMAGES_MEASURED},
    FOREIGN KEY (ms_path) REFERENCES ms_index (path) ON DELETE CASCADE);
CREATE INDEX idx_images_ms_path ON images (ms_path);
CREATE INDEX idx_images_type ON images (type);
CREATE INDEX idx_images_created_at ON images (created_at);
CREATE TABLE photometry (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source_id TEXT, image_path TEXT NOT NULL, ra_deg REAL NOT NULL,
    dec_deg REAL NOT NULL, nvss_flux_mjy REAL, peak_jyb REAL, peak_err_jyb REAL, peak_flux_jy REAL, flux_jy REAL,
    flux_err_jy REAL, normalized_flux_jy REAL, normalized_flux_err_jy REAL, rms_jy REAL, local_rms REAL, snr REAL,
    sep_from_center_deg REAL, quality_flag TEXT, flags INTEGER DEFAULT 0, measured_at REAL, mjd REAL, mosaic_path TEXT,
    FOREIGN KEY (image_path) REFERENCES images (path) ON DELETE CASCADE);
CREATE INDEX idx_photometry_image ON photometry (image_path);
CREATE INDEX idx_photometry_source_id ON photometry (source_id);
CREATE INDEX idx_photometry_position ON photometry (ra_deg, dec_deg);
CREATE INDEX idx_photometry_mjd ON photometry (mjd);
CREATE TABLE sources (
    id TEXT PRIMARY KEY, name TEXT, ra_deg REAL NOT NULL, dec_deg REAL NOT NULL, catalog_match TEXT, source_type TEXT,
    first_detected_mjd REAL, last_detected_mjd REAL, detection_count INTEGER DEFAULT 0);
{QA.format(foreign_key=", FOREIGN KEY (job_id) REFERENCES jobs (id)")}
{MONITORING_SOURCES}
{BATCH}
"""

# A production file that lived through migrations: another column order, and some, not all, of the later columns.
MIXED = f"""
CREATE TABLE images (
    noise_jy REAL, created_at REAL NOT NULL, path TEXT NOT NULL, id INTEGER PRIMARY KEY, pbcor INTEGER DEFAULT 0,
    type TEXT NOT NULL, beam_major_arcsec REAL, ms_path TEXT NOT NULL);
ALTER TABLE images ADD COLUMN dynamic_range REAL;
ALTER TABLE images ADD COLUMN center_dec_deg REAL;
ALTER TABLE images ADD COLUMN center_ra_deg REAL;
ALTER TABLE images ADD COLUMN format TEXT DEFAULT 'fits';
CREATE INDEX idx_images_ms_path ON images (ms_path);
CREATE TABLE ms_index (
    stage TEXT, status TEXT, cal_applied INTEGER DEFAULT 0, path TEXT PRIMARY KEY, imagename TEXT, processed_at REAL,
    mid_mjd REAL, end_mjd REAL, start_mjd REAL, stage_updated_at REAL);
ALTER TABLE ms_index ADD COLUMN dec_deg REAL;
ALTER TABLE ms_index ADD COLUMN ra_deg REAL;
ALTER TABLE ms_index ADD COLUMN pointing_dec_deg REAL;
ALTER TABLE ms_index ADD COLUMN pointing_ra_deg REAL;
ALTER TABLE ms_index ADD COLUMN field_name TEXT;
CREATE INDEX idx_ms_index_stage_path ON ms_index (stage, path);
CREATE INDEX idx_ms_index_status ON ms_index (status);
CREATE TABLE photometry (
    dec_deg REAL NOT NULL, ra_deg REAL NOT NULL, image_path TEXT NOT NULL, measured_at REAL NOT NULL,
    peak_err_jyb REAL, peak_jyb REAL NOT NULL, nvss_flux_mjy REAL, id INTEGER PRIMARY KEY);
ALTER TABLE photometry ADD COLUMN mjd REAL;
ALTER TABLE photometry ADD COLUMN source_id TEXT;
ALTER TABLE photometry ADD COLUMN flux_err_jy REAL;
ALTER TABLE photometry ADD COLUMN flux_jy REAL;
ALTER TABLE photometry ADD COLUMN normalized_flux_jy REAL;
ALTER TABLE photometry ADD COLUMN normalized_flux_err_jy REAL;
ALTER TABLE photometry ADD COLUMN mosaic_path TEXT;
ALTER TABLE photometry ADD COLUMN snr REAL;
CREATE INDEX idx_photometry_image ON photometry (image_path);
CREATE INDEX idx_photometry_source_id ON photometry (source_id);
CREATE INDEX idx_photometry_source_mjd ON photometry (source_id, mjd);
{QA.format(foreign_key="")}
{MONITORING_SOURCES}
{BATCH}
"""

PRODUCTS = {"orm": ORM, "production": PRODUCTION, "alembic": ALEMBIC, "head": HEAD, "mixed": MIXED}

JOBS = """
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'pending',
    ms_path TEXT NOT NULL, {run_id}params TEXT, logs TEXT, artifacts TEXT, created_at REAL NOT NULL, started_at REAL,
    finished_at REAL);
CREATE INDEX idx_jobs_status ON jobs (status);
CREATE INDEX idx_jobs_created ON jobs (created_at DESC);
"""
JOBS_CREATED = JOBS.format(run_id="run_id TEXT, ")
JOBS_WITHOUT_RUN_ID = JOBS.format(run_id="")
JOBS_MIGRATED = JOBS_WITHOUT_RUN_ID + "ALTER TABLE jobs ADD COLUMN run_id TEXT;"

# The file of flags that readers look for and no writer makes; beyond path and timestamp its columns are free.
QA_FLAGS = """
CREATE TABLE qa_flags (image_path TEXT, ms_path TEXT, timestamp REAL, rule TEXT, severity TEXT, reason TEXT);
"""

CALTABLES = """
CREATE TABLE caltables (
    id INTEGER PRIMARY KEY, set_name TEXT NOT NULL, path TEXT NOT NULL UNIQUE, table_type TEXT NOT NULL,
    order_index INTEGER NOT NULL, cal_field TEXT, refant TEXT, created_at REAL NOT NULL, valid_start_mjd REAL,
    valid_end_mjd REAL, status TEXT NOT NULL{status_default}, notes TEXT);
CREATE INDEX idx_caltables_set ON caltables (set_name);
CREATE INDEX idx_caltables_valid ON caltables (valid_start_mjd, valid_end_mjd);
"""
CALTABLES_PROVENANCE = """
ALTER TABLE caltables ADD COLUMN source_ms_path TEXT;
ALTER TABLE caltables ADD COLUMN solver_command TEXT;
ALTER TABLE caltables ADD COLUMN solver_version TEXT;
ALTER TABLE caltables ADD COLUMN solver_params TEXT;
ALTER TABLE caltables ADD COLUMN quality_metrics TEXT;
CREATE INDEX idx_caltables_source ON caltables (source_ms_path);
"""


def products_script(generation: str, *, jobs: bool = True, qa_flags: bool = False) -> str:
    """SQL that makes the products tables of one generation in an empty file."""
    script = PRODUCTS[generation]
    if jobs:
        script += {"head": JOBS_WITHOUT_RUN_ID, "mixed": JOBS_MIGRATED}.get(generation, JOBS_CREATED)
    return script + QA_FLAGS if qa_flags else script


def registry_script(generation: str, *, provenance: bool = True) -> str:
    """SQL that makes the calibration registry, before or after the migration that added the provenance columns."""
    script = CALTABLES.format(status_default=" DEFAULT 'active'" if generation == "head" else "")
    return script + CALTABLES_PROVENANCE if provenance else script


def columns_of(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """Column names in the file's own order; empty if it has no such table."""
    return tuple(name for (name,) in connection.execute("SELECT name FROM pragma_table_info(:table)", {"table": table}))


@cache
def known_columns(table: str) -> frozenset[str]:
    """Every column that at least one generation has in this table."""
    names: set[str] = set()
    for generation in GENERATIONS:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(products_script(generation, qa_flags=True) + registry_script(generation))
            names.update(columns_of(connection, table))
    return frozenset(names)
