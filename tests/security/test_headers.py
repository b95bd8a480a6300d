"""Nobody writes headers of an answer, leads clients elsewhere, lends themselves an address, or poisons the cache.

Beside these: who may connect, CORS in general (tests/api/test_edge.py); what answers are told apart by
(tests/unit/test_caching.py); the same over sockets (test_smuggling.py).
"""

from __future__ import annotations

import tracemalloc
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from werkzeug.test import TestResponse

from tests.security import surface
from tests.security.attempts import attack
from tests.security.conftest import Build, Survey

SPLIT = "x\r\nX-Injected: 1\r\n\r\n<html>"
EVIL = "evil.example"


def assert_headers_are_ours(answer: TestResponse, about: object) -> None:
    assert answer.status_code < 500, (about, answer.data[:500])
    for name, value in answer.headers:
        assert name.lower() not in {"x-injected", "set-cookie"}, about
        assert not {"\r", "\n", "\0"} & set(value), (about, name, value)


@attack("line ends in every part and parameter of an address", "one header stays one header")
def test_no_part_and_no_parameter_splits_an_answer(survey: Survey) -> None:
    client = survey.client
    for operation in surface.operations(survey.app) + surface.others(survey.app):
        for part in operation.parts:
            for ending in ("", "/", "?field_name=&x=%0d%0aX-Injected:1"):
                target = operation.at(**{part: quote(surface.KNOWN[part] + SPLIT, safe="")}) + ending
                with surface.ask(client, target, operation.method) as answer:
                    assert_headers_are_ours(answer, target)
    for operation, name in surface.parameters(surface.reads(survey.app)):
        with surface.ask(client, operation.asked(**{name: SPLIT})) as answer:
            assert_headers_are_ours(answer, (operation, name))


@attack("line ends in names of the databases and of files", "one header stays one header")
def test_no_name_in_the_databases_splits_an_answer(build: Build) -> None:
    survey = build()
    pipeline, name = survey.pipeline, SPLIT.replace("/", "")
    path = survey.data / f"{name}.fits"
    path.write_bytes(b"SIMPLE  =                    T".ljust(80) + b"END".ljust(2800))
    ms = pipeline.make_ms(str(survey.data / f"{name}.ms"), stage=name, field_name=name)
    (survey.data / f"{name}.ms").mkdir()
    image = pipeline.make_image(path=str(path), ms_path=ms, type=name)
    pipeline.make_photometry(source_id=name, image_path=str(path))
    pipeline.make_job(run_id=name, ms_path=ms)
    parts = {"image_id": str(image), "source_id": name, "path": ms, "run_id": name}
    for operation in surface.reads(survey.app):
        named = {part: quote(parts[part], safe="") for part in operation.parts if part in parts}
        with surface.ask(survey.client, operation.at(**named)) as answer:
            assert_headers_are_ours(answer, operation)
    with surface.ask(survey.client, f"/api/v1/images/{image}/fits") as answer:
        assert answer.status_code == 200
        assert "X-Injected: 1" in answer.headers["Content-Disposition"], "its name, on one line"


@attack("addresses and `Host` that would redirect to another host", "every redirect leads to this one")
@pytest.mark.parametrize("elsewhere", ["//evil.example", "/\\evil.example", "https://evil.example", "\\\\evil.example"])
def test_no_redirect_leads_to_another_host(survey: Survey, elsewhere: str) -> None:
    way = quote(elsewhere, safe="")
    targets = [
        f"{elsewhere}/",
        f"/{way}/",
        f"/api/{way}/",
        f"/api{elsewhere}/",
        f"/console/{way}?x=",
        f"/viewer/carta?ms={way}",
    ]
    for operation in surface.reads(survey.app):
        targets += [operation.at(**{part: way}) + ending for part in operation.parts for ending in ("", "/", "?x=")]
    redirected = 0
    for target in targets:
        with surface.ask(survey.client, target, headers={"Host": EVIL, "X-Forwarded-Host": EVIL}) as answer:
            location = answer.headers.get("Location")
            if location is not None:
                redirected += 1
                assert location[0] == "/", (target, location)
                assert location[1] not in "/\\", (target, location)
    assert redirected > 10


@attack("a question mark, a hash and line ends in the path of a redirect", "they stay part of the path")
def test_redirect_of_the_console_keeps_what_is_part_of_the_path(survey: Survey) -> None:
    answer = surface.ask(survey.client, "/console/images/a%3Fb%23c%0d%0ad?x=")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/console/images/a%3Fb%23c%0D%0Ad")


# -- who somebody claims to be

CLAIMS = [
    {name: value}
    for name in ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "Client-IP", "True-Client-IP", "CF-Connecting-IP")
    for value in ("127.0.0.1", "::1", "10.0.0.1", "10.0.0.1, 10.0.0.2", "[::1]:80", "::ffff:127.0.0.1", "localhost")
] + [
    {"Forwarded": "for=127.0.0.1"},
    {"Remote-Addr": "127.0.0.1"},
    {"X-Forwarded-Host": "localhost"},
    {"Host": "127.0.0.1"},
]


@attack("`X-Forwarded-For`, `Forwarded` and their like from outside", "403; the real peer counts")
@pytest.mark.parametrize("peer", ["8.8.8.8", "2001:db8::1"])
def test_nobody_outside_lends_themselves_an_address(survey: Survey, peer: str) -> None:
    for claim in CLAIMS:
        answer = surface.ask(survey.client, "/api/v1/images", headers=claim, environ={"REMOTE_ADDR": peer})
        assert answer.status_code == 403, claim
        assert answer.get_json()["detail"] == f"Access denied from {peer}"


@attack(
    "chains in `X-Forwarded-For`: ports, brackets, thousands in front", "the last address counts that a proxy wrote"
)
@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("8.8.8.8:4711", 403),
        ("[2001:db8::1]:4711", 403),
        ("[2001:db8::1]", 403),
        ("10.0.0.1, 8.8.8.8:4711", 403),
        ("127.0.0.1, 127.0.0.1, 8.8.8.8, 127.0.0.1", 403),
        ("10.0.0.1:4711", 200),
        # However much somebody puts in front.
        ("10.0.0.1, " * 5000 + "8.8.8.8", 403),
        ("1" * 50_000 + ", 8.8.8.8", 403),
    ],
)
def test_proxy_may_write_addresses_with_ports_and_long_chains(survey: Survey, told: str, status: int) -> None:
    answer = surface.ask(survey.client, "/api/v1/images", headers={"X-Forwarded-For": told})
    assert answer.status_code == status


@attack("many long fields, to fill the memory", "not remembered")
def test_long_headers_are_not_remembered(survey: Survey) -> None:
    """A thousand different ones would fill the memory."""
    client = survey.client
    surface.ask(client, "/api/v1/images")
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for n in range(40):
            wish = f"{n}" + ",a/b;q=0.1" * 5000
            for name in ("X-Forwarded-For", "Accept", "Accept-Encoding", "Origin", "X-Request-ID", "Host"):
                surface.ask(client, "/api/v1/images", headers={name: wish}).close()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 2_000_000, f"{grown} bytes for 12 MB of headers"


# -- other sites' pages

STRANGERS = [
    "null", "https://evil.example", "http://localhost:3000.evil.example", "http://localhost:30000", "http://localhost",
    "https://localhost:3000", "http://sub.localhost:3000", "http://localhost:3000/", "http://localhost:3000,http://x.example",
    "http://evil.example#http://localhost:3000", "http://localhost:3000@evil.example", "https://dsa110.github.io.evil.example",
    "https://dsa110xgithub.io", "https://evil-dsa110.github.io", "http://dsa110.github.io", "*", "file://", " ", "http://",
]  # fmt: skip


@attack("origins that resemble a known one", "no CORS headers, whoever asked before")
@pytest.mark.parametrize("origin", STRANGERS)
def test_strangers_pages_are_let_in_nowhere(survey: Survey, origin: str) -> None:
    client = survey.client
    wishes = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "X-API-Key"}
    for address in ("/api/v1/images", "/api/v1/nothing", "/vo/capabilities"):
        for method, headers in (("GET", {}), ("OPTIONS", wishes), ("POST", {})):
            # Somebody who is known has asked before.
            surface.ask(client, address, headers={"Origin": "http://localhost:3000"})
            answer = surface.ask(client, address, method, headers={"Origin": origin, **headers})
            assert not [name for name, _ in answer.headers if name.startswith("Access-Control-Allow")], (
                address,
                method,
            )


@attack("origins that resemble a pattern of known ones", "let in where the pattern fits to the end, else nowhere")
@pytest.mark.parametrize(
    ("origin", "is_known"),
    [
        ("https://a.example.org", True),
        ("HTTPS://A.EXAMPLE.ORG", True),
        ("http://localhost:3000", True),
        ("https://a.example.org.evil.com", False),
        ("https://a.example.org:444", False),
        ("https://a.example.organic", False),
        ("https://evil.com/a.example.org", False),
        ("https://b.example.net.evil.com", False),
    ],
)
def test_pattern_of_origins_fits_to_the_end(build: Build, survey: Survey, origin: str, is_known: bool) -> None:
    patterns = r"https://[a-z]+\.example\.org,http://localhost:3000,https://(a|b).example.net"
    client = build(over=survey, DSA110_CORS_ORIGINS=patterns).client
    answer = surface.ask(client, "/api/v1/images", headers={"Origin": origin})
    assert answer.headers.get("Access-Control-Allow-Origin") == (origin if is_known else None)


@attack("every read, asked by a page of a known origin", "that origin alone is let in, and caches are told so")
def test_no_answer_lets_every_page_in(survey: Survey) -> None:
    for operation in surface.reads(survey.app):
        with surface.ask(survey.client, operation.at(), headers={"Origin": "http://localhost:3000"}) as answer:
            assert answer.headers.get("Access-Control-Allow-Origin") in {"http://localhost:3000", None}
            assert "Origin" in answer.headers.get("Vary", "Origin")


# -- what is kept of one request for another

POISON = {
    "Host": EVIL, "X-Forwarded-Host": EVIL, "X-Forwarded-Server": EVIL, "X-Host": EVIL, "X-Forwarded-Proto": "evil",
    "X-Forwarded-Scheme": "evil", "X-Forwarded-Prefix": f"/{EVIL}", "X-Script-Name": f"/{EVIL}",
    "X-Original-URL": f"/{EVIL}",
    "X-Rewrite-URL": f"/{EVIL}", "X-HTTP-Method-Override": "DELETE", "X-Forwarded-Port": "666",
    "Forwarded": f"host={EVIL}",
    "Referer": f"https://{EVIL}/", "User-Agent": EVIL, "Accept-Language": EVIL, "Origin": f"https://{EVIL}",
    "X-Request-ID": EVIL, "From": EVIL, "Via": EVIL, "Content-Type": "application/x-www-form-urlencoded",
}  # fmt: skip


def kept(survey: Survey) -> list[surface.Operation]:
    """Reads whose answers the response cache may keep, as far as one can tell from outside."""
    found = []
    for operation in surface.reads(survey.app):
        with surface.ask(survey.client, operation.at()) as answer:
            if (
                answer.status_code == 200
                and answer.headers.get("Cache-Control") == "private, no-cache"
                and answer.headers.get("ETag")
            ):
                found.append(operation)
    return found


@attack("poisoning the cache by twenty fields and a body in a GET", "the next client gets what no cache would give")
def test_nothing_that_is_kept_depends_on_who_asked_first(build: Build, survey: Survey) -> None:
    poisoned, clean = build(over=survey), build(over=survey, DSA110_CACHE_ENABLED="false")
    found = kept(survey)
    assert len(found) > 25
    for operation in found:
        body = {"data": "limit=0&fields=path&MAXREC=0"}  # a body in a GET is nobody's
        with surface.ask(poisoned.client, operation.at(), headers=POISON, **body) as first:
            assert EVIL.encode() not in first.data, operation
        answers = [surface.ask(each.client, operation.at()) for each in (poisoned, clean)]
        assert EVIL not in str(answers[0].headers)
        assert unlike(*answers) == [], operation


def unlike(one: TestResponse, other: TestResponse) -> list[Any]:
    volatile = (b"generated_at", b"timestamp")
    if any(word in one.data for word in volatile):
        return []
    return [] if one.data == other.data and one.status_code == other.status_code else [one.data[:500], other.data[:500]]


@attack(
    "`Host` of another site, and such as would break out of a page",
    "shows only in answers that nobody keeps; with `DSA110_PUBLIC_URL` in none",
)
def test_host_shows_only_in_answers_that_nobody_keeps(survey: Survey, build: Build) -> None:
    told = build(over=survey, DSA110_PUBLIC_URL="https://survey.example")
    shown = 0
    for operation in surface.reads(survey.app):
        target = operation.at() + ("?ID=1" if "ID" in operation.query else "")
        with surface.ask(survey.client, target, headers={"Host": EVIL}) as answer:
            if EVIL.encode() in answer.data or EVIL in str(answer.headers):
                shown += 1
                assert answer.headers["Cache-Control"] == "no-store", operation
        with surface.ask(told.client, target, headers={"Host": EVIL}) as answer:
            # The documentation page tells its script where it lies itself.
            if not operation.path.startswith("/api/docs"):
                assert EVIL.encode() not in answer.data, "the operator said what the address is"
    assert shown >= 2, "the Virtual Observatory names addresses of this service"
    for host in ('a"><x>', "a@b/c", "a b", "a\\b", "[::", "a,b"):
        for address in ("/vo/capabilities", "/api/docs/", "/console/"):
            answer = surface.ask(survey.client, address, headers={"Host": host})
            assert answer.status_code < 500
            assert host.encode() not in answer.data


@attack("names that look alike, to get each other's answers from the cache", "answers of their own")
def test_addresses_that_look_alike_have_answers_of_their_own(build: Build) -> None:
    survey = build()
    names = [
        "a",
        "a?x=1",
        "a%3Fx=1",
        "a%2Fb",
        "a;b",
        "a b",
        "a+b",
        "A",
        "a#",
        "a\u0301",
        "á",
        "a\\",
        "a:lightcurve",
        "a?",
        "a&",
    ]
    for name in names:
        survey.pipeline.make_photometry(source_id=name)
    for _ in range(2):
        for name in names:
            for query in ("", "?x=1", "?fields=id"):
                answer = surface.ask(survey.client, f"/api/v1/sources/{quote(name, safe='')}{query}")
                assert answer.get_json()["id"] == name, (name, query)
            listed = surface.ask(survey.client, f"/api/v1/sources?{urlencode({'id': name})}").get_json()
            assert [row["id"] for row in listed] == [name]
