"""What browsers need: CORS for the front ends that are known, and compressed answers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flask import Flask
from flask_compress import Compress
from flask_cors import CORS

from app.config import Settings

COMPRESSED_TYPES = ["application/json", "application/problem+json", "text/html", "text/css", "text/javascript"]
# zstd and brotli levels at which compressing a page costs less than reading it.
ALGORITHMS = ["zstd", "br", "gzip"]

# No origin has one of these, unless its host is an IPv6 address.
_OF_PATTERNS = frozenset("*\\?$^[]()+|{}")


def install(app: Flask, settings: Settings) -> None:
    """Let known origins in, and compress what is worth it."""
    CORS(
        app,
        origins=_whole(settings.cors_origins),
        supports_credentials=settings.cors_credentials,
        max_age=600,
        always_send=False,
        expose_headers=[
            *("Link", "X-Total-Count", "X-Total-Count-Kind", "X-Covered", "X-Request-ID", "ETag", "Location"),
            *("Content-Disposition", "Retry-After", "RateLimit", "RateLimit-Policy"),
        ],
    )
    app.config.update(
        COMPRESS_MIMETYPES=COMPRESSED_TYPES,
        COMPRESS_ALGORITHM=ALGORITHMS,
        COMPRESS_STREAMS=False,
        COMPRESS_EVALUATE_CONDITIONAL_REQUEST=False,
    )
    Compress(app)


def _whole(origins: Iterable[str]) -> list[str | re.Pattern[str]]:
    """Patterns made to match to the end: Flask-CORS is content where an origin begins like one."""
    return [
        re.compile(rf"(?:{origin})\Z", re.IGNORECASE) if _OF_PATTERNS & set(origin) else origin for origin in origins
    ]
