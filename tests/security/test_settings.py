"""No setting that is an address leads anywhere but where it says, in the way it says, and none in a client's words.

Beside these: addresses in what clients send (test_pages.py), passwords of URLs in what is told (test_logs.py), what
production refuses (tests/unit/test_config.py).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from app.config import ConfigurationError, Settings, addresses, parse
from app.domain.monitored import Target
from tests.security import surface
from tests.security.attempts import ATTEMPTS, attack, control
from tests.security.conftest import KEY, Build, Survey
from tests.support.neighbours import http, neighbour
from tests.support.server import refusal

# Every setting that is a URL, a host, a port or a part of an address, with values that it may have.
GOOD: dict[str, tuple[str, ...]] = {
    "DSA110_HOST": ("0.0.0.0", "::1", "fe80::1%eth0", "localhost", "api_1.example.org"),
    "DSA110_PORT": ("0", "8000", "65535"),
    "DSA110_PUBLIC_URL": ("", "https://a.example", "http://10.0.0.1:8000/radio/", "http://[::1]:8000"),
    "DSA110_REDIS_URL": ("", "redis://:p%2Fw@h:1/0", "rediss://h", "unix:///run/redis.sock", "memory://"),
    "DSA110_QUEUE_URL": ("", "redis://h", "rediss://u:p@h:1/0", "unix:///run/redis.sock", "postgresql://h:1,i:1/q"),
    "DSA110_RATE_LIMIT_STORAGE_URL": ("", "redis://:p@h:1/0", "rediss://h"),
    "DSA110_CORS_ORIGINS": ("", "http://localhost:3000/,https://a.example", r"https://.*\.a\.example"),
    "DSA110_ACCEL_PREFIX": ("", "/protected", "/protected/"),
}
# Of all of them, but for what some may be.
BAD = [
    "file:///etc/PASSWORD", "http://u:PASSWORD@evil.example/", "https://u:PASSWORD@evil.example", "ftp://u:PASSWORD@h/x",
    "gopher://u:PASSWORD@127.0.0.1:6379/_FLUSHALL", "javascript:alert('PASSWORD')", "data:text/html,PASSWORD",
    "dict://u:PASSWORD@h:1/", "ldap://u:PASSWORD@h/x", "jar:http://u:PASSWORD@h!/", "unix:PASSWORD",
    "redis:u:PASSWORD@h",
    "redis+unix://:PASSWORD@h", "sqlite:////etc/PASSWORD", "mysql://u:PASSWORD@h/d", "amqp://u:PASSWORD@h",
    "\\\\evil.example\\PASSWORD", "//u:PASSWORD@evil.example", "u:PASSWORD@evil.example:80", "redis://h\r\nPASSWORD:1",
    "http://u:PASSWORD@ex\u2100mple.com", "http://[::1/PASSWORD", "http:///PASSWORD", "http://:80PASSWORD",
    "http://a.example/?PASSWORD", "http://a.example/<PASSWORD>", "https://a.example/x y PASSWORD", "*,PASSWORD",
    "null,PASSWORD", "/../PASSWORD", "//evil.example/PASSWORD", "/x\r\nX-PASSWORD: 1", "@PASSWORD", "-PASSWORD",
]  # fmt: skip


@control
@pytest.mark.parametrize("variable", GOOD)
def test_setting_may_be_what_it_is_meant_to_be(variable: str) -> None:
    for value in GOOD[variable]:
        Settings.from_environment({variable: value})


@control
def test_no_setting_that_is_an_address_is_forgotten() -> None:
    declared = {item.metadata["variable"]: item.metadata["parse"] for item in fields(Settings)}
    named = {name for name in declared if re.search(r"URL|URI|HOST|PORT$|ORIGINS|PREFIX|ADDRESS|ENDPOINT", name)}
    read = {name for name, reader in declared.items() if reader in (parse.port, *vars(addresses).values())}
    assert named == read == set(GOOD)


@attack(
    "settings that name a file, a script, a store or a protocol that this service does not speak",
    "it does not start, and tells the variable and what was expected, but nothing of the value",
)
@pytest.mark.parametrize("variable", GOOD)
def test_address_of_another_kind_stops_the_start_and_is_not_told(variable: str) -> None:
    for value in BAD:
        with ATTEMPTS.one(ConfigurationError) as refused:
            Settings.from_environment({variable: value})
        assert refused, (variable, value)
        assert re.match(rf"{variable}: expected .{{10,}}", f"{refused[0]}")
        assert "PASSWORD" not in f"{refused}", (variable, value)


@attack("the same, started as gunicorn", "exit code 1, the reason in one line without the password")
@pytest.mark.live
def test_server_does_not_start_over_a_url_that_it_refuses(tmp_path: Path) -> None:
    ended = refusal(tmp_path, DSA110_QUEUE_URL="gopher://u:PASSWORD@127.0.0.1:6379/_FLUSHALL")
    assert ended.returncode == 1
    ATTEMPTS.refused()
    told = ended.stdout + ended.stderr
    assert "DSA110_QUEUE_URL: expected redis://" in told
    assert "PASSWORD" not in told
    assert "Traceback" not in told


# -- where they lead


@contextmanager
def listening() -> Iterator[tuple[int, socket.socket]]:
    """A port where somebody waits to be called, without blocking."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(0)
        yield listener.getsockname()[1], listener


def assert_nobody_called(listener: socket.socket) -> None:
    with pytest.raises(BlockingIOError):
        listener.accept()


@attack(
    "every read, where `DSA110_PUBLIC_URL`, an origin and the prefix for nginx name another server",
    "they are written into answers; nobody connects there",
)
def test_addresses_that_are_only_told_are_never_connected_to(build: Build, survey: Survey) -> None:
    with listening() as (port, listener):
        url = f"http://127.0.0.1:{port}"
        told = build(
            over=survey,
            DSA110_PUBLIC_URL=url,
            DSA110_CORS_ORIGINS=url,
            DSA110_ACCEL_PREFIX=f"/{port}",
        )
        shown = 0
        for operation in surface.reads(told.app):
            target = operation.at() + ("?ID=1" if "ID" in operation.query else "")
            with surface.ask(told.client, target, headers={"Origin": url, "Referer": url}) as answer:
                shown += url.encode() in answer.data
        assert shown > 2, "the Virtual Observatory names addresses of this service"
        assert_nobody_called(listener)


@attack(
    "clients' words in the health report, where `DSA110_REDIS_URL` names a server of another kind",
    "it is asked for its version in Redis' protocol, and hears nothing of any client",
)
def test_store_hears_nothing_of_what_clients_say(build: Build, survey: Survey) -> None:
    words = "x\r\nFLUSHALL\r\nSMUGGLED"
    heard: list[bytes] = []
    with neighbour(http("400 Bad Request"), heard) as port:
        made = build(over=survey, DSA110_REDIS_URL=f"redis://127.0.0.1:{port}/0")
        for environ, query in (({}, ""), ({"HTTP_USER_AGENT": words, "HTTP_REFERER": words}, "&host=SMUGGLED")):
            answer = surface.ask(made.client, f"/api/v1/health?detailed=true{query}", environ=environ)
            assert answer.get_json()["redis"]["status"] == "error", "it is no Redis"
    assert heard == [b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n"] * 2


@attack(
    "clients' words in all that is counted and ordered, where the limiter's and the queue's URL name such a server",
    "it hears nothing of them; requests are counted elsewhere meanwhile, orders get 503",
)
def test_stores_of_limits_and_orders_hear_nothing_of_what_clients_say(build: Build, survey: Survey) -> None:
    words = "x\r\nFLUSHALL\r\nSMUGGLED"
    heard: list[bytes] = []
    with neighbour(http("400 Bad Request"), heard) as port:
        url = f"redis://127.0.0.1:{port}/0"
        stores = {"DSA110_RATE_LIMIT_STORAGE_URL": url, "DSA110_QUEUE_URL": url}
        made = build(over=survey, DSA110_RATE_LIMIT_DISABLED="false", **stores)
        environ = {"REMOTE_ADDR": "10.1.2.3", "HTTP_USER_AGENT": words, "HTTP_IDEMPOTENCY_KEY": words}
        for key, address, method, status in (
            (words, "/api/v1/images?field_name=SMUGGLED", "GET", 200),
            (words, "/api/v1/cache/clear", "POST", 401),
            (KEY, "/api/v1/jobs/job-2025-10-31-130001/rerun?x=SMUGGLED", "POST", 503),
        ):
            answer = surface.ask(made.client, address, method, environ=environ | {"HTTP_X_API_KEY": key})
            assert answer.status_code == status, answer.text
    assert len(heard) >= 2
    assert b"SMUGGLED" not in b"".join(heard)
    assert b"FLUSHALL" not in b"".join(heard)


MOVED = ("301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect", "300 Choices")


@attack(
    "a monitored service that answers with a redirect to another one",
    "it runs, which is all that was asked; nobody follows",
)
@pytest.mark.parametrize("status", MOVED)
def test_redirect_of_a_monitored_service_is_not_followed(
    survey: Survey, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monitor = survey.app.extensions["contimg.services"].monitor
    with listening() as (port, listener):
        elsewhere = f"http://127.0.0.1:{port}/secret"
        leads = f'{status}\r\nLocation: {elsewhere}\r\nRefresh: 0; url={elsewhere}\r\nAlt-Svc: h2=":{port}"'
        with neighbour(http(leads)) as asked:
            monkeypatch.setattr(monitor, "_neighbours", (Target("moved", asked, "", "/"),))
            told = surface.ask(survey.client, f"/api/v1/services/status/{asked}").get_json()
            assert (told["status"], told["error"]) == ("running", None)
        assert_nobody_called(listener)
