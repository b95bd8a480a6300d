"""Images: one row per product of the imaging stage."""

from __future__ import annotations

from typing import NamedTuple

from app.domain.qa import Grade, grade_of_stage, image_summary, image_warnings
from app.domain.run_id import run_id


class Image(NamedTuple):
    """An image as lists show it.

    ``center_*`` in ICRS degrees, ``created_at`` in Unix seconds. ``has_ms`` tells whether the measurement set is
    indexed; without it there is no stage to grade.
    """

    id: int
    path: str
    ms_path: str
    created_at: float
    center_ra_deg: float | None
    center_dec_deg: float | None
    has_ms: int
    stage: str | None

    @property
    def qa_grade(self) -> Grade | None:
        """Grade of the measurement set's stage, ``None`` where that is not indexed."""
        return grade_of_stage(self.stage) if self.has_ms else None

    @property
    def run_id(self) -> str | None:
        """Run that made the image."""
        return run_id(self.ms_path)


class ImageDetail(NamedTuple):
    """An image with everything known of it, the newest QA row merged in.

    ``noise_jy`` and ``peak_flux_jy`` in Jy/beam, beam axes in arcsec, angles in degrees, times in Unix seconds.
    """

    id: int
    path: str
    ms_path: str
    created_at: float
    center_ra_deg: float | None
    center_dec_deg: float | None
    has_ms: int
    stage: str | None
    cal_table: str | None
    noise_jy: float | None
    dynamic_range: float | None
    beam_major_arcsec: float | None
    beam_minor_arcsec: float | None
    beam_pa_deg: float | None
    n_sources: int | None
    peak_flux_jy: float | None
    overall_quality: str | None
    qa_timestamp: float | None
    qa_rms_noise: float | None
    qa_dynamic_range: float | None
    qa_beam_major: float | None
    qa_beam_minor: float | None
    qa_beam_pa: float | None

    @property
    def qa_grade(self) -> Grade | None:
        """Grade of the measurement set's stage, ``None`` where that is not indexed."""
        return grade_of_stage(self.stage) if self.has_ms else None

    @property
    def run_id(self) -> str | None:
        """Run that made the image."""
        return run_id(self.ms_path)

    @property
    def qa_summary(self) -> str:
        """Noise, dynamic range and beam in one line."""
        return image_summary(self.noise_jy, self.dynamic_range, self.beam_major_arcsec)

    @property
    def warnings(self) -> list[str]:
        """What is worth a second look."""
        return image_warnings(self.noise_jy, self.dynamic_range)
