"""Calibration tables, read from the registry; none where there is no registry."""

from __future__ import annotations

from app.db.pipeline import PipelineDatabase
from app.domain.calibration import CAL_COLUMNS, CalTable, CalTableDetail
from app.domain.errors import NotFound
from app.domain.paging import Page, PageRequest
from app.repositories.listing import Listing, SortKey
from app.repositories.spellings import SPELLED, spellings

LIST = Listing(
    ("v_caltable",),
    CalTable,
    (SortKey("created_at", float, descending=True), SortKey("id", int, descending=True)),
    CAL_COLUMNS,
)

GET = f"SELECT {', '.join(CalTableDetail._fields)} FROM v_caltable WHERE {SPELLED}"


class CalRepository:
    """Calibration tables by page and path."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def page(self, request: PageRequest) -> Page[CalTable]:
        """Calibration tables, newest first."""
        return LIST.page(self._database, request)

    def get(self, path: str) -> CalTableDetail:
        """The calibration table at a path as a URL gave it; raises NotFound."""
        missing = NotFound("CalibrationTable", path)
        return CalTableDetail(*self._database.row(GET, spellings(path), missing=missing))
