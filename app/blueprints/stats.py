"""Statistics."""

from __future__ import annotations

from typing import Any

from app.domain.statistics import Statistics, Timeline
from app.schemas.stats import StatisticsSchema, TimelineQuery, TimelineSchema
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services

blp = Blueprint("stats", __name__, url_prefix="/stats", description="The survey in numbers")


@blp.route("")
@blp.require(PUBLIC)
@blp.response(200, StatisticsSchema)
@blp.cacheable
def get_statistics() -> Statistics:
    """Count everything there is

    The answer is that of the databases as they stand; `generated_at` is when it was computed, which may be long ago
    where nothing has changed since.
    """
    return services().stats.statistics()


@blp.route("/timeline")
@blp.require(PUBLIC)
@blp.arguments(TimelineQuery, location="query")
@blp.response(200, TimelineSchema)
def get_timeline(query: dict[str, Any]) -> Timeline:
    """Tell what came on each of the last days"""
    return services().stats.timeline(query["days"])
