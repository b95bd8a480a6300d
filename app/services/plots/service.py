"""What the service draws of what the databases hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import IO, Any

from app.domain.plots import CandidatesPlot, LightCurvePlot, TimelinePlot
from app.domain.time import unix_from_mjd
from app.repositories.light_curves import LightCurveRepository
from app.repositories.sources import SourceRepository
from app.repositories.stats import StatsRepository
from app.services.pictures.disk_cache import DiskCache, Maker
from app.services.pictures.service import Picture
from app.services.pictures.turnstile import Turnstile
from app.services.plots.curves import scene_of
from app.services.plots.light_curves import draw_light_curve
from app.services.plots.timeline import draw_timeline
from app.services.plots.variability import VariabilityScene, draw_variability
from app.services.stats import StatsService
from app.services.variability import VariabilityService

# Raised when plots come to look different, so that none made before is given any more.
VERSION = 1

_TYPES = {"png": "image/png", "svg": "image/svg+xml"}


class PlotService:
    """Plots of light curves, of the survey's days and of how sources vary.

    What a plot shows is read anew for every request, which is quick; drawing is not, and is done once for equal data.

    Parameters
    ----------
    curves, sources, stats
        Where rows are read.
    variability
        Compares all sources.
    cache
        Keeps what was drawn; may be shared with pictures.
    turnstile
        Bounds how many are drawn at a time, pictures included.
    """

    def __init__(
        self,
        curves: LightCurveRepository,
        sources: SourceRepository,
        stats: StatsRepository,
        variability: VariabilityService,
        *,
        cache: DiskCache,
        turnstile: Turnstile,
    ) -> None:
        self._curves = curves
        self._sources = sources
        self._stats = stats
        self._variability = variability
        self._cache = cache
        self._turnstile = turnstile

    def light_curve(self, source_id: str, format: str, plot: LightCurvePlot) -> Picture:
        """Flux of a source against time; raises NotFound."""
        epochs = self._curves.between(source_id, plot.start_mjd, plot.end_mjd)
        grades = {image.path: image.qa_grade for image in self._sources.images(source_id)}
        scene = scene_of(source_id, epochs, grades, plot.flux_type)

        def make(file: IO[bytes]) -> None:
            draw_light_curve(scene, plot.sheet, format, file)

        return self._picture(f"{source_id}-lightcurve", format, make, "light curve", plot.sheet, scene)

    def candidates(self, format: str, plot: CandidatesPlot) -> Picture:
        """How much every source varies, and which of them stand out."""
        ids, eta, v, eta_fit, v_fit, _ = self._variability.plane(plot.query)
        scene = VariabilityScene(ids, eta, v, eta_fit, v_fit, plot.query.n_sigma, plot.query.flux_type)

        def make(file: IO[bytes]) -> None:
            draw_variability(scene, plot.sheet, format, file)

        shown = _hash("\0".join(ids).encode("utf-8", "surrogateescape"), eta.tobytes(), v.tobytes())
        return self._picture("candidates", format, make, "candidates", plot, eta_fit, v_fit, shown)

    def timeline(self, format: str, plot: TimelinePlot) -> Picture:
        """What came on each of some days."""
        days = self._stats_until(plot.end_mjd).timeline(plot.days).days

        def make(file: IO[bytes]) -> None:
            draw_timeline(days, plot.sheet, format, file)

        return self._picture(f"timeline-{days[-1].date}", format, make, "timeline", plot.sheet, days)

    def _stats_until(self, end_mjd: float | None) -> StatsService:
        if end_mjd is None:
            return StatsService(self._stats)
        end_s = unix_from_mjd(end_mjd)
        return StatsService(self._stats, now=lambda: end_s)

    def _picture(self, name: str, format: str, make: Maker, *shown: Any) -> Picture:
        key = _digest(VERSION, format, *shown)
        return Picture(f"{name}.{format}", _TYPES[format], key, self._opener(key, make))

    def _opener(self, key: str, make: Maker) -> Callable[[], IO[bytes]]:
        def opened() -> IO[bytes]:
            found = self._cache.find(key)
            if found is not None:
                return found
            with self._turnstile.passage():
                return self._cache.fetch(key, make)

        return opened


def _digest(*shown: Any) -> str:
    """Hash of all that a plot shows."""
    return _hash(repr(shown).encode("utf-8", "surrogateescape"))


def _hash(*parts: bytes) -> str:
    hashed = hashlib.blake2b(digest_size=20)
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big"))
        hashed.update(part)
    return hashed.hexdigest()
