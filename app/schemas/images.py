"""Images as published."""

from __future__ import annotations

from typing import ClassVar

import marshmallow as ma

from app.domain.images import IMAGE_COLUMNS
from app.schemas import fields
from app.schemas.base import Schema
from app.schemas.lists import list_query

ImageQuery = list_query("ImageQuery", IMAGE_COLUMNS, on_sky="image")


class ImageSchema(Schema):
    """An image in a list."""

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset({"separation_arcsec"})

    id = fields.Identifier()
    path = ma.fields.String()
    qa_grade = fields.Grade()
    created_at = fields.UnixTime(allow_none=True)
    run_id = ma.fields.String(allow_none=True)
    pointing_ra_deg = fields.RightAscension(attribute="center_ra_deg", allow_none=True)
    pointing_dec_deg = fields.Declination(attribute="center_dec_deg", allow_none=True)
    separation_arcsec = ma.fields.Float(metadata={"description": "From the position searched around."})


class ImageDetailSchema(Schema):
    """An image in full. Noise, dynamic range and beam are left out where unknown."""

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset(
        {"noise_jy", "dynamic_range", "beam_major_arcsec", "beam_minor_arcsec", "beam_pa_deg"}
    )

    id = fields.Identifier()
    path = ma.fields.String()
    ms_path = ma.fields.String(allow_none=True)
    cal_table = ma.fields.String(allow_none=True)
    pointing_ra_deg = fields.RightAscension(attribute="center_ra_deg", allow_none=True)
    pointing_dec_deg = fields.Declination(attribute="center_dec_deg", allow_none=True)
    qa_grade = fields.Grade()
    qa_summary = ma.fields.String()
    run_id = ma.fields.String(allow_none=True)
    created_at = fields.UnixTime(allow_none=True)
    noise_jy = ma.fields.Float()
    dynamic_range = ma.fields.Float()
    beam_major_arcsec = ma.fields.Float()
    beam_minor_arcsec = ma.fields.Float()
    beam_pa_deg = ma.fields.Float()
