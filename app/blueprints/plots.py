"""Plots of light curves, of how sources vary, and of what came in."""

from __future__ import annotations

from flask import Response

from app.domain.plots import CandidatesPlot, LightCurvePlot, TimelinePlot
from app.schemas.plots import CandidatesPlotQuery, LightCurvePlotQuery, TimelinePlotQuery
from app.services.pictures.service import Picture
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services
from app.web.files import send_picture
from app.web.ratelimit import RENDERINGS

BINARY = {"type": "string", "format": "binary"}
SVG = {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}
FORMAT = 'any("png", "svg"):format'

# An SVG carries its colours in attributes and dense points as an embedded picture; nothing else may load or run.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"

blp = Blueprint("plots", __name__, description="Plots for slides and papers, as PNG or SVG")


@blp.route(f"/sources/<source_id>/lightcurve.<{FORMAT}>")
@blp.require(PUBLIC)
@blp.limited(RENDERINGS)
@blp.arguments(LightCurvePlotQuery, location="query")
@blp.response(200, BINARY, content_type="image/png")
@blp.doc(responses={200: SVG})
def plot_light_curve(query: LightCurvePlot, source_id: str, format: str) -> Response:
    """See a source's light curve

    Flux against UTC date and MJD with error bars, circles for integrated and squares for peak flux, as full as the
    image of each point is good; a dashed line for the weighted mean. A source without a usable flux gets a plot that
    says so.
    """
    return _send(services().plots.light_curve(source_id, format, query))


@blp.route(f"/sources/candidates.<{FORMAT}>")
@blp.require(PUBLIC)
@blp.limited(RENDERINGS)
@blp.arguments(CandidatesPlotQuery, location="query")
@blp.response(200, BINARY, content_type="image/png")
@blp.doc(responses={200: SVG})
def plot_candidates(query: CandidatesPlot, format: str) -> Response:
    """See which sources vary more than the others

    Coefficient of variation V against reduced χ² η of all sources that have both, with histograms, the Gaussians
    fitted to them, and the thresholds; those beyond both are named. Of many thousands the density is shown.
    """
    return _send(services().plots.candidates(format, query))


@blp.route(f"/stats/timeline.<{FORMAT}>")
@blp.require(PUBLIC)
@blp.limited(RENDERINGS)
@blp.arguments(TimelinePlotQuery, location="query")
@blp.response(200, BINARY, content_type="image/png")
@blp.doc(responses={200: SVG})
def plot_timeline(query: TimelinePlot, format: str) -> Response:
    """See what came on each of the last days

    Measurement sets, images, photometry, and jobs that completed or failed.
    """
    return _send(services().plots.timeline(format, query))


def _send(picture: Picture) -> Response:
    response = send_picture(picture)
    response.headers["Content-Security-Policy"] = POLICY
    return response
