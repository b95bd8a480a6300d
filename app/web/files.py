"""Sending files: whole, in part, resumed, or handed over to the proxy.

A range that is no single range of bytes is passed over, as RFC 9110 (sections 14.2 and 15.5.17) allows: several ranges
at once, other units and what cannot be read get the whole file, not an error.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from flask import Response, current_app, request
from werkzeug.exceptions import PreconditionFailed
from werkzeug.http import http_date, parse_range_header
from werkzeug.wsgi import wrap_file

from app.domain.errors import FileNotAccessible
from app.services.pictures.service import Picture
from app.web.context import settings
from app.web.disposition import disposition
from app.web.environ import only_at_hand
from app.web.headers import REVALIDATE


def send_data_file(path: Path, content_type: str) -> Response:
    """A file of the data roots, as a download; by nginx itself where the operator set that up.

    Parameters
    ----------
    path
        As found by :class:`app.services.files.DataFiles`.
    content_type
        Media type.
    """
    response: Response = current_app.response_class(mimetype=content_type)
    response.headers["Content-Disposition"] = disposition("attachment", path.name)
    prefix = settings().accel_prefix
    if prefix:
        response.headers["X-Accel-Redirect"] = quote(f"{prefix.rstrip('/')}{path}")
        response.headers["Cache-Control"] = REVALIDATE
        return response
    try:
        file = _Unchanged(path)
    except OSError as error:
        raise FileNotAccessible(path.name) from error
    status = file.status
    response.set_etag(f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}")
    response.headers["Last-Modified"] = http_date(status.st_mtime)
    return _filled(response, file)


class _Unchanged(io.FileIO):
    """A file that is sent; closing it fails where it was cut short or written to meanwhile.

    Less would be sent than was announced, the connection would be kept, and the client would take the next answer for
    the rest of the file. The failure makes gunicorn break the connection off.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self.status = os.fstat(self.fileno())

    def close(self) -> None:
        """Close it, and raise FileNotAccessible where it is not what it was."""
        if self.closed:
            return
        status = os.fstat(self.fileno())
        super().close()
        if (status.st_size, status.st_mtime_ns) != (self.status.st_size, self.status.st_mtime_ns):
            raise FileNotAccessible(Path(os.fsdecode(self.name)).name)


def send_picture(picture: Picture) -> Response:
    """A picture; not even made where the client has it already."""
    response: Response = current_app.response_class(mimetype=picture.content_type)
    response.headers["Content-Disposition"] = disposition("inline", picture.name)
    response.set_etag(picture.etag)
    response.make_conditional(request)
    if response.status_code == 412:
        raise PreconditionFailed
    if response.status_code != 200:
        return response
    only_at_hand(request.environ)
    return _filled(response, picture.open())


def _filled(response: Response, file: IO[bytes]) -> Response:
    """The response with an open file as its body, or the part of it that was asked for."""
    try:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        response.response = wrap_file(request.environ, file)
        response.direct_passthrough = True
        response.content_length = size
        response.make_conditional(_with_plain_range(request.environ), accept_ranges=True, complete_length=size)
        if response.status_code == 412:
            raise PreconditionFailed
    except BaseException:
        file.close()
        raise
    if response.status_code == 304:
        response.response = []
        file.close()
    return response


def _with_plain_range(environ: dict[str, Any]) -> dict[str, Any]:
    """The request's environment, without a range that is to be passed over."""
    asked = parse_range_header(environ.get("HTTP_RANGE"))
    if asked is not None and asked.units == "bytes" and len(asked.ranges) == 1:
        return environ
    return {name: value for name, value in environ.items() if name != "HTTP_RANGE"}
