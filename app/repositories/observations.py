"""Images with their observations, read from the products database for the Virtual Observatory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from app.db.pipeline import PipelineDatabase
from app.domain.columns import Column, Kind
from app.domain.paging import PageRequest
from app.domain.regions import Circle
from app.domain.selection import Condition, Operator, Selection
from app.domain.sky import Cone
from app.domain.vo import Observation
from app.repositories.cones import ConeSearch
from app.repositories.images import IN_WINDOWS, REACH
from app.repositories.listing import Listing, SortKey

# A CASA image is a directory, which nobody can be given.
OBSERVATIONS = """(SELECT i.id, i.path, i.ms_path, i.type, i.run_id,
       ifnull(nullif(i.field_name, ''), m.field_name) AS field_name,
       i.ra_deg, i.dec_deg, i.imsize_x, i.imsize_y, i.cellsize_arcsec, i.beam_major_arcsec, i.freq_ghz,
       i.bandwidth_mhz, i.integration_sec, m.start_mjd, m.mid_mjd, m.end_mjd
FROM v_image AS i LEFT JOIN t_ms_index AS m ON m.path = i.ms_path WHERE lower(ifnull(i.format, 'fits')) = 'fits')"""

_TEXTS = frozenset({"path", "ms_path", "type", "run_id", "field_name"})
COLUMNS = tuple(Column(name, Kind.TEXT if name in _TEXTS else Kind.REAL, "") for name in Observation._fields)
LIST = Listing((OBSERVATIONS,), Observation, (SortKey("id", int),), COLUMNS, ConeSearch("id", IN_WINDOWS))

# The table whose absence means that there is nothing to serve.
ANSWERS = "SELECT count(*) FROM (SELECT id FROM t_images LIMIT 1)"

_WHOLE_SKY_DEG = 180.0
_ID = COLUMNS[0]
_IS_NUMBER = tuple(name not in _TEXTS for name in Observation._fields)


class ObservationRepository:
    """Images that can be given out as files."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def find(self, ids: Sequence[int]) -> dict[int, Observation]:
        """Those of some images that there are, by id."""
        return {found.id: found for found in self.read(ids=tuple(ids))}

    def read(self, around: Circle | None = None, ids: tuple[int, ...] | None = None) -> Iterator[Observation]:
        """Every image in the order of its id, a chunk at a time, the first chunk now.

        Parameters
        ----------
        around
            Only images that may show some of a circle, nearest centre first; more come along.
        ids
            Only these.
        """
        cone = self._cone(around) if around is not None else None
        conditions = () if ids is None else (Condition(_ID, Operator.ONE_OF, ids),)
        selection = Selection(conditions, columns=COLUMNS, cone=cone)
        page = LIST.page(self._database, PageRequest(None, selection=selection, format="votable"))
        return (Observation(*_clean(row)) for row in page.items)

    def check(self) -> None:
        """Read something; raises DatabaseError where that cannot be done."""
        self._database.value(ANSWERS)

    def _cone(self, circle: Circle) -> Cone | None:
        reach_deg = circle.radius_deg + float(self._database.value(REACH) or 0.0)
        return None if reach_deg >= _WHOLE_SKY_DEG else Cone(circle.ra_deg, circle.dec_deg, reach_deg)


def _clean(row: Sequence[Any]) -> Iterator[Any]:
    """Numbers where numbers belong: SQLite keeps whatever was put into a column."""
    for value, is_number in zip(row, _IS_NUMBER, strict=True):
        yield value if not is_number or (isinstance(value, int | float) and math.isfinite(value)) else None
