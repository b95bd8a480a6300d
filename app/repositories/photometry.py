"""Photometry, read from the products database."""

from __future__ import annotations

from app.db.pipeline import PipelineDatabase
from app.domain.errors import NotFound
from app.domain.photometry import MJD_RESOLUTION_D, Measurement

# Measurements whose time nobody knows come last; bounds leave them out.
OF_SOURCE = f"""SELECT {", ".join(Measurement._fields)} FROM v_photometry
WHERE source_id = :source_id AND (:start_mjd IS NULL OR mjd >= :start_mjd) AND (:end_mjd IS NULL OR mjd <= :end_mjd)
ORDER BY mjd NULLS LAST, id"""


class PhotometryRepository:
    """Measurements by source."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def find(
        self, source_id: str, *, start_mjd: float | None = None, end_mjd: float | None = None
    ) -> list[Measurement]:
        """Measurements of a source in the order of their observation; none of a source that does not exist.

        Parameters
        ----------
        source_id
            The source.
        start_mjd, end_mjd
            First and last time of observation, both included [MJD].
        """
        values = {
            "source_id": source_id,
            "start_mjd": None if start_mjd is None else start_mjd - MJD_RESOLUTION_D,
            "end_mjd": None if end_mjd is None else end_mjd + MJD_RESOLUTION_D,
        }
        return list(map(Measurement._make, self._database.rows(OF_SOURCE, values)))

    def get(self, source_id: str) -> list[Measurement]:
        """Every measurement of a source, at least one; raises NotFound."""
        measurements = self.find(source_id)
        if not measurements:
            raise NotFound("Source", source_id)
        return measurements
