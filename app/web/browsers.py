"""What browsers need: CORS for the front ends that are known, and compressed answers."""

from __future__ import annotations

from flask import Flask
from flask_compress import Compress
from flask_cors import CORS

from app.config import Settings

COMPRESSED_TYPES = ["application/json", "application/problem+json", "text/html", "text/css", "text/javascript"]
# zstd and brotli levels at which compressing a page costs less than reading it.
ALGORITHMS = ["zstd", "br", "gzip"]


def install(app: Flask, settings: Settings) -> None:
    """Let known origins in, and compress what is worth it."""
    CORS(
        app,
        origins=list(settings.cors_origins),
        supports_credentials=settings.cors_credentials,
        max_age=600,
        always_send=False,
        expose_headers=[
            *("Link", "X-Total-Count", "X-Request-ID", "ETag", "Location"),
            *("Retry-After", "RateLimit", "RateLimit-Policy"),
        ],
    )
    app.config.update(
        COMPRESS_MIMETYPES=COMPRESSED_TYPES,
        COMPRESS_ALGORITHM=ALGORITHMS,
        COMPRESS_STREAMS=False,
        COMPRESS_EVALUATE_CONDITIONAL_REQUEST=False,
    )
    Compress(app)
