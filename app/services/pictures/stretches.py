"""From flux to brightness: the range of values shown and the curve between."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from app.services.ingest.measure import MAD_TO_SIGMA

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Pixels = NDArray[numpy.floating[Any]]

PERCENTILES = (1.0, 99.5)

_STEPS = (1, 2, 2.5, 5, 10)
# Statistics of at most so many pixels, taken at a fixed stride.
_SAMPLE = 1_000_000


class Statistics(NamedTuple):
    """Of the finite pixels: extremes, median, and noise as 1.4826 × the median absolute deviation from it."""

    low: float
    high: float
    median: float
    noise: float


def limits(pixels: Pixels) -> tuple[float, float]:
    """The 1st and the 99.5th percentile of the finite pixels, never equal."""
    import numpy as np

    low, high = np.percentile(_sample(pixels), PERCENTILES)
    return _apart(float(low), float(high))


def statistics(pixels: Pixels) -> Statistics:
    """Extremes, median and noise of the finite pixels."""
    import numpy as np

    sample = _sample(pixels)
    median = float(np.median(sample))
    noise = MAD_TO_SIGMA * float(np.median(np.abs(sample - median)))
    return Statistics(float(np.nanmin(pixels)), float(np.nanmax(pixels)), median, noise)


def norm(pixels: Pixels, stretch: str) -> Any:
    """The matplotlib norm of a stretch for these pixels.

    Parameters
    ----------
    pixels
        The plane, at least one of them finite.
    stretch
        One of :data:`STRETCHES`.
    """
    return STRETCHES[stretch](pixels)


def ticks(norm: Any, least: float) -> list[float]:
    """Round values for a colour bar, 0 among them where it is shown.

    Parameters
    ----------
    norm
        As given by :func:`norm`.
    least
        Smallest distance between two of them, as a part of the bar.
    """
    low, high = float(norm.vmin), float(norm.vmax)
    chosen: list[tuple[float, float]] = []
    for value in _round_values(low, high, linear=_is_linear(norm)):
        at = float(norm(value))
        if all(abs(at - other) >= least for _, other in chosen):
            chosen.append((value, at))
    return sorted(value for value, _ in chosen)


def _round_values(low: float, high: float, *, linear: bool) -> list[float]:
    """Candidates between two limits, the ones worth most first."""
    from matplotlib.ticker import MaxNLocator

    if linear:
        return [float(value) for value in MaxNLocator(8, steps=_STEPS).tick_values(low, high) if low <= value <= high]
    largest = max(abs(low), abs(high))
    top = math.floor(math.log10(largest))
    decades = [sign * 10.0**power for power in range(top, top - 7, -1) for sign in (1, -1)]
    between = [decade * digit for digit in (5, 2) for decade in decades]
    return [value for value in (0.0, *decades, *between) if low <= value <= high]


def _is_linear(norm: Any) -> bool:
    from matplotlib.colors import Normalize

    return type(norm) is Normalize


def _linear(pixels: Pixels) -> Any:
    from matplotlib.colors import Normalize

    seen = statistics(pixels)
    return Normalize(*_apart(seen.low, seen.high), clip=True)


def _percentile(pixels: Pixels) -> Any:
    from matplotlib.colors import Normalize

    return Normalize(*limits(pixels), clip=True)


def _zscale(pixels: Pixels) -> Any:
    from astropy.visualization import ZScaleInterval
    from matplotlib.colors import Normalize

    low, high = ZScaleInterval().get_limits(_sample(pixels))
    return Normalize(*_apart(float(low), float(high)), clip=True)


def _sqrt(pixels: Pixels) -> Any:
    from matplotlib.colors import PowerNorm

    seen = statistics(pixels)
    return PowerNorm(0.5, *_apart(seen.median - seen.noise, seen.high), clip=True)


def _log(pixels: Pixels) -> Any:
    """From the noise upwards: below it there is nothing a logarithm could show."""
    from matplotlib.colors import LogNorm

    seen = statistics(pixels)
    scale = max(abs(seen.low), abs(seen.high)) or 1.0
    low = max(seen.noise, 1e-6 * scale)
    return LogNorm(low, max(seen.high, 10.0 * low), clip=True)


def _asinh(pixels: Pixels) -> Any:
    """Linear within twice the noise, logarithmic beyond: noise and bright sources in one picture."""
    from matplotlib.colors import AsinhNorm

    seen = statistics(pixels)
    low, high = _apart(max(seen.low, seen.median - 3.0 * seen.noise), seen.high)
    return AsinhNorm(max(2.0 * seen.noise, (high - low) * 1e-4), low, high, clip=True)


STRETCHES: dict[str, Callable[[Pixels], Any]] = {
    "asinh": _asinh,
    "zscale": _zscale,
    "percentile": _percentile,
    "log": _log,
    "sqrt": _sqrt,
    "linear": _linear,
}


def _sample(pixels: Pixels) -> Pixels:
    import numpy as np

    flat = pixels.ravel()
    finite = flat[:: max(1, flat.size // _SAMPLE)]
    finite = finite[np.isfinite(finite)]
    return finite if finite.size else flat[np.isfinite(flat)]


def _apart(low: float, high: float) -> tuple[float, float]:
    """Limits that a norm can work with, around a single value too."""
    return (low, high) if high > low else (low, low + (abs(low) or 1.0))
