"""Photometry as published."""

from __future__ import annotations

import marshmallow as ma

from app.domain.photometry import PHOTOMETRY_COLUMNS
from app.schemas import fields
from app.schemas.base import Schema
from app.schemas.lists import list_query

PhotometryQuery = list_query("PhotometryQuery", PHOTOMETRY_COLUMNS)


class PhotometryRowSchema(Schema):
    """A measurement in a list; fluxes are null where unknown."""

    id = fields.Identifier()
    source_id = ma.fields.String(allow_none=True)
    image_path = ma.fields.String()
    ra_deg = fields.RightAscension(allow_none=True)
    dec_deg = fields.Declination(allow_none=True)
    mjd = fields.Mjd(allow_none=True)
    flux_jy = ma.fields.Float(allow_none=True, metadata={"description": "Integrated, else peak."})
    flux_err_jy = ma.fields.Float(allow_none=True)
    peak_jyb = ma.fields.Float(allow_none=True)
    peak_err_jyb = ma.fields.Float(allow_none=True)
    snr = ma.fields.Float(allow_none=True)
    measured_at = fields.UnixTime(allow_none=True)
