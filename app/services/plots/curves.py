"""What a light curve shows: points by type of flux, each with the grade of its image, and what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from app.domain.pictures import date_and_time
from app.domain.plots import BOTH, FIRST_MJD, FLUX_TYPES, LAST_MJD, Epoch
from app.domain.qa import Grade
from app.domain.time import unix_from_mjd
from app.domain.variability.metrics import coefficient_of_variation, reduced_chi_squared, weighted_mean

# No flux is as large and no error as small, and squares of their ratio fit into a double.
_LARGEST, _SMALLEST = 1e60, 1e-60


class Point(NamedTuple):
    """A flux [Jy or Jy/beam] at a time [MJD] with its error, ``None`` where unknown, and the grade of its image."""

    mjd: float
    flux: float
    error: float | None
    grade: Grade | None


class Series(NamedTuple):
    """The points of one type of flux in the order of time."""

    flux_type: str
    points: tuple[Point, ...]

    @property
    def pairs(self) -> list[tuple[float, float]]:
        """Fluxes with their errors, where those are known."""
        return [(point.flux, point.error) for point in self.points if point.error is not None]

    @property
    def mean(self) -> float | None:
        """Weighted mean flux, ``None`` where no error is known."""
        found = weighted_mean(self.pairs)
        return found[0] if found else None


class LightCurveScene(NamedTuple):
    """All there is to see: a series for each type of flux that was asked for and measured, and what is left out."""

    title: str
    series: tuple[Series, ...]
    left_out: int
    message: str


def scene_of(
    source_id: str, epochs: Sequence[Epoch], grades: Mapping[str, Grade | None], flux_type: str | None
) -> LightCurveScene:
    """What a plot of some measurements shows.

    Parameters
    ----------
    source_id
        Whose they are.
    epochs
        The measurements.
    grades
        Grades of images by their paths.
    flux_type
        One of the types, both, or ``None`` for the integrated flux, else the peak.
    """
    wanted = FLUX_TYPES if flux_type in {None, BOTH} else (flux_type or "",)
    found = [Series(each, tuple(_points(epochs, grades, each))) for each in wanted]
    series = [each for each in found if each.points]
    shown = series[:1] if flux_type is None else series
    message = "" if shown else _nothing(epochs, flux_type)
    return LightCurveScene(source_id, tuple(shown), _left_out(epochs, shown), message)


def facts_of(scene: LightCurveScene) -> list[str]:
    """Number, time and variability of what is shown, and what is not."""
    if not scene.series:
        return []
    facts = []
    for series in scene.series:
        kind = f"{series.flux_type}: " if len(scene.series) > 1 else ""
        facts.append(f"{kind}N = {len(series.points)}{_variability(series)}")
    first = min(series.points[0].mjd for series in scene.series)
    last = max(series.points[-1].mjd for series in scene.series)
    start, end = date_and_time(unix_from_mjd(first))[:10], date_and_time(unix_from_mjd(last))[:10]
    facts.append(start if start == end else f"{start} to {end}")
    if scene.left_out:
        facts.append(f"{scene.left_out} without flux or time not shown")
    return facts


def _variability(series: Series) -> str:
    v = coefficient_of_variation([point.flux for point in series.points])
    eta = reduced_chi_squared(series.pairs)
    return "".join(f", {name} = {_short(value)}" for name, value in (("V", v), ("η", eta)) if value is not None)


def _short(value: float) -> str:
    return f"{value:,.0f}" if 1e3 <= value < 1e6 else f"{value:.3g}"


def _points(epochs: Iterable[Epoch], grades: Mapping[str, Grade | None], flux_type: str) -> list[Point]:
    found = []
    for epoch in epochs:
        mjd, (flux, error) = _number(epoch.mjd), map(_number, epoch.flux(flux_type))
        if mjd is not None and FIRST_MJD <= mjd <= LAST_MJD and flux is not None:
            found.append(Point(mjd, flux, error if error and error > _SMALLEST else None, grades.get(epoch.image_path)))
    return sorted(found, key=lambda point: point.mjd)


def _number(value: object) -> float | None:
    """A number that can be drawn."""
    return float(value) if isinstance(value, int | float) and abs(value) < _LARGEST else None


def _left_out(epochs: Sequence[Epoch], shown: Sequence[Series]) -> int:
    return len(epochs) - max((len(series.points) for series in shown), default=0)


def _nothing(epochs: Sequence[Epoch], flux_type: str | None) -> str:
    if not epochs:
        return "No measurement between these dates"
    kind = f"{flux_type} flux" if flux_type in FLUX_TYPES else "flux"
    return f"None of {len(epochs)} measurements has a usable {kind} and time"
