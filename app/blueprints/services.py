"""The services monitor."""

from __future__ import annotations

from typing import Any

from app.domain.monitored import Overview, ServiceState
from app.schemas.services import PortPath, ServicesSchema, ServiceStateSchema
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services

blp = Blueprint("services", __name__, url_prefix="/services", description="What else runs on this host")


@blp.route("/status")
@blp.require(PUBLIC)
@blp.response(200, ServicesSchema)
def list_services() -> Overview:
    """Ask every monitored service how it is"""
    return services().monitor.overview()


@blp.route("/status/<port>")
@blp.require(PUBLIC)
@blp.arguments(PortPath, location="path")
@blp.response(200, ServiceStateSchema)
def get_service(path: dict[str, Any], **_: str) -> ServiceState:
    """Ask the service on one port how it is"""
    return services().monitor.get(path["port"])
