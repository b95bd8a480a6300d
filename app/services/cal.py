"""What the service does with calibration tables."""

from __future__ import annotations

from app.domain.calibration import CalTable, CalTableDetail
from app.domain.paging import Page, PageRequest
from app.repositories.cal import CalRepository


class CalService:
    """Calibration tables."""

    def __init__(self, tables: CalRepository) -> None:
        self._tables = tables

    def page(self, request: PageRequest) -> Page[CalTable]:
        """Calibration tables, newest first."""
        return self._tables.page(request)

    def get(self, path: str) -> CalTableDetail:
        """One calibration table; raises NotFound."""
        return self._tables.get(path)
