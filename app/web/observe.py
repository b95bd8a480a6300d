"""What happened: request ids, one log line a request, HTTP metrics, Server-Timing."""

from __future__ import annotations

import contextlib
import logging
import random
import re
import sys
import time
import uuid
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

from flask import Flask, Response, request
from pythonjsonlogger.orjson import OrjsonFormatter

from app.config import Settings
from app.db import deadline, own_time
from app.db.pipeline import PipelineDatabase
from app.web.auth import Caller
from app.web.bodies import watched
from app.web.caching import HIT, ROUTE, Environ, StartResponse, WsgiApp
from app.web.environ import CALLER, CLIENT, NotAtHand, only_at_hand
from app.web.later import Later
from app.web.metrics import PATH as METRICS_PATH
from app.web.metrics import RequestCounter
from app.web.request_log import Note, RequestLog, on_one_line

REQUEST_ID = "contimg.request_id"
# There where Flask has the whole body of its answer.
WHOLE = "contimg.whole"
UNMATCHED = "unmatched"

_request_id: ContextVar[str] = ContextVar("request_id", default="")
_acceptable_id = re.compile(r"[A-Za-z0-9._\-]{1,128}", re.ASCII).fullmatch


class Observed:
    """WSGI middleware, the outermost: names the request, starts its deadline, and tells what became of it.

    Parameters
    ----------
    app
        The application behind it.
    settings
        Which of logs, metrics and timings are wanted.
    database
        Whose statements are counted, with those on our own (:mod:`app.db.own_time`).
    requests
        Where requests are counted; ``None`` for nowhere.
    """

    def __init__(
        self, app: WsgiApp, settings: Settings, database: PipelineDatabase, requests: RequestCounter | None = None
    ) -> None:
        self._app = app
        self._requests = requests
        self._settings = settings
        self._database = database
        self._log = RequestLog(settings)
        self._notes = Later(self._write_down)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass on, and take note of the answer."""
        started = time.perf_counter()
        if self._notes.is_full:
            only_at_hand(environ)
        if environ.get("PATH_INFO") == METRICS_PATH:
            only_at_hand(environ)
            self.flush()
        request_id = _identify(environ)
        deadline.start(self._settings.request_timeout_s)
        self._database.forget_spent()
        own_time.forget()
        answer = {"status": 500, "bytes": 0}

        def observed_start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            answer["status"] = int(status[:3])
            if WHOLE in environ:
                answer["bytes"] = next((int(value) for name, value in headers if name == "Content-Length"), 0)
            headers.append(("X-Request-ID", request_id))
            if self._settings.profiling:
                headers.append(("Server-Timing", self._timing(started)))
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        def note(sent: int, began: float) -> None:
            self._note(environ, answer["status"], sent, started, began)

        try:
            body = self._app(environ, observed_start)
        except NotAtHand:
            _request_id.set("")
            raise
        # What is there as a whole is not waited for until it is sent: that would cost as much as an answer at hand.
        if type(body) is list:
            note(sum(map(len, body)), time.perf_counter())
        elif WHOLE in environ:
            note(answer["bytes"], time.perf_counter())
        else:
            return watched(body, environ, note)
        return body

    def flush(self) -> None:
        """Write down what was noted so far, rather than in a moment."""
        self._notes.flush()

    def _timing(self, started: float) -> str:
        spent = own_time.added_to(self._database.spent())
        total_ms = (time.perf_counter() - started) * 1000
        return f'app;dur={total_ms:.2f}, sql;dur={spent.seconds * 1000:.2f};desc="{spent.statements} statements"'

    def _note(self, environ: Environ, status: int, sent: int, started: float, began: float) -> None:
        method = environ["REQUEST_METHOD"]
        self._notes.add(
            Note(
                time.time(),
                environ[REQUEST_ID],
                method,
                environ.get("PATH_INFO", ""),
                environ.get("QUERY_STRING", ""),
                environ.get(CLIENT, ""),
                status,
                time.perf_counter() - started,
                began - started,
                0 if method == "HEAD" else sent,  # which the server drops
                environ.get("CONTENT_LENGTH") or "0",
                environ.get(ROUTE, UNMATCHED),
                "hit" if HIT in environ else "miss",
                _key_id(environ),
                own_time.added_to(self._database.spent()),
            )
        )
        _request_id.set("")  # what this thread says until its next request belongs to none

    def _write_down(self, notes: list[Note]) -> None:
        if self._requests is not None:
            with contextlib.suppress(OSError):  # no room for counts is no reason to refuse anybody anything
                self._count(self._requests, notes)
        if self._log.wanted:
            self._log.write(notes)

    @staticmethod
    def _count(requests: RequestCounter, notes: list[Note]) -> None:
        for note in notes:
            requests.note(note.method, note.status_code, note.route, note.began_s, note.received, note.bytes)
        requests.note_work([note.spent for note in notes], sum(note.cache == "hit" for note in notes))


class _JsonFormatter(OrjsonFormatter):
    """Records as JSON, whatever a name of a file is made of: half a surrogate would cost the whole record."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """The record, of texts that are UTF-8."""
        return {
            name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
            for name, value in super().process_log_record(log_data).items()
        }


class _PlainFormatter(logging.Formatter):
    """Records as text: one line each, and tracebacks below in lines that no record begins like."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line."""
        return on_one_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """The traceback."""
        return "\n".join(f"  | {on_one_line(line)}" for line in super().formatException(ei).splitlines())


class RequestIdFilter(logging.Filter):
    """Puts the id of the request at hand into every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Never drops anything."""
        record.request_id = _request_id.get()
        return True


def install(app: Flask) -> None:
    """Tell the outer layers which route a request took, and whether the answer is there as a whole."""

    @app.before_request
    def name_route() -> None:
        if request.url_rule is not None:
            request.environ[ROUTE] = request.url_rule.rule

    @app.after_request
    def tell_whole(response: Response) -> Response:
        if response.is_sequence:
            request.environ[WHOLE] = True
        return response


def set_up_logging(settings: Settings) -> None:
    """Write this service's records to standard error, as JSON lines or as text."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(make_formatter(settings))
    handler.addFilter(RequestIdFilter())
    root = logging.getLogger("app")
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    root.propagate = False


def make_formatter(settings: Settings) -> logging.Formatter:
    """The form of a line, for our records and gunicorn's."""
    if not settings.log_json:
        return _PlainFormatter("%(asctime)s %(levelname)s %(name)s %(request_id)s %(message)s")
    names = "%(levelname)s %(name)s %(message)s" + (" %(request_id)s" if settings.log_request_id else "")
    return _JsonFormatter(names, rename_fields={"levelname": "level", "name": "logger"}, timestamp=True)


def _key_id(environ: Environ) -> str | None:
    """Whose key or token it was, where anybody wanted to know and it was a valid one."""
    who: Caller | None = environ.get(CALLER)
    return None if who is None or who.method in {"anonymous", "disabled"} else who.key_id


def _new_id() -> str:
    # Unique is enough. uuid4() asks the system for secrets, and lets another thread have the interpreter meanwhile.
    return uuid.UUID(int=random.getrandbits(128), version=4).hex


def _identify(environ: Environ) -> str:
    offered = environ.get("HTTP_X_REQUEST_ID") or environ.get("HTTP_X_CORRELATION_ID") or ""
    request_id: str = offered if _acceptable_id(offered) else _new_id()
    environ[REQUEST_ID] = request_id
    _request_id.set(request_id)
    return request_id
