"""Variability metrics of sources, read from the products database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.db.pipeline import PipelineDatabase
from app.domain.variability.candidates import Candidate, CandidateQuery, Fit
from app.domain.variability.metrics import Metrics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VIEWS = {None: "v_source", "integrated": "v_source_integrated", "peak": "v_source_peak"}

_METRICS = ", ".join(Metrics._fields)
OF_SOURCE = f"""SELECT {_METRICS} FROM v_source_integrated WHERE id = :id
UNION ALL SELECT {_METRICS} FROM v_source_peak WHERE id = :id"""

# One value holds the two columns of every source: a million rows would be a million tuples.
_COMPARED = "n_fluxes >= :min_n AND (:min_snr <= 0 OR max_snr >= :min_snr)"
PLANE = f"SELECT packed(eta, v) FROM {{view}} WHERE {_COMPARED}"
NAMED_PLANE = f"SELECT id, eta, v FROM {{view}} WHERE {_COMPARED}"

BEYOND = f"""SELECT {", ".join(Candidate._fields)} FROM {{view}}
WHERE {_COMPARED} AND eta > :eta AND v > :v ORDER BY eta DESC, id LIMIT :limit"""


class VariabilityRepository:
    """Metrics of one source, and of all."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def find(self, source_id: str) -> list[Metrics]:
        """Metrics of a source, integrated fluxes first, peaks second; none of a source that does not exist."""
        return [Metrics(*row) for row in self._database.rows(OF_SOURCE, {"id": source_id})]

    def plane(self, query: CandidateQuery) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """η and V of every source that takes part, NaN where undefined; each of shape (N,)."""
        import numpy as np

        packed = self._database.value(PLANE.format(view=VIEWS[query.flux_type]), _compared(query))
        pairs = np.frombuffer(packed or b"", dtype=np.float64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]

    def named_plane(self, query: CandidateQuery) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
        """The same with the sources' names."""
        import numpy as np

        rows = self._database.rows(NAMED_PLANE.format(view=VIEWS[query.flux_type]), _compared(query))
        eta, v = (np.array([row[column] for row in rows], dtype=np.float64) for column in (1, 2))
        return [row[0] for row in rows], eta, v

    def beyond(self, query: CandidateQuery, eta: Fit, v: Fit) -> list[Candidate]:
        """Sources beyond both thresholds, largest η first, and one more than wanted where there are more."""
        sql = BEYOND.format(view=VIEWS[query.flux_type])
        values = {**_compared(query), "eta": eta.threshold, "v": v.threshold, "limit": query.limit + 1}
        return [Candidate(*row) for row in self._database.rows(sql, values)]


def _compared(query: CandidateQuery) -> dict[str, float]:
    return {"min_n": query.min_n, "min_snr": query.min_snr}
