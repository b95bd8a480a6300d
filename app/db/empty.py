"""An empty pair of pipeline databases, for a host where no pipeline has run yet.

The schema is the widest that the pipeline's own generations know: every column of its object-relational models plus
the quality tables of the production schema, so that nothing an image or a catalogue can tell is lost for want of a
column. The column types, defaults and index names are the pipeline's, so that it can go on writing to these files.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from app.db.errors import translate
from app.domain.errors import DatabaseUnavailable

PRODUCTS_NAME = "products.sqlite3"
REGISTRY_NAME = "cal_registry.sqlite3"

PRODUCTS_DDL = """
CREATE TABLE ms_index (
    path TEXT PRIMARY KEY,
    start_mjd REAL, end_mjd REAL, mid_mjd REAL,
    processed_at REAL,
    status TEXT,
    stage TEXT, stage_updated_at REAL,
    cal_applied INTEGER DEFAULT 0,
    imagename TEXT,
    ra_deg REAL, dec_deg REAL,
    field_name TEXT,
    pointing_ra_deg REAL, pointing_dec_deg REAL
);
CREATE INDEX idx_ms_index_stage_path ON ms_index (stage, path);
CREATE INDEX idx_ms_index_status ON ms_index (status);

CREATE TABLE images (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL,
    ms_path TEXT NOT NULL,
    created_at REAL NOT NULL,
    type TEXT NOT NULL,
    format TEXT DEFAULT 'fits',
    beam_major_arcsec REAL, beam_minor_arcsec REAL, beam_pa_deg REAL,
    noise_jy REAL, dynamic_range REAL,
    pbcor INTEGER DEFAULT 0,
    field_name TEXT,
    center_ra_deg REAL, center_dec_deg REAL,
    imsize_x INTEGER, imsize_y INTEGER, cellsize_arcsec REAL,
    freq_ghz REAL, bandwidth_mhz REAL, integration_sec REAL
);
CREATE INDEX idx_images_ms_path ON images (ms_path);

CREATE TABLE photometry (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id TEXT,
    image_path TEXT NOT NULL,
    ra_deg REAL NOT NULL, dec_deg REAL NOT NULL,
    nvss_flux_mjy REAL,
    peak_jyb REAL NOT NULL, peak_err_jyb REAL,
    flux_jy REAL, flux_err_jy REAL,
    normalized_flux_jy REAL, normalized_flux_err_jy REAL,
    measured_at REAL NOT NULL,
    snr REAL,
    mjd REAL,
    mosaic_path TEXT,
    sep_from_center_deg REAL,
    local_rms REAL,
    flags INTEGER DEFAULT 0
);
CREATE INDEX idx_photometry_source_id ON photometry (source_id);
CREATE INDEX idx_photometry_image ON photometry (image_path);
CREATE INDEX idx_photometry_source_mjd ON photometry (source_id, mjd);

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    type TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending',
    ms_path TEXT NOT NULL,
    run_id TEXT,
    params TEXT, logs TEXT, artifacts TEXT,
    created_at REAL NOT NULL, started_at REAL, finished_at REAL
);
CREATE INDEX idx_jobs_status ON jobs (status);
CREATE INDEX idx_jobs_created ON jobs (created_at DESC);

CREATE TABLE batch_jobs (
    id INTEGER PRIMARY KEY,
    type TEXT NOT NULL,
    created_at REAL NOT NULL,
    status TEXT NOT NULL,
    total_items INTEGER NOT NULL,
    completed_items INTEGER DEFAULT 0,
    failed_items INTEGER DEFAULT 0,
    params TEXT
);

CREATE TABLE batch_job_items (
    id INTEGER PRIMARY KEY,
    batch_id INTEGER NOT NULL REFERENCES batch_jobs (id),
    ms_path TEXT NOT NULL,
    job_id INTEGER,
    status TEXT NOT NULL,
    error TEXT,
    started_at REAL, completed_at REAL,
    data_id TEXT
);
CREATE INDEX idx_batch_items_batch_id ON batch_job_items (batch_id);
CREATE INDEX idx_batch_items_ms_path ON batch_job_items (ms_path);

CREATE TABLE image_qa (
    id INTEGER PRIMARY KEY,
    ms_path TEXT NOT NULL, job_id INTEGER NOT NULL, image_path TEXT NOT NULL,
    rms_noise REAL, peak_flux REAL, dynamic_range REAL,
    beam_major REAL, beam_minor REAL, beam_pa REAL,
    num_sources INTEGER,
    thumbnail_path TEXT,
    overall_quality TEXT,
    timestamp REAL NOT NULL
);
CREATE INDEX idx_image_qa_ms_path ON image_qa (ms_path);

CREATE TABLE calibration_qa (
    id INTEGER PRIMARY KEY,
    ms_path TEXT NOT NULL, job_id INTEGER NOT NULL,
    k_metrics TEXT, bp_metrics TEXT, g_metrics TEXT,
    overall_quality TEXT,
    flags_total REAL,
    per_spw_stats TEXT,
    timestamp REAL NOT NULL
);
CREATE INDEX idx_calibration_qa_ms_path ON calibration_qa (ms_path);
"""

REGISTRY_DDL = """
CREATE TABLE caltables (
    id INTEGER PRIMARY KEY,
    set_name TEXT NOT NULL,
    path TEXT NOT NULL UNIQUE,
    table_type TEXT NOT NULL,
    order_index INTEGER NOT NULL,
    cal_field TEXT, refant TEXT,
    created_at REAL NOT NULL,
    valid_start_mjd REAL, valid_end_mjd REAL,
    status TEXT NOT NULL,
    notes TEXT,
    source_ms_path TEXT,
    solver_command TEXT, solver_version TEXT, solver_params TEXT,
    quality_metrics TEXT
);
CREATE INDEX idx_caltables_set ON caltables (set_name);
CREATE INDEX idx_caltables_valid ON caltables (valid_start_mjd, valid_end_mjd);
CREATE INDEX idx_caltables_source ON caltables (source_ms_path);
"""


class EmptyPair(NamedTuple):
    """The two files, and which of them were made just now (the others were there and were not touched)."""

    products: Path
    registry: Path
    made: frozenset[Path]


def create_pair(directory: Path) -> EmptyPair:
    """Make ``products.sqlite3`` and ``cal_registry.sqlite3`` in a directory, in WAL mode.

    A file that is already there is left exactly as it is, so that calling this twice is harmless.

    Raises
    ------
    DatabaseUnavailable
        The directory or a file in it cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable("products", error.strerror or "its directory cannot be made") from error
    products, registry = directory / PRODUCTS_NAME, directory / REGISTRY_NAME
    wanted = ((products, PRODUCTS_DDL), (registry, REGISTRY_DDL))
    return EmptyPair(products, registry, frozenset(path for path, ddl in wanted if _create(path, ddl)))


def _create(path: Path, ddl: str) -> bool:
    """Make one database; ``False`` where a file of that name stands already.

    It grows under a passing name and is then linked to its own, which fails where another file has come meanwhile: a
    crash leaves no half-made database, and no file is ever replaced.
    """
    if path.exists():
        return False
    growing = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with closing(sqlite3.connect(growing)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN;{ddl}COMMIT;")
        os.link(growing, path)
    except FileExistsError:
        return False
    except sqlite3.Error as error:
        raise translate(error, path.stem) from error
    except OSError as error:
        raise DatabaseUnavailable(path.stem, error.strerror or "it cannot be made") from error
    finally:
        growing.unlink(missing_ok=True)
    return True
