"""Statistics as published."""

from __future__ import annotations

import marshmallow as ma

from app.schemas import fields
from app.schemas.base import Schema


class TotalSchema(Schema):
    """A number of rows."""

    total = ma.fields.Integer()


class MsCountSchema(TotalSchema):
    """Measurement sets, in all and in each stage that occurs; `pending` are those without a stage."""

    by_stage = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer())


class JobCountSchema(TotalSchema):
    """Batch jobs, in all and by state: `completed`, `running`, `pending`, `failed`."""

    by_status = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Integer())


class RecentImageSchema(Schema):
    """An image that came lately."""

    path = ma.fields.String()
    created_at = fields.UnixTime(allow_none=True)
    type = ma.fields.String()


class StatisticsMetaSchema(Schema):
    """About the statistics themselves."""

    generated_at = fields.UnixTime()
    cache_hint_seconds = ma.fields.Integer()


class StatisticsSchema(Schema):
    """The survey in numbers."""

    ms = ma.fields.Nested(MsCountSchema)
    images = ma.fields.Nested(TotalSchema)
    photometry = ma.fields.Nested(TotalSchema)
    sources = ma.fields.Nested(TotalSchema)
    jobs = ma.fields.Nested(JobCountSchema)
    recent_images = ma.fields.List(ma.fields.Nested(RecentImageSchema))
    cal_tables = ma.fields.Nested(TotalSchema)
    meta = ma.fields.Nested(StatisticsMetaSchema, data_key="_meta")


class TimelineQuery(Schema):
    """How far back."""

    days = fields.WholeNumber(
        load_default=30,
        validate=ma.validate.Range(min=1, max=365),
        metadata={"description": "UTC days, today included."},
    )


class DaySchema(Schema):
    """What came on one UTC day."""

    date = ma.fields.String(metadata={"format": "date"})
    ms = ma.fields.Integer(metadata={"description": "Measurement sets processed."})
    images = ma.fields.Integer(metadata={"description": "Images created."})
    photometry = ma.fields.Integer(metadata={"description": "Measurements taken."})
    jobs = ma.fields.Dict(
        metadata={
            "description": "Recorded jobs that ended.",
            "properties": {"completed": {"type": "integer"}, "failed": {"type": "integer"}},
        }
    )


class TimelineSchema(Schema):
    """Days in order, oldest first; every day is there."""

    days = ma.fields.List(ma.fields.Nested(DaySchema))
