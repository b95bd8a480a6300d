"""A client writes no lines of the log, and no log, error, figure or report tells a secret.

Beside these: the password of a Redis URL in /queue and /health (tests/api/test_queue.py, test_health.py); the log of a
gunicorn under attack (test_smuggling.py).
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from app.cli import main
from app.config import ConfigurationError, Settings
from app.queue.engine import Engine
from app.services import redis
from app.web.observe import make_formatter
from tests.security import surface
from tests.security.attempts import ATTEMPTS, attack
from tests.security.conftest import KEY, Build, Survey
from tests.security.conftest import settings as variables_of
from tests.security.test_tokens import signed

FORGERIES = [
    "\n2026-01-01 00:00:00,000 INFO app.requests admin came in",
    "\r\n{\"level\": \"INFO\", \"message\": \"forged\"}",
    "\x1b[2J\x1b[1;31mforged\x07",
    "\x00\x08\x7f\x85\u2028\u2029\u202eforged",
    "%s %(forged)s {forged} $forged ${jndi:ldap://127.0.0.1/forged}",
    "\ud800forged",
]  # fmt: skip
NAMES = (
    "X_REQUEST_ID",
    "X_CORRELATION_ID",
    "USER_AGENT",
    "REFERER",
    "X_FORWARDED_FOR",
    "X_API_KEY",
    "HOST",
    "AUTHORIZATION",
)
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]")


@attack("line ends, terminal controls and formats in whatever is logged", "one record a request, as JSON and as text")
@pytest.mark.parametrize("as_json", ["true", "false"])
def test_client_writes_no_lines_of_the_log(
    build: Build, survey: Survey, nothing_due: None, capsys: pytest.CaptureFixture[str], as_json: str
) -> None:
    """With a text in every place that is logged, or may come to be."""
    made = build(over=survey, DSA110_LOG_REQUESTS="true", DSA110_LOG_LEVEL="DEBUG", DSA110_LOG_JSON=as_json)
    asked = 0
    for text in FORGERIES:
        raw = text.encode("utf-8", "surrogatepass").decode("latin-1")
        for address in ("/api/v1/images", "/nowhere", "/api/v1/jobs/x/rerun"):
            for place in ("PATH_INFO", "QUERY_STRING", *(f"HTTP_{name}" for name in NAMES)):
                # gunicorn lets no other bytes than ASCII into an address (test_smuggling.py).
                given = {"PATH_INFO": f"{address}/{raw}", "QUERY_STRING": quote(raw.encode("latin-1"))}.get(place, raw)
                surface.ask(made.client, address, environ={place: given}).close()
                asked += 1
    made.app.wsgi_app.flush()  # type: ignore[attr-defined]
    lines = capsys.readouterr().err.rstrip("\n").split("\n")
    assert len(lines) == asked
    for line in lines:
        if as_json == "true":
            assert isinstance(json.loads(line), dict)
            assert not re.search("[\x00-\x09\x0b-\x1f]", line)
        else:
            assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO app\.requests ", line), line
            assert not CONTROLS.search(line), line


@attack("the same in messages and tracebacks", "one record each; what follows it is indented")
@pytest.mark.parametrize("text", FORGERIES)
@pytest.mark.parametrize("as_json", ["true", "false"])
def test_name_in_a_message_or_a_traceback_writes_none_either(survey: Survey, text: str, as_json: str) -> None:
    form = make_formatter(
        Settings.from_environment({**variables_of(survey.pipeline, survey.directory), "DSA110_LOG_JSON": as_json})
    )
    try:
        raise ValueError(text)
    except ValueError as error:
        record = logging.LogRecord("app.x", 40, "x.py", 1, "of %s", (text,), (ValueError, error, error.__traceback__))
    record.request_id = "1"
    with ATTEMPTS.one():
        first, *others = form.format(record).split("\n")
    assert not CONTROLS.search(first) or as_json == "true"
    assert all(line.startswith("  | ") for line in others)
    if as_json == "true":
        assert others == []
        assert "forged" in json.loads(first)["message"] or "came in" in first


# -- secrets

SECRETS = {
    "DSA110_API_KEYS": KEY,
    "DSA110_JWT_SECRET": "jwtsecret-0123456789-0123456789-abcdef",
    "DSA110_QUEUE_URL": "redis://queueuser:queuepassword@127.0.0.1:1/0",
    "DSA110_REDIS_URL": "redis://:redispassword@127.0.0.1:1/0",
    "DSA110_RATE_LIMIT_STORAGE_URL": "redis://:limiterpassword@127.0.0.1:1/0",
}
URLS = [
    "redis://:PASS/WORD@127.0.0.1:1/0", "redis://:PASS#WORD@127.0.0.1:1/0", "redis://:PASS?WORD@127.0.0.1:1",
    "redis://:12/WORD@127.0.0.1:1/0", "redis://u:WORD@[127.0.0.1:1/0", "redis://:WORD@127.0.0.1:PASS/0",
    "redsi://:WORD@127.0.0.1:1", "rediss://u:WORD@127.0.0.1:1/0", ":WORD@127.0.0.1", "redis://:WORD@127.0.0.1:1/0",
]  # fmt: skip
WORDS = (KEY, SECRETS["DSA110_JWT_SECRET"], "queuepassword", "redispassword", "limiterpassword", "queueuser")


@attack("looking for secrets in answers, errors, metrics, health and logs, with and without `DSA110_DEBUG`", "none")
@pytest.mark.parametrize("debug", ["false", "true"])
def test_no_answer_and_no_line_of_the_log_tells_a_secret(
    build: Build, survey: Survey, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, debug: str
) -> None:
    variables = {**SECRETS, "DSA110_DEBUG": debug, "DSA110_RATE_LIMIT_DISABLED": "false", "DSA110_LOG_REQUESTS": "true"}
    made = build(over=survey, **variables, DSA110_LOG_LEVEL="DEBUG", DSA110_ENABLE_PROFILING="true")
    token = signed({"alg": "HS256"}, secret=SECRETS["DSA110_JWT_SECRET"])
    seen: list[str] = []
    credentials: list[dict[str, str]] = [
        {},
        {"X-API-Key": KEY},
        {"Authorization": f"Bearer {token}"},
        {"X-API-Key": KEY[:-1]},
    ]

    def look(address: str, method: str, headers: dict[str, str], client: FlaskClient | None = None) -> None:
        with surface.ask(client or made.client, address, method, headers=headers) as answer:
            seen.append(f"{answer.headers}{answer.text if answer.mimetype != 'image/png' else ''}")

    for operation in surface.operations(made.app) + surface.others(made.app):
        look(operation.at(), operation.method, credentials[len(seen) % 2 * (operation.method != "GET")])
    for headers in credentials:
        for address, method in (("/api/v1/cache/clear", "POST"), ("/api/v1/health?detailed=true", "GET"),
                                ("/metrics", "GET"),
                                ("/readyz", "GET"), ("/api/v1/queue", "GET"), ("/api/v1/images", "TRACE")):  # fmt: skip
            look(address, method, headers)
    services = made.app.extensions["contimg.services"]
    monkeypatch.setattr(services.images, "get", lambda _: {}[repr(made.app.extensions["contimg.settings"])])
    look("/api/v1/images/1", "GET", credentials[1], surface.uncounted(made.app))  # the defect is not the attacker's
    made.app.wsgi_app.flush()
    out, err = capfd.readouterr()
    assert "KeyError" in err, "the defect was logged"
    assert len(seen) > 100
    for word in (*WORDS, token, *((KEY[:-1],))):
        assert [text for text in seen if word in text] == [], word
        assert word not in out + err, word


@attack(
    "looking for secrets in what commands print, and in the files of the state directory",
    "none; a new key is printed once, and its hash is kept",
)
def test_no_command_tells_a_secret(survey: Survey) -> None:
    environ = {**variables_of(survey.pipeline, survey.directory), **SECRETS}
    for command in (
        ["doctor"],
        ["doctor", "--json"],
        ["keys", "list"],
        ["audit"],
        ["db", "status"],
        ["--help"],
        ["worker", "--help"],
    ):
        with ATTEMPTS.one():
            told = CliRunner(env=environ).invoke(main, command)
        text = f"{told.output}{told.exception!r}"
        assert [word for word in WORDS if word in text] == [], command
    with ATTEMPTS.one():
        made = CliRunner(env=environ).invoke(main, ["keys", "create", "--name", "x", "--scope", "read"])
    (secret,) = re.findall(r"dsa110_[\w-]{43}", made.output)
    listed = CliRunner(env=environ).invoke(main, ["keys", "list"])
    assert secret not in listed.output
    for file in (survey.directory / "state").rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), "only its hash is kept"


@attack("passwords in URLs of stores that are written wrong", "refused at the start, or shown without")
@pytest.mark.parametrize("variable", ["DSA110_QUEUE_URL", "DSA110_RATE_LIMIT_STORAGE_URL", "DSA110_REDIS_URL"])
@pytest.mark.parametrize("url", URLS)
def test_url_that_is_written_wrong_tells_no_part_of_its_password(tmp_path: Path, variable: str, url: str) -> None:
    """Neither where the service refuses to start, nor where its queue and health are told."""
    with ATTEMPTS.one(ConfigurationError) as refused:
        settings = Settings.from_environment({variable: url})
    told = f"{refused}"
    if not refused:
        engine = Engine(settings.queue_url, "q", tmp_path)
        told = f"{redis.look(settings.redis_url, timeout_s=0.2)} {engine.shown_url} {settings}"
    assert "PASS" not in told
    assert "WORD" not in told


@attack("the settings in a message or a traceback", "without secrets")
def test_settings_shown_by_accident_show_no_secret(survey: Survey) -> None:
    with ATTEMPTS.one():
        shown = repr(Settings.from_environment({**variables_of(survey.pipeline, survey.directory), **SECRETS}))
    assert "DSA110" in shown or "products_db" in shown
    assert [word for word in WORDS if word in shown] == []
