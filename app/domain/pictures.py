"""Pictures of images: what may be asked of one, and what the databases add to it."""

from __future__ import annotations

import math
from typing import NamedTuple

from app.domain.time import iso_from_unix, unix_from_mjd

STRETCHES = ("asinh", "zscale", "percentile", "log", "sqrt", "linear")
COLOUR_MAPS = ("gray", "gray_r", "viridis", "inferno", "magma", "plasma", "cividis", "cubehelix")
THEMES = ("light", "dark")

# A measurement this many times its error counts as a detection.
DETECTION_SNR = 5.0


class Look(NamedTuple):
    """How a preview is drawn; ``size_px`` is its longer side."""

    size_px: int = 900
    stretch: str = "asinh"
    cmap: str = "gray"
    theme: str = "light"
    beam: bool = True
    sources: bool = False
    grid: bool = False


class CutoutRequest(NamedTuple):
    """A square on the sky: a position [deg] or one of our sources, and the side [arcsec]."""

    ra_deg: float | None
    dec_deg: float | None
    source: str | None
    size_arcsec: float
    format: str
    look: Look


class AnimationRequest(NamedTuple):
    """How many images, how many of them a second, how large, in which colours."""

    frames: int
    fps: float
    size_px: int
    cmap: str


class ImageSource(NamedTuple):
    """A source as measured in one image: position [deg], flux density [Jy] and its error, time of observation [MJD].

    ``measurement_id`` tells several measurements of the same source apart. The measured position, not the catalogue's.
    """

    measurement_id: int
    id: str | None
    ra_deg: float | None
    dec_deg: float | None
    flux_jy: float | None
    flux_err_jy: float | None
    stored_snr: float | None
    mjd: float | None
    sort_flux: float

    @property
    def snr(self) -> float | None:
        """Signal to noise: as measured, else flux over error."""
        if isinstance(self.stored_snr, float | int) and math.isfinite(self.stored_snr):
            return self.stored_snr
        return self.flux_jy / self.flux_err_jy if self.flux_jy is not None and self.flux_err_jy else None

    @property
    def detected(self) -> bool:
        """Whether it stands out from the noise."""
        return self.snr is not None and self.snr >= DETECTION_SNR


class Pointing(NamedTuple):
    """What an image shows: its type, the field's name, the centre [deg], and when it was taken [MJD]."""

    type: str | None
    field_name: str | None
    ra_deg: float | None
    dec_deg: float | None
    observed_mjd: float


class Frame(NamedTuple):
    """An image that shows the same sky as another, and when it was taken [MJD]."""

    id: int
    path: str
    observed_mjd: float

    @property
    def stamp(self) -> str:
        """Date and time, ``2025-10-31 13:49:06 UTC``."""
        return date_and_time(unix_from_mjd(self.observed_mjd))


def date_and_time(unix_s: float) -> str:
    """Date and time for people to read, to the second; empty for times that no calendar has."""
    text = iso_from_unix(round(unix_s))
    return "" if text is None else f"{text[:10]} {text[11:19]} UTC"
