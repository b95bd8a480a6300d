"""Requests and answers by the rules of DALI 1.1 (IVOA 2017): parameters, tables, and errors that clients can read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import marshmallow as ma
from flask import Response, request

from app.domain.errors import ContimgError, OutsideImage
from app.domain.vo import FITS, VOTABLE, Form
from app.schemas.vo import ONE_VALUE
from app.services.pictures.service import Picture
from app.services.tables import Table
from app.services.vo.documents import error_document
from app.web.access import is_trusted
from app.web.api import CACHEABLE
from app.web.context import settings
from app.web.environ import FREE
from app.web.errors import answer_domain_error
from app.web.files import send_data_file, send_picture
from app.web.tables import send_table

F = TypeVar("F", bound=Callable[..., Any])
Refuse = Callable[[Response, str], Response]

# A longer answer is sent as it is made, and not kept.
WHOLE_BYTES = 1_000_000
_SECURE = frozenset({"http", "https"})


def dali(query: type[ma.Schema], refuse: Refuse) -> Callable[[F], F]:
    """Decorator: read parameters by a schema, from the address or the form, and refuse in the protocol's own way.

    Parameters
    ----------
    query
        What the parameters are.
    refuse
        Makes the answer to what went wrong, of a response that has the status already.
    """
    schema = query()

    def decorator(view: F) -> F:
        @wraps(view)
        def answering(*args: Any, **kwargs: Any) -> Any:
            try:
                found = schema.load(request.values)
            except ma.ValidationError as error:
                return refuse(Response(status=400), _told(error.messages_dict))
            try:
                return view(found, *args, **kwargs)
            except ContimgError as error:
                return refuse(answer_domain_error(error), error.message)

        return answering  # type: ignore[return-value]

    return decorator


def kept_if_public(view: F) -> F:
    """Decorator: the answer may be kept where its URLs do not depend on how the client addressed this service."""

    @wraps(view)
    def marked(*args: Any, **kwargs: Any) -> Any:
        if settings().public_url:
            request.environ[CACHEABLE] = True
        return view(*args, **kwargs)

    return marked  # type: ignore[return-value]


def base_url() -> str:
    """What URLs of this service begin with, for the client that asks.

    Notes
    -----
    The operator's word, else the host that the client addressed and the scheme that a trusted proxy tells.
    """
    if settings().public_url:
        return settings().public_url
    told = request.headers.get("X-Forwarded-Proto", "").strip().lower()
    believed = told in _SECURE and is_trusted(request.environ.get("REMOTE_ADDR", ""), settings())
    return f"{told if believed else request.scheme}://{request.host}{request.script_root}"


def send_votable(table: Table, form: Form) -> Response:
    """Answer with a table: whole if it is short, else as a stream."""
    response = send_table(table, form.name)
    response.content_type = form.content_type
    return _whole(response)


def send_cut(found: Picture | Path) -> Response:
    """Answer with a cut-out or a whole file; with nothing where the region holds no pixel (SODA 1.0, section 4.1)."""
    if isinstance(found, Path):
        return send_data_file(found, FITS)
    try:
        return send_picture(found)
    except OutsideImage:
        empty = Response(status=204)
        del empty.headers["Content-Type"]
        return empty


def send_xml(document: bytes) -> Response:
    """Answer with an XML document."""
    return Response(document, content_type="text/xml; charset=utf-8")


def refuse_cone(response: Response, message: str) -> Response:
    """Simple Cone Search 1.03 answers what cannot be asked with 200 and an INFO that is called Error."""
    if response.status_code < 500:
        response.status_code = 200
    return _refusal(response, error_document(_fault(response, message), cone_search=True), VOTABLE)


def refuse_votable(response: Response, message: str) -> Response:
    """An error of Simple Image Access or DataLink."""
    return _refusal(response, error_document(_fault(response, message)), VOTABLE)


def refuse_text(response: Response, message: str) -> Response:
    """An error of SODA."""
    several = response.status_code == 400 and ONE_VALUE in message
    kind = "MultiValuedParamNotSupported" if several else _kind(response, "UsageError", "ServiceUnavailable", "Error")
    return _refusal(response, f"{kind}: {message}\n".encode(), "text/plain; charset=utf-8")


def _fault(response: Response, message: str) -> str:
    return f"{_kind(response, 'UsageFault', 'TransientFault', 'FatalFault')}: {message}"


def _kind(response: Response, usage: str, transient: str, fatal: str) -> str:
    if response.status_code < 500:
        return usage
    return transient if response.status_code == 503 else fatal


def _refusal(response: Response, body: bytes, content_type: str) -> Response:
    response.set_data(body)
    response.content_type = content_type
    response.headers["Cache-Control"] = "no-store"
    request.environ.pop(CACHEABLE, None)
    return response


def _told(messages: dict[str, Any]) -> str:
    return "; ".join(f"{name}: {' '.join(_flat(reasons))}" for name, reasons in messages.items())


def _flat(reasons: Any) -> Iterator[str]:
    if isinstance(reasons, dict):
        for reason in reasons.values():
            yield from _flat(reason)
    elif isinstance(reasons, list):
        for reason in reasons:
            yield from _flat(reason)
    else:
        yield str(reasons)


def _whole(response: Response) -> Response:
    """The response with a body in one piece, as far as it is short, as pages of lists are, and like them not counted.

    A longer one is an export, and not kept.
    """
    stream: Any = response.response
    pieces = iter(stream)
    read: list[bytes] = []
    size = 0
    for piece in pieces:
        read.append(piece)
        size += len(piece)
        if size > WHOLE_BYTES:
            request.environ.pop(CACHEABLE, None)
            response.response = chain(read, pieces)
            response.call_on_close(stream.close)
            return response
    stream.close()
    request.environ[FREE] = True
    response.set_data(b"".join(read))
    return response
