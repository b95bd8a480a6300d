"""What is asked for in bulk, and the lines of the tables that come of it."""

from __future__ import annotations

from typing import Any, ClassVar

import marshmallow as ma

from app.domain.exports import MOST_IMAGES, MOST_SOURCES
from app.schemas import fields
from app.schemas.base import Schema
from app.schemas.images import ImageDetailSchema
from app.schemas.ratings import ImageIdText

FORMATS = ("fits", "zip", "tar", "csv", "json")
_FORMAT_HELP = (
    "`fits` and `zip`: a ZIP archive of the files; `tar`: the same as .tar.gz; `csv` and `json`: what is known of the "
    "images, without the files."
)


class BulkQuery(Schema):
    """Which images, and as what."""

    ids = ma.fields.String(
        load_default="",
        validate=lambda text: check_number(len(split_ids(text)), MOST_IMAGES, "ids"),
        metadata={"description": f"Comma-separated ids of images, {MOST_IMAGES} at most."},
    )
    kind = fields.Word(*FORMATS, data_key="format", load_default="fits", metadata={"description": _FORMAT_HELP})

    @ma.post_load
    def split(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The ids one by one."""
        return data | {"ids": split_ids(data["ids"])}


class BulkOrderSchema(Schema):
    """Which images, and as what."""

    ids = ma.fields.List(
        ImageIdText(validate=ma.validate.Length(max=100)),
        data_key="image_ids",
        load_default=list,
        validate=lambda ids: check_number(len(ids), MOST_IMAGES, "image_ids"),
    )
    kind = fields.Word(*FORMATS, data_key="format", load_default="fits", metadata={"description": _FORMAT_HELP})


class DeleteQuery(Schema):
    """What to remove."""

    delete_files = fields.Flag(load_default=False, metadata={"description": "`true` removes the image's file as well."})


class ImageDeletedSchema(Schema):
    """An image that was removed."""

    status = ma.fields.String(metadata={"enum": ["deleted"]})
    image_id = fields.Identifier()
    file_deleted = ma.fields.Boolean(
        metadata={
            "description": "Whether its file is gone. It stays unless `delete_files` was set, and where another image "
            "names it, where it lies outside the data roots, and where it is no regular file."
        }
    )


class SourcesQuery(Schema):
    """Which sources."""

    ids = ma.fields.String(
        load_default="",
        validate=lambda text: check_number(len(split_ids(text)), MOST_SOURCES, "ids"),
        metadata={"description": f"Comma-separated ids of sources, {MOST_SOURCES} at most."},
    )


class ExportedImageSchema(ImageDetailSchema):
    """An image as a line of a table: with every column, known or not."""

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset()


class ExportedSourceSchema(Schema):
    """A source as a line of a table."""

    id = ma.fields.String()
    name = ma.fields.String()
    ra_deg = fields.RightAscension()
    dec_deg = fields.Declination()
    num_images = ma.fields.Integer()
    latest_image_id = ma.fields.Integer(allow_none=True)


def split_ids(text: str) -> list[str]:
    """Ids of a comma-separated text."""
    return [id for part in text.split(",") if (id := part.strip())]


def check_number(n: int, most: int, field: str) -> None:
    """Complain where there are more than ``most``."""
    if n > most:
        raise ma.ValidationError(f"{n} at once are too many; {most} are the most.", field)
