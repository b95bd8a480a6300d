"""JSON by orjson: fast, UTF-8, and never NaN or Infinity, which become null."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider


class OrjsonProvider(JSONProvider):
    """Flask's door to orjson."""

    def dumps(self, obj: Any, **_: Any) -> str:
        """JSON text."""
        return encode(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        """Objects from JSON text; raises ``ValueError`` for anything else."""
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """A JSON answer."""
        return Response(encode(self._prepare_response_obj(args, kwargs)), mimetype="application/json")


def encode(obj: Any) -> bytes:
    """JSON bytes of plain objects; bytes from the database are read as UTF-8."""
    return orjson.dumps(obj, default=_foreign)


def _foreign(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "replace")
    raise TypeError(f"{type(value).__name__} has no JSON form")
