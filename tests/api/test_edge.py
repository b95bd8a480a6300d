"""The edge: prefixes, errors, access, CORS, headers, conditional requests."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.cli.token import token
from app.config import Settings
from app.domain.errors import ContimgError
from app.web.auth import WRITE, enforce
from app.web.errors import STATUS
from tests.support.pipeline import Pipeline

SECRET = "a secret of at least thirty-two characters"
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "error", "code", "message"} | {
    "details",
    "errors",
    "trace_id",
}
MakeApp = Callable[[Pipeline], Flask]


def assert_is_problem(response: Any, status: int, code: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = response.get_json(force=True)
    assert response.status_code == status, body
    assert response.headers["Content-Type"] == "application/problem+json"
    assert set(body) == PROBLEM_MEMBERS
    assert isinstance(body["detail"], str)
    assert isinstance(body["details"], dict)
    assert body["status"] == status
    assert body["message"] == body["detail"]
    assert body["trace_id"] == response.headers["X-Request-ID"]
    assert response.headers["Cache-Control"] == "no-store"
    if code is not None:
        assert body["error"] == code
    return body


# -- errors


@pytest.mark.parametrize(
    ("path", "status", "code", "client_code"),
    [
        ("/api/images/4711", 404, "RECORD_NOT_FOUND", "IMAGE_NOT_FOUND"),
        ("/api/v1/nowhere", 404, "NOT_FOUND", "NOT_FOUND"),
        ("/nowhere", 404, "NOT_FOUND", "NOT_FOUND"),
        ("/api/images?limit=x", 422, "VALIDATION_FAILED", "VALIDATION_FAILED"),
        ("/api/images?cursor=x", 400, "VALIDATION_ERROR", "VALIDATION_FAILED"),
        ("/api/images?count=roughly", 400, "VALIDATION_ERROR", "VALIDATION_FAILED"),
    ],
)
def test_every_failure_has_one_shape(client: FlaskClient, path: str, status: int, code: str, client_code: str) -> None:
    assert assert_is_problem(client.get(path), status, code)["code"] == client_code


@pytest.mark.parametrize("path", ["/api", "/api/v1", "/vo", "/docs", "/nowhere", "/api/nowhere", "/vo/tap"])
def test_address_that_leads_nowhere_names_the_documentation(client: FlaskClient, path: str) -> None:
    answer = client.get(path, environ_overrides={"SCRIPT_NAME": "/dsa110"})
    detail = assert_is_problem(answer, 404, "NOT_FOUND")["detail"]
    assert detail == "There is nothing at this address. What there is: /dsa110/api/docs"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_address_that_leads_nowhere_does_so_by_every_method(client: FlaskClient, method: str) -> None:
    for path in ("/vo/tap", "/vo/tap/sync", "/console/nowhere"):
        assert_is_problem(client.open(path, method=method), 404, "NOT_FOUND")
    for path in ("/vo/capabilities", "/console/images"):
        assert_is_problem(client.open(path, method=method), 405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    "path", ["images?pbcor=maybe", "images/1/preview.png?grid=perhaps", "health?detailed=somewhat"]
)
def test_flag_that_is_neither_names_what_it_may_be(client: FlaskClient, path: str) -> None:
    body = assert_is_problem(client.get(f"/api/{path}"), 422)
    assert body["errors"][0]["message"] == "Say true or false."


def test_wrong_method_tells_the_right_ones(client: FlaskClient) -> None:
    response = client.post("/api/images")
    assert_is_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize(
    "value", ["-1", "1001", "1.5", "1_0", " 7 ", "٣", "1e3", "", "NaN", "9" * 30, "0x10", "+1", "null"]
)
def test_limit_takes_ascii_digits_within_its_bounds_only(client: FlaskClient, value: str) -> None:
    body = assert_is_problem(client.get("/api/images", query_string={"limit": value}), 422)
    assert body["errors"][0]["loc"] == ["query", "limit"]


def test_unknown_parameter_is_refused_naming_the_known(client: FlaskClient) -> None:
    body = assert_is_problem(client.get("/api/images?limt=5"), 422)
    assert "limit" in body["errors"][0]["message"]


def test_unknown_parameter_is_ignored_where_there_is_no_list(client: FlaskClient, pipeline: Pipeline) -> None:
    number = pipeline.make_image()
    assert client.get(f"/api/images/{number}?refresh=1").status_code == 200


@pytest.mark.parametrize("identifier", ["9" * 19, "9" * 30, "-1", "1_0", "%207%20", "%D9%A3", "a" * 10_000, "a%00b"])
def test_image_id_that_cannot_exist_is_not_found(client: FlaskClient, identifier: str) -> None:
    assert_is_problem(client.get(f"/api/images/{identifier}"), 404, "RECORD_NOT_FOUND")


def test_missing_database_is_unavailable_without_naming_its_path(environ: dict[str, str]) -> None:
    environ |= {"PIPELINE_PRODUCTS_DB": "/nowhere/at/all.sqlite3"}
    response = create_app(Settings.from_environment(environ)).test_client().get("/api/images")
    body = assert_is_problem(response, 503, "DATABASE_CONNECTION_ERROR")
    assert body["code"] == "PRODUCTS_DB_UNAVAILABLE"
    assert "nowhere" not in response.text
    assert int(response.headers["Retry-After"]) > 0


def locked(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda file: file.write_bytes(b"no database " * 1000), "DATABASE_CONNECTION_ERROR"),
        (lambda file: file.mkdir(), "DATABASE_CONNECTION_ERROR"),
        (locked, "DATABASE_BUSY"),
    ],
    ids=["no database", "a directory", "locked"],
)
def test_own_database_that_is_away_is_not_taken_for_the_products(
    pipeline: Pipeline,
    make_app: MakeApp,
    environ: dict[str, str],
    write_headers: dict[str, str],
    tmp_path: Path,
    spoil: Callable[[Path], Any],
    error: str,
) -> None:
    number = pipeline.make_image()
    file = tmp_path / "own" / "api.sqlite3"
    file.parent.mkdir()
    environ["DSA110_API_STATE_DIR"] = str(file.parent)
    client = make_app(pipeline).test_client()
    kept = spoil(file)
    rating = {"rating": 4, "confidence": "true"}
    response = client.post(f"/api/images/{number}/rating", json=rating, headers=write_headers)
    body = assert_is_problem(response, 503, error)
    assert (body["code"], body["details"]) == ("STATE_DB_UNAVAILABLE", {"database": "api"})
    assert int(response.headers["Retry-After"]) > 0
    assert client.get(f"/api/images/{number}").status_code == 200
    if isinstance(kept, sqlite3.Connection):
        kept.close()


def test_defect_is_told_without_its_details(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def burst(*_: object) -> None:
        raise RuntimeError("the secret is xyzzy")

    service = client.application.extensions["contimg.services"].images
    monkeypatch.setattr(type(service), "page", burst)
    response = client.get("/api/images")
    assert_is_problem(response, 500, "INTERNAL_ERROR")
    assert "xyzzy" not in response.text


def test_every_error_of_the_domain_has_a_status_of_its_own_or_of_its_kind() -> None:
    def family(kind: type) -> Iterator[type]:
        for heir in kind.__subclasses__():
            yield heir
            yield from family(heir)

    # Commands have errors of their own, which no request can meet.
    domain_errors = [kind for kind in family(ContimgError) if kind.__module__ == "app.domain.errors"]
    decided = set(STATUS) - {ContimgError}
    undecided = [kind.__name__ for kind in domain_errors if not decided & set(kind.__mro__)]
    assert undecided == []


# -- prefixes and paths


def test_both_prefixes_say_the_same(client: FlaskClient, pipeline: Pipeline) -> None:
    for _ in range(3):
        pipeline.make_image()
    legacy, versioned = client.get("/api/images?limit=2"), client.get("/api/v1/images?limit=2")
    assert legacy.data == versioned.data
    for name in ("Link", "ETag", "Content-Type", "Cache-Control"):
        assert legacy.headers[name] == versioned.headers[name]


def test_trailing_slash_leads_to_the_path_without(client: FlaskClient) -> None:
    response = client.get("/api/images/?limit=3")
    assert (response.status_code, response.headers["Location"]) == (307, "/api/images?limit=3")


def test_head_has_the_headers_of_get_and_no_body(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image()
    got, head = client.get("/api/images"), client.head("/api/images")
    assert head.data == b""
    assert {**head.headers, "X-Request-ID": ""} == {**got.headers, "X-Request-ID": ""}


# -- conditional requests


def test_etag_spares_an_unchanged_answer_and_changes_with_the_data(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image()
    first = client.get("/api/images")
    assert first.headers["Cache-Control"] == "private, no-cache"
    spared = client.get("/api/images", headers={"If-None-Match": first.headers["ETag"]})
    assert (spared.status_code, spared.data) == (304, b"")
    assert spared.headers["ETag"] == first.headers["ETag"]
    pipeline.make_image()
    changed = client.get("/api/images", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize("condition", ['W/{etag}, "other"', '"other", {etag}', "*"])
def test_if_none_match_compares_weakly_in_lists(client: FlaskClient, condition: str) -> None:
    etag = client.get("/api/images").headers["ETag"]
    assert client.get("/api/images", headers={"If-None-Match": condition.format(etag=etag)}).status_code == 304


# -- who may write


@pytest.fixture
def guarded(pipeline: Pipeline, make_app: MakeApp, environ: dict[str, str]) -> FlaskClient:
    """An application with one more route, that wants the scope to write."""
    environ["DSA110_JWT_SECRET"] = SECRET
    app = make_app(pipeline)
    app.add_url_rule("/api/v1/guarded", "guarded", enforce(WRITE)(lambda: "done"), methods=["POST"])
    return app.test_client()


def bearer(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> dict[str, str]:
    payload = {"sub": "tester", "iat": int(time.time()), "exp": time.time() + 60, "scopes": ["write"]} | claims
    payload = {name: value for name, value in payload.items() if value is not None}
    return {"Authorization": f"Bearer {jwt.encode(payload, secret, algorithm=algorithm)}"}


def test_key_may_write(guarded: FlaskClient, write_headers: dict[str, str]) -> None:
    assert guarded.post("/api/guarded", headers=write_headers).text == "done"


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-API-Key": "wrong"}, {"X-API-Key": "schlüssel"}, {"X-API-Key": ""}, {"Authorization": "Basic YTpi"}],
)
def test_without_a_valid_key_nobody_may_write(guarded: FlaskClient, headers: dict[str, str]) -> None:
    response = guarded.post("/api/guarded", headers=headers)
    assert_is_problem(response, 401, "UNAUTHORIZED")
    assert response.headers.getlist("WWW-Authenticate") == ['ApiKey realm="DSA-110 API"', "Bearer"]


def test_token_with_the_scope_may_write_even_beside_a_wrong_key(guarded: FlaskClient) -> None:
    assert guarded.post("/api/guarded", headers={**bearer(), "X-API-Key": "wrong"}).status_code == 200


def test_token_without_the_scope_is_forbidden(guarded: FlaskClient) -> None:
    assert_is_problem(guarded.post("/api/guarded", headers=bearer(scopes=["read"])), 403, "FORBIDDEN")


def test_admin_may_write(guarded: FlaskClient) -> None:
    assert guarded.post("/api/guarded", headers=bearer(scopes=["admin"])).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        bearer(exp=None),
        bearer(exp=int(time.time()) - 60),
        bearer(scopes="write"),
        bearer(secret="another secret of thirty-two characters"),
        {"Authorization": "Bearer " + jwt.encode({"exp": 2**31, "scopes": ["write"]}, None, algorithm="none")},
        {"Authorization": "Bearer not.a.token"},
    ],
    ids=["no-exp", "expired", "scopes-text", "other-secret", "alg-none", "garbage"],
)
def test_token_that_is_not_right_in_every_part_does_not_count(guarded: FlaskClient, headers: dict[str, str]) -> None:
    assert_is_problem(guarded.post("/api/guarded", headers=headers), 401)


def test_clock_ten_seconds_off_is_forgiven(guarded: FlaskClient) -> None:
    assert guarded.post("/api/guarded", headers=bearer(exp=time.time() - 5)).status_code == 200


def test_token_made_on_the_command_line_counts(guarded: FlaskClient) -> None:
    made = CliRunner(env={"DSA110_JWT_SECRET": SECRET}).invoke(token, ["ops", "--scope", "write"])
    assert guarded.post("/api/guarded", headers={"Authorization": f"Bearer {made.output.strip()}"}).status_code == 200
    refused = CliRunner(env={"DSA110_JWT_SECRET": ""}).invoke(token, ["ops"])
    assert refused.exit_code == 1
    assert "DSA110_JWT_SECRET" in refused.output


def test_tokens_are_off_without_a_secret(pipeline: Pipeline, make_app: MakeApp) -> None:
    app = make_app(pipeline)
    app.add_url_rule("/api/v1/guarded", "guarded", enforce(WRITE)(lambda: "done"), methods=["POST"])
    assert app.test_client().post("/api/guarded", headers=bearer(secret="x" * 32)).status_code == 401


def test_no_keys_means_no_key_is_accepted(pipeline: Pipeline, make_app: MakeApp, environ: dict[str, str]) -> None:
    environ["DSA110_API_KEYS"] = ""
    app = make_app(pipeline)
    app.add_url_rule("/api/v1/guarded", "guarded", enforce(WRITE)(lambda: "done"), methods=["POST"])
    assert app.test_client().post("/api/guarded", headers={"X-API-Key": ""}).status_code == 401


def test_disabled_authentication_lets_everybody_write(
    pipeline: Pipeline, make_app: MakeApp, environ: dict[str, str]
) -> None:
    environ["DSA110_AUTH_DISABLED"] = "true"
    app = make_app(pipeline)
    app.add_url_rule("/api/v1/guarded", "guarded", enforce(WRITE)(lambda: "done"), methods=["POST"])
    assert app.test_client().post("/api/guarded").status_code == 200


# -- who may connect


def ask(client: FlaskClient, peer: str, forwarded: str | None = None, path: str = "/api/images") -> int:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client.get(path, headers=headers, environ_base={"REMOTE_ADDR": peer}).status_code


@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("127.0.0.1", None, 200),
        ("::1", None, 200),
        ("10.1.2.3", None, 200),
        ("192.168.7.7", None, 200),
        ("::ffff:10.1.2.3", None, 200),
        ("8.8.8.8", None, 403),
        ("172.32.0.1", None, 403),
        ("not-an-address", None, 403),
        # An outsider cannot lend themselves an address,
        ("8.8.8.8", "127.0.0.1", 403),
        # and behind a proxy only the proxy's own entry counts.
        ("127.0.0.1", "8.8.8.8", 403),
        ("127.0.0.1", "10.0.0.5", 200),
        ("127.0.0.1", "10.0.0.5, 8.8.8.8", 403),
        ("127.0.0.1", "8.8.8.8, 10.0.0.5", 200),
        ("127.0.0.1", "garbage", 200),
    ],
)
def test_addresses_outside_the_list_are_refused(
    client: FlaskClient, peer: str, forwarded: str | None, status: int
) -> None:
    assert ask(client, peer, forwarded) == status


def test_configured_proxy_is_believed(pipeline: Pipeline, make_app: MakeApp, environ: dict[str, str]) -> None:
    environ |= {"DSA110_TRUSTED_PROXIES": "10.9.0.0/16"}
    client = make_app(pipeline).test_client()
    assert ask(client, "10.9.1.1", "8.8.8.8") == 403
    assert ask(client, "10.8.1.1", "8.8.8.8") == 200
    assert ask(client, "127.0.0.1", "8.8.8.8, 10.9.1.1") == 403


@pytest.mark.parametrize(("path", "status"), [("/api/health", 200), ("/metrics", 200), ("/api/v1/health", 403)])
def test_probe_and_scraper_may_come_from_anywhere(client: FlaskClient, path: str, status: int) -> None:
    assert ask(client, "8.8.8.8", path=path) == status


def test_refusal_is_a_problem_with_security_headers(client: FlaskClient) -> None:
    response = client.get("/api/images", environ_base={"REMOTE_ADDR": "8.8.8.8"})
    body = assert_is_problem(response, 403, "FORBIDDEN")
    assert body["detail"] == "Access denied from 8.8.8.8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


# -- browsers


def test_known_origin_is_echoed_and_unknown_is_not(client: FlaskClient) -> None:
    known = client.get("/api/images", headers={"Origin": "http://localhost:3000"})
    unknown = client.get("/api/images", headers={"Origin": "http://localhost:3000.evil.example"})
    none = client.get("/api/images")
    assert known.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert known.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Access-Control-Allow-Origin" not in unknown.headers
    assert "Access-Control-Allow-Origin" not in none.headers
    assert all("Origin" in response.headers["Vary"] for response in (known, unknown, none))


def test_pages_may_read_every_header_that_lists_and_files_are_documented_with(client: FlaskClient) -> None:
    answer = client.get("/api/images", headers={"Origin": "http://localhost:3000"})
    exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
    assert {"X-Total-Count", "X-Total-Count-Kind", "X-Covered", "Link", "Content-Disposition"} <= exposed


def test_preflight_is_answered(client: FlaskClient) -> None:
    asked = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    response = client.options("/api/images", headers=asked)
    assert response.status_code in {200, 204}
    assert response.headers["Access-Control-Max-Age"] == "600"


def test_errors_carry_cors_headers_too(client: FlaskClient) -> None:
    response = client.get("/api/images/0", headers={"Origin": "http://localhost:3000"})
    assert response.status_code == 404
    assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


@pytest.mark.parametrize(
    ("path", "peer", "status"), [("/api/images", "8.8.8.8", 403), ("/api/images/", "127.0.0.1", 307)]
)
def test_answers_in_front_of_flask_have_the_headers_of_all_others(
    client: FlaskClient, path: str, peer: str, status: int
) -> None:
    for origin, known in (("http://localhost:3000", True), ("https://evil.example", False), (None, False)):
        asked = {"Origin": origin} if origin else {}
        missing = client.get("/nowhere", headers=asked).headers
        answer = client.get(path, headers=asked, environ_base={"REMOTE_ADDR": peer})
        assert answer.status_code == status
        assert answer.headers.get("Access-Control-Allow-Origin") == (origin if known else None)
        alike = [name for name, _ in missing if name.startswith(("Access-", "X-", "Ref", "Cache", "Content-Sec"))]
        different = {name for name in alike if answer.headers.get(name) != missing[name]}
        assert different == {"X-Request-ID"}
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("path", ["/api/images", "/api/images/0", "/nowhere"])
def test_every_answer_carries_the_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Strict-Transport-Security" not in headers


def test_compression_follows_what_the_client_takes(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_many_images(50)
    plain = client.get("/api/images", headers={"Accept-Encoding": "identity"})
    for encoding in ("gzip", "br", "zstd"):
        packed = client.get("/api/images", headers={"Accept-Encoding": encoding})
        assert packed.headers["Content-Encoding"] == encoding
        assert len(packed.data) < len(plain.data)
        assert packed.headers["ETag"] != plain.headers["ETag"]
    refused = client.get("/api/images", headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers


# -- names of requests


def test_request_id_is_taken_over_where_it_is_decent(client: FlaskClient) -> None:
    assert client.get("/api/images", headers={"X-Request-ID": "abc-1.2"}).headers["X-Request-ID"] == "abc-1.2"
    assert client.get("/api/images", headers={"X-Correlation-ID": "xyz"}).headers["X-Request-ID"] == "xyz"


@pytest.mark.parametrize("offered", ["a b", "x" * 129, "päth", 'a"b', "<script>"])
def test_request_id_is_made_anew_where_it_is_not(client: FlaskClient, offered: str) -> None:
    assert client.get("/api/images", headers={"X-Request-ID": offered}).headers["X-Request-ID"] != offered


# -- the documentation page


def test_documentation_page_may_run_its_scripts_and_loads_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/api/docs/")
    assert '<meta name="viewport" content="width=device-width' in page.text
    assert "<noscript><p>This page needs JavaScript." in page.text
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    # A picture that is tried out is shown as a blob.
    assert "img-src 'self' data: blob:;" in page.headers["Content-Security-Policy"]
    assert "http://" not in page.text.replace("http://localhost/api/docs/oauth2-redirect.html", "")
    assert "https://" not in page.text
    with client.get("/api/docs/swagger-ui-bundle.js") as script:
        assert script.status_code == 200
    assert client.get("/api/redoc").headers["Location"] == "/api/docs"
