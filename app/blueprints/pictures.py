"""Pictures and cut-outs of images, their headers, and the sources measured in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response

from app.domain.paging import Page, PageRequest
from app.domain.pictures import AnimationRequest, CutoutRequest, ImageSource, Look
from app.schemas.pictures import (
    AnimationQuery,
    CutoutQuery,
    HduHeaderSchema,
    HeaderQuery,
    ImageSourceQuery,
    ImageSourceSchema,
    PreviewQuery,
    ThumbnailQuery,
)
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services
from app.web.files import send_picture
from app.web.ratelimit import RENDERINGS

BINARY = {"type": "string", "format": "binary"}

blp = Blueprint("pictures", __name__, url_prefix="/images", description="Pictures and cut-outs of images")

_HEADERS: dict[str, Callable[[str], Any]] = {
    "json": lambda image_id: services().pictures.headers(image_id),
    "text": lambda image_id: Response(services().pictures.headers_as_text(image_id), mimetype="text/plain"),
}


@blp.route("/<image_id>/header")
@blp.require(PUBLIC)
@blp.arguments(HeaderQuery, location="query")
@blp.response(200, HduHeaderSchema(many=True))
@blp.doc(responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
def get_image_header(query: dict[str, Any], image_id: str) -> Any:
    """Read the FITS header of an image

    Every HDU of the file, its cards in their order.
    """
    return _HEADERS[query["format"]](image_id)


@blp.route("/<image_id>/thumbnail")
@blp.require(PUBLIC)
@blp.limited(RENDERINGS)
@blp.arguments(ThumbnailQuery, location="query")
@blp.response(200, BINARY, content_type="image/png")
def get_image_thumbnail(query: dict[str, Any], image_id: str) -> Response:
    """See an image as a small grey picture

    North up, east left, from the 1st to the 99.5th percentile. Pixels without a value are transparent.
    """
    return send_picture(services().pictures.thumbnail(image_id, query["size"]))


@blp.route("/<image_id>/preview.png")
@blp.require(PUBLIC)
@blp.limited(RENDERINGS)
@blp.arguments(PreviewQuery, location="query")
@blp.response(200, BINARY, content_type="image/png")
def get_image_preview(query: Look, image_id: str) -> Response:
    """See an image as a picture for a slide

    With right ascension and declination, a colour bar in its unit, field, date, frequency and beam; with `sources`
    the 500 brightest measured in it are circled, dotted where they do not stand out from the noise.
    """
    return send_picture(services().pictures.preview(image_id, query))


@blp.route("/<image_id>/cutout")
@blp.require(PUBLIC)
@blp.limited(RENDERINGS)
@blp.arguments(CutoutQuery, location="query")
@blp.response(200, BINARY, content_type="application/fits")
@blp.doc(responses={200: {"content": {"image/png": {"schema": BINARY}}}})
def get_image_cutout(query: CutoutRequest, image_id: str) -> Response:
    """Cut a square out of an image

    As FITS with all axes, coordinates, beam and unit, or drawn as PNG. What lies outside the image is cut off; 404 if
    that is everything.
    """
    return send_picture(services().pictures.cutout(image_id, query))


@blp.route("/<image_id>/animation")
@blp.require(PUBLIC)
@blp.limited(RENDERINGS)
@blp.arguments(AnimationQuery, location="query")
@blp.response(200, BINARY, content_type="image/gif")
def get_image_animation(query: AnimationRequest, image_id: str) -> Response:
    """See how a field changes, as an animated GIF

    Images of the same type whose field bears the same name or whose centre lies within half a degree, nearest in time
    to this one and in the order of their observation, on this one's grid and scale. 404 where there is no second.
    """
    return send_picture(services().pictures.animation(image_id, query))


@blp.route("/<image_id>/sources")
@blp.require(PUBLIC)
@blp.arguments(ImageSourceQuery, location="query")
@blp.response(200, ImageSourceSchema(many=True))
@blp.paginated
@blp.cacheable
def list_image_sources(query: PageRequest, image_id: str) -> Page[ImageSource]:
    """List the sources measured in an image, brightest first"""
    return services().pictures.sources(image_id, query)
