"""Sources as measured in an image, read from the products database."""

from __future__ import annotations

from dataclasses import replace

from app.db.pipeline import PipelineDatabase
from app.domain.errors import NotFound
from app.domain.paging import Page, PageRequest
from app.domain.pictures import ImageSource
from app.repositories.listing import Listing, SortKey

OF_IMAGE = """(SELECT p.id AS measurement_id, p.source_id AS id, p.ra_deg, p.dec_deg, p.flux_jy, p.flux_err_jy,
       p.snr AS stored_snr, p.mjd, ifnull(p.flux_jy, -9e999) AS sort_flux
FROM v_photometry AS p WHERE p.image_path = :image_path)"""

LIST = Listing((OF_IMAGE,), ImageSource, (SortKey("sort_flux", float, descending=True), SortKey("measurement_id", int)))

# As measured in the image itself, else where the source was seen last.
POSITION = """SELECT ra_deg, dec_deg FROM v_photometry
WHERE source_id = :source_id AND ra_deg IS NOT NULL AND dec_deg IS NOT NULL
ORDER BY image_path IS :image_path DESC, mjd DESC NULLS LAST, id DESC LIMIT 1"""


class ImageSourceRepository:
    """Measurements by image."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def page(self, image_path: str, request: PageRequest) -> Page[ImageSource]:
        """What was measured in an image, brightest first; what has no flux comes last."""
        bound = replace(request, binding=f"{request.binding}:{image_path}")
        return LIST.page(self._database, bound, {"image_path": image_path})

    def brightest(self, image_path: str, limit: int) -> list[ImageSource]:
        """The brightest measurements in an image."""
        return list(self.page(image_path, PageRequest(limit)).items)

    def position_deg(self, source_id: str, image_path: str) -> tuple[float, float]:
        """Right ascension and declination [deg] of a source; raises NotFound."""
        values = {"source_id": source_id, "image_path": image_path}
        ra_deg, dec_deg = self._database.row(POSITION, values, missing=NotFound("Source", source_id))
        return ra_deg, dec_deg
