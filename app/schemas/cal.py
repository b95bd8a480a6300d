"""Calibration tables as published."""

from __future__ import annotations

import marshmallow as ma

from app.domain.calibration import CAL_COLUMNS
from app.schemas import fields
from app.schemas.base import Schema
from app.schemas.lists import list_query

CalQuery = list_query("CalQuery", CAL_COLUMNS)


class CalTableSchema(Schema):
    """A calibration table in a list."""

    path = ma.fields.String()
    set_name = ma.fields.String(allow_none=True)
    table_type = ma.fields.String()
    status = ma.fields.String(allow_none=True)
    source_ms_path = ma.fields.String(allow_none=True)
    created_at = fields.UnixTime(allow_none=True)


class CalTableDetailSchema(Schema):
    """A calibration table in full."""

    path = ma.fields.String()
    table_type = ma.fields.String(metadata={"description": "K, BA, BP, GA, GP, 2G or FLUX, as the pipeline wrote it."})
    set_name = ma.fields.String(allow_none=True)
    cal_field = ma.fields.String(allow_none=True)
    refant = ma.fields.String(allow_none=True)
    created_at = fields.UnixTime(allow_none=True)
    source_ms_path = ma.fields.String(allow_none=True)
    status = ma.fields.String(allow_none=True)
    notes = ma.fields.String(allow_none=True)
