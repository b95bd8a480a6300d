"""What an attacker can reach: every operation and parameter of the OpenAPI document, and every other route of the site.

Derived from the running application, so a route that is added tomorrow is attacked by the tests of today.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlencode

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.pipeline import image_path, ms_path

# Something that exists in the survey of these tests, for every part of a path that names something.
KNOWN = {
    "image_id": "1", "source_id": "S1", "path": ms_path(1), "run_id": "job-2025-10-31-130001", "batch_id": "1",
    "job_id": "job_0123456789ab", "port": "8000", "pattern": "images*", "format": "svg", "family": "scs",
    "name": "console.css", "site": "index.html",
}  # fmt: skip
# An answer that goes on, or takes its time from other machines: attacked by path, but not by each parameter.
ENDLESS = re.compile(r"/events$|/stream$")
SLOW = re.compile(r"/services/status|/animation$")
# The parameters of the Virtual Observatory, which has its own kind of document.
OBSERVATORY = {
    "/vo/scs/sources": ("RA", "DEC", "SR", "VERB", "MAXREC", "RESPONSEFORMAT"),
    "/vo/sia2/query": ("POS", "BAND", "TIME", "POL", "ID", "COLLECTION", "TARGET", "MAXREC", "RESPONSEFORMAT"),
    "/vo/datalink": ("ID", "RESPONSEFORMAT"),
    "/vo/soda/sync": ("ID", "CIRCLE", "POLYGON", "POS", "BAND", "RESPONSEFORMAT"),
}

_PART = re.compile(r"[<{](?:[^<>{}:]*:)?(\w+)[>}]")


class Operation(NamedTuple):
    """A method of a path with the names of its parameters."""

    method: str
    path: str
    query: tuple[str, ...] = ()
    body: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of what the path names."""
        return tuple(_PART.findall(self.path))

    def at(self, **parts: str) -> str:
        """Its address; a value is put in as it is, percent signs and all, any other part names what exists."""
        values = {name: quote(_known(name, self.path), safe="") for name in self.parts} | parts
        return _PART.sub(lambda found: values[found[1]], self.path)

    def asked(self, **query: str) -> str:
        """Its address with parameters."""
        return f"{self.at()}?{urlencode(query)}" if query else self.at()


def operations(app: Flask) -> list[Operation]:
    """Those of the OpenAPI document."""
    document = uncounted(app).get("/api/openapi.json").get_json()
    return [
        Operation(
            method.upper(),
            path,
            tuple(each["name"] for each in operation.get("parameters", []) if each["in"] == "query"),
            tuple(_properties(operation, document)),
        )
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]


def uncounted(app: Flask) -> FlaskClient:
    """A client for what is no attack."""
    return FlaskClient(app, app.response_class)


def others(app: Flask) -> list[Operation]:
    """Routes beside the document: the console, the Virtual Observatory, links at the root of the site."""
    rules = [rule for rule in app.url_map.iter_rules() if not rule.rule.startswith("/api/v1/")]
    return [Operation("GET", rule.rule, OBSERVATORY.get(rule.rule, ())) for rule in rules]


def reads(app: Flask) -> list[Operation]:
    """Every GET there is, of either kind."""
    return [operation for operation in operations(app) if operation.method == "GET"] + others(app)


def parameters(found: list[Operation]) -> Iterator[tuple[Operation, str]]:
    """Every query parameter of those operations that answer at once."""
    for operation in found:
        if not ENDLESS.search(operation.path) and not SLOW.search(operation.path):
            for name in operation.query:
                yield operation, name


def ask(client: FlaskClient, target: str, method: str = "GET", **options: Any) -> TestResponse:
    """An answer to a request for exactly this target; of an endless answer, the beginning.

    A server decodes the path once and hands its bytes over as Latin-1 (PEP 3333); the query it leaves alone.
    """
    path, _, query = target.partition("?")
    written = {"PATH_INFO": unquote_to_bytes(path).decode("latin-1"), "QUERY_STRING": query}
    answer = client.open("/", method=method, environ_overrides=written | options.pop("environ", {}), **options)
    if answer.mimetype == "text/event-stream":
        answer.close()
        answer.response = []
        return answer
    answer.get_data()  # kept, so that whatever it was read from can be closed
    answer.close()
    return answer


def _properties(operation: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content["schema"]
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        yield from schema.get("properties", {})


def _known(name: str, path: str) -> str:
    if name == "path" and "/cal/" in path:
        return image_path(1).replace(".fits", ".tbl")
    return KNOWN[name]
