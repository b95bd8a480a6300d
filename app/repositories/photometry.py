"""Photometry, read from the products database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.db import deadline
from app.db.pipeline import PipelineDatabase
from app.domain.errors import NotFound
from app.domain.paging import Page, PageRequest
from app.domain.photometry import (
    MJD_RESOLUTION_D,
    PHOTOMETRY_COLUMNS,
    WHOLE,
    Cut,
    FluxType,
    LightCurve,
    Measurement,
    PhotometryRow,
)
from app.repositories.listing import Listing, SortKey

LIST = Listing(("v_photometry",), PhotometryRow, (SortKey("id", int, descending=True),), PHOTOMETRY_COLUMNS)

FLUXES: dict[FluxType | None, tuple[str, str]] = {
    None: ("flux_jy", "flux_err_jy"),
    "integrated": ("integrated_jy", "integrated_err_jy"),
    "peak": ("peak_jyb", "peak_err_jyb"),
}
# Measurements whose time nobody knows come last; bounds leave them out.
OF_SOURCE = {
    flux_type: f"""SELECT id, image_path, ra_deg, dec_deg, mjd, {flux} AS flux, {error} AS error, snr, measured_at,
       flags, quality_flag
FROM v_photometry
WHERE source_id = :source_id AND (:start_mjd IS NULL OR mjd >= :start_mjd) AND (:end_mjd IS NULL OR mjd <= :end_mjd)
  AND (:min_snr IS NULL OR ifnull(snr, CASE WHEN {error} > 0 THEN {flux} / {error} END) >= :min_snr)
ORDER BY mjd NULLS LAST, id"""
    for flux_type, (flux, error) in FLUXES.items()
}


class PhotometryRepository:
    """Measurements by source."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def page(self, request: PageRequest) -> Page[PhotometryRow]:
        """Measurements, newest row first."""
        return LIST.page(self._database, request)

    def find(self, source_id: str, cut: Cut = WHOLE) -> list[Measurement]:
        """Measurements of a source in the order of their observation; none of a source that does not exist."""
        values = {
            "source_id": source_id,
            "start_mjd": None if cut.start_mjd is None else cut.start_mjd - MJD_RESOLUTION_D,
            "end_mjd": None if cut.end_mjd is None else cut.end_mjd + MJD_RESOLUTION_D,
            "min_snr": cut.min_snr,
        }
        return list(map(Measurement._make, self._database.rows(OF_SOURCE[cut.flux_type], values)))

    def find_many(self, source_ids: Iterable[str], cut: Cut = WHOLE) -> Iterator[LightCurve]:
        """Light curves of several sources, each read when it is taken, in a time limit of its own."""
        for source_id in source_ids:
            yield LightCurve(source_id, self.find(source_id, cut))
            deadline.renew()

    def get(self, source_id: str) -> list[Measurement]:
        """Every measurement of a source, at least one; raises NotFound."""
        measurements = self.find(source_id)
        if not measurements:
            raise NotFound("Source", source_id)
        return measurements
