"""Quality reports: what the pipeline's QA tables say of an image, a measurement set or a run."""

from __future__ import annotations

from typing import Any, NamedTuple

from app.domain import json_text
from app.domain.images import ImageDetail
from app.domain.qa import Grade, grade_of_stage, ms_summary


class Flag(NamedTuple):
    """Something noted about quality: a verdict of a QA table (rule and value), or a row of qa_flags (details)."""

    source: str
    rule: str | None = None
    value: Any = None
    details: dict[str, Any] | None = None

    @classmethod
    def from_row(cls, details: str) -> Flag:
        """A row of qa_flags, given as a JSON object."""
        return cls("qa_flags", details=json_text.parse(details))


class ImageReport(NamedTuple):
    """Quality of an image: its own values merged with the newest QA row, and the rows of qa_flags about it."""

    image: ImageDetail
    noted: tuple[Flag, ...]

    @property
    def image_id(self) -> str:
        """Id as clients know it."""
        return str(self.image.id)

    @property
    def qa_grade(self) -> Grade | None:
        """Grade of the image."""
        return self.image.qa_grade

    @property
    def qa_summary(self) -> str:
        """The image in one line."""
        return self.image.qa_summary

    @property
    def warnings(self) -> list[str]:
        """What is worth a second look."""
        return self.image.warnings

    @property
    def timestamp(self) -> float | None:
        """Unix time [s] of the newest QA row."""
        return self.image.qa_timestamp

    @property
    def flags(self) -> list[Flag]:
        """The verdict of the newest QA row, then the rows of qa_flags."""
        return [*_verdicts("image_qa", overall_quality=self.image.overall_quality), *self.noted]

    @property
    def measured(self) -> dict[str, float | None]:
        """Noise, dynamic range and beam.

        Notes
        -----
        Values of the QA row stand under its own column names, left out where NULL; those of the image are added
        under names that are still free.
        """
        image = self.image
        reported = {
            "rms_noise": image.qa_rms_noise,
            "dynamic_range": image.qa_dynamic_range,
            "beam_major": image.qa_beam_major,
            "beam_minor": image.qa_beam_minor,
            "beam_pa": image.qa_beam_pa,
        }
        own = {
            "rms_noise": image.noise_jy,
            "dynamic_range": image.dynamic_range,
            "beam_major_arcsec": image.beam_major_arcsec,
            "beam_minor_arcsec": image.beam_minor_arcsec,
            "beam_pa_deg": image.beam_pa_deg,
        }
        return {**own, **_known(reported)}


class MsReport(NamedTuple):
    """Quality of a measurement set: the newest calibration QA row, and the rows of qa_flags about it.

    The metrics are JSON texts, ``timestamp`` is in Unix seconds.
    """

    path: str
    status: str | None
    stage: str | None
    cal_applied: int | None
    overall_quality: str | None
    k_metrics: str | None
    bp_metrics: str | None
    g_metrics: str | None
    flags_total: float | None
    timestamp: float | None
    noted: tuple[Flag, ...] = ()

    @property
    def qa_grade(self) -> Grade:
        """Grade of its stage."""
        return grade_of_stage(self.stage)

    @property
    def qa_summary(self) -> str:
        """Calibration and stage in one line."""
        return ms_summary(self.cal_applied, self.stage)

    @property
    def measured(self) -> dict[str, Any]:
        """What is known of the calibration, with stage and status."""
        reported = {
            "overall_quality": self.overall_quality,
            "k_metrics": json_text.parse_or_keep(self.k_metrics),
            "bp_metrics": json_text.parse_or_keep(self.bp_metrics),
            "g_metrics": json_text.parse_or_keep(self.g_metrics),
            "flags_total": self.flags_total,
        }
        return {**_known(reported), "stage": self.stage, "status": self.status}

    @property
    def flags(self) -> list[Flag]:
        """The verdicts of the newest calibration QA, then the rows of qa_flags."""
        verdicts = _verdicts("calibration_qa", overall_quality=self.overall_quality, flags_total=self.flags_total)
        return [*verdicts, *self.noted]


class JobReport(NamedTuple):
    """Quality of a run: flags of its measurement set, then of the newest image made from it."""

    run_id: str
    qa_grade: Grade | None
    qa_summary: str | None
    ms_path: str | None
    cal_table: str | None
    flags: list[Flag]
    queue_status: str | None
    pipeline_config: dict[str, Any] | None


def _verdicts(source: str, **columns: Any) -> list[Flag]:
    return [Flag(source, rule, value) for rule, value in columns.items() if value is not None]


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
