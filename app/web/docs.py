"""The OpenAPI document and its page, served from the flask-swagger-ui package's own files, offline."""

from __future__ import annotations

from typing import Any

from apispec import APISpec
from flask import Flask, Response, redirect
from flask_swagger_ui import get_swaggerui_blueprint
from werkzeug.routing import Rule

from app.config import Settings
from app.version import VERSION
from app.web.api import Api, FilePath

OPENAPI: dict[str, Any] = {
    "API_TITLE": "DSA-110 continuum imaging API",
    "API_VERSION": VERSION,
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": "/api",
    "OPENAPI_JSON_PATH": "openapi.json",
    "API_SPEC_OPTIONS": {
        "info": {
            "description": "Images, measurement sets, sources, light curves, calibration, jobs and quality reports of "
            "the DSA-110 continuum imaging pipeline. Every route answers at `/api/v1` and, identically, at `/api`."
        }
    },
}

# The page's own script is inline in the package's template, hence 'unsafe-inline' here and nowhere else. Pictures that
# are tried out on the page are blobs.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

# What the package's template leaves out: how wide a phone is, and what to do without scripts.
_HEAD, _VIEWPORT = '<meta charset="UTF-8">', '<meta name="viewport" content="width=device-width, initial-scale=1">'
_BODY, _WITHOUT_SCRIPTS = (
    '<div id="swagger-ui"></div>',
    (
        '<noscript><p>This page needs JavaScript. What it shows is <a href="../openapi.json">a document</a>.</p>'
        "</noscript>"
    ),
)


def describe(api: Api, settings: Settings) -> None:
    """Tell the document how to authenticate, and what a file path in a URL looks like."""

    def write(spec: APISpec) -> None:
        key = {"type": "apiKey", "in": "header", "name": settings.api_key_header}
        spec.components.security_scheme("apiKey", key)
        spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
        described = "Absolute path, percent-encoded as one segment (`/` as `%2F`)."
        api.register_converter(FilePath, lambda _: {"type": "string", "description": described})

    api.document(write)


def repeat(api: Api, path: str, *, at: str) -> None:
    """Document a path's operations at a second path, where both are promised."""
    api.document(lambda spec: spec.path(rule=Rule(at), operations=spec.to_dict()["paths"][path]))


def install(app: Flask, settings: Settings) -> None:
    """Serve the page at /api/docs; /api/redoc leads there."""
    if not settings.enable_swagger:
        return
    page = get_swaggerui_blueprint("/api/docs", "/api/openapi.json", config={"app_name": OPENAPI["API_TITLE"]})
    page.after_request(_complete)
    app.register_blueprint(page)
    app.add_url_rule("/api/redoc", "redoc", lambda: redirect("/api/docs", code=302))


def _complete(response: Response) -> Response:
    if not response.direct_passthrough and response.mimetype == "text/html":
        text = response.get_data(as_text=True)
        text = text.replace(_HEAD, f"{_HEAD}\n  {_VIEWPORT}", 1).replace(_BODY, f"{_BODY}\n  {_WITHOUT_SCRIPTS}", 1)
        response.set_data(text)
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response
