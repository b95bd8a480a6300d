"""Photometry: one row per measurement of a source in an image."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from app.domain.columns import Column, Kind, named

# A double near MJD 60000 resolves 0.6 µs, so two ways to compute the same time may differ by that much.
MJD_RESOLUTION_D = 1e-11

FluxType = Literal["integrated", "peak"]


class Measurement(NamedTuple):
    """A measurement of a source.

    Position in ICRS degrees, ``mjd`` of the observation, ``flux_jy`` and its error in Jy where integrated and in
    Jy/beam where only the peak was measured. A flux, an error or a time that is not known or not finite is ``None``.
    ``measured_at`` is when the measurement was made, in Unix seconds. ``flags`` and ``quality_flag`` are what the
    pipeline noted of its quality.
    """

    id: int
    image_path: str
    ra_deg: float
    dec_deg: float
    mjd: float | None
    flux_jy: float | None
    flux_err_jy: float | None
    snr: float | None
    measured_at: float | None
    flags: int | None = None
    quality_flag: str | None = None


class PhotometryRow(NamedTuple):
    """A measurement as lists show it: whose it is, where, when, and the fluxes as they were stored."""

    id: int
    source_id: str | None
    image_path: str
    ra_deg: float | None
    dec_deg: float | None
    mjd: float | None
    flux_jy: float | None
    flux_err_jy: float | None
    peak_jyb: float | None
    peak_err_jyb: float | None
    snr: float | None
    measured_at: float | None


class Cut(NamedTuple):
    """Which measurements of a light curve, and which of their fluxes.

    Parameters
    ----------
    start_mjd, end_mjd
        First and last time of observation, both included [MJD].
    flux_type
        ``integrated`` or ``peak``; integrated where it was measured, else peak, unless given.
    min_snr
        Smallest signal to noise; of that flux where the pipeline stored none.
    """

    start_mjd: float | None = None
    end_mjd: float | None = None
    flux_type: FluxType | None = None
    min_snr: float | None = None


WHOLE = Cut()


class LightCurve(NamedTuple):
    """Measurements of a source in the order of their observation."""

    source_id: str
    data_points: list[Measurement]

    @property
    def file_name(self) -> str:
        """What a file of it is called, but for the ending."""
        return f"{self.source_id}-lightcurve".replace("/", "_")

    @property
    def columns(self) -> tuple[Column, ...]:
        """What the rows have."""
        return LIGHT_CURVE_COLUMNS

    @property
    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The measurements as rows of :data:`LIGHT_CURVE_COLUMNS`."""
        values = attrgetter(*(column.name for column in LIGHT_CURVE_COLUMNS[1:]))
        return ((self.source_id, *values(point)) for point in self.data_points)


PHOTOMETRY_COLUMNS = (
    Column("id", Kind.IDENTIFIER, "Key of the measurement.", ucd="meta.id;meta.main"),
    Column("source_id", Kind.TEXT, "Source measured.", ucd="meta.id;src"),
    Column("image_path", Kind.TEXT, "Image it was measured in.", ucd="meta.id;meta.file"),
    Column("ra_deg", Kind.REAL, "Right ascension measured.", "deg", "pos.eq.ra;meta.main"),
    Column("dec_deg", Kind.REAL, "Declination measured.", "deg", "pos.eq.dec;meta.main"),
    Column("mjd", Kind.MJD, "Time of the observation.", "d", "time.epoch;obs"),
    Column("flux_jy", Kind.REAL, "Integrated flux, else peak (Jy/beam).", "Jy", "phot.flux.density"),
    Column("flux_err_jy", Kind.REAL, "Its error.", "Jy", "stat.error;phot.flux.density"),
    Column("peak_jyb", Kind.REAL, "Peak flux.", "Jy/beam", "phot.flux.density;stat.max"),
    Column("peak_err_jyb", Kind.REAL, "Its error.", "Jy/beam", "stat.error;phot.flux.density;stat.max"),
    Column("snr", Kind.REAL, "Signal to noise.", ucd="stat.snr"),
    Column("measured_at", Kind.TIME, "When the measurement was made.", ucd="time.processing"),
    Column("flags", Kind.INTEGER, "Bits set by the pipeline.", ucd="meta.code.qual"),
    Column("quality_flag", Kind.TEXT, "Word set by the pipeline.", ucd="meta.code.qual"),
    Column("local_rms", Kind.REAL, "Noise around the source.", "Jy/beam", "stat.rms;phot.flux.density"),
    Column("nvss_flux_mjy", Kind.REAL, "Flux in the NVSS.", "mJy", "phot.flux.density"),
    Column(
        "normalized_flux_jy", Kind.REAL, "Flux normalised by reference sources.", "Jy", "phot.flux.density;arith.ratio"
    ),
    Column("normalized_flux_err_jy", Kind.REAL, "Its error.", "Jy", "stat.error;phot.flux.density"),
    Column("mosaic_path", Kind.TEXT, "Mosaic it was measured in.", ucd="meta.id;meta.file"),
    Column("sep_from_center_deg", Kind.REAL, "Distance from the centre of the image.", "deg", "pos.angDistance"),
)

_OF_LIGHT_CURVES = (
    "source_id",
    "mjd",
    "flux_jy",
    "flux_err_jy",
    "snr",
    "image_path",
    "ra_deg",
    "dec_deg",
    "flags",
    "quality_flag",
    "measured_at",
)
LIGHT_CURVE_COLUMNS = tuple(named(PHOTOMETRY_COLUMNS)[name] for name in _OF_LIGHT_CURVES)
