"""Api and Blueprint: flask-smorest with this service's conventions, so that what behaves also documents itself.

Decorators stand in one order: ``route → require → arguments → response → paginated / cacheable``. ``require`` adds
security and 401/403 to the document, ``paginated`` the ``Link`` header, and every operation the shape of its errors.
"""

from __future__ import annotations

import http
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlencode

import flask_smorest
from apispec import APISpec
from flask import Flask, Request, request
from marshmallow import EXCLUDE
from marshmallow.fields import List
from webargs.core import is_json, missing
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException, UnprocessableEntity
from werkzeug.routing import BaseConverter

from app.domain.paging import Page
from app.schemas.fields import TableFormat
from app.schemas.problems import ProblemSchema
from app.services.tables import FORMATS, Table
from app.web import errors
from app.web.auth import PUBLIC, enforce
from app.web.json import decode
from app.web.media import JSON, accepted_format, requested_format
from app.web.problems import CONTENT_TYPE
from app.web.tables import send_page, send_table

_TABLES = {
    form.content_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}} for form in FORMATS.values()
}

F = TypeVar("F", bound=Callable[..., Any])

CACHEABLE = "contimg.cacheable"
RATE_LIMITED = "rate_limited"

_LINK = {
    "description": "RFC 8288: `first`, and `next` while there is more.",
    "schema": {"type": "string"},
}
_TOTAL = {"description": "Number of rows in the whole list, with `count=`.", "schema": {"type": "integer"}}
_TOTAL_KIND = {
    "description": "Whether there are so many, or at least so many.",
    "schema": {"type": "string", "enum": ["exact", "at-least"]},
}
_COVERED = {
    "description": "Where nothing lies in the cone: whether any image shows its centre.",
    "schema": {"type": "string", "enum": ["true", "false", "unknown"]},
}


class FilePath(BaseConverter):
    """A path of the file system inside a URL, percent-encoded slashes and all.

    A WSGI server decodes ``%2Fstage%2Fx.ms`` before routing sees it, so the value arrives with a leading slash and
    perhaps doubled ones. It is decoded exactly once, there.
    """

    part_isolating = False
    regex = ".*?"
    weight = 300


class Parser(FlaskParser):
    """webargs: a list's schema refuses unknown parameters, any other ignores them."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": None, "json": EXCLUDE}  # noqa: RUF012

    def _raw_load_json(self, req: Request) -> Any:
        """The body as JSON, if it says that it is."""
        if not is_json(req.mimetype) or not (body := req.get_data(cache=True)):
            return missing
        try:
            return decode(body)
        except ValueError as error:
            unreadable = UnprocessableEntity()
            unreadable.data = {"messages": {"json": [f"The body is not JSON that can be read: {error}"]}}  # type: ignore[attr-defined]
            raise unreadable from error

    def load_querystring(self, req: Request, schema: Any) -> Any:
        """The query string; what a list is to be sent as may stand in the Accept header as well."""
        known = schema.fields
        if not isinstance(known.get("format"), TableFormat):
            return super().load_querystring(req, schema)
        arguments = {
            name: req.args.getlist(name) if isinstance(known.get(name), List) else value
            for name, value in req.args.items()
        }
        arguments.setdefault("format", accepted_format(req.headers.get("Accept", "")))
        return arguments


class Blueprint(flask_smorest.Blueprint):
    """A Blueprint whose routes declare their access, page by ``Link`` and describe their errors."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks.append(self._prepare_common_doc)

    def arguments(self, schema: Any, **kwargs: Any) -> Callable[[F], F]:
        """Read arguments by a schema, made once: webargs would make one of a class for every request."""
        decorator: Callable[[F], F] = super().arguments(schema() if isinstance(schema, type) else schema, **kwargs)
        return decorator

    def require(self, scope: str) -> Callable[[F], F]:
        """Declare who may call: ``PUBLIC`` or a scope."""

        def decorator(view: F) -> F:
            guarded = enforce(scope)(view)
            guarded._apidoc = {**getattr(view, "_apidoc", {}), "access": scope}  # type: ignore[attr-defined]
            return guarded

        return decorator

    def paginated(self, view: F) -> F:
        """Decorator: a view that returns a Page answers its items, with ``Link`` and ``X-Total-Count``."""

        @wraps(view)
        def paged(*args: Any, **kwargs: Any) -> Any:
            page: Page[Any] = view(*args, **kwargs)
            if page.columns is None:
                return page.items, page_headers(page)
            response = send_page(page, page.columns, self.name)
            response.headers.update(page_headers(page))
            if response.is_streamed:
                request.environ.pop(CACHEABLE, None)
            return response

        paged._apidoc = {**getattr(view, "_apidoc", {}), "paginated": True}  # type: ignore[attr-defined]
        return paged  # type: ignore[return-value]

    def tabulated(self, view: F) -> F:
        """Decorator: a view's record, which has ``rows``, can be had as a table of them, in a file that it names."""

        @wraps(view)
        def shown(*args: Any, **kwargs: Any) -> Any:
            record, form = view(*args, **kwargs), requested_format()
            if form == JSON:
                return record, {"Vary": "Accept"}
            request.environ.pop(CACHEABLE, None)
            return send_table(Table(self.name, record.columns, record.rows), form, record.file_name)

        shown._apidoc = {**getattr(view, "_apidoc", {}), "tabulated": True}  # type: ignore[attr-defined]
        return shown  # type: ignore[return-value]

    def cacheable(self, view: F) -> F:
        """Decorator: the answer depends on the request and the databases alone, so it may be kept while they stand."""

        @wraps(view)
        def marked(*args: Any, **kwargs: Any) -> Any:
            request.environ[CACHEABLE] = True
            return view(*args, **kwargs)

        marked._apidoc = {**getattr(view, "_apidoc", {}), "cacheable": True}  # type: ignore[attr-defined]
        return marked  # type: ignore[return-value]

    def limited(self, kind: str) -> Callable[[F], F]:
        """Declare which quota of its caller a request counts for."""

        def decorator(view: F) -> F:
            view._apidoc = {**getattr(view, "_apidoc", {}), RATE_LIMITED: kind}  # type: ignore[attr-defined]
            return view

        return decorator

    @staticmethod
    def _prepare_common_doc(doc: dict[str, Any], info: dict[str, Any], **_: Any) -> dict[str, Any]:
        responses = doc.setdefault("responses", {})
        responses["default"] = "DEFAULT_ERROR"
        if info.get("access", PUBLIC) != PUBLIC:
            doc["security"] = [{"apiKey": []}, {"bearer": []}]
            responses.setdefault(401, "UNAUTHORIZED")
            responses.setdefault(403, "FORBIDDEN")
        tables = info.get("paginated") or info.get("tabulated")
        if info.get("access", PUBLIC) != PUBLIC or info.get(RATE_LIMITED) or tables:
            responses.setdefault(429, "TOO_MANY_REQUESTS")
        if info.get("paginated"):
            responses[200]["headers"] = {
                "Link": _LINK,
                "X-Total-Count": _TOTAL,
                "X-Total-Count-Kind": _TOTAL_KIND,
                "X-Covered": _COVERED,
            }
        if tables:
            responses[200].setdefault("content", {}).update(_TABLES)
        if info.get("cacheable"):
            responses[304] = "NOT_MODIFIED"
        return doc


class Api(flask_smorest.Api):
    """An Api whose errors are problems, and whose document is written when it is first asked for.

    Writing it takes longer than everything else that happens at the start, and most processes are never asked.
    """

    ERROR_SCHEMA = ProblemSchema

    def __init__(self, app: Flask) -> None:
        self._spec: Any = None
        self._unwritten: list[Callable[[APISpec], Any]] = []
        self._writing = threading.RLock()
        super().__init__(app)

    @property
    def spec(self) -> Any:
        """The document, with everything that was put off."""
        with self._writing:
            unwritten, self._unwritten = self._unwritten, []
            for write in unwritten:
                write(self._spec)
            return self._spec

    @spec.setter
    def spec(self, spec: Any) -> None:
        self._spec = spec

    def document(self, write: Callable[[APISpec], Any]) -> None:
        """Have something written into the document, in turn."""
        self._unwritten.append(write)

    def register_blueprint(self, blp: Blueprint, *, parameters: Any = None, **options: Any) -> None:
        """Register a blueprint's routes now, and describe them in the document later."""
        app: Any = self._app
        app.extensions["flask-smorest"]["blp_name_to_api"][blp.name] = self
        app.register_blueprint(blp, **options)

        def write(spec: APISpec) -> None:
            blp.register_views_in_doc(self, app, spec, name=blp.name, parameters=parameters)
            spec.tag({"name": blp.name, "description": blp.description})

        self.document(write)

    def handle_http_exception(self, error: HTTPException) -> Any:
        """One table of errors serves Flask and flask-smorest alike."""
        return errors.answer_http_error(error)

    def _register_responses(self) -> None:
        self.document(self._write_responses)

    def _register_etag_headers(self) -> None:
        # It asks for the document, and would have everything written that was put off.
        etag_headers = super()._register_etag_headers
        self.document(lambda _: etag_headers())

    def _register_pagination_header(self) -> None:
        pagination_header = super()._register_pagination_header
        self.document(lambda _: pagination_header())

    def _write_responses(self, spec: APISpec) -> None:
        content = {CONTENT_TYPE: {"schema": self.ERROR_SCHEMA}}
        for status in http.HTTPStatus:
            if status >= 400:
                described = {"description": status.phrase, "content": content}
                spec.components.response(status.name, described, lazy=True)
        spec.components.response(
            "NOT_MODIFIED", {"description": "The answer is the one that `If-None-Match` names."}, lazy=True
        )
        spec.components.response("DEFAULT_ERROR", {"description": "Problem", "content": content}, lazy=True)


def page_headers(page: Page[Any]) -> dict[str, str]:
    """``Link`` to the first and the next page, and the total where it was asked for.

    Notes
    -----
    Targets are relative to the host (RFC 8288, section 3.1), so they are right behind any proxy.
    """
    links = [_link("first", None)]
    if page.next_cursor is not None:
        links.append(_link("next", page.next_cursor))
    headers = {"Vary": "Accept"}
    if page.format == JSON:
        headers["Link"] = ", ".join(links)
    if page.total is not None:
        headers |= {"X-Total-Count": str(page.total.rows), "X-Total-Count-Kind": page.total.kind}
    if page.covered is not None:
        headers["X-Covered"] = page.covered
    return headers


def _link(relation: str, cursor: str | None) -> str:
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in {"cursor", "offset"}]
    if cursor is not None:
        kept.append(("cursor", cursor))
    target = request.script_root + request.path + (f"?{urlencode(kept)}" if kept else "")
    return f'<{target}>; rel="{relation}"'
