"""Light curves with both types of flux, read from the products database."""

from __future__ import annotations

from app.db.pipeline import PipelineDatabase
from app.domain.errors import NotFound
from app.domain.photometry import MJD_RESOLUTION_D
from app.domain.plots import Epoch

_MJD = "ifnull(p.mjd, p.measured_at / 86400.0 + 40587.0)"

BETWEEN = f"""
    SELECT p.image_path, {_MJD} AS mjd, p.flux_jy, p.flux_err_jy, p.peak_jyb, p.peak_err_jyb
    FROM t_photometry AS p
    WHERE p.source_id = :source_id AND (:start_mjd IS NULL OR {_MJD} >= :start_mjd)
          AND (:end_mjd IS NULL OR {_MJD} <= :end_mjd)
    ORDER BY mjd NULLS LAST, p.id"""

EXISTS = "SELECT 1 FROM t_photometry AS p WHERE p.source_id = :source_id LIMIT 1"


class LightCurveRepository:
    """Measurements of a source with both of their fluxes."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def between(self, source_id: str, start_mjd: float | None, end_mjd: float | None) -> list[Epoch]:
        """Measurements between two times, both included [MJD], in the order of observation; raises NotFound."""
        values = {
            "source_id": source_id,
            "start_mjd": None if start_mjd is None else start_mjd - MJD_RESOLUTION_D,
            "end_mjd": None if end_mjd is None else end_mjd + MJD_RESOLUTION_D,
        }
        epochs = [Epoch(*row) for row in self._database.rows(BETWEEN, values)]
        if not epochs:
            self._database.row(EXISTS, {"source_id": source_id}, missing=NotFound("Source", source_id))
        return epochs
