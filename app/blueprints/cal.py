"""Calibration tables."""

from __future__ import annotations

from app.domain.calibration import CalTable, CalTableDetail
from app.domain.paging import Page, PageRequest
from app.schemas.cal import CalQuery, CalTableDetailSchema, CalTableSchema
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services

blp = Blueprint("cal", __name__, url_prefix="/cal", description="Calibration tables of the registry")


@blp.route("")
@blp.require(PUBLIC)
@blp.arguments(CalQuery, location="query")
@blp.response(200, CalTableSchema(many=True))
@blp.paginated
@blp.cacheable
def list_calibration_tables(query: PageRequest) -> Page[CalTable]:
    """List calibration tables, newest first

    The list is empty where there is no registry.
    """
    return services().cal.page(query)


@blp.route("/<filepath:path>")
@blp.require(PUBLIC)
@blp.response(200, CalTableDetailSchema)
@blp.cacheable
def get_calibration_table(path: str) -> CalTableDetail:
    """Get a calibration table"""
    return services().cal.get(path)
