"""The root of the site: links that the dashboard writes without the API's prefix, and the dashboard itself."""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Flask, abort, redirect, request
from werkzeug.wrappers import Response

from app.config import Settings
from app.web import ui

blp = Blueprint("site", __name__)


@blp.route("/logs/<run_id>")
def log(run_id: str) -> Response:
    """The log of a run."""
    return _to("logs", run_id)


@blp.route("/qa/image/<image_id>")
def image_quality(image_id: str) -> Response:
    """The quality of an image."""
    return _to("qa/image", image_id)


@blp.route("/qa/job/<run_id>")
def job_quality(run_id: str) -> Response:
    """The quality of a run."""
    return _to("qa/job", run_id)


@blp.route("/qa/ms/<filepath:path>")
def ms_quality(path: str) -> Response:
    """The quality of a measurement set."""
    return _to("qa/ms", path)


@blp.route("/cal/<filepath:path>")
def calibration_table(path: str) -> Response:
    """A calibration table."""
    return _to("cal", path)


@blp.route("/viewer/carta")
def viewer() -> Response:
    """A measurement set in CARTA, which is not part of this service: what is known of it instead."""
    path = request.args.get("ms", "")
    if not path:
        abort(404)
    return redirect(f"{request.script_root}/api/ms/{quote(path, safe='')}/metadata")


def install(app: Flask, settings: Settings) -> None:
    """Answer at the root of the site; with a client where there is one."""
    app.register_blueprint(blp)
    if settings.ui_dir is not None:
        ui.install(app, settings, settings.ui_dir)


def _to(resource: str, name: str) -> Response:
    query = request.query_string.decode("ascii", "replace")
    target = f"{request.script_root}/api/{resource}/{quote(name, safe='')}"
    return redirect(f"{target}?{query}" if query else target)
