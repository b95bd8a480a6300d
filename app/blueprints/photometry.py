"""Photometry: every measurement of every source."""

from __future__ import annotations

from app.domain.paging import Page, PageRequest
from app.domain.photometry import PhotometryRow
from app.schemas.photometry import PhotometryQuery, PhotometryRowSchema
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services

blp = Blueprint("photometry", __name__, url_prefix="/photometry", description="Measurements of radio sources")


@blp.route("")
@blp.require(PUBLIC)
@blp.arguments(PhotometryQuery, location="query")
@blp.response(200, PhotometryRowSchema(many=True))
@blp.paginated
@blp.cacheable
def list_photometry(query: PageRequest) -> Page[PhotometryRow]:
    """List measurements, newest row first

    For one source in the order of observation, ask for its light curve.
    """
    return services().sources.measurements(query)
