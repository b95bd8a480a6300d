"""Sources and their photometry as published."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import marshmallow as ma

from app.domain.sources import SOURCE_COLUMNS
from app.schemas import fields
from app.schemas.base import Schema
from app.schemas.lists import list_query
from app.schemas.variability import MetricsByTypeSchema

SourceQuery = list_query(
    "SourceQuery",
    SOURCE_COLUMNS,
    on_sky="source",
    parameters={
        "flux_type": fields.Word(
            "integrated",
            "peak",
            load_default=None,
            metadata={"description": "Which fluxes the metrics are of; integrated where known, else peak."},
        )
    },
)


class SourceSchema(Schema):
    """A source in a list. What is not known of its variability is left out."""

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset({"eta", "v", "peak_flux_jy", "separation_arcsec"})

    id = ma.fields.String()
    name = ma.fields.String()
    ra_deg = fields.RightAscension()
    dec_deg = fields.Declination()
    num_images = ma.fields.Integer(metadata={"description": "Images on record in which it was measured."})
    image_id = fields.Identifier(allow_none=True, metadata={"description": "The newest of them."})
    eta = ma.fields.Float(metadata={"description": "Reduced χ² about the weighted mean flux, η."})
    v = ma.fields.Float(metadata={"description": "Coefficient of variation of the flux, V."})
    peak_flux_jy = ma.fields.Float(metadata={"description": "Largest peak flux measured [Jy/beam]."})
    separation_arcsec = ma.fields.Float(metadata={"description": "From the position searched around."})


class ContributingImageSchema(Schema):
    """An image in which a source was measured. Its flux there is left out where unknown."""

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset({"flux_jy", "flux_error_jy"})

    image_id = fields.Identifier()
    path = ma.fields.String()
    ms_path = ma.fields.String(allow_none=True)
    qa_grade = fields.Grade()
    created_at = fields.UnixTime(allow_none=True)
    flux_jy = ma.fields.Float(metadata={"description": "Jy, or Jy/beam where only the peak was measured."})
    flux_error_jy = ma.fields.Float(attribute="flux_err_jy", metadata={"description": "In the unit of the flux."})


class SourceDetailSchema(Schema):
    """A source with its images, newest first."""

    id = ma.fields.String()
    name = ma.fields.String()
    ra_deg = fields.RightAscension()
    dec_deg = fields.Declination()
    contributing_images = ma.fields.List(ma.fields.Nested(ContributingImageSchema))
    latest_image_id = fields.Identifier(allow_none=True)


class MeasurementSchema(Schema):
    """A point of a light curve: Jy, or Jy/beam where only the peak was measured."""

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset({"flags", "quality_flag"})

    mjd = fields.Mjd(allow_none=True)
    flux_jy = ma.fields.Float(allow_none=True)
    flux_err_jy = ma.fields.Float(allow_none=True)
    snr = ma.fields.Float(allow_none=True)
    image_path = ma.fields.String()
    flags = ma.fields.Integer(metadata={"description": "Bits that the pipeline set; left out where it sets none."})
    quality_flag = ma.fields.String(metadata={"description": "Word that the pipeline set."})


class LightCurveSchema(Schema):
    """Measurements of a source in the order of their observation, those without a known time last."""

    source_id = ma.fields.String()
    data_points = ma.fields.List(ma.fields.Nested(MeasurementSchema))


class Rounded(ma.fields.Float):
    """A number with so many decimals; null where it is not finite."""

    def __init__(self, decimals: int, **kwargs: Any) -> None:
        super().__init__(allow_none=True, **kwargs)
        self.decimals = decimals

    def wire(self, value: float) -> float | None:
        """The number as sent."""
        return round(float(value), self.decimals) if math.isfinite(value) else None

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else self.wire(value)


class FluxStatisticsSchema(Schema):
    """Fluxes of a source in numbers [Jy]; the standard deviation is that of a sample (N - 1)."""

    mean_jy = Rounded(6)
    std_jy = Rounded(6)
    min_jy = Rounded(6)
    max_jy = Rounded(6)


class VariabilitySchema(Schema):
    """How much a source varies; `message` says so where too little is known, and then members may be absent."""

    class Meta:
        dump_only = ("source_id", "source_name")  # two names of one attribute

    source_id = ma.fields.String()
    source_name = ma.fields.String(attribute="source_id")
    n_epochs = ma.fields.Integer(metadata={"description": "Measurements, whether or not their flux is known."})
    variability_index = Rounded(4, metadata={"description": "Standard deviation over mean; null unless that is > 0."})
    modulation_index = Rounded(4, metadata={"description": "Same as `variability_index`."})
    chi_squared = Rounded(2, metadata={"description": "About the unweighted mean, over points with an error > 0."})
    chi_squared_reduced = Rounded(2, metadata={"description": "Per degree of freedom: points used less one."})
    is_variable = ma.fields.Boolean(allow_none=True, metadata={"description": "Whether the index exceeds 0.1."})
    flux_stats = ma.fields.Nested(FluxStatisticsSchema, allow_none=True)
    message = ma.fields.String(metadata={"description": "Only where too little is known."})
    flux_type = ma.fields.String(allow_none=True, metadata={"description": "`integrated` where known, else `peak`."})
    metrics = ma.fields.Nested(MetricsByTypeSchema)

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """Serialize as marshmallow does: what a record has no attribute for is left out."""
        return ma.Schema.dump(self, obj, many=many)


class PositionSchema(Schema):
    """Where a source is, ICRS."""

    ra_deg = fields.RightAscension()
    dec_deg = fields.Declination()


class SourceQaSchema(Schema):
    """Quality of the images of a source; `overall_grade` is the worst."""

    class Meta:
        dump_only = ("source_id", "source_name")  # two names of one attribute

    source_id = ma.fields.String(attribute="id")
    source_name = ma.fields.String(attribute="name")
    n_images = ma.fields.Integer()
    qa_grades = ma.fields.List(fields.Grade())
    overall_grade = fields.Grade()
    flags = fields.Computed(lambda _: [], metadata={"type": "array", "items": {"type": "object"}})
    metrics = fields.Computed(lambda source: PositionSchema().dump(source))
