"""Sources: the measurements that share a source id, and the images in which they were made."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from app.domain.columns import Column, Kind
from app.domain.images import Image
from app.domain.photometry import Measurement
from app.domain.qa import Grade, worst_grade

# What a form's decoding leaves of the sign in a name made of a position, as in J115951.4+371921.
_LOST_SIGN = re.compile(r"(?<=\d) (?=\d)")


def spellings(name: str) -> tuple[str, ...]:
    """A name of a source as it came, and with the ``+`` that somebody wrote into a URL's query as it is."""
    return tuple(dict.fromkeys((name, _LOST_SIGN.sub("+", name))))


class Source(NamedTuple):
    """A source as lists show it.

    Position in ICRS degrees, of the newest measurement. ``num_images`` counts the images that are still on record,
    ``image_id`` is the newest of them. η and V are those of :mod:`app.domain.variability`; the peak flux is the
    largest measured [Jy/beam]. ``separation_arcsec`` is the distance from where one searched.
    """

    id: str
    ra_deg: float
    dec_deg: float
    num_images: int
    image_id: int | None
    eta: float | None
    v: float | None
    peak_flux_jy: float | None
    separation_arcsec: float | None = None

    @property
    def name(self) -> str:
        """Sources are called by their id."""
        return self.id


class ContributingImage(NamedTuple):
    """An image in which a source was measured, with the flux of the newest measurement there [Jy]."""

    image_id: int
    path: str
    ms_path: str
    qa_grade: Grade | None
    created_at: float
    flux_jy: float | None
    flux_err_jy: float | None


class SourceDetail(NamedTuple):
    """A source with its images, newest first; position in ICRS degrees, of the newest measurement."""

    id: str
    ra_deg: float
    dec_deg: float
    contributing_images: list[ContributingImage]

    @property
    def name(self) -> str:
        """Sources are called by their id."""
        return self.id

    @property
    def latest_image_id(self) -> int | None:
        """Id of the newest image."""
        return next((image.image_id for image in self.contributing_images), None)

    @property
    def n_images(self) -> int:
        """How many images there are."""
        return len(self.contributing_images)

    @property
    def qa_grades(self) -> list[Grade]:
        """Grades of the images that have one, newest image first."""
        return [image.qa_grade for image in self.contributing_images if image.qa_grade is not None]

    @property
    def overall_grade(self) -> Grade | None:
        """The worst of the grades."""
        return worst_grade(self.qa_grades)


def describe(source_id: str, measurements: Sequence[Measurement], images: Iterable[Image]) -> SourceDetail:
    """A source as its measurements and images show it.

    Parameters
    ----------
    source_id
        The source.
    measurements
        Every measurement of it, at least one.
    images
        The images in which they were made, newest first.
    """
    newest = max(measurements, key=lambda point: (_known(point.mjd), point.id))
    in_image = {
        point.image_path: point
        for point in sorted(measurements, key=lambda point: (_known(point.measured_at), point.id))
    }
    contributing = [_contributing(image, in_image.get(image.path)) for image in images]
    return SourceDetail(source_id, newest.ra_deg, newest.dec_deg, contributing)


def _contributing(image: Image, measurement: Measurement | None) -> ContributingImage:
    return ContributingImage(
        image_id=image.id,
        path=image.path,
        ms_path=image.ms_path,
        qa_grade=image.qa_grade,
        created_at=image.created_at,
        flux_jy=measurement.flux_jy if measurement else None,
        flux_err_jy=measurement.flux_err_jy if measurement else None,
    )


def _known(time: float | None) -> float:
    """A time to compare by; what is not known came first."""
    return time if isinstance(time, float | int) else -math.inf


SOURCE_COLUMNS = (
    Column("id", Kind.TEXT, "Name of the source.", ucd="meta.id;meta.main"),
    Column("name", Kind.TEXT, "The same.", ucd="meta.id", source="id", is_filter=False),
    Column("ra_deg", Kind.REAL, "Right ascension, newest measurement.", "deg", "pos.eq.ra;meta.main"),
    Column("dec_deg", Kind.REAL, "Declination, newest measurement.", "deg", "pos.eq.dec;meta.main"),
    Column("num_images", Kind.INTEGER, "Images on record in which it was measured.", ucd="meta.number"),
    Column("image_id", Kind.IDENTIFIER, "The newest of them.", ucd="meta.ref", is_filter=False),
    Column("flux_type", Kind.TEXT, "integrated or peak: what the metrics are of.", ucd="meta.code", is_filter=False),
    Column("n_points", Kind.INTEGER, "Measurements.", ucd="meta.number;obs"),
    Column("n_fluxes", Kind.INTEGER, "Measurements whose flux is known.", ucd="meta.number;obs"),
    Column("mean_flux_jy", Kind.REAL, "Mean flux.", "Jy", "phot.flux.density;stat.mean"),
    Column("weighted_mean_flux_jy", Kind.REAL, "Mean flux weighted by 1/σ².", "Jy", "phot.flux.density;stat.mean"),
    Column("weighted_mean_flux_err_jy", Kind.REAL, "Its error.", "Jy", "stat.error;phot.flux.density;stat.mean"),
    Column("v", Kind.REAL, "Coefficient of variation V.", ucd="src.var.amplitude;arith.ratio"),
    Column("eta", Kind.REAL, "Reduced χ² about the weighted mean, η.", ucd="stat.fit.chi2;src.var"),
    Column("m", Kind.REAL, "Largest significant two-epoch modulation |m|.", ucd="src.var.amplitude"),
    Column("vs", Kind.REAL, "Significance of that pair.", ucd="stat.snr;src.var"),
    Column("min_flux_jy", Kind.REAL, "Smallest flux.", "Jy", "phot.flux.density;stat.min"),
    Column("max_flux_jy", Kind.REAL, "Largest flux.", "Jy", "phot.flux.density;stat.max"),
    Column("max_snr", Kind.REAL, "Largest signal to noise.", ucd="stat.snr;stat.max"),
    Column("first_mjd", Kind.MJD, "First observation.", "d", "time.epoch;stat.min"),
    Column("last_mjd", Kind.MJD, "Last observation.", "d", "time.epoch;stat.max"),
    Column("peak_flux_jy", Kind.REAL, "Largest peak flux.", "Jy/beam", "phot.flux.density;stat.max"),
)
