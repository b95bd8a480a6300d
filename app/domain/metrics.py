"""What the pipeline's database tells the monitoring system."""

from __future__ import annotations

from typing import NamedTuple

from app.domain.statistics import Counts

NOISE_BOUNDS_JY = (1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3)
DYNAMIC_RANGE_BOUNDS = (10.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0)
SNR_BOUNDS = (5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)


class Histogram(NamedTuple):
    """How many values are at most each bound, how many there are, and their sum."""

    bounds: tuple[float, ...]
    at_most: tuple[int, ...]
    n: int
    total: float


class Grouped(NamedTuple):
    """Rows that share two words."""

    status: str
    kind: str
    n: int


class PipelineFigures(NamedTuple):
    """Counts and distributions of one generation of the databases.

    ``noise_jy`` in Jy/beam; ``calibration_snr`` is the mean signal-to-noise ratio of each calibration solution that a
    quality report tells.
    """

    counts: Counts
    processed: list[Grouped]
    calibrations: list[Grouped]
    noise_jy: Histogram
    dynamic_range: Histogram
    calibration_snr: Histogram
