"""Plots of what the databases hold: what may be asked of one, and what a light curve is drawn from."""

from __future__ import annotations

from typing import NamedTuple

from app.domain.variability.candidates import CandidateQuery

FORMATS = ("png", "svg")
FLUX_TYPES = ("integrated", "peak")
BOTH = "both"

# Years 1858 to 2680. A time outside is no time of observation, and no calendar axis reaches much further.
FIRST_MJD, LAST_MJD = 0.0, 300_000.0


class Sheet(NamedTuple):
    """What a plot is drawn on: its size [px], ``None`` for the height that suits the plot, and its theme."""

    width_px: int = 900
    height_px: int | None = None
    theme: str = "light"


class LightCurvePlot(NamedTuple):
    """Which part of a light curve: type of flux, ``None`` for what there is, and first and last time [MJD]."""

    flux_type: str | None
    start_mjd: float | None
    end_mjd: float | None
    sheet: Sheet


class TimelinePlot(NamedTuple):
    """How many days, and any time of the last of them [MJD], ``None`` for today."""

    days: int
    end_mjd: float | None
    sheet: Sheet


class CandidatesPlot(NamedTuple):
    """Which sources are compared, and by how many standard deviations candidates stand out."""

    query: CandidateQuery
    sheet: Sheet


class Epoch(NamedTuple):
    """A measurement with both of its fluxes, integrated [Jy] and peak [Jy/beam], as stored; time of observation [MJD].

    What is missing is ``None``, not finite, or no number at all.
    """

    image_path: str
    mjd: float | None
    flux_jy: float | None
    flux_err_jy: float | None
    peak_jyb: float | None
    peak_err_jyb: float | None

    def flux(self, flux_type: str) -> tuple[float | None, float | None]:
        """Flux of a type with its error."""
        if flux_type == "integrated":
            return self.flux_jy, self.flux_err_jy
        return self.peak_jyb, self.peak_err_jyb
