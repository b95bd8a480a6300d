"""Sources, read from the products database."""

from __future__ import annotations

from app.db.pipeline import PipelineDatabase
from app.domain.images import Image
from app.domain.paging import Page, PageRequest
from app.domain.sources import Source
from app.repositories.listing import Listing, SortKey

LIST = Listing(("v_source",), Source, (SortKey("id", str),))

# IN rather than a join: without an index on the paths of images, they are read once and not once a measurement.
IMAGES = f"""SELECT {", ".join(Image._fields)} FROM v_image
WHERE path IN (SELECT image_path FROM t_photometry WHERE source_id = :source_id)
ORDER BY created_at DESC, id DESC"""


class SourceRepository:
    """Sources by page, and the images that show one."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def page(self, request: PageRequest) -> Page[Source]:
        """Sources in the order of their ids."""
        return LIST.page(self._database, request)

    def images(self, source_id: str) -> list[Image]:
        """Images in which a source was measured and that are on record, newest first."""
        return [Image(*row) for row in self._database.rows(IMAGES, {"source_id": source_id})]
