"""Variability metrics as published."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from app.domain.variability.candidates import CandidateQuery
from app.schemas import fields
from app.schemas.base import Schema

V = "Coefficient of variation V: sample standard deviation over mean; null unless the mean is > 0."
ETA = "Reduced χ² about the weighted mean, η; null for fewer than two fluxes with an error."
M = "Largest two-epoch modulation |m| among pairs with |Vs| ≥ 4.3; 0 where no pair is that significant."


class MetricsSchema(Schema):
    """Metrics of one type of flux, in Jy, or Jy/beam for peaks; null where undefined."""

    n_points = ma.fields.Integer(metadata={"description": "Measurements."})
    n_fluxes = ma.fields.Integer(metadata={"description": "Measurements whose flux is known, N."})
    num_images = ma.fields.Integer(metadata={"description": "Images on record in which it was measured."})
    mean_flux_jy = ma.fields.Float(allow_none=True)
    weighted_mean_flux_jy = ma.fields.Float(allow_none=True, metadata={"description": "Weighted by 1/σ²."})
    weighted_mean_flux_err_jy = ma.fields.Float(allow_none=True)
    v = ma.fields.Float(allow_none=True, metadata={"description": V})
    eta = ma.fields.Float(allow_none=True, metadata={"description": ETA})
    m = ma.fields.Float(allow_none=True, metadata={"description": M})
    vs = ma.fields.Float(allow_none=True, metadata={"description": "|Vs| of that pair, in standard deviations."})
    min_flux_jy = ma.fields.Float(allow_none=True)
    max_flux_jy = ma.fields.Float(allow_none=True)
    max_snr = ma.fields.Float(allow_none=True, metadata={"description": "As recorded, else flux over error."})
    first_mjd = fields.Mjd(allow_none=True)
    last_mjd = fields.Mjd(allow_none=True)


class MetricsByTypeSchema(Schema):
    """Metrics of the integrated and of the peak flux; a type without any flux is left out."""

    integrated = ma.fields.Nested(MetricsSchema)
    peak = ma.fields.Nested(MetricsSchema)

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """Serialize as marshmallow does: what is not there is left out."""
        return ma.Schema.dump(self, obj, many=many)


class FitSchema(Schema):
    """A Gaussian fitted to log₁₀ of a metric after sigma clipping."""

    mean_log10 = ma.fields.Float()
    std_log10 = ma.fields.Float()
    threshold = ma.fields.Float(metadata={"description": "10^(μ + nσ), in the metric itself."})


class CandidateSchema(Schema):
    """A source beyond both thresholds."""

    id = ma.fields.String()
    name = ma.fields.String()
    ra_deg = fields.RightAscension()
    dec_deg = fields.Declination()
    flux_type = ma.fields.String(metadata={"description": "What the metrics are of: `integrated` or `peak`."})
    num_images = ma.fields.Integer()
    n_fluxes = ma.fields.Integer()
    mean_flux_jy = ma.fields.Float()
    max_flux_jy = ma.fields.Float()
    eta = ma.fields.Float()
    v = ma.fields.Float()
    m = ma.fields.Float(allow_none=True)
    vs = ma.fields.Float(allow_none=True)
    first_mjd = fields.Mjd(allow_none=True)
    last_mjd = fields.Mjd(allow_none=True)


class CandidateQuerySchema(Schema):
    """Which sources count as candidates."""

    n_sigma = fields.Number(
        load_default=3.0,
        validate=ma.validate.Range(0, 10),
        metadata={"description": "Standard deviations above the mean at which the thresholds stand."},
    )
    flux_type = fields.Word(
        "integrated",
        "peak",
        load_default=None,
        metadata={"description": "Which fluxes the metrics are of; integrated where known, else peak."},
    )
    min_n = fields.WholeNumber(
        load_default=2,
        validate=ma.validate.Range(2, 1_000_000),
        metadata={"description": "Fewest fluxes of a source that takes part."},
    )
    min_snr = fields.Number(
        load_default=0.0,
        validate=ma.validate.Range(min=0),
        metadata={"description": "Only sources that were once detected at this signal to noise or more."},
    )
    limit = fields.WholeNumber(
        load_default=100,
        validate=ma.validate.Range(1, 1000),
        metadata={"description": "Most candidates listed; `truncated` tells whether there are more."},
    )

    @ma.post_load
    def make(self, values: dict[str, Any], **_: Any) -> CandidateQuery:
        """What is looked for."""
        return CandidateQuery(**values)


class CandidatesSchema(Schema):
    """Fits, thresholds, and the sources beyond both, largest η first."""

    OMIT_NONE = frozenset({"message"})

    flux_type = ma.fields.String(allow_none=True, metadata={"description": "As asked for."})
    n_sigma = ma.fields.Float()
    n_sources = ma.fields.Integer(metadata={"description": "Sources with both metrics, which the fits are of."})
    eta = ma.fields.Nested(FitSchema, allow_none=True)
    v = ma.fields.Nested(FitSchema, allow_none=True)
    candidates = ma.fields.List(ma.fields.Nested(CandidateSchema))
    truncated = ma.fields.Boolean(metadata={"description": "Whether there are more candidates than `limit`."})
    message = ma.fields.String(metadata={"description": "Only where there are too few sources for a fit."})
