"""What the service does with the variability of sources."""

from __future__ import annotations

from app.domain.variability import TooFewEpochs, TooFewFluxes, Variability, assess
from app.domain.variability.candidates import (
    FEWEST_SOURCES,
    CandidateQuery,
    Candidates,
    Fit,
    Plane,
    fit_threshold,
    usable,
)
from app.repositories.photometry import PhotometryRepository
from app.repositories.variability import VariabilityRepository

TOO_FEW = "Insufficient sources for a fit (need at least {needed} with positive η and V, have {n})"


class VariabilityService:
    """How much sources vary, one by one and against each other."""

    def __init__(self, variability: VariabilityRepository, photometry: PhotometryRepository) -> None:
        self._variability = variability
        self._photometry = photometry

    def get(self, source_id: str) -> Variability | TooFewFluxes | TooFewEpochs:
        """How much one source varies, with the metrics of each type of flux it has; raises NotFound."""
        assessed = assess(source_id, self._photometry.get(source_id))
        metrics = {found.flux_type: found for found in self._variability.find(source_id) if found.n_fluxes}
        return assessed._replace(flux_type=next(iter(metrics), None), metrics=metrics)

    def candidates(self, query: CandidateQuery) -> Candidates:
        """Sources that vary more than the others, largest η first."""
        eta, v = self._variability.plane(query)
        use = usable(eta, v)
        n_sources = int(use.sum())
        fits = fit_threshold(eta[use], query.n_sigma), fit_threshold(v[use], query.n_sigma)
        if fits[0] is None or fits[1] is None:
            message = TOO_FEW.format(needed=FEWEST_SOURCES, n=n_sources)
            return Candidates(query, n_sources, None, None, [], message=message)
        found = self._variability.beyond(query, fits[0], fits[1])
        return Candidates(query, n_sources, *fits, found[: query.limit], truncated=len(found) > query.limit)

    def plane(self, query: CandidateQuery) -> Plane:
        """The η–V plane of all sources that have both metrics, for drawing; ``limit`` plays no part."""
        ids, eta, v = self._variability.named_plane(query)
        use = usable(eta, v)
        eta, v = eta[use], v[use]
        fits = fit_threshold(eta, query.n_sigma), fit_threshold(v, query.n_sigma)
        beyond = (eta > _threshold(fits[0])) & (v > _threshold(fits[1]))
        return Plane([each for each, keep in zip(ids, use, strict=True) if keep], eta, v, *fits, beyond)


def _threshold(fit: Fit | None) -> float:
    return float("inf") if fit is None else fit.threshold
