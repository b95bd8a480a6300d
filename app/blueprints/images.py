"""Images."""

from __future__ import annotations

from flask import Response

from app.domain.images import Image, ImageDetail
from app.domain.paging import Page, PageRequest
from app.domain.provenance import Provenance
from app.domain.quality import ImageReport
from app.schemas.images import ImageDetailSchema, ImageQuery, ImageSchema
from app.schemas.provenance import ProvenanceSchema
from app.schemas.qa import ImageQaSchema
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services
from app.web.files import send_data_file

blp = Blueprint("images", __name__, url_prefix="/images", description="Products of the imaging stage")


@blp.route("")
@blp.require(PUBLIC)
@blp.arguments(ImageQuery, location="query")
@blp.response(200, ImageSchema(many=True))
@blp.paginated
@blp.cacheable
def list_images(query: PageRequest) -> Page[Image]:
    """List images, newest first"""
    return services().images.page(query)


@blp.route("/<image_id>")
@blp.require(PUBLIC)
@blp.response(200, ImageDetailSchema)
@blp.cacheable
def get_image(image_id: str) -> ImageDetail:
    """Get an image

    Values of the newest quality report are merged in. Noise, dynamic range and beam are left out where unknown.
    """
    return services().images.get(image_id)


@blp.route("/<image_id>/provenance")
@blp.require(PUBLIC)
@blp.response(200, ProvenanceSchema)
@blp.cacheable
def get_image_provenance(image_id: str) -> Provenance:
    """Trace an image back to its measurement set, calibration, run and log"""
    return services().images.provenance(image_id)


@blp.route("/<image_id>/qa")
@blp.require(PUBLIC)
@blp.response(200, ImageQaSchema)
@blp.cacheable
def get_image_qa(image_id: str) -> ImageReport:
    """Get an image's quality: metrics, beam, flags and warnings"""
    return services().qa.image(image_id)


@blp.route("/<image_id>/fits")
@blp.require(PUBLIC)
@blp.response(200, {"type": "string", "format": "binary"}, content_type="application/fits")
def get_image_fits(image_id: str) -> Response:
    """Download an image's FITS file

    Supports `Range`, `If-Range` and `If-None-Match`, so that a broken download resumes.
    """
    return send_data_file(services().images.fits_file(image_id), "application/fits")
