"""Quality reports on images, measurement sets and jobs."""

from __future__ import annotations

from app.domain.errors import NotFound
from app.domain.graded_days import DaysQuery, GradedDays, day_number, graded_days, number_of_mjd
from app.domain.quality import Flag, ImageReport, JobReport, MsReport
from app.domain.time import DAY_S
from app.repositories.images import ImageRepository
from app.repositories.qa import QaRepository
from app.services.jobs import JobService


class QaService:
    """What the QA tables say of each product."""

    def __init__(self, qa: QaRepository, images: ImageRepository, jobs: JobService) -> None:
        self._qa = qa
        self._images = images
        self._jobs = jobs

    def image(self, identifier: str) -> ImageReport:
        """Quality of an image; raises NotFound."""
        image = self._images.get(identifier)
        return ImageReport(image, self._qa.image_or_ms_flags(image.path, image.ms_path))

    def ms(self, path: str) -> MsReport:
        """Quality of a measurement set; raises NotFound."""
        ms = self._qa.ms(path)
        return ms._replace(noted=self._qa.ms_flags(ms.path))

    def job(self, run_id: str) -> JobReport:
        """Quality of what a job worked on and made; raises NotFound."""
        job = self._jobs.get(run_id)
        traced = self._jobs.provenance_of(job)
        flags = self._flags_of_ms(job.ms_path) + self._flags_of_image(traced.image_id)
        return JobReport(
            run_id=job.run_id,
            qa_grade=traced.qa_grade,
            qa_summary=traced.qa_summary,
            ms_path=job.ms_path,
            cal_table=traced.cal_table,
            flags=flags,
            queue_status=job.recorded_status,
            pipeline_config=job.config,
        )

    def days(self, query: DaysQuery) -> GradedDays:
        """Images of each day by grade; without a last day, up to that of the newest image."""
        last = self._last_day() if query.end_mjd is None else number_of_mjd(query.end_mjd)
        if last is None:
            return GradedDays([])
        first = last - query.days + 1
        return graded_days(first, last, self._qa.by_day(first * DAY_S, (last + 1) * DAY_S))

    def _last_day(self) -> int | None:
        newest = self._qa.newest_image()
        return None if newest is None else day_number(newest)

    # What a job names may be indexed no more, or never have been.
    def _flags_of_ms(self, path: str | None) -> list[Flag]:
        try:
            return [] if path is None else self.ms(path).flags
        except NotFound:
            return []

    def _flags_of_image(self, image_id: int | None) -> list[Flag]:
        try:
            image = None if image_id is None else self._images.get(str(image_id))
        except NotFound:
            image = None
        return [] if image is None else ImageReport(image, self._qa.image_flags(image.path)).flags
