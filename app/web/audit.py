"""The audit log at the edge: every write, once it is known how it ended, and those that known callers were refused."""

from __future__ import annotations

import math
import time
from typing import Any

from flask import Flask, Response, current_app, g, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException

from app.db import deadline
from app.domain.audit import LONGEST_PATH, Act, digest_of_arguments
from app.services.audit import AuditService
from app.web.auth import WRITE, Caller, identify
from app.web.environ import CLIENT

# One who is refused again and again gets a line this often [s] for each route and status, in each worker.
_REFUSED_EVERY_S = 60.0
_MOST_REMEMBERED = 1024


def install(app: Flask, audit: AuditService) -> None:
    """Write down what was admitted, and what known callers were refused, before the answer goes out.

    It goes out in any case. What nobody in particular is refused is not written down: anybody could fill the disk.
    """
    refused: dict[tuple[Any, ...], float] = {}

    @app.after_request
    def write_down(response: Response) -> Response:
        view = current_app.view_functions.get(request.endpoint or "")
        if getattr(view, "_apidoc", {}).get("access") == WRITE:
            who = g.get("caller") or _refused(response.status_code, refused)
            if who is not None:
                # The write may have taken all the time there was, and is worth a line none the less.
                deadline.renew()
                audit.record(_act(who, response.status_code))
        return response


def _refused(status: int, before: dict[tuple[Any, ...], float]) -> Caller | None:
    """Whom a write was refused to that was never admitted, if they are known and this was not written down just now."""
    if status < 400:
        return None
    who = identify()
    if who.method not in {"api_key", "jwt"}:
        return None
    now_s = time.monotonic()
    what = (who.method, who.counted_as, request.endpoint, status)
    if now_s - before.get(what, -math.inf) < _REFUSED_EVERY_S:
        return None
    if len(before) >= _MOST_REMEMBERED:
        before.clear()
    before[what] = now_s
    return who


def _act(who: Caller, status: int) -> Act:
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
