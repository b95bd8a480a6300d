"""Downloads in bulk: archives and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote

from flask import Response, current_app, request

from app.domain.exports import ExportedSource
from app.schemas.downloads import (
    BulkOrderSchema,
    BulkQuery,
    ExportedImageSchema,
    ExportedSourceSchema,
    SourcesQuery,
    split_ids,
)
from app.services.downloads import Download
from app.web import places
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services
from app.web.disposition import disposition
from app.web.json import encode
from app.web.ratelimit import EXPORTS
from app.web.tables import csv_response

BINARY = {"type": "string", "format": "binary"}
TEXT = {"type": "string"}
BULK = {
    200: {
        "content": {
            "application/gzip": {"schema": BINARY},
            "text/csv": {"schema": TEXT},
            "application/json": {"schema": ExportedImageSchema(many=True)},
        }
    }
}

blp = Blueprint("downloads", __name__, description="Many files or records at once")


@blp.route("/images/bulk-download")
@blp.require(PUBLIC)
@blp.limited(EXPORTS)
@blp.arguments(BulkQuery, location="query")
@blp.response(200, BINARY, content_type="application/zip")
@blp.doc(responses=BULK)
def download_images(query: dict[str, Any]) -> Response:
    """Download many images at once

    As an archive of their files, which is made while it is sent, or as a table. An archive ends with `MANIFEST.json`,
    which tells what became of every id: of images that do not exist, and of files that cannot be read, as well. Tables
    leave out ids that do not exist. 404 where none does, or where no file can be read.
    """
    return _bulk(query["ids"], query["kind"])


@blp.route("/images/bulk-download", methods=["POST"])
@blp.require(PUBLIC)
@blp.limited(EXPORTS)
@blp.arguments(BulkOrderSchema)
@blp.response(200, BINARY, content_type="application/zip")
@blp.doc(responses=BULK)
def order_images(body: dict[str, Any]) -> Response:
    """Download many images at once, more than an address can name

    The same as the GET.
    """
    return _bulk(body["ids"], body["kind"])


@blp.route("/ms/<filepath:path>/download")
@blp.require(PUBLIC)
@blp.limited(EXPORTS)
@blp.response(200, BINARY, content_type="application/x-tar")
def download_measurement_set(path: str) -> Response:
    """Download a measurement set

    Its directory as a tar archive, made while it is sent. What may not be read is listed in `MANIFEST.json` at its end.
    """
    return _send(services().downloads.measurement_set(path))


@blp.route("/sources/export")
@blp.require(PUBLIC)
@blp.limited(EXPORTS)
@blp.arguments(SourcesQuery, location="query")
@blp.response(200, TEXT, content_type="text/csv")
@blp.cacheable
def export_sources(query: dict[str, str]) -> Response:
    """Download sources as a table

    Ids that nobody knows are left out; 404 where none is known. A `+` in an id may be written as it is.
    """
    as_form = split_ids(query["ids"])
    as_written = split_ids(_written("ids"))
    alike = len(as_form) == len(as_written)
    spellings = list(zip(as_form, as_written, strict=True)) if alike else [(id,) for id in as_form]
    return _sources("sources.csv", services().downloads.sources(spellings))


@blp.route("/sources/<source_id>/export")
@blp.require(PUBLIC)
@blp.limited(EXPORTS)
@blp.response(200, TEXT, content_type="text/csv")
@blp.cacheable
def export_source(source_id: str) -> Response:
    """Download a source as a table"""
    return _sources("source.csv", services().downloads.sources([(source_id,)]))


def _bulk(ids: Sequence[str], kind: str) -> Response:
    tables: dict[str, Callable[[], Response]] = {"csv": lambda: _image_csv(ids), "json": lambda: _image_json(ids)}
    make = tables.get(kind, lambda: _send(services().downloads.archive(ids, kind)))
    return make()


def _image_csv(ids: Sequence[str]) -> Response:
    return csv_response("images.csv", ExportedImageSchema(many=True).dump(services().downloads.images(ids)))


def _image_json(ids: Sequence[str]) -> Response:
    lines = ExportedImageSchema(many=True).dump(services().downloads.images(ids))
    headers = {"Content-Disposition": disposition("attachment", "images.json")}
    return Response(encode(lines), mimetype="application/json", headers=headers)


def _sources(name: str, sources: Sequence[ExportedSource]) -> Response:
    return csv_response(name, ExportedSourceSchema(many=True).dump(sources))


def _send(download: Download) -> Response:
    body = places.Sent(download.stream(), places.take())
    response: Response = current_app.response_class(body, mimetype=download.content_type)
    response.headers["Content-Disposition"] = disposition("attachment", download.name)
    return response


def _written(parameter: str) -> str:
    """A parameter with plus signs as they are: names of sources have them, and not every client encodes them."""
    for pair in request.query_string.decode("ascii", "replace").split("&"):
        name, _, value = pair.partition("=")
        if unquote(name) == parameter:
            return unquote(value)
    return ""
