"""The audit log at the edge: every write that was admitted, once it is known how it ended."""

from __future__ import annotations

import time

from flask import Flask, Response, current_app, g, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException

from app.db import deadline
from app.domain.audit import LONGEST_PATH, Act, digest_of_arguments
from app.services.audit import AuditService
from app.web.auth import WRITE, caller
from app.web.environ import CLIENT


def install(app: Flask, audit: AuditService) -> None:
    """Write down what was admitted, before the answer goes out; the answer goes out in any case."""

    @app.after_request
    def write_down(response: Response) -> Response:
        view = current_app.view_functions.get(request.endpoint or "")
        if "caller" in g and getattr(view, "_apidoc", {}).get("access") == WRITE:
            # The write may have taken all the time there was, and is worth a line none the less.
            deadline.renew()
            audit.record(_act(response.status_code))
        return response


def _act(status: int) -> Act:
    who = caller()
    return Act(
        at=time.time(),
        method=request.method,
        route=request.url_rule.rule if request.url_rule is not None else "",
        path=request.path[:LONGEST_PATH],
        arguments=digest_of_arguments(request.query_string, _body()),
        actor=who.key_id,
        actor_kind=who.method,
        key_id=who.key_number,
        client=request.environ.get(CLIENT, ""),
        request_id=request.environ.get("contimg.request_id", ""),
        status=status,
    )


def _body() -> bytes:
    try:
        return request.get_data(cache=True)
    except (HTTPException, OSError, ParseException):  # too large, the client went away, or its chunks are no chunks
        return b""
