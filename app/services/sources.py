"""What the service does with sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from app.domain.paging import Page, PageRequest
from app.domain.photometry import WHOLE, Cut, LightCurve, PhotometryRow
from app.domain.sources import ContributingImage, Source, SourceDetail, describe
from app.repositories.photometry import PhotometryRepository
from app.repositories.sources import SourceRepository
from app.services.sky import SkySearch


class SourceService:
    """Sources, where they were seen, and how their flux changes. A source exists once it has been measured."""

    def __init__(self, sources: SourceRepository, photometry: PhotometryRepository, sky: SkySearch) -> None:
        self._sources = sources
        self._photometry = photometry
        self._sky = sky

    def page(self, request: PageRequest) -> Page[Source]:
        """Sources in the order of their ids unless chosen otherwise; raises NotFound for an unknown one's name."""
        return self._sky.page(request, partial(self._sources.page, flux_type=request.options.get("flux_type")))

    def measurements(self, request: PageRequest) -> Page[PhotometryRow]:
        """Measurements of all sources, newest row first unless chosen otherwise."""
        return self._photometry.page(request)

    def get(self, source_id: str) -> SourceDetail:
        """One source with its images; raises NotFound."""
        measurements = self._photometry.get(source_id)
        return describe(source_id, measurements, self._sources.images(source_id))

    def contributing_images(self, source_id: str) -> list[ContributingImage]:
        """Images of one source, newest first; raises NotFound."""
        return self.get(source_id).contributing_images

    def light_curve(self, source_id: str, cut: Cut = WHOLE) -> LightCurve:
        """Measurements of a source; empty for a source that does not exist."""
        return LightCurve(source_id, self._photometry.find(source_id, cut))

    def light_curves(self, source_ids: Iterable[str], cut: Cut = WHOLE) -> Iterator[LightCurve]:
        """Measurements of several sources, one light curve at a time; empty for those that do not exist."""
        return self._photometry.find_many(source_ids, cut)
