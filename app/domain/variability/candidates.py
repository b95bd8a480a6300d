"""Candidate variables: the sources that vary more than the rest of their survey, by η and V at once.

Most sources are steady, and for those log₁₀ η and log₁₀ V are about normally distributed; how wide depends on the
survey. What lies far above both is worth a look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Fewer sources do not tell a distribution.
FEWEST_SOURCES = 10
CLIP_SIGMA = 3.0
_MOST_ROUNDS = 50


class CandidateQuery(NamedTuple):
    """What is looked for.

    ``n_sigma`` standard deviations above the mean lie the thresholds; sources have at least ``min_n`` fluxes of
    ``flux_type`` (``None``: integrated where a source has any, else peak) and were once detected at ``min_snr`` or
    more; no more than ``limit`` are wanted. Faint sources scatter by their noise, which widens the distribution of V.
    """

    n_sigma: float = 3.0
    flux_type: str | None = None
    min_n: int = 2
    min_snr: float = 0.0
    limit: int = 100


class Fit(NamedTuple):
    """A Gaussian fitted to log₁₀ of a metric, and the threshold 10^(μ + nσ) in the metric itself."""

    mean_log10: float
    std_log10: float
    threshold: float


class Candidate(NamedTuple):
    """A source beyond both thresholds [Jy, or Jy/beam for peaks; ICRS degrees]."""

    id: str
    ra_deg: float
    dec_deg: float
    flux_type: str
    num_images: int
    n_fluxes: int
    mean_flux_jy: float
    max_flux_jy: float
    eta: float
    v: float
    m: float | None
    vs: float | None
    first_mjd: float | None
    last_mjd: float | None

    @property
    def name(self) -> str:
        """Sources are called by their id."""
        return self.id


class Candidates(NamedTuple):
    """The fits, and the sources beyond both thresholds, largest η first.

    ``n_sources`` counts those that have both metrics, which the fits are of. Fits are ``None``, and ``message`` says
    why, where there are too few.
    """

    query: CandidateQuery
    n_sources: int
    eta: Fit | None
    v: Fit | None
    candidates: list[Candidate]
    truncated: bool = False
    message: str | None = None

    @property
    def flux_type(self) -> str | None:
        """What was asked for."""
        return self.query.flux_type

    @property
    def n_sigma(self) -> float:
        """What was asked for."""
        return self.query.n_sigma


class Plane(NamedTuple):
    """Where the sources lie in the η–V plane: names, η and V of shape (N,), the fits, and which exceed both."""

    ids: list[str]
    eta: NDArray[np.float64]
    v: NDArray[np.float64]
    eta_fit: Fit | None
    v_fit: Fit | None
    is_candidate: NDArray[np.bool_]


def usable(eta: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where both metrics are positive and finite, and so have a logarithm; shape (N,)."""
    import numpy as np

    return np.isfinite(eta) & np.isfinite(v) & (eta > 0) & (v > 0)


def fit_threshold(metric: NDArray[np.float64], n_sigma: float) -> Fit | None:
    """Fit a Gaussian to the logarithm of a metric; ``None`` for too few sources.

    Parameters
    ----------
    metric
        η or V of each source, positive and finite, shape (N,).
    n_sigma
        How many standard deviations above the mean the threshold stands.

    Notes
    -----
    What lies more than three standard deviations from the median is clipped, again and again until nothing is; mean
    and standard deviation of the rest are the fit of largest likelihood.

    References
    ----------
    Rowlinson et al. 2019, Astronomy and Computing 27, 111.
    """
    import numpy as np

    kept = np.log10(metric)
    if kept.size < FEWEST_SOURCES:
        return None
    for _ in range(_MOST_ROUNDS):
        inside = np.abs(kept - np.median(kept)) <= CLIP_SIGMA * kept.std()
        if inside.all():
            break
        kept = kept[inside]
    mean, std = float(kept.mean()), float(kept.std())
    return Fit(mean, std, float(10.0 ** min(mean + n_sigma * std, 300.0)))
