"""Headers that every answer carries, and what may be kept of it."""

from __future__ import annotations

from flask import Flask, Response, request

from app.config import Settings
from app.web.api import CACHEABLE

HeaderList = list[tuple[str, str]]

# Kept by clients only together with the ETag to ask whether it still holds; never shared.
REVALIDATE = "private, no-cache"


def security_headers(settings: Settings) -> HeaderList:
    """What tells a browser to do nothing clever with an answer of an API."""
    headers = [
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("X-XSS-Protection", "1; mode=block"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
        (
            "Content-Security-Policy",
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    ]
    if settings.environment == "production":
        headers.append(("Strict-Transport-Security", "max-age=31536000; includeSubDomains"))
    return headers


def install(app: Flask, settings: Settings) -> None:
    """Complete the headers of every answer; what a view set stays."""
    security = security_headers(settings)

    @app.after_request
    def complete(response: Response) -> Response:
        for name, value in security:
            response.headers.setdefault(name, value)
        kept = response.status_code < 400 and (CACHEABLE in request.environ or "ETag" in response.headers)
        if "Cache-Control" not in response.headers or (kept and not response.cache_control.immutable):
            response.headers["Cache-Control"] = REVALIDATE if kept else "no-store"
        response.vary.update(("Accept", "Accept-Encoding", "Origin"))
        return response
