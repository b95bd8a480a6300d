"""JSON by orjson: fast, UTF-8, and never NaN or Infinity, which become null.

What comes in is bounded in depth as well: a kilobyte of brackets would else go deep enough to exhaust the stack of
whatever walks through it later.
"""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider

# Nothing that is asked of this service goes deeper than three or four.
MOST_LEVELS = 32


class OrjsonProvider(JSONProvider):
    """Flask's door to orjson."""

    def dumps(self, obj: Any, **_: Any) -> str:
        """JSON text."""
        return encode(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        """Objects from JSON text; raises ``ValueError`` for anything else."""
        return decode(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """A JSON answer."""
        return Response(encode(self._prepare_response_obj(args, kwargs)), mimetype="application/json")


def decode(text: str | bytes) -> Any:
    """Objects from JSON text; raises ``ValueError`` for anything else, and for what is nested too deeply."""
    found = orjson.loads(text)
    level = [found]
    for _ in range(MOST_LEVELS):
        level = [inner for outer in level for inner in _children(outer)]
        if not level:
            return found
    raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep")


def _children(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in inner if isinstance(child, dict | list)]


def encode(obj: Any) -> bytes:
    """JSON bytes of plain objects; bytes from the database are read as UTF-8."""
    return orjson.dumps(obj, default=_foreign)


def _foreign(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "replace")
    raise TypeError(f"{type(value).__name__} has no JSON form")
