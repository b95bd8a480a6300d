"""What the service does with sources."""

from __future__ import annotations

from app.domain.paging import Page, PageRequest
from app.domain.photometry import LightCurve
from app.domain.sources import ContributingImage, Source, SourceDetail, describe
from app.domain.variability import TooFewEpochs, TooFewFluxes, Variability, assess
from app.repositories.photometry import PhotometryRepository
from app.repositories.sources import SourceRepository


class SourceService:
    """Sources, where they were seen, and how their flux changes. A source exists once it has been measured."""

    def __init__(self, sources: SourceRepository, photometry: PhotometryRepository) -> None:
        self._sources = sources
        self._photometry = photometry

    def page(self, request: PageRequest) -> Page[Source]:
        """Sources in the order of their ids."""
        return self._sources.page(request)

    def get(self, source_id: str) -> SourceDetail:
        """One source with its images; raises NotFound."""
        measurements = self._photometry.get(source_id)
        return describe(source_id, measurements, self._sources.images(source_id))

    def contributing_images(self, source_id: str) -> list[ContributingImage]:
        """Images of one source, newest first; raises NotFound."""
        return self.get(source_id).contributing_images

    def light_curve(self, source_id: str, start_mjd: float | None, end_mjd: float | None) -> LightCurve:
        """Measurements of a source between two times [MJD]; empty for a source that does not exist."""
        return LightCurve(source_id, self._photometry.find(source_id, start_mjd=start_mjd, end_mjd=end_mjd))

    def variability(self, source_id: str) -> Variability | TooFewFluxes | TooFewEpochs:
        """How much one source varies; raises NotFound."""
        return assess(source_id, self._photometry.get(source_id))
