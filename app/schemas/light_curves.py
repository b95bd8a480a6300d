"""Which light curves, and which part of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import marshmallow as ma

from app.domain.photometry import Cut
from app.schemas import fields
from app.schemas.base import Schema

MOST_SOURCES = 1000


class LightCurvesRequest(NamedTuple):
    """Several light curves."""

    source_ids: list[str]
    cut: Cut


class BetweenDates(Schema):
    """Between which times; both are included."""

    start_date = fields.MjdMoment(
        load_default=None,
        metadata={"description": "First time of observation; a bare date means 00:00."},
    )
    end_date = fields.MjdMoment(load_default=None, metadata={"description": "Last time of observation."})


class CutSchema(BetweenDates):
    """Which part of a light curve."""

    flux_type = fields.Word(
        "integrated",
        "peak",
        load_default=None,
        metadata={"description": "Which flux; unless given, integrated where it was measured, else peak."},
    )
    min_snr = fields.Number(
        load_default=None,
        metadata={"description": "Smallest signal to noise; flux over error where the pipeline stored none."},
    )

    @ma.post_load
    def to_cut(self, data: dict[str, Any], **_: Any) -> Any:
        """The part asked for."""
        return Cut(data["start_date"], data["end_date"], data["flux_type"], data["min_snr"])


class LightCurveQuery(CutSchema):
    """Which part of a light curve, and what as."""

    format = fields.TableFormat()


class LightCurvesBody(CutSchema):
    """Whose light curves, and which part of them."""

    source_ids = ma.fields.List(
        ma.fields.String(),
        required=True,
        validate=ma.validate.Length(min=1, max=MOST_SOURCES),
        metadata={"description": f"Sources, {MOST_SOURCES} at most."},
    )

    @ma.post_load
    def to_cut(self, data: dict[str, Any], **_: Any) -> LightCurvesRequest:
        """The light curves asked for, none twice."""
        return LightCurvesRequest(list(dict.fromkeys(data["source_ids"])), super().to_cut(data))


class TableFormatQuery(Schema):
    """What the answer is sent as."""

    format = fields.TableFormat()
