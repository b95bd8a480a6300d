"""How often somebody may ask, and what happens past it; places for what takes long; depth of JSON."""

from __future__ import annotations

import contextlib
import re
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from limits import parse
from limits.storage import storage_from_string
from werkzeug.test import TestResponse

from app import create_app
from app.config import ConfigurationError, Settings
from app.domain.errors import DatabaseUnavailable
from app.web import counting
from tests.conftest import WRITE_KEY
from tests.support.pipeline import Pipeline
from tests.support.radio_images import write_image

WRITE, LIST = "/api/v1/cache/clear", "/api/v1/images"
TABLE = "/api/v1/images?format=csv"
ONE, OTHER, HOME = ({"REMOTE_ADDR": address} for address in ("10.1.2.3", "10.1.2.4", "127.0.0.1"))
KEY = {"X-API-Key": WRITE_KEY}

Make = Callable[..., FlaskClient]


@pytest.fixture
def make(pipeline: Pipeline, environ: dict[str, str]) -> Iterator[Make]:
    """Clients of applications with settings of their own over one state directory, as workers have it."""
    made: list[Flask] = []

    def client(**settings: str) -> FlaskClient:
        paths = {"PIPELINE_PRODUCTS_DB": str(pipeline.products_path)}
        made.append(create_app(Settings.from_environment({**environ, **paths, **settings})))
        return made[-1].test_client()

    yield client
    for app in made:
        app.extensions["contimg.services"].close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A client for tests of what never gets as far as a database."""
    environ = {"DSA110_ENV": "testing", "DSA110_STATE_DIR": str(tmp_path_factory.mktemp("shared"))}
    app = create_app(Settings.from_environment({**environ, "DSA110_LOG_REQUESTS": "false"}))
    yield app.test_client()
    app.extensions["contimg.services"].close()


def statuses(ask: Callable[[], TestResponse], times: int) -> list[int]:
    found = []
    for _ in range(times):
        with ask() as answer:
            found.append(answer.status_code)
    return found


def left(answer: TestResponse, policy: str) -> int:
    """What an answer says is left of a quota."""
    found = re.search(rf'"{policy}";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
    assert found is not None, answer.headers["RateLimit"]
    assert 0 < int(found[2]) <= 3600
    return int(found[1])


# -- writes, renderings, exports


def test_writes_are_limited_and_told(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_WRITES="3 per minute")
    answers = [client.post(WRITE, headers=KEY, environ_overrides=ONE) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [left(answer, "writes") for answer in answers] == [2, 1, 0, 0, 0]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"writes";q=3;w=60'}
    refused = answers[-1]
    assert refused.content_type == "application/problem+json"
    assert (refused.get_json()["error"], refused.get_json()["code"]) == ("RATE_LIMITED", "RATE_LIMITED")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert "Retry-After" not in answers[0].headers


def test_refused_write_is_not_done_and_once_in_the_audit_log(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_WRITES="1")
    assert statuses(lambda: client.post(WRITE, headers=KEY, environ_overrides=ONE), 9) == [200] + [429] * 8
    found = client.application.extensions["contimg.services"].audit.since(0.0, limit=9)
    assert [(entry.act.status, entry.act.actor) for entry in found] == [(200, WRITE_KEY[-8:]), (429, WRITE_KEY[-8:])]


def test_who_may_not_write_is_told_so_however_often(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_WRITES="1")
    assert statuses(lambda: client.post(WRITE, environ_overrides=ONE), 3) == [401] * 3
    assert client.post(WRITE, headers=KEY, environ_overrides=ONE).status_code == 200


def test_key_is_one_caller_wherever_it_comes_from_and_workers_count_together(make: Make) -> None:
    workers = [make(DSA110_RATE_LIMIT_WRITES="4") for _ in range(2)]
    answers = [
        workers[n % 2].post(WRITE, headers=KEY, environ_overrides=(ONE, OTHER)[n // 2 % 2]).status_code
        for n in range(6)
    ]
    assert answers == [200] * 4 + [429] * 2
    another = workers[0].application.extensions["contimg.services"].keys.create("x", "write").secret
    assert workers[1].post(WRITE, headers={"X-API-Key": another}, environ_overrides=ONE).status_code == 200


def test_tables_count_as_exports_and_lists_do_not(make: Make, pipeline: Pipeline) -> None:
    pipeline.make_image(path="/a.fits")
    client = make(DSA110_RATE_LIMIT_EXPORTS="2")
    first = client.get(TABLE, environ_overrides=ONE)
    assert (first.status_code, left(first, "exports")) == (200, 1)
    csv = {"Accept": "text/csv"}
    assert statuses(lambda: client.get(LIST, headers=csv, environ_overrides=ONE), 2) == [200, 429]
    listed = client.get(LIST, environ_overrides=ONE)
    assert (listed.status_code, "RateLimit" in listed.headers) == (200, False)
    assert client.get(TABLE, environ_overrides=OTHER).status_code == 200


def test_export_past_the_quota_is_not_begun_to_find_out_whether_it_has_changed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(DSA110_RATE_LIMIT_EXPORTS="1")
    assert statuses(lambda: client.get(TABLE, environ_overrides=ONE), 1) == [200]
    begun: list[Any] = []
    monkeypatch.setattr("app.repositories.listing.Listing.page", lambda *given: begun.append(given))
    known = {"If-None-Match": '"x"'}
    assert statuses(lambda: client.get(TABLE, headers=known, environ_overrides=ONE), 2) == [429] * 2
    assert begun == []


@pytest.mark.parametrize(
    "url",
    [
        *("/api/v1/sources/export?ids=S1", "/api/v1/sources/S1/export", "/api/v1/jobs/export?ids=x"),
        *("/vo/scs/sources?RA=1&DEC=2&SR=1", "/vo/sia2/query?MAXREC=1", "/vo/datalink?ID=7"),
    ],
)
def test_tables_at_addresses_of_their_own_count_as_exports(
    make: Make, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr("app.web.vo.WHOLE_BYTES", 0)
    client = make(DSA110_RATE_LIMIT_EXPORTS="2", DSA110_CACHE_ENABLED="false")
    got = statuses(lambda: client.get(url, environ_overrides=ONE), 3)
    assert [status == 429 for status in got] == [False, False, True], got


def test_short_tables_of_the_observatory_do_not_count(make: Make) -> None:
    """Programs search around each of hundreds of positions."""
    client = make(DSA110_RATE_LIMIT_EXPORTS="2", DSA110_CACHE_ENABLED="false")
    for url in ("/vo/scs/sources?RA=1&DEC=2&SR=1", "/vo/sia2/query?MAXREC=1"):
        assert statuses(lambda url=url: client.get(url, environ_overrides=ONE), 4) == [200] * 4
    assert statuses(lambda: client.get(TABLE, environ_overrides=ONE), 3) == [200] * 2 + [429]


def test_archives_count_as_exports(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_EXPORTS="1")
    paths = ["/api/v1/images/bulk-download?ids=7", "/api/v1/ms/x/download"]
    assert [client.get(path, environ_overrides=ONE).status_code for path in paths] == [404, 429]


def test_picture_that_the_client_has_already_is_free(make: Make, pipeline: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "data" / "a.fits"
    write_image(path)
    number = pipeline.make_image(path=str(path))
    client = make(DSA110_RATE_LIMIT_RENDERINGS="3")
    url = f"/api/v1/images/{number}/thumbnail"
    with client.get(url, environ_overrides=ONE) as first:
        assert (first.status_code, left(first, "renderings")) == (200, 2)
    known = {"If-None-Match": first.headers["ETag"]}
    assert statuses(lambda: client.get(url, headers=known, environ_overrides=ONE), 5) == [304] * 5
    assert statuses(lambda: client.get(url, environ_overrides=ONE), 3) == [200, 200, 429]
    assert statuses(lambda: client.get(url, headers=known, environ_overrides=ONE), 5) == [304] * 5
    assert client.head(url, headers=known, environ_overrides=ONE).status_code == 304


def test_picture_that_the_client_has_not_is_refused_past_the_quota_and_not_drawn(
    make: Make, pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data" / "a.fits"
    write_image(path)
    number = pipeline.make_image(path=str(path))
    client = make(DSA110_RATE_LIMIT_RENDERINGS="1")
    url = f"/api/v1/images/{number}/thumbnail"
    assert statuses(lambda: client.get(url, environ_overrides=ONE), 1) == [200]
    drawn: list[Any] = []
    monkeypatch.setattr("app.services.pictures.service.draw_thumbnail", lambda *given: drawn.append(given))
    for known in ('"another"', "*", "nonsense"):
        refused = client.get(f"{url}?size=300", headers={"If-None-Match": known}, environ_overrides=ONE)
        assert (known, refused.status_code, left(refused, "renderings")) == (known, 429, 0)
    assert drawn == []


# -- who is counted


def test_peer_cannot_pass_for_another(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_EXPORTS="2")
    pretences = ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP"]
    got = [
        client.get(TABLE, headers={name: f"10.7.7.{n}"}, environ_overrides=ONE).status_code
        for n, name in enumerate(pretences)
    ]
    assert got == [200] * 2 + [429] * 4


def test_peer_behind_a_trusted_proxy_is_told_apart(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_EXPORTS="1", DSA110_TRUSTED_PROXIES="10.1.2.3")
    got = [
        client.get(TABLE, headers={"X-Forwarded-For": f"10.99.99.99, 10.7.7.{n % 2}"}, environ_overrides=ONE)
        for n in range(4)
    ]
    assert [answer.status_code for answer in got] == [200, 200, 429, 429]


def test_key_that_is_not_verified_is_nobody(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_EXPORTS="2", DSA110_RATE_LIMIT_AUTH="0")
    got = [
        client.get(TABLE, headers={"X-API-Key": f"invented{n}"}, environ_overrides=ONE).status_code for n in range(4)
    ]
    assert got == [200, 200, 429, 429]


def test_subscriber_with_a_whole_network_is_one_peer() -> None:
    assert counting.peer_key("2001:db8:1:2::5") == counting.peer_key("2001:db8:1:2:ffff::1")
    assert counting.peer_key("2001:db8:1:3::5") != counting.peer_key("2001:db8:1:2::5")


@pytest.mark.parametrize(
    ("environment", "peer", "limited"),
    [("development", HOME, False), ("development", ONE, True), ("staging", HOME, True), ("testing", HOME, False)],
)
def test_own_machine_is_exempt_in_development_alone(
    make: Make, environment: str, peer: dict[str, str], limited: bool
) -> None:
    client = make(DSA110_RATE_LIMIT_EXPORTS="1", DSA110_ENV=environment)
    got = statuses(lambda: client.get(TABLE, environ_overrides=peer), 3)
    assert got == ([200, 429, 429] if limited else [200] * 3)


# -- all requests


def test_reads_are_not_limited_unless_somebody_says_so(make: Make) -> None:
    answers = [make().get(LIST, environ_overrides=ONE) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert not any("RateLimit" in answer.headers for answer in answers)


def test_reads_from_the_cache_count_and_304s_do_not(make: Make, pipeline: Pipeline) -> None:
    pipeline.make_image(path="/a.fits")
    client = make(DSA110_RATE_LIMIT_MINUTE="4 per minute", DSA110_RATE_LIMIT_HOUR="1000", DSA110_CACHE_ENABLED="true")
    first, second = (client.get(LIST, environ_overrides=ONE) for _ in range(2))
    assert [left(answer, "requests-60s") for answer in (first, second)] == [3, 2]
    assert left(second, "requests-3600s") == 998
    known = {"If-None-Match": first.headers["ETag"]}
    assert statuses(lambda: client.get(LIST, headers=known, environ_overrides=ONE), 6) == [304] * 6
    assert statuses(lambda: client.get(LIST, environ_overrides=ONE), 4) == [200, 200, 429, 429]
    refused = client.get(LIST, environ_overrides=ONE)
    assert (refused.get_json()["error"], left(refused, "requests-60s")) == ("RATE_LIMITED", 0)
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    fresh = client.get(LIST, environ_overrides=OTHER)
    assert (fresh.status_code, left(fresh, "requests-60s")) == (200, 3)
    assert left(fresh, "requests-3600s") == 999
    assert client.get("/api/health", environ_overrides=ONE).status_code == 200
    assert client.post(WRITE, headers=KEY, environ_overrides=ONE).status_code == 200
    assert client.get("/console/", environ_overrides=ONE).content_type.startswith("text/html")


@pytest.mark.parametrize("headers", [{}, KEY], ids=["from the cache", "with a key, which nothing is kept for"])
def test_what_is_unchanged_is_told_past_the_quota(make: Make, pipeline: Pipeline, headers: dict[str, str]) -> None:
    pipeline.make_image(path="/a.fits")
    client = make(DSA110_RATE_LIMIT_MINUTE="2", DSA110_CACHE_ENABLED="true")
    url = f"{LIST}/1"
    tag = client.get(url, headers=headers, environ_overrides=ONE).headers["ETag"]
    assert statuses(lambda: client.get(LIST, headers=headers, environ_overrides=ONE), 2) == [200, 429]
    known = {**headers, "If-None-Match": f'"an older one", {tag}'}
    assert statuses(lambda: client.get(url, headers=known, environ_overrides=ONE), 5) == [304] * 5
    # The database has changed, this answer has not.
    pipeline.make_image(path="/b.fits")
    assert statuses(lambda: client.get(url, headers=known, environ_overrides=ONE), 5) == [304] * 5
    assert client.head(url, headers=known, environ_overrides=ONE).status_code == 304
    refused = client.get(url, headers=headers, environ_overrides=ONE)
    assert (refused.status_code, left(refused, "requests-60s")) == (429, 0)


def test_looking_for_changes_past_the_quota_is_bounded(make: Make, pipeline: Pipeline) -> None:
    pipeline.make_image(path="/a.fits")
    client = make(DSA110_RATE_LIMIT_MINUTE="3", DSA110_CACHE_ENABLED="true")
    known = {"If-None-Match": client.get(LIST, environ_overrides=ONE).headers["ETag"]}
    assert statuses(lambda: client.get(LIST, environ_overrides=ONE), 3) == [200, 200, 429]
    other = {"If-None-Match": '"another"'}
    assert statuses(lambda: client.get(LIST, headers=other, environ_overrides=ONE), 2) == [429] * 2
    assert statuses(lambda: client.get(LIST, headers=known, environ_overrides=ONE), 3) == [304] * 3
    assert statuses(lambda: client.get(LIST, headers=other, environ_overrides=ONE), 1) == [429]
    assert statuses(lambda: client.get(LIST, headers=known, environ_overrides=ONE), 1) == [429]


def test_what_fits_every_version_counts(make: Make, pipeline: Pipeline) -> None:
    pipeline.make_image(path="/a.fits")
    client = make(DSA110_RATE_LIMIT_MINUTE="3", DSA110_CACHE_ENABLED="true")
    got = statuses(lambda: client.get(LIST, headers={"If-None-Match": "*"}, environ_overrides=ONE), 5)
    assert got == [304] * 3 + [429] * 2


@pytest.mark.parametrize(
    ("short", "long", "other"),
    [(2, 100, "DSA110_RATE_LIMIT_HOUR"), (100, 2, "DSA110_RATE_LIMIT_BURST")],
    ids=["the short one is full", "the long one is full"],
)
def test_read_that_one_quota_refuses_does_not_use_up_another(make: Make, short: int, long: int, other: str) -> None:
    quotas = {"DSA110_RATE_LIMIT_BURST": f"{short} per day", "DSA110_RATE_LIMIT_HOUR": f"{long} per 2 days"}
    client = make(**quotas)
    assert statuses(lambda: client.get(LIST, environ_overrides=ONE), 9) == [200] * 2 + [429] * 7
    answer = make(**{other: quotas[other]}).get(LIST, environ_overrides=ONE)
    assert answer.headers["RateLimit"].split(";")[1] == "r=97"


def test_refused_requests_stay_counted_nowhere(make: Make, pipeline: Pipeline, environ: dict[str, str]) -> None:
    """Else what is given back for a 304 gives nothing back, once refusals have come in between."""
    pipeline.make_image(path="/a.fits")
    client = make(DSA110_RATE_LIMIT_MINUTE="3", DSA110_RATE_LIMIT_EXPORTS="2", DSA110_RATE_LIMIT_HOUR="100")
    assert statuses(lambda: client.get(TABLE, environ_overrides=ONE), 9) == [200, 200] + [429] * 7
    assert statuses(lambda: client.get(LIST, environ_overrides=OTHER), 9) == [200] * 3 + [429] * 6
    looking = {"If-None-Match": '"another"'}
    assert statuses(lambda: client.get(LIST, headers=looking, environ_overrides=OTHER), 9) == [429] * 9
    [counted] = Path(environ["DSA110_STATE_DIR"]).rglob("limits.sqlite3")
    with contextlib.closing(sqlite3.connect(counted)) as connection:
        hits = sorted(hits for (hits,) in connection.execute("SELECT hits FROM counted"))
    # The exports of one, and the third request that found them used up; requests and looks of the other.
    assert hits == [2, 3, 3, 3, 3, 3, 3]


@pytest.mark.parametrize("url", ["redis", "memory"])
def test_what_is_given_back_late_is_no_credit(store_url: Callable[[str], str], url: str) -> None:
    window = counting.ForgivingWindow(storage_from_string("memory://" if url == "memory" else store_url(url)))
    quota = parse("3 per 60 second")
    window.hit(quota, "one", "requests")
    for _ in range(4):  # the window of three of them has ended
        window.give_back(quota, "one", "requests")
    assert [window.hit(quota, "one", "requests") for _ in range(5)] == [True] * 3 + [False] * 2
    window.give_back(quota, "one", "requests")
    assert not window.test(quota, "one", "requests")


def test_question_sent_as_a_form_counts_as_well(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_MINUTE="2")
    cone = {"RA": "10", "DEC": "20", "SR": "0.1"}
    got = statuses(lambda: client.post("/vo/scs/sources", data=cone, environ_overrides=ONE), 3)
    assert got == [200, 200, 429]
    assert client.options(LIST, environ_overrides=ONE).status_code == 200


def test_everything_is_free_where_the_operator_says_so(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_DISABLED="true", DSA110_RATE_LIMIT_MINUTE="1", DSA110_RATE_LIMIT_WRITES="1")
    assert statuses(lambda: client.get(LIST, environ_overrides=ONE), 3) == [200] * 3
    assert statuses(lambda: client.post(WRITE, headers=KEY, environ_overrides=ONE), 3) == [200] * 3


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("100", "100 per minute"),
        ("100 per minute", "100 per minute"),
        ("5/second", "5 per second"),
        ("7 per 2 hours", "7 per 7200 seconds"),
        ("0", "None"),
        ("", "None"),
        ("many", None),
        ("-1", None),
        ("1e9", None),
        ("5 per fortnight", None),
    ],
)
def test_rate_is_written_as_a_number_or_in_words(written: str, meant: str | None) -> None:
    environ = {"DSA110_RATE_LIMIT_MINUTE": written}
    if meant is None:
        with pytest.raises(ConfigurationError, match="DSA110_RATE_LIMIT_MINUTE: expected"):
            Settings.from_environment(environ)
    else:
        assert str(Settings.from_environment(environ).rate_limit_minute) == meant


# -- what counts is away


def test_storage_that_is_away_stops_nothing_and_is_told_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    client = make(DSA110_RATE_LIMIT_MINUTE="1", DSA110_RATE_LIMIT_WRITES="1", DSA110_RATE_LIMIT_EXPORTS="1")
    asked = []

    def away(*_: Any) -> int:
        asked.append(1)
        raise DatabaseUnavailable("limits", "the disk is full")

    monkeypatch.setattr("app.db.counters.Counters.add", away)
    monkeypatch.setattr("app.db.counters.Counters.read", away)
    monkeypatch.setattr("app.web.counting.log.error", lambda text, *values: told.append(text))
    assert statuses(lambda: client.get(LIST, environ_overrides=ONE), 4) == [200] * 4
    assert statuses(lambda: client.post(WRITE, headers=KEY, environ_overrides=ONE), 4) == [200] * 4
    assert statuses(lambda: client.get(TABLE, environ_overrides=ONE), 4) == [200] * 4
    assert len(told) == 1
    assert len(asked) == 1


def test_redis_that_is_away_stops_nothing(make: Make) -> None:
    client = make(DSA110_RATE_LIMIT_EXPORTS="1", DSA110_RATE_LIMIT_STORAGE_URL="redis://127.0.0.1:1/0")
    assert statuses(lambda: client.get(TABLE, environ_overrides=ONE), 3) == [200] * 3


def test_redis_that_hangs_stops_nothing_and_holds_one_request_at_a_time(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.counting._REDIS_TIMEOUT_S", 0.2)
    monkeypatch.setattr("app.web.counting._LEFT_ALONE_S", 1.0)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        app = make(DSA110_RATE_LIMIT_MINUTE="1", DSA110_RATE_LIMIT_STORAGE_URL=url).application

        def ask(_: int = 0) -> int:
            with app.test_client().get(LIST, environ_overrides=ONE) as answer:
                return answer.status_code

        assert ask() == 200
        time.sleep(1.0)
        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(ask, range(6))) == [200] * 6
        silent.settimeout(0.1)
        connections = 0
        with contextlib.suppress(TimeoutError):
            while True:
                silent.accept()[0].close()
                connections += 1
    assert 2 <= connections < 4


def test_redis_counts_for_several_machines(make: Make, store_url: Callable[[str], str], tmp_path: Path) -> None:
    quotas = {"DSA110_RATE_LIMIT_EXPORTS": "3", "DSA110_RATE_LIMIT_STORAGE_URL": store_url("redis")}
    machines = [make(**quotas, DSA110_API_STATE_DIR=str(tmp_path / f"machine{n}")) for n in range(2)]
    answers = [machines[n % 2].get(TABLE, environ_overrides=ONE) for n in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 2
    assert [left(answer, "exports") for answer in answers] == [2, 1, 0, 0, 0]


# -- places, and depth


def test_archives_at_a_time_are_bounded(make: Make, pipeline: Pipeline) -> None:
    for n in range(50):
        pipeline.make_image(path=f"/{n}.fits")
    client = make(DSA110_MAX_DOWNLOADS="2")
    under_way = [client.get(TABLE, buffered=False) for _ in range(2)]
    refused = client.get(TABLE)
    assert (refused.status_code, refused.get_json()["error"]) == (503, "SERVICE_OVERLOADED")
    assert "Retry-After" in refused.headers
    assert client.get(LIST).status_code == 200
    under_way[0].close()
    assert statuses(lambda: client.get(TABLE), 5) == [200] * 5
    under_way[1].close()


@pytest.mark.parametrize("depth", [33, 300, 1100, 100_000])
@pytest.mark.parametrize(("before", "after"), [("[", "]"), ('{"ids":[', "]}")])
def test_body_that_is_nested_too_deeply_is_refused(shared: FlaskClient, depth: int, before: str, after: str) -> None:
    body = before * depth + after * depth
    answer = shared.post("/api/v1/images/bulk-download", data=body, content_type="application/json")
    assert answer.status_code == 422 if len(body) <= 1_048_576 else 413
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("body", [b'{"ids":', b"\xff\xfe", b"NaN", b'{"ids": [Infinity]}', b"nonsense"])
def test_body_that_is_not_json_says_why(shared: FlaskClient, body: bytes) -> None:
    answer = shared.post("/api/v1/images/bulk-download", data=body, content_type="application/json")
    assert answer.status_code == 422
    assert "not JSON" in answer.get_json()["errors"][0]["message"]
