"""Quality reports as published."""

from __future__ import annotations

from typing import Any, ClassVar

import marshmallow as ma

from app.domain.graded_days import DaysQuery
from app.domain.plots import FIRST_MJD, LAST_MJD
from app.schemas import fields
from app.schemas.base import Schema


class FlagSchema(Schema):
    """Something noted about quality: `rule` and `value` of a QA table, or the `details` of a row of qa_flags."""

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset({"rule", "value", "details"})

    rule = ma.fields.String()
    value = ma.fields.Raw()
    source = ma.fields.String(metadata={"enum": ["image_qa", "calibration_qa", "qa_flags"]})
    details = ma.fields.Dict()


class ImageQualityMetricsSchema(Schema):
    """Noise and dynamic range of an image."""

    noise_rms_jy = ma.fields.Float(attribute="noise_jy", allow_none=True)
    dynamic_range = ma.fields.Float(allow_none=True)
    theoretical_noise_jy = fields.Computed(lambda _: None, metadata={"type": ["number", "null"]})


class BeamSchema(Schema):
    """Restoring beam of an image."""

    major_arcsec = ma.fields.Float(attribute="beam_major_arcsec", allow_none=True)
    minor_arcsec = ma.fields.Float(attribute="beam_minor_arcsec", allow_none=True)
    pa_deg = ma.fields.Float(attribute="beam_pa_deg", allow_none=True)


class SourceStatsSchema(Schema):
    """What was found in an image."""

    n_sources = ma.fields.Integer(allow_none=True)
    peak_flux_jy = ma.fields.Float(allow_none=True)


class ImageQaSchema(Schema):
    """Quality of an image, values of its newest QA row merged in."""

    class Meta:
        dump_only = ("quality_metrics", "beam", "source_stats")  # several read one attribute

    image_id = ma.fields.String()
    qa_grade = fields.Grade()
    qa_summary = ma.fields.String()
    quality_metrics = ma.fields.Nested(ImageQualityMetricsSchema, attribute="image")
    beam = ma.fields.Nested(BeamSchema, attribute="image")
    source_stats = ma.fields.Nested(SourceStatsSchema, attribute="image")
    flags = ma.fields.List(ma.fields.Nested(FlagSchema))
    warnings = ma.fields.List(ma.fields.String())


class ImageReportSchema(Schema):
    """Quality report of an image; `timestamp` in Unix seconds."""

    image_id = ma.fields.String()
    qa_grade = fields.Grade()
    qa_summary = ma.fields.String()
    quality_metrics = ma.fields.Dict(attribute="measured")
    flags = ma.fields.List(ma.fields.Nested(FlagSchema))
    timestamp = ma.fields.Float(allow_none=True)


class MsReportSchema(Schema):
    """Quality report of a measurement set; `timestamp` in Unix seconds."""

    ms_path = ma.fields.String(attribute="path")
    qa_grade = fields.Grade()
    qa_summary = ma.fields.String()
    stage = ma.fields.String(allow_none=True)
    status = ma.fields.String(allow_none=True)
    cal_applied = fields.Computed(lambda report: bool(report.cal_applied), metadata={"type": "boolean"})
    quality_metrics = ma.fields.Dict(attribute="measured")
    flags = ma.fields.List(ma.fields.Nested(FlagSchema))
    timestamp = ma.fields.Float(allow_none=True)


class JobReportSchema(Schema):
    """Quality report of a job: flags of its measurement set, then of the newest image made from it."""

    run_id = ma.fields.String()
    qa_grade = fields.Grade()
    qa_summary = ma.fields.String()
    ms_path = ma.fields.String(allow_none=True)
    cal_table = ma.fields.String(allow_none=True)
    flags = ma.fields.List(ma.fields.Nested(FlagSchema))
    queue_status = ma.fields.String(allow_none=True, metadata={"description": "Status as the jobs table words it."})
    pipeline_config = ma.fields.Dict(allow_none=True)


class QaDaysQuery(Schema):
    """Which days."""

    days = fields.WholeNumber(
        load_default=30, validate=ma.validate.Range(min=1, max=365), metadata={"description": "How many UTC days."}
    )
    end_date = fields.IsoDate(
        load_default=None,
        validate=ma.validate.Range(min=FIRST_MJD, max=LAST_MJD, error="Give a day from 1858-11-17 to 2680-04-01."),
        metadata={"description": "The last of them, `YYYY-MM-DD`; the day of the newest image unless given."},
    )

    @ma.post_load
    def to_request(self, data: dict[str, Any], **_: Any) -> DaysQuery:
        """The days asked for."""
        return DaysQuery(data["days"], data["end_date"])


class QaDaySchema(Schema):
    """Images made on one UTC day, by grade."""

    date = ma.fields.String(metadata={"format": "date"})
    good = ma.fields.Integer()
    warn = ma.fields.Integer()
    fail = ma.fields.Integer()
    ungraded = ma.fields.Integer(metadata={"description": "Their measurement set is not indexed."})
    total = ma.fields.Integer()


class QaDaysSchema(Schema):
    """Days in order, oldest first; every day is there, and none where there is no image at all."""

    days = ma.fields.List(ma.fields.Nested(QaDaySchema))
