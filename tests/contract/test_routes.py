"""What holds for every route, whoever wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import marshmallow as ma
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from app import blueprints, create_app
from app.config import Settings
from app.schemas.base import Schema
from app.web.anteroom import DRAWN
from app.web.api import RATE_LIMITED, Api
from app.web.auth import PUBLIC, WRITE
from app.web.ratelimit import RENDERINGS
from tests.contract.snapshot import SNAPSHOT, document

# Questions too long for an address.
READS_BY_POST = {"/api/v1/images/bulk-download", "/api/v1/lightcurves"}


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_app(Settings.from_environment({"DSA110_ENV": "testing", "DSA110_LOG_REQUESTS": "false"}))


def resource_rules(app: Flask) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/v1/")]


def operations(spec: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            if method in {"get", "post", "put", "patch", "delete"}:
                yield path, method, operation


def test_every_route_declares_its_access(app: Flask) -> None:
    silent = [
        rule.rule
        for rule in resource_rules(app)
        if getattr(app.view_functions[rule.endpoint], "_apidoc", {}).get("access") is None
    ]
    assert silent == []


def test_reads_are_public_and_writes_are_not(app: Flask) -> None:
    for rule in resource_rules(app):
        access = app.view_functions[rule.endpoint]._apidoc["access"]  # type: ignore[attr-defined]
        writes = (rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"} and rule.rule not in READS_BY_POST
        assert access == (WRITE if writes else PUBLIC), rule.rule


def test_document_is_written_when_it_is_first_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer than everything else that happens at the start."""
    written: list[Any] = []
    write = Api._write_responses
    monkeypatch.setattr(Api, "_write_responses", lambda api, spec: written.append(spec) or write(api, spec))
    client = create_app(
        Settings.from_environment({"DSA110_ENV": "testing", "DSA110_LOG_REQUESTS": "false"})
    ).test_client()
    assert client.get("/livez").status_code == 200
    assert written == []
    assert [client.get("/api/openapi.json").status_code for _ in range(2)] == [200, 200]
    assert len(written) == 1


def test_anteroom_knows_every_route_that_draws_and_no_other(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        draws = getattr(app.view_functions[rule.endpoint], "_apidoc", {}).get(RATE_LIMITED) == RENDERINGS
        for form in ("png", "svg"):
            target = re.sub(r"<[^<>]*>", "x", re.sub(r"<any\([^()]*\):format>", form, rule.rule))
            assert bool(DRAWN.match(f"GET {target}?a=1 HTTP/1.1".encode())) == draws, target


def test_no_write_is_reached_without_credentials(app: Flask) -> None:
    client = app.test_client()
    for rule in [rule for rule in resource_rules(app) if rule.rule not in READS_BY_POST]:
        for method in (rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}:
            path = rule.rule
            for argument in rule.arguments:
                path = path.replace(next(p for p in path.split("/") if argument in p), "x")
            assert client.open(path, method=method, json={}).status_code == 401, (method, path)


def test_every_operation_has_a_summary_and_describes_its_errors() -> None:
    for path, method, operation in operations(document()):
        assert operation.get("summary"), (method, path)
        assert "default" in operation["responses"], (method, path)


def test_every_parameter_is_described() -> None:
    for path, method, operation in operations(document()):
        for parameter in operation.get("parameters", []):
            described = parameter.get("description") or parameter["schema"].get("description")
            assert described or parameter["in"] == "path", (method, path, parameter["name"])


def test_the_document_is_the_one_agreed_on() -> None:
    assert document() == json.loads(SNAPSHOT.read_text()), "if the change is meant: make openapi"


def test_every_list_refuses_parameters_it_does_not_know(app: Flask) -> None:
    spec = document()
    lists = [
        path
        for path, method, operation in operations(spec)
        if method == "get" and "Link" in operation["responses"].get("200", {}).get("headers", {})
    ]
    assert lists, "there are lists"
    for path in lists:
        response = app.test_client().get(path, query_string={"nonsense": "1"})
        assert response.status_code == 422, path
        assert "limit" in response.get_json()["errors"][0]["message"]


# Every schema is imported by a blueprint.
assert blueprints.ALL


def schemas(kind: type[Schema] = Schema) -> Iterator[type[Schema]]:
    for heir in kind.__subclasses__():
        if heir.__module__.startswith("app."):
            yield heir
            yield from schemas(heir)


@pytest.mark.parametrize("kind", sorted(set(schemas()), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_compiled_dump_says_what_marshmallow_would_say(kind: type[Schema]) -> None:
    """Compared on a record whose every attribute is None or a plain value, nested ones left out."""

    class Record:
        def __init__(self, value: Any) -> None:
            self._value = value

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return self._value

    simple = [
        name
        for name, field in kind().dump_fields.items()
        if not isinstance(field, ma.fields.Nested | ma.fields.List | ma.fields.Dict) and not hasattr(field, "derive")
    ]
    if not simple:
        return
    schema = kind(only=simple)
    for value in (None, 1, 0):
        stock = ma.Schema.dump(schema, Record(value))
        compiled = schema.dump(Record(value))
        omitted = {name for name in kind.OMIT_NONE if value is None}
        wanted = {key: item for key, item in stock.items() if key not in omitted}
        assert {key: _plain(item) for key, item in compiled.items()} == {
            key: _plain(item) for key, item in wanted.items()
        }


def _plain(value: Any) -> Any:
    """Records hold numbers where schemas say number; the probe's bare 1 stands for text too."""
    return str(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else _number(value)


def _number(value: Any) -> Any:
    try:
        return str(float(value))
    except (TypeError, ValueError):
        return value


def test_root_of_the_api_has_no_client_side_secrets(app: Flask) -> None:
    client: FlaskClient = app.test_client()
    assert "secret" not in client.get("/api/openapi.json").text.lower()
