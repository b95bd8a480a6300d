"""Light curves of many sources at once."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.domain.photometry import LIGHT_CURVE_COLUMNS
from app.schemas.light_curves import LightCurvesBody, LightCurvesRequest, TableFormatQuery
from app.schemas.sources import LightCurveSchema
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services
from app.web.ratelimit import EXPORTS
from app.web.tables import send_records

blp = Blueprint("lightcurves", __name__, url_prefix="/lightcurves", description="Light curves of many sources")


@blp.route("", methods=["POST"])
@blp.require(PUBLIC)
@blp.limited(EXPORTS)
@blp.arguments(TableFormatQuery, location="query")
@blp.arguments(LightCurvesBody)
@blp.response(200, LightCurveSchema(many=True))
def post_light_curves(query: dict[str, Any], body: LightCurvesRequest) -> Response:
    """Get the light curves of up to 1,000 sources in one stream

    As JSON, an array of what each source's own light curve is; as a table, all measurements one below the other. In the
    order of the sources; those that do not exist have no measurements.
    """
    found = services().sources.light_curves(body.source_ids, body.cut)
    return send_records(found, LightCurveSchema(), LIGHT_CURVE_COLUMNS, blp.name, query["format"])
