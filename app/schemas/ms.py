"""Measurement sets as published."""

from __future__ import annotations

from typing import ClassVar

import marshmallow as ma

from app.domain.measurement_sets import MS_COLUMNS
from app.schemas import fields
from app.schemas.base import Schema
from app.schemas.lists import list_query

MsQuery = list_query("MsQuery", MS_COLUMNS, on_sky="pointing")


class MsSchema(Schema):
    """A measurement set in a list; `created_at` is when it was processed."""

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset({"separation_arcsec"})

    path = ma.fields.String()
    run_id = ma.fields.String()
    stage = ma.fields.String(allow_none=True)
    status = ma.fields.String(allow_none=True)
    qa_grade = fields.Grade()
    pointing_ra_deg = fields.RightAscension(allow_none=True)
    pointing_dec_deg = fields.Declination(allow_none=True)
    created_at = fields.UnixTime(attribute="processed_at", allow_none=True)
    separation_arcsec = ma.fields.Float(metadata={"description": "From the position searched around."})


class CalibratorMatchSchema(Schema):
    """A calibration table solved from a measurement set."""

    cal_table = ma.fields.String()
    type = ma.fields.String(allow_none=True)


class MsMetadataSchema(Schema):
    """A measurement set in full; `created_at` is when it was processed."""

    path = ma.fields.String()
    pointing_ra_deg = fields.RightAscension(allow_none=True)
    pointing_dec_deg = fields.Declination(allow_none=True)
    calibrator_matches = ma.fields.List(ma.fields.Nested(CalibratorMatchSchema))
    qa_grade = fields.Grade()
    qa_summary = ma.fields.String()
    run_id = ma.fields.String()
    created_at = fields.UnixTime(attribute="processed_at", allow_none=True)


class CalibratorMatchesSchema(Schema):
    """Calibration tables solved from a measurement set, in the order in which they are applied."""

    ms_path = ma.fields.String(attribute="path")
    matches = ma.fields.List(ma.fields.Nested(CalibratorMatchSchema), attribute="calibrator_matches")
