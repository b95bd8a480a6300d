"""Health."""

from __future__ import annotations

from typing import Any

from app.domain.health import Health
from app.schemas.health import HealthQuery, HealthSchema
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services

blp = Blueprint(
    "health", __name__, url_prefix="/health", description="Whether this service and its surroundings are well"
)


@blp.route("")
@blp.require(PUBLIC)
@blp.arguments(HealthQuery, location="query")
@blp.response(200, HealthSchema)
def get_health(query: dict[str, Any]) -> Health:
    """Report this service's health

    Always 200; `status` says `degraded` where a detailed report finds something wrong.
    """
    return services().health.report(detailed=query["detailed"])
