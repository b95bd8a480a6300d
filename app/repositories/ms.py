"""Measurement sets, read from the products database."""

from __future__ import annotations

from app.db.pipeline import PipelineDatabase
from app.domain.errors import NotFound
from app.domain.measurement_sets import MS_COLUMNS, MeasurementSet, MeasurementSetDetail
from app.domain.paging import Page, PageRequest
from app.repositories.cones import ConeSearch
from app.repositories.listing import Listing, SortKey
from app.repositories.spellings import SPELLED, spellings

IN_WINDOWS = """
    SELECT m.path FROM json_each(:windows) AS w CROSS JOIN t_ms_index AS m
    WHERE CAST((ifnull(m.pointing_dec_deg, m.dec_deg) + 90.0) * 10 AS INTEGER) = w.value ->> 0
      AND ifnull(m.pointing_ra_deg, m.ra_deg) BETWEEN w.value ->> 1 AND w.value ->> 2"""

LIST = Listing(
    ("v_ms",),
    MeasurementSet,
    (SortKey("sort_processed_at", float, descending=True), SortKey("path", str)),
    MS_COLUMNS,
    ConeSearch("path", IN_WINDOWS),
)

GET = f"SELECT {', '.join(MeasurementSetDetail._fields)} FROM v_ms_detail WHERE {SPELLED}"
FIND = f"SELECT {', '.join(MeasurementSetDetail._fields)} FROM v_ms_detail WHERE path = :path"


class MsRepository:
    """Measurement sets by page and path."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def page(self, request: PageRequest) -> Page[MeasurementSet]:
        """Measurement sets, newest processed first."""
        return LIST.page(self._database, request)

    def get(self, path: str) -> MeasurementSetDetail:
        """The measurement set at a path as a URL gave it; raises NotFound."""
        missing = NotFound("MeasurementSet", path)
        return MeasurementSetDetail(*self._database.row(GET, spellings(path), missing=missing))

    def find(self, path: str | None) -> MeasurementSetDetail | None:
        """The measurement set at exactly that path, or ``None``."""
        row = self._database.find(FIND, {"path": path})
        return None if row is None else MeasurementSetDetail(*row)
