"""Figures of the pipeline for the monitoring system."""

from __future__ import annotations

import logging
from collections.abc import Callable

from app.db import deadline
from app.domain.errors import DatabaseError
from app.domain.metrics import PipelineFigures
from app.repositories.metrics import MetricsRepository
from app.repositories.stats import StatsRepository

log = logging.getLogger(__name__)


class MetricsService:
    """Reads figures, once for each generation of the databases.

    Parameters
    ----------
    stats, metrics
        Where rows are counted.
    generation
        Current generation of the databases.
    timeout_s
        Time for one reading [s].
    """

    def __init__(
        self,
        stats: StatsRepository,
        metrics: MetricsRepository,
        generation: Callable[[], int],
        timeout_s: float,
    ) -> None:
        self._stats = stats
        self._metrics = metrics
        self._generation = generation
        self._timeout_s = timeout_s
        self._kept: tuple[int, PipelineFigures] | None = None

    def figures(self) -> PipelineFigures | None:
        """What the databases tell; ``None`` where they cannot be read in time."""
        generation = self._generation()
        kept = self._kept
        if kept is not None and kept[0] == generation:
            return kept[1]
        deadline.start(self._timeout_s)
        try:
            figures = self._read()
        except DatabaseError as error:
            log.warning("No figures of the pipeline for this scrape: %s", error.message)
            return None
        self._kept = (generation, figures)
        return figures

    def _read(self) -> PipelineFigures:
        noise_jy, dynamic_range = self._metrics.image_quality()
        return PipelineFigures(
            counts=self._stats.counts(),
            processed=self._metrics.processed(),
            calibrations=self._metrics.calibrations(),
            noise_jy=noise_jy,
            dynamic_range=dynamic_range,
            calibration_snr=self._metrics.calibration_snr(),
        )
