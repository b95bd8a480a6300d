"""What is said to those whose request never becomes one: a problem like every other, before there is an application.

gunicorn has pages of HTML for them.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import ParseException

from app.web.problems import CONTENT_TYPE, encode, problem

# What a Python calls a status is no code to rely on: some are called otherwise from 3.13 on.
_CODES: Mapping[int, str] = {413: "PAYLOAD_TOO_LARGE", 414: "URI_TOO_LONG"}
_DETAILS: Mapping[int, str] = {
    400: "The request is not HTTP that can be read.",
    408: "The request did not come in whole in time.",
    414: "The address is too long.",
    431: "The header fields are too long, or too many.",
    503: "Too much is coming in at once; try again soon.",
}


class InProblems:
    """A client's socket that turns gunicorn's pages of HTML into problems."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def sendall(self, page: bytes) -> None:
        """Send the problem that a page is about."""
        self._client.sendall(answer(int(page.split(b" ", 2)[1])))


def wordless(error: Exception) -> Exception:
    """The same error of a parser, by its name alone: it quotes what it could not read, which may hold a key."""
    if not isinstance(error, ParseException):
        return error
    kind = type(error)
    named: type[Exception] = type(kind.__name__, (kind,), {"__str__": lambda _: kind.__name__})
    told = named.__new__(named)
    vars(told).update(vars(error))
    return told


def answer(status: int) -> bytes:
    """The whole answer of that status, after which the connection is closed."""
    phrase = HTTPStatus(status).phrase
    code = _CODES.get(status) or phrase.upper().replace(" ", "_").replace("-", "_")
    body = encode(problem(status, code, _DETAILS.get(status, f"{phrase}."), environ={}))
    lines = [f"HTTP/1.1 {status} {phrase}", "Connection: close", f"Content-Type: {CONTENT_TYPE}"]
    lines += [f"Content-Length: {len(body)}", "Cache-Control: no-store", "X-Content-Type-Options: nosniff"]
    lines += ["Retry-After: 1"] if status == 503 else []
    return "\r\n".join([*lines, "", ""]).encode() + body
