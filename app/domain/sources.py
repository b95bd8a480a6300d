"""Sources: the measurements that share a source id, and the images in which they were made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from app.domain.images import Image
from app.domain.photometry import Measurement
from app.domain.qa import Grade, worst_grade


class Source(NamedTuple):
    """A source as lists show it.

    Position in ICRS degrees, of the newest measurement. ``num_images`` counts the images that are still on record,
    ``image_id`` is the newest of them.
    """

    id: str
    ra_deg: float
    dec_deg: float
    num_images: int
    image_id: int | None

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
    return -math.inf if time is None else time
