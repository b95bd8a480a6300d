"""The Virtual Observatory, at the root of the site: what TOPCAT, Aladin and pyvo know how to ask for.

These routes are not part of the API and its document: their parameters and answers are those of the IVOA's standards,
and ``/vo/capabilities`` describes them.
"""

from __future__ import annotations

from flask import Flask, Response, abort

from app.domain.vo import ConeRequest, CutRequest, ImageRequest, LinksRequest
from app.schemas.vo import ConeSearchQuery, CutoutQuery, ImageSearchQuery, LinksQuery
from app.services.vo import service, vosi
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services
from app.web.ratelimit import EXPORTS, RENDERINGS
from app.web.vo import (
    base_url,
    dali,
    kept_if_public,
    refuse_cone,
    refuse_text,
    refuse_votable,
    send_cut,
    send_votable,
    send_xml,
)

METHODS = ["GET", "POST"]
# Clients look for a description beside the service, and beside what the service is a part of.
FAMILY = '<any("scs", "sia2", "soda"):family>'

blp = Blueprint("vo", __name__, url_prefix="/vo", description="Virtual Observatory")


@blp.route("/scs/sources", methods=METHODS)
@blp.require(PUBLIC)
@blp.limited(EXPORTS)
@dali(ConeSearchQuery, refuse_cone)
@blp.cacheable
def search_cone(query: ConeRequest) -> Response:
    """Search sources around a position: Simple Cone Search"""
    return send_votable(services().vo.search_cone(query), query.form)


@blp.route("/sia2/query", methods=METHODS)
@blp.require(PUBLIC)
@blp.limited(EXPORTS)
@dali(ImageSearchQuery, refuse_votable)
@kept_if_public
def search_images(query: ImageRequest) -> Response:
    """Search images: Simple Image Access"""
    return send_votable(services().vo.search_images(query, base_url()), query.form)


@blp.route("/datalink", methods=METHODS)
@blp.require(PUBLIC)
@blp.limited(EXPORTS)
@dali(LinksQuery, refuse_votable)
def list_links(query: LinksRequest) -> Response:
    """List what there is of images: DataLink"""
    return send_votable(services().vo.links(query, base_url()), query.form)


@blp.route("/soda/sync", methods=METHODS)
@blp.require(PUBLIC)
@blp.limited(RENDERINGS)
@dali(CutoutQuery, refuse_text)
def cut_out(query: CutRequest) -> Response:
    """Cut out of an image: SODA"""
    return send_cut(services().vo.cut(query))


@blp.route("/capabilities")
@blp.route(f"/{FAMILY}/capabilities")
@blp.require(PUBLIC)
def get_capabilities(family: str = "") -> Response:
    """Tell what is spoken here, by VOSI"""
    return send_xml(vosi.capabilities(base_url()))


@blp.route("/availability")
@blp.route(f"/{FAMILY}/availability")
@blp.require(PUBLIC)
def get_availability(family: str = "") -> Response:
    """Tell whether questions can be answered now, by VOSI"""
    return send_xml(vosi.availability(services().vo.unavailable()))


@blp.route("/tables")
@blp.require(PUBLIC)
def get_tables() -> Response:
    """Tell which tables can be searched, by VOSI"""
    return send_xml(service.tables())


@blp.route("/<path:path>")
@blp.require(PUBLIC)
def find_nothing(path: str) -> Response:
    """Answer 404, and not with a page of the dashboard: clients try several addresses for a description"""
    abort(404)


def install(app: Flask) -> None:
    """Answer at /vo."""
    app.register_blueprint(blp)
