"""Metrics of one light curve in one type of flux, each from the measurements alone.

The summaries keep the same in SQL; here stands what they must equal. Sums take two passes, mean first: the one-pass
forms of V and η cancel for bright steady sources.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

# (S₁ − S₂)² of a significant pair is at least 4.3² (σ₁² + σ₂²).
SIGNIFICANT = 18.49

# A flux with its error.
Pair = tuple[float, float]


class TwoEpoch(NamedTuple):
    """The largest modulation among significant pairs, and the significance of that pair; zeros where none is."""

    m: float
    vs: float


class Metrics(NamedTuple):
    """Metrics of a source in one type of flux [Jy, or Jy/beam for peaks], ``None`` where undefined.

    ``n_points`` counts measurements, ``n_fluxes`` those whose flux is known, ``num_images`` the images on record.
    """

    flux_type: str
    n_points: int
    n_fluxes: int
    num_images: int
    mean_flux_jy: float | None
    weighted_mean_flux_jy: float | None
    weighted_mean_flux_err_jy: float | None
    v: float | None
    eta: float | None
    m: float | None
    vs: float | None
    min_flux_jy: float | None
    max_flux_jy: float | None
    max_snr: float | None
    first_mjd: float | None
    last_mjd: float | None


def coefficient_of_variation(fluxes: Sequence[float]) -> float | None:
    """Coefficient of variation V; ``None`` for fewer than two fluxes, or unless their mean is positive.

    Parameters
    ----------
    fluxes
        Finite fluxes [Jy], shape (N,).

    Notes
    -----
    V = s / Ī with the standard deviation of a sample (N − 1).

    References
    ----------
    Swinbank et al. 2015, Astronomy and Computing 11, 25.
    """
    n = len(fluxes)
    if n < 2:
        return None
    mean = math.fsum(fluxes) / n
    if mean <= 0:
        return None
    off = [flux - mean for flux in fluxes]
    rest = math.fsum(off) / n  # what rounding took from the mean
    variance = math.fsum((each - rest) ** 2 for each in off) / (n - 1)
    return math.sqrt(variance) / mean


def weighted_mean(pairs: Sequence[Pair]) -> tuple[float, float] | None:
    """Weighted mean I* and its error [Jy]; ``None`` without any pair.

    Parameters
    ----------
    pairs
        Fluxes [Jy] with their errors [Jy, > 0], shape (N, 2).

    Notes
    -----
    I* = Σ w I / Σ w and σ(I*) = (Σ w)^(−1/2) with w = 1/σ².
    """
    if not pairs:
        return None
    total = math.fsum(1 / (error * error) for _, error in pairs)
    return math.fsum(flux / (error * error) for flux, error in pairs) / total, 1 / math.sqrt(total)


def reduced_chi_squared(pairs: Sequence[Pair]) -> float | None:
    """Reduced χ² about the weighted mean, η; ``None`` for fewer than two pairs.

    Parameters
    ----------
    pairs
        Fluxes [Jy] with their errors [Jy, > 0], shape (N, 2).

    Notes
    -----
    η = 1/(N − 1) · Σ (I − I*)² / σ².

    References
    ----------
    Swinbank et al. 2015, Astronomy and Computing 11, 25.
    """
    found = weighted_mean(pairs)
    if found is None or len(pairs) < 2:
        return None
    mean, mean_err = found
    off = [(flux - mean, 1 / (error * error)) for flux, error in pairs]
    rest = math.fsum(each * weight for each, weight in off) * mean_err**2
    return math.fsum((each - rest) ** 2 * weight for each, weight in off) / (len(pairs) - 1)


def two_epoch(pairs: Sequence[Pair]) -> TwoEpoch | None:
    """The largest |m| among the pairs of epochs with |Vs| ≥ 4.3, and its |Vs|; ``None`` for fewer than two epochs.

    Parameters
    ----------
    pairs
        Fluxes [Jy] with their errors [Jy, > 0], shape (N, 2).

    Notes
    -----
    m = 2 (S₁ − S₂) / (S₁ + S₂) and Vs = (S₁ − S₂) / (σ₁² + σ₂²)^½. Among equal m the largest Vs counts. Forced
    measurements of the sky may be negative; m diverges where S₁ + S₂ vanishes, so pairs whose sum is not positive are
    left out. For the rest m falls as the smaller flux grows, so that few of the N (N − 1)/2 pairs need be looked at.

    References
    ----------
    Mooley et al. 2016, ApJ 818, 105; the choice among pairs is that of the VAST pipeline.
    """
    if len(pairs) < 2:
        return None
    rising = sorted(pairs)
    lowest, least_err = rising[0][0], min(error for _, error in pairs)
    best = (0.0, 0.0)
    for high, high_err in reversed(rising):
        if (high - lowest) ** 2 >= SIGNIFICANT * (high_err**2 + least_err**2):
            best = max(best, _best_below(high, high_err, rising, best))
    return TwoEpoch(best[0], math.sqrt(best[1]))


def _best_below(high: float, high_err: float, rising: Sequence[Pair], best: Pair) -> Pair:
    """The best (m, Vs²) that a flux makes with those below it."""
    for low, low_err in rising:
        if low >= high:
            break
        if high + low <= 0:
            continue
        m = 2 * (high - low) / (high + low)
        if m < best[0]:
            break
        variance = high_err * high_err + low_err * low_err
        if (high - low) ** 2 >= SIGNIFICANT * variance:
            best = max(best, (m, (high - low) ** 2 / variance))
    return best
