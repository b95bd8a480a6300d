"""Judging images: ratings, and removal."""

from __future__ import annotations

from typing import Any

from app.domain.exports import ImageDeleted
from app.domain.ratings import Opinion, RatingGiven, Ratings
from app.queue.idempotency import Once
from app.schemas.downloads import DeleteQuery, ImageDeletedSchema
from app.schemas.queue import IdempotencyHeader
from app.schemas.ratings import RatingGivenSchema, RatingOrderSchema, RatingsQuery, RatingsSchema
from app.web.api import Blueprint
from app.web.auth import PUBLIC, WRITE, caller
from app.web.context import services

blp = Blueprint("ratings", __name__, url_prefix="/images", description="What people think of images")


@blp.route("/<image_id>/rating", methods=["POST"])
@blp.require(WRITE)
@blp.arguments(RatingOrderSchema)
@blp.arguments(IdempotencyHeader, location="headers")
@blp.response(200, RatingGivenSchema)
def rate_image(body: dict[str, Any], header: dict[str, Any], image_id: str) -> RatingGiven:
    """Rate an image

    With a number, with a verdict and a tag, or with both. Every rating is kept.
    """
    rater = body["rater"] or caller().key_id
    opinion = Opinion(body["rating"], body["confidence"], body["tag"], body["comment"], rater)
    once = Once(header["key"], ["rating", image_id, body])
    return services().ratings.rate(image_id, opinion, once, item_id=body["item_id"])


@blp.route("/<image_id>/ratings")
@blp.require(PUBLIC)
@blp.arguments(RatingsQuery, location="query")
@blp.response(200, RatingsSchema)
def get_image_ratings(query: dict[str, int], image_id: str) -> Ratings:
    """Read what people think of an image, newest first"""
    return services().ratings.of_image(image_id, limit=query["limit"], offset=query["offset"])


@blp.route("/<image_id>", methods=["DELETE"])
@blp.require(WRITE)
@blp.arguments(DeleteQuery, location="query")
@blp.response(200, ImageDeletedSchema)
def delete_image(query: dict[str, bool], image_id: str) -> ImageDeleted:
    """Remove an image

    From the products database, which belongs to the pipeline: 403 unless the operator allows it.
    """
    return services().deletion.delete_image(image_id, delete_file=query["delete_files"])
