"""Search on the sky: candidates by an index on zones of declination, then each by its exact position.

Lists that can be searched have the columns ``ra_deg`` and ``dec_deg`` in their views.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from app.domain.sky import ARCSEC_PER_DEGREE, Cone, windows

# A function of this service's own connections, see app.db.functions.
DISTANCE = "separation_arcsec(ra_deg, dec_deg, :cone_ra_deg, :cone_dec_deg)"


class ConeSearch(NamedTuple):
    """How a list is searched.

    Parameters
    ----------
    key
        Column that tells its rows apart.
    candidates
        SELECT of the keys of all rows in the windows bound as ``:windows``, and perhaps more.
    reach
        SELECT of the largest distance [deg] from its centre at which anything in the list still shows a position, and
        the test for that; ``None`` where things are points.
    """

    key: str
    candidates: str
    reach: str = ""
    shows: str = ""

    def sql(self, cone: Cone) -> str:
        """The condition that a row is in the cone."""
        exact = self.shows if cone.match == "footprint" else f"{DISTANCE} <= :cone_radius_arcsec"
        return f"{self.key} IN ({self.candidates}) AND {exact}"

    def values(self, cone: Cone, reach_deg: float) -> dict[str, Any]:
        """What to bind, for candidates no farther away than that."""
        assert cone.ra_deg is not None
        assert cone.dec_deg is not None
        return {
            "cone_ra_deg": cone.ra_deg,
            "cone_dec_deg": cone.dec_deg,
            "cone_radius_arcsec": cone.radius_deg * ARCSEC_PER_DEGREE,
            "windows": json.dumps(windows(cone.ra_deg, cone.dec_deg, reach_deg)),
        }
