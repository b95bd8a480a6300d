"""What the service does with measurement sets."""

from __future__ import annotations

from app.domain.measurement_sets import MeasurementSet, MeasurementSetDetail
from app.domain.paging import Page, PageRequest
from app.domain.provenance import Provenance
from app.repositories.ms import MsRepository
from app.services.sky import SkySearch


class MsService:
    """Measurement sets, and what was made from them."""

    def __init__(self, measurement_sets: MsRepository, sky: SkySearch) -> None:
        self._measurement_sets = measurement_sets
        self._sky = sky

    def page(self, request: PageRequest) -> Page[MeasurementSet]:
        """Measurement sets, newest processed first unless chosen otherwise; raises NotFound for an unknown source."""
        return self._sky.page(request, self._measurement_sets.page)

    def get(self, path: str) -> MeasurementSetDetail:
        """One measurement set with its calibration tables; raises NotFound."""
        return self._measurement_sets.get(path)

    def provenance(self, path: str) -> Provenance:
        """What belongs to a measurement set; the image is the newest made from it. Raises NotFound."""
        ms = self._measurement_sets.get(path)
        return Provenance(
            kind="ms",
            identifier=ms.path,
            run_id=ms.run_id,
            ms_path=ms.path,
            ms_indexed=True,
            cal_table=ms.cal_table,
            pointing_ra_deg=ms.pointing_ra_deg,
            pointing_dec_deg=ms.pointing_dec_deg,
            qa_grade=ms.qa_grade,
            qa_summary=ms.qa_summary,
            image_id=ms.newest_image_id,
            created_at=ms.processed_at,
        )
