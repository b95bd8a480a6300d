"""Pictures, cut-outs and headers: what may be asked, and how headers and measured sources are published."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from app.domain.pictures import COLOUR_MAPS, STRETCHES, THEMES, AnimationRequest, CutoutRequest, Look
from app.schemas import fields
from app.schemas.base import Schema
from app.schemas.cones import Angle
from app.schemas.lists import ListQuery

LARGEST_SIZE_ARCSEC = 36_000.0


def _size(smallest: int, default: int, largest: int) -> fields.WholeNumber:
    return fields.WholeNumber(
        load_default=default,
        validate=ma.validate.Range(min=smallest, max=largest),
        metadata={"description": f"Longer side of the picture [px], {smallest} to {largest}."},
    )


def _colour_map() -> fields.Word:
    return fields.Word(*COLOUR_MAPS, load_default="gray", metadata={"description": "Colour map."})


class HeaderQuery(Schema):
    """In which form a header is wanted."""

    format = fields.Word(
        "json",
        "text",
        load_default="json",
        metadata={"description": "`json`, or `text`: the cards as they stand, 80 characters a line."},
    )


class CardSchema(Schema):
    """One card of a header."""

    keyword = ma.fields.String(metadata={"description": "Comes more than once for `COMMENT` and `HISTORY`."})
    value = ma.fields.Raw(
        allow_none=True,
        metadata={
            "description": "Text, number or truth value; null where the card has none.",
            "type": ["string", "number", "boolean", "null"],
        },
    )
    comment = ma.fields.String()


class HduHeaderSchema(Schema):
    """The header of one HDU."""

    index = ma.fields.Integer(attribute="number", metadata={"description": "Position in the file, from 0."})
    name = ma.fields.String()
    kind = ma.fields.String(metadata={"enum": ["image", "table", "other"]})
    shape = ma.fields.List(ma.fields.Integer(), metadata={"description": "Lengths of the axes, `NAXIS1` last."})
    cards = ma.fields.List(ma.fields.Nested(CardSchema))


class ThumbnailQuery(Schema):
    """How large a thumbnail is wanted."""

    size = _size(32, 256, 2048)


class PreviewQuery(Schema):
    """How a preview is drawn."""

    size = _size(320, 900, 2048)
    stretch = fields.Word(
        *STRETCHES,
        load_default="asinh",
        metadata={"description": "From flux to brightness; `asinh` shows noise and bright sources at once."},
    )
    cmap = _colour_map()
    theme = fields.Word(*THEMES, load_default="light", metadata={"description": "Colours around the image."})
    beam = fields.Flag(load_default=True, metadata={"description": "Draw the beam in the lower left corner."})
    sources = fields.Flag(load_default=False, metadata={"description": "Circle the sources measured in it."})
    grid = fields.Flag(load_default=False, metadata={"description": "Draw lines of equal coordinates."})

    @ma.post_load
    def to_request(self, data: dict[str, Any], **_: Any) -> Any:
        """How it shall look."""
        return _look(data)


class CutoutQuery(PreviewQuery):
    """What is cut out; how it looks matters for `png` only."""

    ra_deg = Angle(
        0,
        360,
        hours=True,
        load_default=None,
        description="Right ascension of the centre, ICRS: degrees, or `05:34:31.9`, `5h34m31.9s`.",
    )
    dec_deg = Angle(
        -90,
        90,
        hours=False,
        load_default=None,
        description="Declination of the centre, ICRS: degrees, or `+22:00:52`, `22d00m52s`.",
    )
    source = ma.fields.String(
        load_default=None,
        validate=ma.validate.Length(min=1, max=1000),
        metadata={"description": "One of our sources as the centre, instead of a position."},
    )
    size_arcsec = ma.fields.Float(
        load_default=None,
        validate=ma.validate.Range(min=0.0, max=LARGEST_SIZE_ARCSEC, min_inclusive=False),
        metadata={"description": "Side of the square [arcsec]; 300 unless given."},
    )
    size_arcmin = ma.fields.Float(
        load_default=None,
        validate=ma.validate.Range(min=0.0, max=LARGEST_SIZE_ARCSEC / 60.0, min_inclusive=False),
        metadata={"description": "The same in arcmin."},
    )
    format = fields.Word("fits", "png", load_default="fits", metadata={"description": "`fits`, or a preview as `png`."})

    @ma.validates_schema
    def check_centre(self, data: dict[str, Any], **_: Any) -> None:
        """Either a whole position or a source."""
        given = [data["ra_deg"] is not None, data["dec_deg"] is not None, data["source"] is not None]
        if given not in ([True, True, False], [False, False, True]):
            raise ma.ValidationError("Give ra_deg and dec_deg, or source.", "ra_deg")

    @ma.validates_schema
    def check_size(self, data: dict[str, Any], **_: Any) -> None:
        """One size."""
        if None not in (data["size_arcsec"], data["size_arcmin"]):
            raise ma.ValidationError("Give size_arcsec or size_arcmin, not both.", "size_arcsec")

    @ma.post_load
    def to_request(self, data: dict[str, Any], **_: Any) -> CutoutRequest:
        """The square, its format and its look."""
        size_arcsec = data["size_arcsec"] or (data["size_arcmin"] or 5.0) * 60.0
        return CutoutRequest(data["ra_deg"], data["dec_deg"], data["source"], size_arcsec, data["format"], _look(data))


class AnimationQuery(Schema):
    """How an animation runs."""

    frames = fields.WholeNumber(
        load_default=10,
        validate=ma.validate.Range(min=2, max=50),
        metadata={"description": "Most images shown, those nearest in time to this one; 2 to 50."},
    )
    fps = ma.fields.Float(
        load_default=2.0,
        validate=ma.validate.Range(min=1.0, max=10.0),
        metadata={"description": "Images a second, 1 to 10."},
    )
    size = _size(128, 480, 640)
    cmap = _colour_map()

    @ma.post_load
    def to_request(self, data: dict[str, Any], **_: Any) -> AnimationRequest:
        """The animation asked for."""
        return AnimationRequest(data["frames"], data["fps"], data["size"], data["cmap"])


class ImageSourceQuery(ListQuery):
    """Which measurements."""


class ImageSourceSchema(Schema):
    """A source as measured in one image."""

    id = ma.fields.String(allow_none=True)
    ra_deg = fields.RightAscension(allow_none=True)
    dec_deg = fields.Declination(allow_none=True)
    flux_jy = ma.fields.Float(allow_none=True)
    flux_err_jy = ma.fields.Float(allow_none=True)
    snr = ma.fields.Float(allow_none=True, metadata={"description": "Signal to noise; flux over error if not stored."})
    detected = ma.fields.Boolean(metadata={"description": "Whether signal to noise is at least 5."})
    mjd = fields.Mjd(allow_none=True)


def _look(data: dict[str, Any]) -> Look:
    return Look(data["size"], data["stretch"], data["cmap"], data["theme"], data["beam"], data["sources"], data["grid"])
