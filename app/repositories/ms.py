"""Measurement sets, read from the products database."""

from __future__ import annotations

from app.db.pipeline import PipelineDatabase
from app.domain.errors import NotFound
from app.domain.measurement_sets import MeasurementSet, MeasurementSetDetail
from app.domain.paging import Page, PageRequest
from app.repositories.listing import Listing, SortKey
from app.repositories.spellings import SPELLED, spellings

LIST = Listing(("v_ms",), MeasurementSet, (SortKey("sort_processed_at", float, descending=True), SortKey("path", str)))

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
