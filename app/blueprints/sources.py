"""Sources and their light curves."""

from __future__ import annotations

from app.domain.paging import Page, PageRequest
from app.domain.photometry import Cut, LightCurve
from app.domain.sources import ContributingImage, Source, SourceDetail
from app.domain.variability import TooFewEpochs, TooFewFluxes, Variability
from app.domain.variability.candidates import CandidateQuery, Candidates
from app.schemas.light_curves import LightCurveQuery
from app.schemas.sources import (
    ContributingImageSchema,
    LightCurveSchema,
    SourceDetailSchema,
    SourceQaSchema,
    SourceQuery,
    SourceSchema,
    VariabilitySchema,
)
from app.schemas.variability import CandidateQuerySchema, CandidatesSchema
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services

blp = Blueprint("sources", __name__, url_prefix="/sources", description="Radio sources and their photometry")


@blp.route("")
@blp.require(PUBLIC)
@blp.arguments(SourceQuery, location="query")
@blp.response(200, SourceSchema(many=True))
@blp.paginated
@blp.cacheable
def list_sources(query: PageRequest) -> Page[Source]:
    """List sources in the order of their ids

    Positions are those of the newest measurement.
    """
    return services().sources.page(query)


@blp.route("/candidates")
@blp.require(PUBLIC)
@blp.arguments(CandidateQuerySchema, location="query")
@blp.response(200, CandidatesSchema)
@blp.cacheable
def list_candidates(query: CandidateQuery) -> Candidates:
    """List the sources that vary more than the others

    Gaussians are fitted, after sigma clipping, to the logarithms of η and of V of all sources; a candidate exceeds both
    thresholds 10^(μ + nσ) (Rowlinson et al. 2019, Astronomy and Computing 27, 111). Largest η first.
    """
    return services().variability.candidates(query)


@blp.route("/<source_id>")
@blp.require(PUBLIC)
@blp.response(200, SourceDetailSchema)
@blp.cacheable
def get_source(source_id: str) -> SourceDetail:
    """Get a source with the images in which it was measured

    Images that are no longer on record are left out. The flux in an image is that of the newest measurement there.
    """
    return services().sources.get(source_id)


@blp.route("/<source_id>/contributing-images")
@blp.require(PUBLIC)
@blp.response(200, ContributingImageSchema(many=True))
@blp.cacheable
def list_contributing_images(source_id: str) -> list[ContributingImage]:
    """List the images in which a source was measured, newest first"""
    return services().sources.contributing_images(source_id)


@blp.route("/<source_id>/lightcurve")
@blp.require(PUBLIC)
@blp.arguments(LightCurveQuery, location="query")
@blp.response(200, LightCurveSchema)
@blp.tabulated
@blp.cacheable
def get_light_curve(query: Cut, source_id: str) -> LightCurve:
    """Get a source's light curve

    Ordered by time of observation, measurements without one last; between dates, only those with one. Empty for a
    source that does not exist.
    """
    return services().sources.light_curve(source_id, query)


@blp.route("/<source_id>/variability")
@blp.require(PUBLIC)
@blp.response(200, VariabilitySchema)
@blp.cacheable
def get_variability(source_id: str) -> Variability | TooFewFluxes | TooFewEpochs:
    """Tell how much a source varies

    The index is the sample standard deviation of the fluxes over their mean; χ² is about that unweighted mean. A flux
    that is not known counts in neither, and χ² leaves out those without an error. `metrics` are of one type of flux
    each: V and η (Swinbank et al. 2015), and the largest two-epoch modulation m among pairs of a significance Vs of at
    least 4.3 (Mooley et al. 2016); pairs whose fluxes add up to nothing or less, which forced measurements make, are
    left out.
    """
    return services().variability.get(source_id)


@blp.route("/<source_id>/qa")
@blp.require(PUBLIC)
@blp.response(200, SourceQaSchema)
@blp.cacheable
def get_source_qa(source_id: str) -> SourceDetail:
    """Get the quality of the images in which a source was measured"""
    return services().sources.get(source_id)
