"""Plots: what may be asked of one."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from app.domain.pictures import THEMES
from app.domain.plots import BOTH, FIRST_MJD, FLUX_TYPES, LAST_MJD, CandidatesPlot, LightCurvePlot, Sheet, TimelinePlot
from app.domain.variability.candidates import CandidateQuery
from app.schemas import fields
from app.schemas.base import Schema
from app.schemas.light_curves import BetweenDates
from app.schemas.stats import TimelineQuery
from app.schemas.variability import CandidateQuerySchema

SMALLEST_PX, LARGEST_PX = 200, 3000


class SheetQuery(Schema):
    """How large a plot is, and in which colours."""

    width = fields.WholeNumber(
        load_default=900,
        validate=ma.validate.Range(min=SMALLEST_PX, max=LARGEST_PX),
        metadata={"description": f"Width of the plot [px], {SMALLEST_PX} to {LARGEST_PX}."},
    )
    height = fields.WholeNumber(
        load_default=None,
        validate=ma.validate.Range(min=SMALLEST_PX, max=LARGEST_PX),
        metadata={"description": "Height [px], within the same bounds; in proportion to the width unless given."},
    )
    theme = fields.Word(*THEMES, load_default="light", metadata={"description": "Colours of paper and ink."})


class LightCurvePlotQuery(SheetQuery, BetweenDates):
    """Which part of a light curve is drawn, and how."""

    flux_type = fields.Word(
        *FLUX_TYPES,
        BOTH,
        load_default=None,
        metadata={"description": "Which flux is drawn; the integrated one, else the peak, unless given."},
    )

    @ma.post_load
    def to_request(self, data: dict[str, Any], **_: Any) -> LightCurvePlot:
        """The plot asked for."""
        return LightCurvePlot(data["flux_type"], data["start_date"], data["end_date"], _sheet(data))


class TimelinePlotQuery(SheetQuery, TimelineQuery):
    """Which days are drawn, and how."""

    end_date = fields.IsoDate(
        load_default=None,
        validate=ma.validate.Range(min=FIRST_MJD, max=LAST_MJD, error="Give a day from 1858-11-17 to 2680-04-01."),
        metadata={"description": "The last day, `YYYY-MM-DD` or a date and time, UTC; today unless given."},
    )

    @ma.post_load
    def to_request(self, data: dict[str, Any], **_: Any) -> TimelinePlot:
        """The plot asked for."""
        return TimelinePlot(data["days"], data["end_date"], _sheet(data))


class CandidatesPlotQuery(SheetQuery, CandidateQuerySchema):
    """Which sources are compared, and how that is drawn."""

    class Meta(CandidateQuerySchema.Meta):
        exclude = ("limit",)

    @ma.post_load
    def make(self, values: dict[str, Any], **_: Any) -> Any:
        """The plot asked for."""
        query = CandidateQuery(values["n_sigma"], values["flux_type"], values["min_n"], values["min_snr"])
        return CandidatesPlot(query, _sheet(values))


def _sheet(data: dict[str, Any]) -> Sheet:
    return Sheet(data["width"], data["height"], data["theme"])
