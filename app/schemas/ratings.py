"""Ratings as published, and the two ways in which clients write them."""

from __future__ import annotations

from typing import Any, ClassVar

import marshmallow as ma

from app.domain.ratings import BEST, CONFIDENCES, TAGS, WORST
from app.schemas import fields
from app.schemas.base import Schema

LONGEST_COMMENT = 4000
LONGEST_RATER = 100
MOST_RATINGS = 1000


class ImageIdText(ma.fields.String):
    """An image's id as text; numbers are taken for it as well."""

    PLAIN = True

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        number = isinstance(value, int) and not isinstance(value, bool)
        return str(super()._deserialize(str(value) if number else value, attr, data, **kwargs)).strip()


class RatingOrderSchema(Schema):
    """What somebody thinks of an image: a number from 1 to 5, or a verdict and a tag, or both."""

    item_id = ImageIdText(
        data_key="itemId",
        load_default=None,
        validate=ma.validate.Length(max=4096),
        metadata={"description": "The image, once more; another than that of the address is refused."},
    )
    rating = fields.WholeNumber(
        load_default=None,
        allow_none=True,
        validate=ma.validate.Range(WORST, BEST),
        metadata={"description": f"{WORST} (worst) to {BEST}."},
    )
    confidence = fields.Word(
        *CONFIDENCES, load_default=None, allow_none=True, metadata={"description": "Whether it can be relied on."}
    )
    tag = fields.Word(
        *TAGS, data_key="tagId", load_default=None, allow_none=True, metadata={"description": "What it looks like."}
    )
    comment = ma.fields.String(load_default=None, allow_none=True, validate=ma.validate.Length(max=LONGEST_COMMENT))
    notes = ma.fields.String(
        load_default=None,
        allow_none=True,
        validate=ma.validate.Length(max=LONGEST_COMMENT),
        metadata={"description": "Another name of `comment`."},
    )
    rater = ma.fields.String(
        load_default=None,
        allow_none=True,
        validate=ma.validate.Length(max=LONGEST_RATER),
        metadata={"description": "Whose opinion it is; without one, the name of the key or token."},
    )

    @ma.validates_schema
    def say_something(self, data: dict[str, Any], **_: Any) -> None:
        """A comment alone is no rating."""
        if data["rating"] is None and data["confidence"] is None and data["tag"] is None:
            raise ma.ValidationError("One of rating, confidence and tagId is needed.", "rating")

    @ma.post_load
    def one_comment(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Both names of the comment are one."""
        notes = data.pop("notes")
        data["comment"] = data["comment"] or notes or ""
        return data


class RatingSchema(Schema):
    """A rating."""

    image_id = fields.Identifier()
    rating = ma.fields.Integer(allow_none=True)
    confidence = ma.fields.String(allow_none=True, metadata={"enum": [*CONFIDENCES, None]})
    tag = ma.fields.String(allow_none=True, metadata={"enum": [*TAGS, None]})
    comment = ma.fields.String()
    rater = ma.fields.String()
    rated_at = fields.UnixTime()


class RatingGivenSchema(RatingSchema):
    """A rating that was just given."""

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset({"new_average"})

    new_average = ma.fields.Float(metadata={"description": "Mean of the numbers given; left out without any."})


class RatingsQuery(Schema):
    """Which ratings."""

    limit = fields.WholeNumber(
        load_default=100,
        validate=ma.validate.Range(0, MOST_RATINGS),
        metadata={"description": f"Most ratings to return: 100 unless given, {MOST_RATINGS} at most."},
    )
    offset = fields.WholeNumber(
        load_default=0, validate=ma.validate.Range(0, 2**53), metadata={"description": "Ratings to pass over."}
    )


class RatingsSchema(Schema):
    """Ratings of an image."""

    image_id = fields.Identifier()
    count = ma.fields.Integer(attribute="n_ratings", metadata={"description": "How many there are altogether."})
    average = ma.fields.Float(allow_none=True, metadata={"description": "Mean of all numbers given; null without."})
    ratings = ma.fields.List(ma.fields.Nested(RatingSchema), metadata={"description": "Newest first."})
