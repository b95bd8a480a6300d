"""Measurement sets."""

from __future__ import annotations

from app.domain.measurement_sets import MeasurementSet, MeasurementSetDetail
from app.domain.paging import Page, PageRequest
from app.domain.provenance import Provenance
from app.schemas.ms import CalibratorMatchesSchema, MsMetadataSchema, MsQuery, MsSchema
from app.schemas.provenance import ProvenanceSchema
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services

blp = Blueprint("ms", __name__, url_prefix="/ms", description="Measurement sets of visibilities")


@blp.route("")
@blp.require(PUBLIC)
@blp.arguments(MsQuery, location="query")
@blp.response(200, MsSchema(many=True))
@blp.paginated
@blp.cacheable
def list_measurement_sets(query: PageRequest) -> Page[MeasurementSet]:
    """List measurement sets, newest processed first, those not yet processed last"""
    return services().ms.page(query)


@blp.route("/<filepath:path>/metadata")
@blp.require(PUBLIC)
@blp.response(200, MsMetadataSchema)
@blp.cacheable
def get_ms_metadata(path: str) -> MeasurementSetDetail:
    """Get a measurement set with its calibration tables"""
    return services().ms.get(path)


@blp.route("/<filepath:path>/calibrator-matches")
@blp.require(PUBLIC)
@blp.response(200, CalibratorMatchesSchema)
@blp.cacheable
def get_ms_calibrator_matches(path: str) -> MeasurementSetDetail:
    """List the calibration tables solved from a measurement set, in the order in which they are applied"""
    return services().ms.get(path)


@blp.route("/<filepath:path>/provenance")
@blp.require(PUBLIC)
@blp.response(200, ProvenanceSchema)
@blp.cacheable
def get_ms_provenance(path: str) -> Provenance:
    """Trace a measurement set to its run, calibration, newest image and log"""
    return services().ms.provenance(path)
