"""Variability of a light curve: how much the flux changes, and whether that is more than its errors explain.

Metrics of fluxes alone take :func:`measured_fluxes`; metrics that weigh take :func:`measured_pairs`, each flux beside
its own error. A value that is ``None`` or not finite is missing, and an error that is not positive says nothing. Sums
take two passes, mean first: the one-pass form cancels for bright steady sources.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from app.domain.variability.metrics import Metrics

VARIABLE_ABOVE = 0.1
FEWEST_POINTS = 2

# Metrics by type of flux.
MetricsByType = Mapping[str, Metrics]
NO_METRICS: MetricsByType = MappingProxyType({})


class Point(Protocol):
    """A flux and its error, both in Jy or both in Jy/beam, each ``None`` where missing."""

    @property
    def flux_jy(self) -> float | None:
        """Flux."""

    @property
    def flux_err_jy(self) -> float | None:
        """Standard error of the flux."""


class FluxStatistics(NamedTuple):
    """Mean, sample standard deviation (N - 1) and range of N fluxes [Jy]."""

    mean_jy: float
    std_jy: float
    min_jy: float
    max_jy: float


class ChiSquared(NamedTuple):
    """χ² about the mean, and its degrees of freedom: points used less one."""

    value: float
    degrees_of_freedom: int

    @property
    def reduced(self) -> float | None:
        """χ² per degree of freedom; ``None`` where a single point leaves none."""
        return self.value / self.degrees_of_freedom if self.degrees_of_freedom else None


def measured_fluxes(points: Iterable[Point]) -> list[float]:
    """The fluxes that are not missing, in the order of the points."""
    return [point.flux_jy for point in points if point.flux_jy is not None and math.isfinite(point.flux_jy)]


def measured_pairs(points: Iterable[Point]) -> list[tuple[float, float]]:
    """Fluxes that are not missing with their errors, where those are not missing and positive."""
    return [
        (point.flux_jy, point.flux_err_jy)
        for point in points
        if point.flux_jy is not None and math.isfinite(point.flux_jy)
        if point.flux_err_jy is not None and math.isfinite(point.flux_err_jy) and point.flux_err_jy > 0
    ]


def flux_statistics(fluxes: Sequence[float]) -> FluxStatistics | None:
    """Mean, scatter and range of fluxes; ``None`` for fewer than two, which have no scatter.

    Parameters
    ----------
    fluxes
        Finite fluxes [Jy], shape (N,).

    Notes
    -----
    s² = Σ (I_i − Ī)² / (N − 1)
    """
    n = len(fluxes)
    if n < FEWEST_POINTS:
        return None
    mean = sum(fluxes) / n
    deviations = [flux - mean for flux in fluxes]
    variance = sum(deviation * deviation for deviation in deviations) / (n - 1)
    return FluxStatistics(mean, math.sqrt(variance), min(fluxes), max(fluxes))


def modulation_index(statistics: FluxStatistics) -> float | None:
    """Modulation index V = s / Ī, also called coefficient of variation; ``None`` unless the mean is positive.

    Parameters
    ----------
    statistics
        Of the fluxes of one source.

    Notes
    -----
    Fluxes measured at a given place, detected or not, may average to nothing or less; V then says nothing.

    References
    ----------
    Swinbank et al. 2015, Astronomy and Computing 11, 25.
    """
    return statistics.std_jy / statistics.mean_jy if statistics.mean_jy > 0 else None


def chi_squared(pairs: Sequence[tuple[float, float]], constant_jy: float) -> ChiSquared | None:
    """χ² of a constant flux; ``None`` without any pair.

    Parameters
    ----------
    pairs
        Fluxes [Jy] with their errors [Jy, > 0], shape (N, 2).
    constant_jy
        The constant flux [Jy]. The index of the same light curve uses the unweighted mean of all its fluxes; so
        should this.

    Notes
    -----
    χ² = Σ ((I_i − Ī) / σ_i)², with N − 1 degrees of freedom.
    """
    if not pairs:
        return None
    residuals = [(flux - constant_jy) / error for flux, error in pairs]
    return ChiSquared(sum(residual * residual for residual in residuals), len(pairs) - 1)


class TooFewEpochs(NamedTuple):
    """A source measured once: nothing can be said."""

    source_id: str
    n_epochs: int
    variability_index: None = None
    modulation_index: None = None
    chi_squared: None = None
    chi_squared_reduced: None = None
    is_variable: None = None
    flux_stats: None = None
    message: str = "Insufficient epochs for variability analysis (need at least 2)"
    flux_type: str | None = None
    metrics: MetricsByType = NO_METRICS


class TooFewFluxes(NamedTuple):
    """A source measured often, where fewer than two fluxes are known."""

    source_id: str
    n_epochs: int
    variability_index: None = None
    message: str = "Insufficient flux measurements"
    flux_type: str | None = None
    metrics: MetricsByType = NO_METRICS


class Variability(NamedTuple):
    """How much a source varies; ``n_epochs`` counts measurements, whether or not their flux is known.

    ``metrics`` are those of each type of flux that it has, ``flux_type`` the first of them.
    """

    source_id: str
    n_epochs: int
    flux_stats: FluxStatistics
    variability_index: float | None
    chi_squared: float | None
    chi_squared_reduced: float | None
    flux_type: str | None = None
    metrics: MetricsByType = NO_METRICS

    @property
    def modulation_index(self) -> float | None:
        """The same as the variability index, under its other name."""
        return self.variability_index

    @property
    def is_variable(self) -> bool:
        """Whether the index exceeds a tenth."""
        return self.variability_index is not None and self.variability_index > VARIABLE_ABOVE


def assess(source_id: str, points: Sequence[Point]) -> Variability | TooFewFluxes | TooFewEpochs:
    """What a light curve says of a source's variability.

    Parameters
    ----------
    source_id
        The source.
    points
        Its measurements, one per epoch.
    """
    if len(points) < FEWEST_POINTS:
        return TooFewEpochs(source_id, len(points))
    statistics = flux_statistics(measured_fluxes(points))
    if statistics is None:
        return TooFewFluxes(source_id, len(points))
    chi2 = chi_squared(measured_pairs(points), statistics.mean_jy)
    return Variability(
        source_id=source_id,
        n_epochs=len(points),
        flux_stats=statistics,
        variability_index=modulation_index(statistics),
        chi_squared=chi2.value if chi2 else None,
        chi_squared_reduced=chi2.reduced if chi2 else None,
    )
