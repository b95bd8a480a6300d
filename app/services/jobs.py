"""What the service does with jobs."""

from __future__ import annotations

from app.domain.jobs import Job
from app.domain.measurement_sets import MeasurementSetDetail
from app.domain.paging import Page, PageRequest
from app.domain.provenance import Provenance
from app.domain.qa import stage_summary
from app.repositories.jobs import JobRepository
from app.repositories.ms import MsRepository


class JobService:
    """Jobs, and what they worked on."""

    def __init__(self, jobs: JobRepository, measurement_sets: MsRepository) -> None:
        self._jobs = jobs
        self._measurement_sets = measurement_sets

    def page(self, request: PageRequest) -> Page[Job]:
        """Jobs, newest start first."""
        return self._jobs.page(request)

    def get(self, run_id: str) -> Job:
        """One job; raises NotFound."""
        return self._jobs.get(run_id)

    def provenance(self, run_id: str) -> Provenance:
        """What a job worked on and made; the image is the newest of its measurement set. Raises NotFound."""
        return self.provenance_of(self._jobs.get(run_id))

    def provenance_of(self, job: Job) -> Provenance:
        """The same for a job at hand."""
        known = Provenance(
            kind="job",
            identifier=job.run_id,
            run_id=job.run_id,
            ms_path=job.ms_path,
            qa_summary=stage_summary(None),
            created_at=job.started_at,
        )
        ms = self._measurement_sets.find(job.ms_path)
        return known if ms is None else _from_ms(known, ms)


def _from_ms(known: Provenance, ms: MeasurementSetDetail) -> Provenance:
    return known._replace(
        ms_indexed=True,
        cal_table=ms.newest_cal_table,
        pointing_ra_deg=ms.pointing_ra_deg,
        pointing_dec_deg=ms.pointing_dec_deg,
        qa_grade=ms.qa_grade,
        qa_summary=stage_summary(ms.stage),
        image_id=ms.newest_image_id,
    )
