"""What the service does with images."""

from __future__ import annotations

from pathlib import Path

from app.domain.images import Image, ImageDetail
from app.domain.paging import Page, PageRequest
from app.domain.provenance import Provenance
from app.repositories.images import ImageRepository
from app.services.files import DataFiles
from app.services.sky import SkySearch


class ImageService:
    """Images, where they came from, and their files."""

    def __init__(self, images: ImageRepository, files: DataFiles, sky: SkySearch) -> None:
        self._images = images
        self._files = files
        self._sky = sky

    def page(self, request: PageRequest) -> Page[Image]:
        """Images, newest first unless chosen otherwise; raises NotFound for a source nobody knows."""
        return self._sky.page(request, self._images.page)

    def get(self, identifier: str) -> ImageDetail:
        """One image with its newest QA merged in; raises NotFound."""
        return self._images.get(identifier)

    def provenance(self, identifier: str) -> Provenance:
        """Where an image came from; raises NotFound."""
        image = self._images.get(identifier)
        return Provenance(
            kind="image",
            identifier=str(image.id),
            run_id=image.run_id,
            ms_path=image.ms_path,
            ms_indexed=bool(image.has_ms),
            cal_table=image.cal_table,
            pointing_ra_deg=image.center_ra_deg,
            pointing_dec_deg=image.center_dec_deg,
            qa_grade=image.qa_grade,
            qa_summary=image.qa_summary,
            image_id=image.id,
            created_at=image.created_at,
        )

    def fits_file(self, identifier: str) -> Path:
        """The image's file; raises NotFound or FileNotAccessible."""
        return self._files.locate(self._images.get(identifier).path)
