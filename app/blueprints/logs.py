"""Logs of runs."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.domain.logs import LogTail
from app.schemas.logs import LogQuery, LogSchema
from app.schemas.queue import LastEventIdHeader
from app.web import sse
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services

blp = Blueprint("logs", __name__, url_prefix="/logs", description="Logs of processing runs")


@blp.route("/<run_id>")
@blp.require(PUBLIC)
@blp.arguments(LogQuery, location="query")
@blp.response(200, LogSchema)
def get_log(query: dict[str, int], run_id: str) -> LogTail:
    """Read the end of a run's log

    Answers 200 also where there is no log, saying so in `error`. Bytes that are not UTF-8 become U+FFFD, and of more
    than 16 MiB only the end is given.
    """
    return services().logs.tail(run_id, query["tail"])


@blp.route("/<run_id>/stream")
@blp.require(PUBLIC)
@blp.arguments(LastEventIdHeader, location="headers")
@blp.response(200, {"type": "string"}, content_type=sse.CONTENT_TYPE)
def follow_log(header: dict[str, Any], run_id: str) -> Response:
    """Follow a run's log as it is written (Server-Sent Events)

    A `log` event for each line, from the beginning, and `end` once the run is over. An event's id is the place behind
    its line: the byte, and which file, as logs are rotated. A client that sends the last one as `Last-Event-ID`, as
    browsers do by themselves, misses no line and gets none twice. 503 where too many are following.
    """
    return sse.respond(lambda: services().following.log(run_id, header["last_event_id"]))
