"""What browsers need: CORS for the front ends that are known, and compressed answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from flask_compress import Compress
from flask_cors import CORS

from app.config import Settings
from app.web.headers import HeaderList, security_headers

COMPRESSED_TYPES = ["application/json", "application/problem+json", "text/html", "text/css", "text/javascript"]
# zstd and brotli levels at which compressing a page costs less than reading it.
ALGORITHMS = ["zstd", "br", "gzip"]

# In Flask-CORS, an origin with one of these is a pattern.
PATTERN_CHARACTERS = frozenset("*\\]?$^[()")
# Header fields that pages may read.
_EXPOSED = (
    *("Link", "X-Total-Count", "X-Total-Count-Kind", "X-Covered", "X-Request-ID", "ETag", "Location"),
    *("Content-Disposition", "Retry-After", "RateLimit", "RateLimit-Policy"),
)

Environ = dict[str, Any]


def install(app: Flask, settings: Settings) -> None:
    """Let known origins in, and compress what is worth it."""
    CORS(
        app,
        origins=_whole(settings.cors_origins),
        supports_credentials=settings.cors_credentials,
        max_age=600,
        always_send=False,
        expose_headers=list(_EXPOSED),
    )
    app.config.update(
        COMPRESS_MIMETYPES=COMPRESSED_TYPES,
        COMPRESS_ALGORITHM=ALGORITHMS,
        COMPRESS_STREAMS=False,
        COMPRESS_EVALUATE_CONDITIONAL_REQUEST=False,
    )
    Compress(app)


def headers_outside(settings: Settings) -> Callable[[Environ], HeaderList]:
    """The header fields of answers that are given in front of Flask: those of all others, by the request."""
    always = [*security_headers(settings), ("Cache-Control", "no-store"), ("Vary", "Origin")]
    known = _whole(settings.cors_origins)
    let_in = [("Access-Control-Expose-Headers", ", ".join(sorted(_EXPOSED)))]
    if settings.cors_credentials:
        let_in.append(("Access-Control-Allow-Credentials", "true"))

    def headers(environ: Environ) -> HeaderList:
        origin = environ.get("HTTP_ORIGIN", "")
        if not origin or not any(_is(origin, each) for each in known):
            return always
        return [*always, ("Access-Control-Allow-Origin", origin), *let_in]

    return headers


def _is(origin: str, known: str | re.Pattern[str]) -> bool:
    return known.casefold() == origin.casefold() if isinstance(known, str) else known.match(origin) is not None


def _whole(origins: Iterable[str]) -> list[str | re.Pattern[str]]:
    """Patterns made to match to the end: Flask-CORS is content where an origin begins like one."""
    return [
        re.compile(rf"(?:{origin})\Z", re.IGNORECASE) if PATTERN_CHARACTERS & set(origin) else origin
        for origin in origins
    ]
