"""Probes for machines, at the root of the site: does this process live, and may requests be sent to it?

Both are answered in front of the response cache, and neither touches a disk on the request's own thread.
"""

from __future__ import annotations

from flask import Blueprint, Flask, Response, current_app, request

from app.domain.readiness import Readiness
from app.web.context import services
from app.web.json import encode

blp = Blueprint("probes", __name__)


@blp.route("/livez")
def live() -> Response:
    """Whether this process answers; nothing else is looked at, so that nothing else restarts it."""
    return _answer(200, {"status": "alive"})


@blp.route("/readyz")
def ready() -> Response:
    """Whether requests can be answered: 200, or 503 naming what fails; ``exclude=queue`` does without the queue."""
    found = services().readiness.report(request.args.getlist("exclude"))
    return _answer(200 if found.ready else 503, _body(found))


def install(app: Flask) -> None:
    """Answer at the root of the site."""
    app.register_blueprint(blp)


def _body(found: Readiness) -> dict[str, object]:
    checks = {check.name: {"ok": check.ok, "found": check.found} for check in found.checks}
    return {"status": "ready" if found.ready else "not ready", "failing": found.failing, "checks": checks}


def _answer(status: int, body: object) -> Response:
    response: Response = current_app.response_class(encode(body), status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
