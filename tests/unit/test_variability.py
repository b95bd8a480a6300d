"""Variability: golden values worked out by hand and by numpy, and what must hold for every light curve."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.variability import (
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


class Point(NamedTuple):
    flux_jy: float | None
    flux_err_jy: float | None = None


def curve(fluxes: list[float | None], errors: list[float | None]) -> list[Point]:
    return [Point(flux, error) for flux, error in zip(fluxes, errors, strict=True)]


# fluxes, errors, modulation index, χ², reduced χ²; the second as numpy's std(ddof=1)/mean and sum(((f - mean)/e)**2).
GOLDEN = [
    ([1.0, 1.2, 0.8], [0.1, 0.1, 0.1], 0.2, 8.0, 4.0),
    ([10.0, 12.0, 9.0, 14.0], [0.5, 0.6, 0.5, 0.7], 0.19709829178740845, 43.496173469387756, 14.498724489795919),
    ([0.0, 2.0], [1.0, 2.0], math.sqrt(2), 1.25, 1.25),
    ([-3.0, 1.0, 5.0], [1.0, 1.0, 1.0], 4.0, 32.0, 16.0),
    ([5.0, 5.0, 5.0], [1.0, 2.0, 3.0], 0.0, 0.0, 0.0),
]


@pytest.mark.parametrize(("fluxes", "errors", "index", "chi2", "reduced"), GOLDEN)
def test_golden_values(fluxes: list[float], errors: list[float], index: float, chi2: float, reduced: float) -> None:
    found = assess("s", curve(list(fluxes), list(errors)))
    assert isinstance(found, Variability)
    assert found.variability_index == pytest.approx(index, rel=1e-12)
    assert found.modulation_index == found.variability_index
    assert found.chi_squared == pytest.approx(chi2, rel=1e-12)
    assert found.chi_squared_reduced == pytest.approx(reduced, rel=1e-12)


def test_scatter_is_that_of_a_sample() -> None:
    statistics = flux_statistics([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    assert statistics is not None
    assert statistics.mean_jy == 5.0
    assert statistics.std_jy == pytest.approx(math.sqrt(32 / 7), rel=1e-15)
    assert (statistics.min_jy, statistics.max_jy) == (2.0, 9.0)


def test_bright_steady_source_does_not_cancel() -> None:
    # Of the one-pass form nothing is left here: the squares agree to 16 digits.
    fluxes = [1e8 + step for step in (-1e-6, 0.0, 1e-6)]
    statistics = flux_statistics(fluxes)
    assert statistics is not None
    assert statistics.std_jy == pytest.approx(1e-6, rel=0.02)


@pytest.mark.parametrize("mean", [0.0, -1.0])
def test_index_of_a_mean_that_is_not_positive_is_unknown_and_not_variable(mean: float) -> None:
    found = assess("s", [Point(mean - 1.0, 0.5), Point(mean + 1.0, 0.5)])
    assert isinstance(found, Variability)
    assert (found.variability_index, found.is_variable) == (None, False)
    assert found.chi_squared == 8.0


@pytest.mark.parametrize(("spread", "variable"), [(0.0, False), (0.07, False), (0.0708, True)])
def test_variable_means_above_a_tenth(spread: float, variable: bool) -> None:
    # of two points 1 ± d the index is d √2
    found = assess("s", [Point(1.0 - spread), Point(1.0 + spread)])
    assert isinstance(found, Variability)
    assert found.is_variable is variable


@pytest.mark.parametrize(
    ("points", "kind"),
    [
        ([], TooFewEpochs),
        ([Point(1.0, 0.1)], TooFewEpochs),
        ([Point(1.0, 0.1), Point(None, 0.1)], TooFewFluxes),
        ([Point(None), Point(math.nan), Point(math.inf)], TooFewFluxes),
        ([Point(1.0), Point(1.0)], Variability),
    ],
)
def test_too_little_is_told_apart(points: list[Point], kind: type) -> None:
    found = assess("s", points)
    assert type(found) is kind
    assert found.n_epochs == len(points)


USELESS = [None, 0.0, -0.1, math.nan, math.inf]


@pytest.mark.parametrize("error", USELESS)
def test_point_with_a_useless_error_counts_in_the_mean_but_not_in_chi_squared(error: float | None) -> None:
    found = assess("s", curve([1.0, 1.2, 0.8, 1.0], [0.1, 0.1, 0.1, error]))
    assert isinstance(found, Variability)
    assert (found.chi_squared, found.chi_squared_reduced) == (pytest.approx(8.0), pytest.approx(4.0))
    assert found.variability_index == pytest.approx(math.sqrt(0.08 / 3))


@pytest.mark.parametrize("flux", [None, math.nan, math.inf, -math.inf])
def test_missing_flux_takes_its_error_with_it(flux: float | None) -> None:
    points = curve([1.0, flux, 1.2, 0.8], [0.1, 1e-9, 0.1, 0.1])
    assert measured_fluxes(points) == [1.0, 1.2, 0.8]
    assert measured_pairs(points) == [(1.0, 0.1), (1.2, 0.1), (0.8, 0.1)]


def test_single_usable_point_has_no_degree_of_freedom_left() -> None:
    found = assess("s", curve([1.0, 2.0], [0.5, None]))
    assert isinstance(found, Variability)
    assert (found.chi_squared, found.chi_squared_reduced) == (1.0, None)


def test_no_pair_has_no_chi_squared() -> None:
    assert chi_squared([], 1.0) is None


finite = st.floats(min_value=-1e6, max_value=1e6)
values = st.none() | st.just(math.nan) | st.just(math.inf) | finite
points = st.lists(st.builds(Point, values, values), max_size=12)


@given(points, st.randoms())
def test_order_of_points_does_not_matter(light_curve: list[Point], random: object) -> None:
    shuffled = list(light_curve)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = assess("s", light_curve), assess("s", shuffled)
    assert type(one) is type(other)
    if isinstance(one, Variability) and isinstance(other, Variability):
        assert one.flux_stats == pytest.approx(other.flux_stats, rel=1e-9, abs=1e-6)
        assert (one.chi_squared is None) == (other.chi_squared is None)


@given(points, points)
def test_points_without_flux_change_nothing_but_the_count(light_curve: list[Point], others: list[Point]) -> None:
    gaps = [Point(None, other.flux_err_jy) for other in others]
    one, other = assess("s", light_curve), assess("s", light_curve + gaps)
    if isinstance(one, Variability):
        assert other == one._replace(n_epochs=len(light_curve) + len(gaps))


@given(st.lists(finite.filter(lambda flux: abs(flux) > 1e-3), min_size=2, max_size=12), st.integers(-8, 8))
def test_index_is_free_of_units(fluxes: list[float], exponent: int) -> None:
    scale = 2.0**exponent  # exact in binary, so the answers agree to the last bit
    one, other = flux_statistics(fluxes), flux_statistics([flux * scale for flux in fluxes])
    assert one is not None
    assert other is not None
    assert modulation_index(one) == modulation_index(other)
