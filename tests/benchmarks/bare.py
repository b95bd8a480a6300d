"""What the service is measured against: a WSGI callable and a Flask route that only hand out given bytes.

``BENCH_ANSWERS`` names a JSON file of ``{path: body}``; a path that is not in it gets the body under ``*``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flask import Flask, Response

_answers = {
    path: body.encode() for path, body in json.loads(Path(os.environ["BENCH_ANSWERS"]).read_text("utf-8")).items()
}
_other = _answers["*"]


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The least that a WSGI application can do."""
    body = _answers.get(environ["PATH_INFO"], _other)
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


flask = Flask(__name__, static_folder=None)


@flask.get("/api/v1/<resource>")
@flask.get("/api/v1/<resource>/<identifier>")
@flask.get("/api/v1/<resource>/<identifier>/<part>")
def answer(resource: str, identifier: str | None = None, part: str | None = None) -> Response:
    """The least that a Flask route can do."""
    path = "/".join(word for word in ("/api/v1", resource, identifier, part) if word)
    return Response(_answers.get(path, _other), mimetype="application/json")
