"""Variability of sources: what a light curve says of one, and which ones stand out among all.

``assessment`` is the verdict on one light curve, about the unweighted mean. ``metrics`` are the field's: V and η, the
largest two-epoch modulation m and its significance Vs. ``candidates`` compares all sources by η and V.
"""

from app.domain.variability.assessment import (
    ChiSquared,
    FluxStatistics,
    TooFewEpochs,
    TooFewFluxes,
    Variability,
    assess,
    chi_squared,
    flux_statistics,
    measured_fluxes,
    measured_pairs,
    modulation_index,
)

__all__ = [
    "ChiSquared",
    "FluxStatistics",
    "TooFewEpochs",
    "TooFewFluxes",
    "Variability",
    "assess",
    "chi_squared",
    "flux_statistics",
    "measured_fluxes",
    "measured_pairs",
    "modulation_index",
]
