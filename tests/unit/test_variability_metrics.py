"""V, η, m and Vs of one light curve against golden values and numpy; fits against known Gaussians."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.variability.candidates import FEWEST_SOURCES, fit_threshold, usable
from app.domain.variability.metrics import (
    coefficient_of_variation,
    reduced_chi_squared,
    two_epoch,
    weighted_mean,
)

GOLDEN = [(10.0, 0.5), (12.0, 0.6), (9.0, 0.5), (14.0, 0.7)]


def test_golden_light_curve() -> None:
    mean = weighted_mean(GOLDEN)
    assert mean is not None
    assert mean[0] == pytest.approx(10.7581814966, abs=1e-9)
    assert mean[1] == pytest.approx(sum(error**-2 for _, error in GOLDEN) ** -0.5)
    assert coefficient_of_variation([flux for flux, _ in GOLDEN]) == pytest.approx(0.1970982918, abs=1e-9)
    assert reduced_chi_squared(GOLDEN) == pytest.approx(13.4651807300, abs=1e-9)


def test_bright_steady_source_keeps_its_scatter() -> None:
    steps = [-1e-6, 1e-6, 0.0, 2e-6, -2e-6]
    fluxes = [1e3 + step for step in steps]
    exact = [flux - 1e3 for flux in fluxes]  # exactly, because they are so close
    assert coefficient_of_variation(fluxes) == pytest.approx(np.std(exact, ddof=1) / 1e3, rel=1e-9)
    eta = np.sum((np.array(exact) - np.mean(exact)) ** 2) / 1e-12 / 4
    assert reduced_chi_squared([(flux, 1e-6) for flux in fluxes]) == pytest.approx(eta, rel=1e-9)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], None),
        ([(1.0, 0.1)], None),
        ([(1.0, 0.1), (1.5, 0.1)], (0.0, 0.0)),  # 3.5σ: not significant
        ([(1.0, 0.1), (2.0, 0.1)], (2 / 3, 1 / math.hypot(0.1, 0.1))),
        # the largest modulation is not significant, another one is
        ([(1.0, 0.01), (2.0, 0.01), (5.0, 3.0)], (2 / 3, 1 / math.hypot(0.01, 0.01))),
        # of two equal modulations the more significant
        ([(1.0, 0.1), (2.0, 0.1), (2.0, 0.05)], (2 / 3, 1 / math.hypot(0.1, 0.05))),
        # pairs whose sum is not positive are left out
        ([(-1.0, 0.01), (1.0, 0.01)], (0.0, 0.0)),
        ([(-1.0, 0.01), (0.5, 0.01)], (0.0, 0.0)),
        ([(-1.0, 0.01), (3.0, 0.01)], (4.0, 4 / math.hypot(0.01, 0.01))),
    ],
)
def test_two_epoch_pair(pairs: list[tuple[float, float]], expected: tuple[float, float] | None) -> None:
    assert two_epoch(pairs) == (None if expected is None else pytest.approx(expected))


@given(st.lists(st.tuples(st.floats(-2, 10), st.sampled_from([0.01, 0.1, 0.5, 2.0])), min_size=2, max_size=20))
def test_two_epoch_pair_is_the_best_of_all_pairs(pairs: list[tuple[float, float]]) -> None:
    x, e = np.array(pairs).T
    i, j = np.triu_indices(len(x), 1)
    with np.errstate(all="ignore"):
        m, vs2 = 2 * abs(x[i] - x[j]) / (x[i] + x[j]), (x[i] - x[j]) ** 2 / (e[i] ** 2 + e[j] ** 2)
    use = (vs2 >= 4.3**2) & (x[i] + x[j] > 0)
    found = two_epoch(pairs)
    assert found is not None
    assert found.m == pytest.approx(m[use].max(initial=0.0), rel=1e-9)


@pytest.mark.parametrize("fluxes", [[], [1.0], [0.0, 0.0], [-1.0, 0.5]])
def test_coefficient_of_variation_is_undefined(fluxes: list[float]) -> None:
    assert coefficient_of_variation(fluxes) is None


def test_fit_finds_the_gaussian_beneath_outliers() -> None:
    random = np.random.default_rng(1)
    metric = 10 ** np.concatenate([random.normal(-1.0, 0.2, 2000), np.full(40, 2.0)])
    fit = fit_threshold(metric, 2.0)
    assert fit is not None
    assert fit.mean_log10 == pytest.approx(-1.0, abs=0.02)
    assert fit.std_log10 == pytest.approx(0.2, abs=0.02)
    assert fit.threshold == pytest.approx(10 ** (fit.mean_log10 + 2 * fit.std_log10))


def test_too_few_sources_have_no_fit() -> None:
    assert fit_threshold(np.ones(FEWEST_SOURCES - 1), 3.0) is None
    assert fit_threshold(np.ones(FEWEST_SOURCES), 3.0) == (0.0, 0.0, 1.0)


def test_metric_without_a_logarithm_is_not_used() -> None:
    metric = np.array([1.0, 0.0, -1.0, np.nan, np.inf])
    assert usable(metric, np.ones(5)).tolist() == [True, False, False, False, False]
    assert usable(np.ones(5), metric).tolist() == [True, False, False, False, False]
