"""Every exception meets its answer here, once."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Flask, Response, current_app, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    InternalServerError,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
    UnprocessableEntity,
)

from app.domain import errors as domain
from app.web.problems import CONTENT_TYPE, encode, problem

log = logging.getLogger(__name__)

# The status of each error, looked up along its class hierarchy.
STATUS: dict[type[domain.ContimgError], int] = {
    domain.ContimgError: 500,
    domain.NotFound: 404,
    domain.InvalidValue: 400,
    domain.FileNotAccessible: 404,
    domain.FitsUnreadable: 422,
    domain.DatabaseError: 500,
    domain.DatabaseUnavailable: 503,
    domain.Busy: 503,
    domain.QueryTimeout: 503,
    domain.QueueUnavailable: 503,
    domain.StillInTheMaking: 409,
    domain.KeyReused: 422,
    domain.TooManyStreams: 503,
    domain.BatchInvalidState: 409,
    domain.Overloaded: 503,
    domain.ImageBlank: 422,
    domain.NoCoordinates: 422,
    domain.OutsideImage: 404,
    domain.CutoutTooLarge: 422,
    domain.TooFewImages: 404,
    domain.NotAllowed: 403,
    domain.NotInstalled: 501,
}
# Seconds after which trying again makes sense.
RETRY_AFTER_S: dict[type[domain.ContimgError], int] = {
    domain.DatabaseUnavailable: 5,
    domain.Busy: 1,
    domain.QueryTimeout: 10,
    domain.QueueUnavailable: 5,
    domain.StillInTheMaking: 1,
    domain.TooManyStreams: 5,
    domain.Overloaded: 2,
}

# Views for addresses that no other view is for: there no method is the right one.
_NOWHERE = frozenset({"console.nowhere", "vo.find_nothing"})

_HTTP_CODES = {
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    416: "RANGE_NOT_SATISFIABLE",
    422: "VALIDATION_FAILED",
    429: "RATE_LIMITED",
    500: "INTERNAL_ERROR",
    501: "NOT_IMPLEMENTED",
}


def install(app: Flask) -> None:
    """Register the handlers, and refuse a body that is too long wherever it goes, whether or not anybody reads it."""
    app.register_error_handler(domain.ContimgError, answer_domain_error)
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(ParseException, answer_unreadable)
    app.register_error_handler(Exception, answer_unexpected)
    app.before_request(_refuse_long_bodies)


def _refuse_long_bodies() -> None:
    longest = current_app.config["MAX_CONTENT_LENGTH"]
    if "HTTP_TRANSFER_ENCODING" in request.environ:
        # Who sends chunks announces no length; read as a stream, a body would just seem to end at the limit.
        body = request.environ["wsgi.input"].read(longest + 1)
        request.environ["wsgi.input"] = io.BytesIO(body)
        request.environ["CONTENT_LENGTH"] = str(len(body))
        del request.environ["HTTP_TRANSFER_ENCODING"]
    if (request.content_length or 0) > longest:
        raise RequestEntityTooLarge


def answer_domain_error(error: domain.ContimgError) -> Response:
    """The answer to an error of the domain."""
    status = _along(type(error), STATUS, 500)
    if status == 500:
        log.error("%s: %s", error.code, error.message, exc_info=error)
    elif status > 500:
        log.warning("%s: %s (%s)", error.code, error.message, error.__cause__ or "no cause")
    response = _answer(status, error.code, error.message, details=error.details)
    retry_after = _along(type(error), RETRY_AFTER_S, None)
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def answer_http_error(error: HTTPException) -> Response:
    """The answer to an error of HTTP: unknown routes, wrong methods, malformed arguments."""
    status = error.code or 500
    if error.response is not None:  # an answer already made, such as a redirect
        return error.response  # type: ignore[return-value]
    if isinstance(error, MethodNotAllowed) and _leads_nowhere():
        return answer_http_error(NotFound())
    if isinstance(error, UnprocessableEntity):
        faults = list(_faults(getattr(error, "data", {}).get("messages", {})))
        detail = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults) or "The request is malformed."
        response = _answer(status, _HTTP_CODES[422], detail, errors=faults)
    else:
        response = _answer(status, _HTTP_CODES.get(status, error.name.upper().replace(" ", "_")), _plain(error))
    for name, value in error.get_headers(request.environ):
        if name.lower() not in {"content-type", "content-length"}:
            response.headers.add(name, value)
    return response


def answer_unreadable(error: ParseException) -> Response:
    """The answer to a body whose chunks are no chunks; gunicorn notices while the body is read, and hangs up then."""
    log.warning("A body could not be read: %s", error)
    return answer_http_error(BadRequest("The body is not sent as its header fields say."))


def answer_unexpected(error: Exception) -> Response:
    """The answer to a defect of this service: logged with its traceback, told without it."""
    log.exception("Unhandled error", exc_info=error)
    shown = f"{type(error).__name__}: {error}" if current_app.debug else _plain(InternalServerError())
    return _answer(500, "INTERNAL_ERROR", shown)


def _answer(status: int, code: str, message: str, **members: Any) -> Response:
    body = problem(status, code, message, environ=request.environ, **members)
    response: Response = current_app.response_class(encode(body), status=status, content_type=CONTENT_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response


def _leads_nowhere() -> bool:
    adapter = current_app.create_url_adapter(request)
    try:
        return adapter is not None and adapter.match(method="GET")[0] in _NOWHERE
    except HTTPException:
        return False


def _plain(error: HTTPException) -> str:
    if isinstance(error, NotFound) and error.description == NotFound.description:
        page = "docs" if current_app.extensions["contimg.settings"].enable_swagger else "openapi.json"
        return f"There is nothing at this address. What there is: {request.script_root}/api/{page}"
    return error.description or error.name


def _along(kind: type, table: Mapping[type[domain.ContimgError], Any], default: Any) -> Any:
    return next((table[cls] for cls in kind.__mro__ if cls in table), default)


def _faults(messages: Any, loc: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """webargs' tree ``{place: {field: [reason, …]}}``, flattened."""
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            yield from _faults(inner, (*loc, str(name)))
    elif isinstance(messages, list):
        for reason in messages:
            yield from _faults(reason, loc)
    else:
        # The place of an item in a list is no name: the field is what the list is called.
        named = [part for part in loc if not part.isdigit()]
        yield {"loc": list(loc), "field": named[-1] if named else "", "message": str(messages)}
