"""Problem bodies (RFC 9457): one shape for every failure, inside Flask and in front of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import orjson

from app.db.counters import Counters
from app.db.state import StateDatabase

CONTENT_TYPE = "application/problem+json"

# What today's dashboard has texts for, by the code of the error; a missing record depends on what is missing.
_CLIENT_CODES = {
    "VALIDATION_ERROR": "VALIDATION_FAILED",
    "DATABASE_CONNECTION_ERROR": "PRODUCTS_DB_UNAVAILABLE",
    "DATABASE_BUSY": "PRODUCTS_DB_UNAVAILABLE",
    "QUERY_TIMEOUT": "PRODUCTS_DB_UNAVAILABLE",
    "FILE_NOT_ACCESSIBLE": "NOT_FOUND",
}
# What is ours is not the products database: keys, ratings and the audit log, and the counts of requests.
_OWN_DATABASES = frozenset({StateDatabase.name, Counters.name})
_CLIENT_CODES_OF_MISSING = {
    "Image": "IMAGE_NOT_FOUND",
    "MeasurementSet": "MS_NOT_FOUND",
    "Source": "SOURCE_NOT_FOUND",
    "CalibrationTable": "CAL_TABLE_MISSING",
}


def problem(
    status: int,
    code: str,
    message: str,
    *,
    environ: Mapping[str, Any],
    details: Mapping[str, Any] | None = None,
    errors: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The body of an error.

    Parameters
    ----------
    status
        HTTP status.
    code
        The stable code of what went wrong.
    message
        One sentence for the person who reads it.
    environ
        WSGI environment of the request, for its path and id.
    details
        Facts a program can act on.
    errors
        For 422: ``{loc, field, message}`` of every fault.

    References
    ----------
    RFC 9457, section 3.1
    """
    details = dict(details or {})
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": message,
        "instance": quote(environ.get("PATH_INFO", "")[:2000].encode("latin-1", "replace")),
        "error": code,
        "code": _client_code(code, details),
        "message": message,
        "details": details,
        "errors": list(errors),
        "trace_id": environ.get("contimg.request_id", ""),
    }


def encode(body: Mapping[str, Any]) -> bytes:
    """A problem's bytes."""
    return orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS)


def _client_code(code: str, details: Mapping[str, Any]) -> str:
    if code == "RECORD_NOT_FOUND":
        return _CLIENT_CODES_OF_MISSING.get(details.get("entity_type", ""), "NOT_FOUND")
    client_code = _CLIENT_CODES.get(code, code)
    if client_code == "PRODUCTS_DB_UNAVAILABLE" and details.get("database") in _OWN_DATABASES:
        return "STATE_DB_UNAVAILABLE"
    return client_code
