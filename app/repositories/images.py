"""Images, read from the products database."""

from __future__ import annotations

from app.db.pipeline import PipelineDatabase
from app.domain.errors import NotFound
from app.domain.images import Image, ImageDetail
from app.domain.paging import Page, PageRequest
from app.repositories.listing import Listing, SortKey

LIST = Listing(
    ("v_image",), Image, (SortKey("created_at", float, descending=True), SortKey("id", int, descending=True))
)

GET = f"SELECT {', '.join(ImageDetail._fields)} FROM v_image_detail WHERE id = :id"
GET_BY_PATH = f"""SELECT {", ".join(ImageDetail._fields)} FROM v_image_detail WHERE path = :path
ORDER BY created_at DESC, id DESC LIMIT 1"""
NEWEST_OF_MS = "SELECT id FROM t_images WHERE ms_path = :ms_path ORDER BY created_at DESC, id DESC LIMIT 1"

_LARGEST_ID = 2**63 - 1


class ImageRepository:
    """Images by page, id, path and measurement set."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def page(self, request: PageRequest) -> Page[Image]:
        """Images, newest first."""
        return LIST.page(self._database, request)

    def get(self, identifier: str) -> ImageDetail:
        """The image with that id or, where it is not a number, with exactly that path.

        Raises
        ------
        NotFound
            No such image; an id beyond SQLite's 64-bit integers is simply one that does not exist.
        """
        missing = NotFound("Image", identifier)
        if not (identifier.isascii() and identifier.isdigit()):
            return ImageDetail(*self._database.row(GET_BY_PATH, {"path": identifier}, missing=missing))
        number = int(identifier) if len(identifier) < 20 else _LARGEST_ID + 1
        if number > _LARGEST_ID:
            raise missing
        return ImageDetail(*self._database.row(GET, {"id": number}, missing=missing))

    def find_newest_id(self, ms_path: str) -> int | None:
        """Id of the newest image made from a measurement set."""
        newest: int | None = self._database.value(NEWEST_OF_MS, {"ms_path": ms_path})
        return newest
