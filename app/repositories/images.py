"""Images, read from the products database."""

from __future__ import annotations

from app.db.pipeline import PipelineDatabase
from app.domain.errors import NotFound
from app.domain.images import IMAGE_COLUMNS, Image, ImageDetail
from app.domain.paging import Covered, Page, PageRequest
from app.domain.selection import Selection
from app.domain.sky import Cone
from app.repositories.cones import DISTANCE, ConeSearch
from app.repositories.listing import Listing, SortKey

# Centres by their own zone; where an image does not tell its centre, by the zone of its pointing.
IN_WINDOWS = """
    SELECT i.id FROM json_each(:windows) AS w CROSS JOIN t_images AS i
    WHERE CAST((i.center_dec_deg + 90.0) * 10 AS INTEGER) = w.value ->> 0
      AND i.center_ra_deg BETWEEN w.value ->> 1 AND w.value ->> 2
    UNION ALL
    SELECT i.id FROM json_each(:windows) AS w CROSS JOIN t_ms_index AS m CROSS JOIN t_images AS i ON i.ms_path = m.path
    WHERE CAST((ifnull(m.pointing_dec_deg, m.dec_deg) + 90.0) * 10 AS INTEGER) = w.value ->> 0
      AND ifnull(m.pointing_ra_deg, m.ra_deg) BETWEEN w.value ->> 1 AND w.value ->> 2
      AND (i.center_ra_deg IS NULL OR i.center_dec_deg IS NULL)"""
# Half of width and height together is more than half of the diagonal.
REACH = "SELECT max((imsize_x + imsize_y) * cellsize_arcsec) / 7200.0 FROM t_images"
SHOWS = (
    """shows(ra_deg, dec_deg, imsize_x * cellsize_arcsec, imsize_y * cellsize_arcsec, :cone_ra_deg, :cone_dec_deg)"""
)

LIST = Listing(
    ("v_image",),
    Image,
    (SortKey("created_at", float, descending=True), SortKey("id", int, descending=True)),
    IMAGE_COLUMNS,
    ConeSearch("id", IN_WINDOWS, REACH, SHOWS),
)
# Images whose size nobody knows may show what lies this far from their centre.
FIELD_OF_VIEW_DEG = 5.0
SIZE_UNKNOWN = f"""SELECT 1 FROM v_image WHERE id IN ({IN_WINDOWS})
AND (imsize_x IS NULL OR imsize_y IS NULL OR cellsize_arcsec IS NULL) AND {DISTANCE} <= :cone_radius_arcsec LIMIT 1"""

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

    def covered(self, ra_deg: float, dec_deg: float) -> Covered:
        """Whether any image shows a position (ICRS, deg); unknown where one near it does not tell its size."""
        shown = Selection(cone=Cone(ra_deg, dec_deg, 0.0, match="footprint"))
        if any(LIST.page(self._database, PageRequest(1, selection=shown)).items):
            return "true"
        nearby = LIST.searched.values(Cone(ra_deg, dec_deg, FIELD_OF_VIEW_DEG), FIELD_OF_VIEW_DEG)
        return "false" if self._database.find(SIZE_UNKNOWN, nearby) is None else "unknown"
