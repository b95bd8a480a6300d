"""Keys and tokens: what they open, for how long, and what is kept of them."""

from __future__ import annotations

import base64
import hmac
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.cli import main
from app.config import Settings
from app.domain.errors import Busy
from app.repositories.keys import KeyRepository
from app.services.keys import KeyService
from app.wiring import Services
from tests.conftest import WRITE_KEY
from tests.support.pipeline import Pipeline

SECRET = "a secret of more than thirty-two characters, and of more than sixty-four"
WRITE, READ = "/api/v1/cache/clear", "/api/v1/images"
AWAY = {"REMOTE_ADDR": "10.1.2.3"}

Make = Callable[..., FlaskClient]


@pytest.fixture
def make(pipeline: Pipeline, environ: dict[str, str]) -> Iterator[Make]:
    """Clients of applications with settings of their own over one state directory, as workers have it."""
    made: list[Flask] = []

    def client(**settings: str) -> FlaskClient:
        paths = {"PIPELINE_PRODUCTS_DB": str(pipeline.products_path), "DSA110_JWT_SECRET": SECRET}
        made.append(create_app(Settings.from_environment({**environ, **paths, **settings})))
        return made[-1].test_client()

    yield client
    for app in made:
        app.extensions["contimg.services"].close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A client for tests that look at one key or token each."""
    state = str(tmp_path_factory.mktemp("shared"))
    environ = {"DSA110_ENV": "testing", "DSA110_JWT_SECRET": SECRET, "DSA110_STATE_DIR": state}
    app = create_app(Settings.from_environment({**environ, "DSA110_LOG_REQUESTS": "false"}))
    yield app.test_client()
    app.extensions["contimg.services"].close()


@pytest.fixture
def cli(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return lambda *words: CliRunner().invoke(main, words)


def services(client: FlaskClient) -> Services:
    found: Services = client.application.extensions["contimg.services"]
    return found


def key(client: FlaskClient, scope: Any = "write", **more: Any) -> dict[str, str]:
    """Headers with a new key."""
    return {"X-API-Key": services(client).keys.create("a script", scope, **more).secret}


def token(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> dict[str, str]:
    return {"Authorization": f"Bearer {jwt.encode(claims, secret, algorithm=algorithm)}"}


def soon() -> int:
    return int(time.time()) + 600


# -- keys by command


def test_key_that_a_command_made_opens_what_its_scope_says(make: Make, cli: Callable[..., Result]) -> None:
    client = make()
    done = cli("keys", "create", "--name", "nightly", "--scope", "write", "--expires", "90d")
    assert done.exit_code == 0, done.output
    secret = done.stdout.strip()
    assert secret.startswith("dsa110_")
    assert len(base64.urlsafe_b64decode(secret.removeprefix("dsa110_") + "=")) == 32
    assert client.post(WRITE, headers={"X-API-Key": secret}).status_code == 200
    [listed] = json.loads(cli("keys", "list", "--json").stdout)
    assert (listed["name"], listed["scope"], listed["state"], listed["prefix"]) == (
        "nightly",
        "write",
        "live",
        secret[:13],
    )
    assert listed["last_used_at"] is not None
    assert "nightly" in cli("keys", "list").stdout


def test_only_a_hash_of_a_key_is_kept(make: Make, environ: dict[str, str]) -> None:
    client = make()
    secret = key(client)["X-API-Key"]
    services(client).close()
    kept = b"".join(path.read_bytes() for path in Path(environ["DSA110_STATE_DIR"]).rglob("api.sqlite3*"))
    assert secret[:13].encode() in kept
    assert secret[:20].encode() not in kept
    assert secret[-20:].encode() not in kept


@pytest.mark.parametrize("named", ["number", "beginning"])
def test_revoked_key_opens_nothing_from_the_next_request_on(make: Make, cli: Callable[..., Result], named: str) -> None:
    one, other = make(), make()
    headers = key(one)
    assert [client.post(WRITE, headers=headers).status_code for client in (one, other)] == [200, 200]
    done = cli("keys", "revoke", "1" if named == "number" else headers["X-API-Key"][:13])
    assert done.exit_code == 0, done.output
    assert [client.post(WRITE, headers=headers).status_code for client in (one, other)] == [401, 401]
    assert json.loads(cli("keys", "list", "--json").stdout)[0]["state"] == "revoked"


def test_revoking_a_key_that_is_none_is_told(cli: Callable[..., Result]) -> None:
    cli("keys", "create", "--name", "another")
    done = cli("keys", "revoke", "7")
    assert done.exit_code == 1
    assert "Key not found: 7" in done.output


@pytest.mark.parametrize(
    "words",
    [
        ("--name", " "),
        ("--name", "a\nb"),
        ("--name", "x" * 65),
        ("--name", "x", "--expires", "2001-01-01"),
        ("--name", "x", "--expires", "tomorrow"),
        ("--name", "x", "--scope", "root"),
    ],
)
def test_key_without_sense_is_not_made(cli: Callable[..., Result], words: tuple[str, ...]) -> None:
    cli("keys", "create", "--name", "one with sense")
    assert cli("keys", "create", *words).exit_code != 0
    assert len(json.loads(cli("keys", "list", "--json").stdout)) == 1


# -- what keys open


@pytest.mark.parametrize(("scope", "may"), [("read", 403), ("write", 200), ("admin", 200)])
def test_scope_decides_who_may_write(shared: FlaskClient, scope: str, may: int) -> None:
    assert shared.post(WRITE, headers=key(shared, scope)).status_code == may


def test_key_that_expired_opens_nothing(shared: FlaskClient) -> None:
    client = shared
    headers = key(client, expires_at=time.time() + 60)
    assert client.post(WRITE, headers=headers).status_code == 200
    with services(client).access.transaction() as connection:
        connection.execute("UPDATE api_key SET expires_at = :now WHERE expires_at > 0", {"now": time.time()})
    assert client.post(WRITE, headers=headers).status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: secret[:-1],
        lambda secret: secret + "x",
        lambda secret: secret[:13] + "A" * (len(secret) - 13),
        lambda secret: secret[:13],
        lambda secret: secret.upper(),
        lambda secret: "ü" + secret,
        lambda secret: "%",
    ],
)
def test_key_that_is_nearly_right_is_wrong(shared: FlaskClient, change: Callable[[str], str]) -> None:
    offered = change(key(shared)["X-API-Key"])
    assert shared.post(WRITE, headers={"X-API-Key": offered.encode().decode("latin-1")}).status_code == 401


def test_key_of_the_environment_is_valid_beside_them_and_invalid_key_stops_no_token(make: Make) -> None:
    client = make()
    assert client.post(WRITE, headers={"X-API-Key": WRITE_KEY}).status_code == 200
    good = token({"sub": "me", "exp": soon(), "scopes": ["write"]})
    assert client.post(WRITE, headers={"X-API-Key": "wrong", **good}).status_code == 200


def test_key_counts_before_a_token_beside_it_whichever_way_it_was_made(make: Make) -> None:
    client = make()
    reads = token({"sub": "ann", "exp": soon(), "scopes": ["read"]})
    for own in (key(client, "write"), {"X-API-Key": WRITE_KEY}):
        assert client.post(WRITE, headers={**own, **reads}).status_code == 200
    writes = token({"sub": "ann", "exp": soon(), "scopes": ["write"]})
    assert client.post(WRITE, headers={**key(client, "read"), **writes}).status_code == 403


def test_use_of_a_key_is_noted_once_a_minute(make: Make) -> None:
    client = make()
    now = [1_800_000_000.0]
    service = KeyService(KeyRepository(services(client).access), lambda: now[0])
    secret = service.create("x", "read").secret
    noted = []
    for later in (0.0, 30.0, 59.0, 61.0, 100.0, -4000.0):
        now[0] = 1_800_000_000.0 + later
        assert service.recognise(secret) is not None
        noted.append((service.all()[0].last_used_at or 0.0) - 1_800_000_000.0)
    assert noted[:5] == [0.0, 0.0, 0.0, 61.0, 61.0]


def test_database_that_is_away_says_come_again_for_its_keys_and_nothing_for_others(make: Make) -> None:
    client = make()
    stored = key(client)
    path = services(client).access.path
    services(client).close()
    for file in list(path.parent.iterdir()):
        if file.name.startswith("api.sqlite3"):
            file.unlink()
    path.mkdir()
    answer = client.post(WRITE, headers=stored)
    assert (answer.status_code, answer.json["error"] if answer.json else "") == (503, "DATABASE_CONNECTION_ERROR")
    assert "Retry-After" in answer.headers
    assert client.post(WRITE, headers={"X-API-Key": WRITE_KEY}).status_code == 200
    assert client.get(READ, headers=stored).status_code == 200
    beside = {scope: token({"sub": "me", "exp": soon(), "scopes": [scope]}) for scope in ("read", "write")}
    assert client.post(WRITE, headers={**stored, **beside["write"]}).status_code == 200
    assert client.post(WRITE, headers={**stored, **beside["read"]}).status_code == 503, "the key may be one that writes"


# -- tokens


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"scopes": ["write"]}, 200),
        ({"scopes": ["admin"]}, 200),
        ({"scopes": ["read"]}, 403),
        ({"scopes": []}, 403),
        ({}, 403),
        ({"scopes": "write"}, 401),
        ({"scopes": {"write": True}}, 401),
        ({"scopes": ["write"], "exp": 1}, 401),
        ({"scopes": ["write"], "exp": None}, 401),
        ({"scopes": ["write"], "exp": "never"}, 401),
        ({"scopes": ["write"], "exp": float("inf")}, 401),
        ({"scopes": ["write"], "nbf": 4_000_000_000}, 401),
    ],
)
def test_token_opens_what_its_claims_say(shared: FlaskClient, claims: dict[str, Any], status: int) -> None:
    given = {"sub": "me", "exp": soon(), **claims}
    given = {name: value for name, value in given.items() if value is not None}
    assert shared.post(WRITE, headers=forged(given, SECRET)).status_code == status


def forged(claims: dict[str, Any], secret: str) -> dict[str, str]:
    """A token signed by hand, whatever is in it."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = base64.urlsafe_b64encode(hmac.digest(secret.encode(), signed, "sha256")).rstrip(b"=")
    return {"Authorization": f"Bearer {(signed + b'.' + signature).decode()}"}


def test_name_in_a_token_that_no_file_takes_is_written_otherwise(make: Make, environ: dict[str, str]) -> None:
    client = make(DSA110_RATE_LIMIT_WRITES="10 per minute")
    odd = forged({"sub": "a\ud800b", "exp": soon(), "scopes": ["write"]}, SECRET)
    assert client.post(WRITE, headers=odd, environ_overrides=AWAY).status_code == 200
    [line] = lines(environ)
    assert line["actor"] == "a\\ud800b"


def test_token_cannot_choose_how_it_is_signed(shared: FlaskClient) -> None:
    client, claims = shared, {"sub": "me", "exp": soon(), "scopes": ["admin"]}
    assert client.post(WRITE, headers=token(claims, algorithm="HS512")).status_code == 401
    assert client.post(WRITE, headers=token(claims, "another secret, as long as the right one is")).status_code == 401
    unsigned = jwt.encode(claims, None, algorithm="none")  # type: ignore[arg-type]
    assert client.post(WRITE, headers={"Authorization": f"Bearer {unsigned}"}).status_code == 401


@pytest.mark.parametrize("depth", [10, 500, 5000])
def test_token_of_nested_brackets_is_wrong_and_no_error_of_the_service(shared: FlaskClient, depth: int) -> None:
    nested = f'{{"alg":"HS256","x":{"[" * depth}{"]" * depth}}}'.encode()
    head = base64.urlsafe_b64encode(nested).rstrip(b"=").decode()
    assert shared.post(WRITE, headers={"Authorization": f"Bearer {head}.e30.AAAA"}).status_code == 401


def test_without_a_secret_no_token_is_valid(make: Make) -> None:
    claims = {"sub": "me", "exp": soon(), "scopes": ["admin"]}
    assert make(DSA110_JWT_SECRET="").post(WRITE, headers=forged(claims, "")).status_code == 401


# -- reads that need authorisation


def test_reads_need_a_scope_where_the_operator_wants_it(make: Make, pipeline: Pipeline) -> None:
    client = make(DSA110_REQUIRE_AUTH_FOR_READS="true")
    for path in (READ, "/api/images/7", "/nowhere", "/vo/tables", "/console/", "/api/v1/images/7/fits", "/"):
        refused = client.get(path)
        assert refused.status_code == 401, path
        assert "WWW-Authenticate" in refused.headers
    for scope in ("read", "write", "admin"):
        assert client.get(READ, headers=key(client, scope)).status_code == 200
    assert client.get(READ, headers=token({"exp": soon(), "scopes": ["read"]})).status_code == 200
    assert client.get(READ, headers=token({"exp": soon(), "scopes": []})).status_code == 403


def test_probes_and_the_documentation_stay_open(make: Make) -> None:
    client = make(DSA110_REQUIRE_AUTH_FOR_READS="true")
    for path in ("/api/health", "/api/v1/health", "/metrics", "/api/openapi.json", "/api/docs/"):
        assert client.get(path).status_code == 200, path
    origin = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "GET"}
    assert client.options(READ, headers=origin).status_code in {200, 204}


def test_answer_to_one_who_may_is_never_kept_for_one_who_may_not(make: Make, pipeline: Pipeline) -> None:
    pipeline.make_image(path="/stage/secret.fits")
    client = make(DSA110_REQUIRE_AUTH_FOR_READS="true", DSA110_CACHE_ENABLED="true")
    headers = key(client, "read")
    answers = [client.get(READ, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    etag = answers[0].headers["ETag"]
    for stolen in ({}, {"If-None-Match": etag}, {"X-API-Key": "wrong"}, {"Cookie": "a=b"}):
        refused = client.get(READ, headers=stolen)
        assert refused.status_code == 401
        assert b"secret.fits" not in refused.data
    assert client.get(READ, headers={**headers, "If-None-Match": etag}).status_code == 304
    figures = client.get("/api/v1/cache", headers=headers).get_json()
    assert (figures["hits"], figures["total_keys"]) == (0, 0)


# -- failures


def test_guessing_is_throttled_by_address_in_all_workers_together(make: Make) -> None:
    workers = [make(DSA110_RATE_LIMIT_AUTH="5 per minute") for _ in range(2)]
    wrong = {"X-API-Key": "dsa110_" + "x" * 43}
    statuses = [workers[n % 2].post(WRITE, headers=wrong, environ_overrides=AWAY).status_code for n in range(8)]
    assert statuses == [401] * 5 + [429] * 3
    right = {"X-API-Key": WRITE_KEY}
    throttled = workers[0].post(WRITE, headers=right, environ_overrides=AWAY)
    assert (throttled.status_code, throttled.json["error"] if throttled.json else "") == (429, "RATE_LIMITED")
    assert 0 < int(throttled.headers["Retry-After"]) <= 60
    elsewhere = {"REMOTE_ADDR": "10.1.2.4"}
    assert workers[1].post(WRITE, headers=right, environ_overrides=elsewhere).status_code == 200
    assert workers[1].get(READ, environ_overrides=AWAY).status_code == 200


def test_guesses_made_at_once_are_counted_before_they_are_answered(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each looks while there is room still, as threads that run side by side do."""
    client = make(DSA110_RATE_LIMIT_AUTH="5 per minute")
    monkeypatch.setattr("app.web.counting.ForgivingWindow.test", lambda *_args, **_options: True)
    wrong = {"X-API-Key": "dsa110_" + "x" * 43}
    statuses = [client.post(WRITE, headers=wrong, environ_overrides=AWAY).status_code for _ in range(8)]
    assert statuses == [401] * 5 + [429] * 3


def test_keys_are_not_guessed_beside_a_valid_token(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_AUTH="5 per minute")
    reads = token({"sub": "ann", "exp": soon(), "scopes": ["read"]})
    guesses = [{"X-API-Key": f"guess{n}", **reads} for n in range(8)]
    statuses = [client.post(WRITE, headers=guess, environ_overrides=AWAY).status_code for guess in guesses]
    assert statuses == [403] * 5 + [429] * 3
    right = {"X-API-Key": WRITE_KEY, **reads}
    assert client.post(WRITE, headers=right, environ_overrides=AWAY).status_code == 429


def test_token_beside_a_valid_key_is_not_looked_at_and_so_no_guess(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_AUTH="2 per minute")
    others = {"X-API-Key": WRITE_KEY, "Authorization": "Bearer of.another.service"}
    assert [client.post(WRITE, headers=others, environ_overrides=AWAY).status_code for _ in range(4)] == [200] * 4


def test_socket_for_both_protocols_tells_clients_apart(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_AUTH="2 per minute")
    wrong, right = {"X-API-Key": "dsa110_" + "x" * 43}, {"X-API-Key": WRITE_KEY}
    one, other = {"REMOTE_ADDR": "::ffff:10.1.2.3"}, {"REMOTE_ADDR": "::ffff:10.1.2.4"}
    assert [client.post(WRITE, headers=wrong, environ_overrides=one).status_code for _ in range(3)] == [401, 401, 429]
    assert client.post(WRITE, headers=right, environ_overrides={"REMOTE_ADDR": "10.1.2.3"}).status_code == 429
    assert client.post(WRITE, headers=right, environ_overrides=other).status_code == 200


def test_refusal_tells_whether_a_key_came(make: Make) -> None:
    client = make(DSA110_JWT_SECRET="s" * 32)
    told = {
        name: client.post(WRITE, headers=headers, environ_overrides=AWAY).get_json()["detail"]
        for name, headers in {"none": {}, "key": {"X-API-Key": "no"}, "token": {"Authorization": "Bearer no"}}.items()
    }
    assert told["none"] == "Authentication required: send a key in X-API-Key or a bearer token."
    assert told["key"] == told["token"] != told["none"]
    assert "not valid" in told["key"]


def test_address_in_a_header_does_not_help_who_guesses(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_AUTH="3 per minute")
    statuses = [
        client.post(
            WRITE, headers={"X-API-Key": "wrong", "X-Forwarded-For": f"10.9.9.{n}"}, environ_overrides=AWAY
        ).status_code
        for n in range(5)
    ]
    assert statuses == [401] * 3 + [429] * 2


def test_who_shows_nothing_is_not_taken_for_one_who_guesses(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_AUTH="1 per minute")
    assert [client.post(WRITE, environ_overrides=AWAY).status_code for _ in range(4)] == [401] * 4
    basic = {"Authorization": "Basic Zm9vOmJhcg=="}
    assert [client.post(WRITE, headers=basic, environ_overrides=AWAY).status_code for _ in range(4)] == [401] * 4


def test_guess_on_a_public_route_counts_as_well(make: Make) -> None:
    """What is left of a quota would else tell whether a key is right, as often as one likes."""
    client = make(DSA110_RATE_LIMIT_AUTH="3 per minute", DSA110_RATE_LIMIT_MINUTE="1000")
    for n in range(5):
        guess = {"X-API-Key": f"guess{n}"}
        assert client.get(READ, headers=guess, environ_overrides=AWAY).status_code == 200
    right = client.get(READ, headers={"X-API-Key": WRITE_KEY}, environ_overrides=AWAY)
    assert right.headers["RateLimit"].split(";")[1] == "r=994"


# -- audit


def lines(environ: dict[str, str]) -> list[dict[str, Any]]:
    path = next(Path(environ["DSA110_STATE_DIR"]).rglob("api.sqlite3"))
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM audit ORDER BY id")]


def test_every_write_is_in_the_audit_log_with_who_what_and_how_it_ended(
    make: Make, environ: dict[str, str], pipeline: Pipeline
) -> None:
    client = make()
    stored = key(client)
    client.post("/api/cache/invalidate/images*?x=1", headers={**stored, "X-Request-ID": "abc"}, environ_overrides=AWAY)
    client.post("/api/v1/images/nonsense/rating", json={"rating": 3}, headers={"X-API-Key": WRITE_KEY})
    client.post(WRITE, headers=token({"sub": "ann", "exp": soon(), "scopes": ["write"]}))
    assert client.post(WRITE).status_code == 401
    assert client.post(WRITE, headers=token({"sub": "bob", "exp": soon(), "scopes": ["read"]})).status_code == 403
    assert client.get(READ, headers=stored).status_code == 200
    found = lines(environ)
    assert [(line["actor"], line["actor_kind"], line["key_id"], line["status"]) for line in found] == [
        ("a script", "api_key", 1, 200),
        (WRITE_KEY[-8:], "api_key", None, 404),
        ("ann", "jwt", None, 200),
        ("bob", "jwt", None, 403),
    ]
    first = found[0]
    assert (first["method"], first["route"]) == ("POST", "/api/v1/cache/invalidate/<pattern>")
    assert (first["path"], first["client"], first["request_id"]) == (
        "/api/v1/cache/invalidate/images*",
        "10.1.2.3",
        "abc",
    )
    assert abs(first["at"] - time.time()) < 60
    assert len({line["arguments"] for line in found[:3]}) == 3


def test_write_that_a_known_caller_is_refused_is_in_the_audit_log_once_a_minute(
    make: Make, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(DSA110_MAX_BODY_BYTES="1024")
    reads = key(client, "read")
    for _ in range(3):
        assert client.post(WRITE, headers=reads).status_code == 403
        assert client.post(WRITE, headers=reads, data=b" " * 2000).status_code == 413
        assert client.post("/api/v1/jobs/x/rerun", headers=reads).status_code == 403
        assert client.options(WRITE, headers=reads).status_code < 400
        assert client.get(WRITE, headers=reads).status_code == 405
        assert client.post(WRITE, headers={"X-API-Key": "wrong"}).status_code == 401
        assert client.post(WRITE, data=b" " * 2000).status_code == 413
    assert [(line["actor"], line["key_id"], line["path"], line["status"]) for line in lines(environ)] == [
        ("a script", 1, WRITE, 403),
        ("a script", 1, WRITE, 413),
        ("a script", 1, "/api/v1/jobs/x/rerun", 403),
    ]
    monkeypatch.setattr("app.web.audit._REFUSED_EVERY_S", 0.0)
    assert client.post(WRITE, headers=reads).status_code == 403
    assert len(lines(environ)) == 4


def test_write_that_cannot_be_written_down_is_answered_and_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    client = make()
    told: list[str] = []

    def locked(*_: Any, **__: Any) -> None:
        raise Busy("locked")

    monkeypatch.setattr("app.repositories.audit.AuditRepository.insert", locked)
    monkeypatch.setattr("app.services.audit.log.error", lambda text, *values: told.append(text % values))
    assert client.post(WRITE, headers={"X-API-Key": WRITE_KEY}).status_code == 200
    [line] = told
    assert WRITE in line
    assert WRITE_KEY not in line


def test_old_lines_go_and_new_ones_are_listed(make: Make, environ: dict[str, str], cli: Callable[..., Result]) -> None:
    client = make(DSA110_AUDIT_RETENTION_DAYS="10")
    client.post(WRITE, headers={"X-API-Key": WRITE_KEY})
    with services(client).access.transaction() as connection:
        connection.execute("UPDATE audit SET at = at - 11 * 86400")
    client.post(WRITE, headers={"X-API-Key": WRITE_KEY})
    client.post(WRITE, headers={"X-API-Key": WRITE_KEY})
    assert len(lines(environ)) == 2
    with services(client).access.transaction() as connection:
        connection.execute("UPDATE audit SET at = at - 3 * 86400 WHERE id = 2")
    assert len(cli("audit").stdout.splitlines()) == 2
    assert len(cli("audit", "--since", "2d").stdout.splitlines()) == 1
    [line] = cli("audit", "--since", "1h", "--json").stdout.splitlines()
    assert json.loads(line)["path"] == WRITE


def test_address_of_a_write_forges_no_line_of_the_audit_log(make: Make, cli: Callable[..., Result]) -> None:
    forged = "/api/v1/jobs/%1b[31m%0a2026-11-25T00:00:00Z%20%20200%20forged%c2%9b%e2%80%ae/rerun"
    make().post(forged, headers={"X-API-Key": WRITE_KEY})
    for options in ((), ("--json",)):
        [line] = cli("audit", *options).stdout.splitlines()
        assert "forged" in line
        assert line.isprintable()
