"""Surveys of stated sizes, in the schema that the pipeline writes in production."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from app.db.upgrade import PipelineUpgrade
from tests.support.pipeline import Pipeline

# One measurement set for every image, so that lists and details join what they join in the field.
INDEX_MEASUREMENT_SETS = """
    INSERT OR IGNORE INTO ms_index (path, stage, status, processed_at, pointing_ra_deg, pointing_dec_deg, cal_applied)
    SELECT ms_path, 'imaged', 'done', created_at - 3600, id * 137.508 % 360, id * 31.7 % 120 - 30, 1 FROM images
"""
# A light curve of its own, long enough to be felt.
LONG_CURVE = """
    INSERT INTO photometry (source_id, image_path, ra_deg, dec_deg, peak_jyb, peak_err_jyb, flux_jy, flux_err_jy, mjd,
                            measured_at)
    WITH RECURSIVE epoch(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM epoch WHERE n < :n)
    SELECT 'long', '/stage/img/' || printf('%06d', n) || '.fits', 180.0, 37.0, 0.01 + n * 1e-7, 0.0004, 0.01 + n * 1e-7,
           0.0004, 60000.0 + n * 0.01, 1677672000.0 + n * 864
    FROM epoch
"""


class Survey(NamedTuple):
    """Databases on disk."""

    products: Path
    registry: Path

    @property
    def variables(self) -> dict[str, str]:
        """What a service is told to serve them."""
        return {"PIPELINE_PRODUCTS_DB": str(self.products), "PIPELINE_CAL_REGISTRY_DB": str(self.registry)}

    @contextmanager
    def writer(self) -> Iterator[sqlite3.Connection]:
        """A connection as the pipeline's: autocommit, WAL."""
        with closing(sqlite3.connect(self.products, timeout=30.0, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection


def build(directory: Path, *, images: int = 0, sources: int = 0, epochs: int = 0, long_curve: int = 0) -> Survey:
    """Make a survey, or find the one that an earlier run finished there."""
    finished = directory / "finished"
    survey = Survey(directory / "products.sqlite3", directory / "cal_registry.sqlite3")
    if finished.exists():
        return survey
    with Pipeline(directory, "production") as pipeline:
        pipeline.make_many_images(images)
        pipeline.connection.execute(INDEX_MEASUREMENT_SETS)
        pipeline.make_caltable()
        if sources:
            pipeline.make_many_photometry(sources, epochs)
        if long_curve:
            pipeline.connection.execute(LONG_CURVE, {"n": long_curve})
        pipeline.connection.commit()
    finished.touch()
    return survey


def upgrade(survey: Survey) -> float:
    """Run the service's own upgrade on it; the time that took [s]."""
    started = time.perf_counter()
    for path, name in ((survey.products, "products"), (survey.registry, "registry")):
        PipelineUpgrade(path, name).upgrade()
    return time.perf_counter() - started
