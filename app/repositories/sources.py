"""Sources, read from the products database."""

from __future__ import annotations

from app.db.pipeline import PipelineDatabase
from app.domain.errors import NotFound
from app.domain.images import Image
from app.domain.paging import Page, PageRequest
from app.domain.photometry import FluxType
from app.domain.sources import SOURCE_COLUMNS, Source, spellings
from app.repositories.cones import ConeSearch
from app.repositories.images import LIST as IMAGE_LIST
from app.repositories.listing import Listing, SortKey

IN_WINDOWS = """
    SELECT s.id FROM json_each(:windows) AS w CROSS JOIN v_source AS s
    WHERE s.zone = w.value ->> 0 AND s.ra_deg BETWEEN w.value ->> 1 AND w.value ->> 2"""

VIEWS: dict[FluxType | None, str] = {None: "v_source", "integrated": "v_source_integrated", "peak": "v_source_peak"}
LISTS = {
    flux_type: Listing((view,), Source, (SortKey("id", str),), SOURCE_COLUMNS, ConeSearch("id", IN_WINDOWS))
    for flux_type, view in VIEWS.items()
}
POSITION = "SELECT ra_deg, dec_deg FROM v_source WHERE id = :id"

# IN rather than a join: without an index on the paths of images, they are read once and not once a measurement.
IMAGES = f"""SELECT {IMAGE_LIST.columns} FROM v_image
WHERE path IN (SELECT image_path FROM t_photometry WHERE source_id = :source_id)
ORDER BY created_at DESC, id DESC"""


class SourceRepository:
    """Sources by page, and the images that show one."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def page(self, request: PageRequest, flux_type: FluxType | None = None) -> Page[Source]:
        """Sources in the order of their ids, with the metrics of one type of flux, else of the better one known."""
        return LISTS[flux_type].page(self._database, request)

    def position(self, source_id: str) -> tuple[float, float]:
        """Right ascension and declination of a source [deg], by its name in any spelling; raises NotFound."""
        for name in spellings(source_id):
            found = self._database.find(POSITION, {"id": name})
            if found is not None:
                ra_deg, dec_deg = found
                return ra_deg, dec_deg
        raise NotFound("Source", source_id)

    def images(self, source_id: str) -> list[Image]:
        """Images in which a source was measured and that are on record, newest first."""
        return [Image(*row) for row in self._database.rows(IMAGES, {"source_id": source_id})]
