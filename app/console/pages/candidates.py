"""Variables: all sources in the η–V plane, the thresholds fitted to them, and those beyond both."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response, request

from app.console import links, render
from app.console.blueprint import blp, cacheable
from app.console.charts import MOST_POINTS, Metrics, plane
from app.domain.variability.candidates import CandidateQuery, Plane
from app.schemas.variability import CandidateQuerySchema
from app.web.api import Parser
from app.web.context import services

_QUERY = CandidateQuerySchema()
_PARAMETERS = ("n_sigma", "flux_type", "min_n", "limit")


@blp.route("/candidates")
@cacheable
def list_candidates() -> Response:
    """Sources that vary more than the others."""
    query: CandidateQuery = Parser().parse(_QUERY, request, location="query")
    found = services().variability.candidates(query)
    whole = services().variability.plane(query)
    thresholds = [fit.threshold if fit else None for fit in (found.eta, found.v)]
    asked = [(name, request.args[name]) for name in _PARAMETERS if name in request.args]
    return render.page(
        "candidates.html",
        found=found,
        plane=plane(_some(whole), *thresholds),
        n_sources=len(whole.ids),
        most_points=MOST_POINTS,
        lower=_lower(query, asked),
        asked_plot=[pair for pair in asked if pair[0] != "limit"],
        args=request.args,
        curl=links.curl("sources/candidates", asked),
    )


def _lower(query: CandidateQuery, asked: list[tuple[str, str]]) -> list[tuple[int, str]]:
    """Thresholds below those that were asked for [σ], and where they lead."""
    kept = [pair for pair in asked if pair[0] != "n_sigma"]
    return [(n, links.here([("n_sigma", str(n)), *kept])) for n in (2, 1) if n < query.n_sigma]


def _some(whole: Plane) -> list[Metrics]:
    """What is drawn of all sources: candidates first, and of the rest every so many."""
    first = [int(n) for n in whole.is_candidate.nonzero()[0][:MOST_POINTS]]
    rest = (~whole.is_candidate).nonzero()[0]
    stride = max(1, -(-len(rest) // max(1, MOST_POINTS - len(first))))
    return list(_metrics(whole, [*first, *(int(n) for n in rest[::stride])]))


def _metrics(whole: Plane, numbers: list[int]) -> Iterator[Metrics]:
    for n in numbers:
        yield Metrics(whole.ids[n], float(whole.eta[n]), float(whole.v[n]))
