"""The response cache in front of a scripted application: what is kept, for whom, and for how long."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.db import deadline
from app.web.api import CACHEABLE
from app.web.caching import HIT, ROUTE, Environ, ResponseCache, StartResponse, chosen_encoding
from app.web.store import Store

KNOWN_ORIGIN = "https://dsa110.github.io"


class Application:
    """Counts what it is asked, and answers as told."""

    def __init__(self) -> None:
        self.asked: list[Environ] = []
        self.status = "200 OK"
        self.headers: list[tuple[str, str]] = []
        self.cacheable = True
        self.closed = 0
        self.before: Callable[[], None] = lambda: None
        self.body: Callable[[Environ], bytes] = lambda environ: b"answer %d" % len(self.asked)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        self.asked.append(dict(environ))
        if self.cacheable:
            environ[CACHEABLE] = True
        environ[ROUTE] = "/the/route"
        self.before()
        body = self.body(environ)
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("Vary", "Origin")]
        start_response(self.status, headers + self.headers)
        return Body(body, self)


class Body:
    def __init__(self, content: bytes, application: Application) -> None:
        self.content, self.application = content, application

    def __iter__(self) -> Any:
        return iter([self.content[:3], self.content[3:]])

    def close(self) -> None:
        self.application.closed += 1


class Answer:
    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes, environ: Environ) -> None:
        self.status, self.header_list, self.body, self.environ = status, headers, body, environ
        self.headers = dict(headers)


class Client:
    """A cache in front of an application, at a generation that the test sets."""

    def __init__(self, application: Application, *, capacity_bytes: int = 2**20, **kwargs: Any) -> None:
        self.application = application
        self.generation = 1
        self.store = Store(capacity_bytes)
        self.cache = ResponseCache(
            application,
            lambda: self.generation,
            self.store,
            **{"origins": [KNOWN_ORIGIN], "credentials": ["HTTP_AUTHORIZATION", "HTTP_X_API_KEY"], **kwargs},
        )

    def get(self, path: str = "/api/v1/images", query: str = "", method: str = "GET", **headers: str) -> Answer:
        environ: Environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
        }
        told: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            headers.append(("X-Request-ID", f"{len(self.application.asked)}"))
            told[:] = status, headers

        body = self.cache(environ, start_response)
        content = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        return Answer(*told, content, environ)


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def client(application: Application) -> Client:
    return Client(application)


# -- how long


def test_answer_is_computed_once_while_the_databases_stand_still(client: Client, application: Application) -> None:
    answers = [client.get() for _ in range(3)]
    assert {answer.body for answer in answers} == {b"answer 1"}
    assert len(application.asked) == 1
    assert [HIT in answer.environ for answer in answers] == [False, True, True]
    assert {answer.environ[ROUTE] for answer in answers} == {"/the/route"}


def test_no_answer_outlives_its_generation(client: Client, application: Application) -> None:
    client.get()
    client.generation += 1
    assert client.get().body == b"answer 2"


def test_answer_computed_while_something_was_committed_is_not_served_afterwards(
    client: Client, application: Application
) -> None:
    def commit() -> None:
        client.generation += 1

    application.before = commit
    client.get()
    application.before = lambda: None
    assert client.get().body == b"answer 2"
    assert client.get().body == b"answer 2"


def test_late_answer_of_an_old_generation_does_not_replace_a_newer_one(
    client: Client, application: Application
) -> None:
    def overtaken() -> None:
        application.before = lambda: None
        client.generation += 1
        assert client.get().body == b"answer 2"

    application.before = overtaken
    application.body = lambda environ: b"answer 1" if len(application.asked) == 1 else b"answer 2"
    client.get()
    assert client.get().body == b"answer 2"
    assert len(application.asked) == 2


def test_purge_reaches_answers_under_way(client: Client, application: Application) -> None:
    application.before = lambda: client.store.purge() and None
    client.get()
    assert client.store.figures().keys == 0


# -- what


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("status", "404 NOT FOUND"),
        ("status", "503 SERVICE UNAVAILABLE"),
        ("status", "206 PARTIAL CONTENT"),
        ("status", "302 FOUND"),
        ("headers", [("Set-Cookie", "a=b")]),
        ("headers", [("set-cookie", "a=b")]),
        ("cacheable", False),
    ],
)
def test_what_may_not_be_kept_is_asked_for_every_time(
    client: Client, application: Application, attribute: str, value: Any
) -> None:
    setattr(application, attribute, value)
    for n in range(1, 4):
        answer = client.get()
        assert answer.body == b"answer %d" % n
        assert "ETag" not in answer.headers
    assert client.store.figures() == (0, 0, 0, 0)


def test_answer_that_became_cacheable_is_kept(client: Client, application: Application) -> None:
    application.status = "404 NOT FOUND"
    client.get()
    application.status = "200 OK"
    assert client.get().body == client.get().body == b"answer 2"


def test_answer_that_became_cacheable_is_computed_once_for_a_burst(client: Client, application: Application) -> None:
    application.cacheable = False
    client.get()
    application.cacheable = True
    client.get()
    client.generation += 1
    gate = application.before = Gate()
    threading.Timer(0.1, gate.opened.set).start()
    at_once(5, client.get)
    assert len(application.asked) == 3


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_neither_read_nor_write(client: Client, application: Application, method: str) -> None:
    client.get()
    assert client.get(method=method).body == b"answer 2"
    assert client.get().body == b"answer 1"


@pytest.mark.parametrize("header", ["authorization", "x_api_key"])
def test_request_with_credentials_neither_reads_nor_writes(
    client: Client, application: Application, header: str
) -> None:
    with_credentials = {header: "secret"}
    assert client.get(**with_credentials).body == b"answer 1"
    assert client.get().body == b"answer 2"
    assert client.get(**with_credentials).body == b"answer 3"
    assert client.get().body == b"answer 2"


def test_cache_without_room_still_judges_conditions(application: Application) -> None:
    client = Client(application, capacity_bytes=0)
    application.body = lambda environ: b"the same"
    etag = client.get().headers["ETag"]
    assert client.get(if_none_match=etag).status == "304 NOT MODIFIED"
    assert len(application.asked) == 2


def test_worker_that_no_purge_can_reach_keeps_nothing(application: Application) -> None:
    client = Client(application, before_storing=lambda: False)
    assert (client.get().body, client.get().body) == (b"answer 1", b"answer 2")


# -- for whom


@pytest.mark.parametrize(
    "other",
    [
        {"path": "/api/v1/images/1"},
        {"query": "limit=1"},
        {"accept_encoding": "gzip"},
        {"origin": KNOWN_ORIGIN},
    ],
)
def test_requests_that_differ_get_answers_of_their_own(
    client: Client, application: Application, other: dict[str, str]
) -> None:
    client.get()
    assert client.get(**other).body == b"answer 2"
    assert client.get(**other).body == b"answer 2"


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ({}, {"origin": "https://evil.example"}),
        ({}, {"accept_encoding": "identity"}),
        ({}, {"accept_encoding": "gzip;q=0"}),
        ({"accept_encoding": "gzip"}, {"accept_encoding": "deflate, GZIP;q=0.3"}),
        ({"accept_encoding": "br"}, {"accept_encoding": "gzip, deflate, br"}),
        ({}, {"user_agent": "curl", "cache_control": "no-cache", "accept": "text/html"}),
    ],
)
def test_requests_that_differ_in_words_only_share_one(
    client: Client, application: Application, one: dict[str, str], another: dict[str, str]
) -> None:
    assert client.get(**one).body == client.get(**another).body


def test_origin_matched_by_a_pattern_is_never_answered_for_another(application: Application) -> None:
    client = Client(application, origins=[r"https://.*\.ngrok-free\.app"])
    application.body = lambda environ: environ.get("HTTP_ORIGIN", "none").encode()
    for origin in ("https://a.ngrok-free.app", "https://b.ngrok-free.app"):
        assert client.get(origin=origin).body == origin.encode()
    assert client.get().body == b"none"


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("", "identity"),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("gzip;q=0", "identity"),
        ("*;q=0", "identity"),
        ("zstd;q=0, *", "br"),
        ("identity, gzip;q=0.5", "identity"),
        ("compress", "identity"),
        (";;,q=,gzip;q=abc", "identity"),
    ],
)
def test_encoding_is_chosen_by_the_wish_of_the_client(header: str, chosen: str) -> None:
    assert chosen_encoding(header) == chosen


def test_application_is_asked_for_the_chosen_encoding_alone(client: Client, application: Application) -> None:
    client.get(accept_encoding="gzip;q=0.2, br;q=0.9, *;q=0.1")
    assert application.asked[0]["HTTP_ACCEPT_ENCODING"] == "br"


# -- in which form


def test_head_has_the_headers_of_get_and_no_body(client: Client, application: Application) -> None:
    head, got, again = client.get(method="HEAD"), client.get(), client.get(method="HEAD")
    assert len(application.asked) == 1
    assert application.asked[0]["REQUEST_METHOD"] == "GET"
    assert (head.body, got.body, again.body) == (b"", b"answer 1", b"")
    assert head.header_list == got.header_list == again.header_list
    assert head.environ["REQUEST_METHOD"] == "HEAD"


def test_head_of_what_is_not_kept_closes_the_body(client: Client, application: Application) -> None:
    application.cacheable = False
    assert client.get(method="HEAD").body == b""
    assert application.closed == 1


def test_headers_added_further_out_are_not_kept(client: Client, application: Application) -> None:
    for _ in range(3):
        names = [name for name, _ in client.get().header_list]
        assert names.count("X-Request-ID") == 1


@pytest.mark.parametrize("condition", ["{0}", "W/{0}", '"x", {0}', '"x",W/{0} , "y"', "*"])
def test_condition_that_names_the_answer_gets_304(client: Client, application: Application, condition: str) -> None:
    etag = client.get().headers["ETag"]
    spared = client.get(if_none_match=condition.format(etag))
    assert (spared.status, spared.body) == ("304 NOT MODIFIED", b"")
    assert {"ETag", "Vary"} <= set(spared.headers)
    assert not {"Content-Length", "Content-Type"} & set(spared.headers)
    assert len(application.asked) == 1


@pytest.mark.parametrize("condition", ["", '"x"', "W/", '"', "x, y", '"*"', "\\", '"' * 1000])
def test_condition_that_does_not_name_it_gets_200(client: Client, condition: str) -> None:
    client.get()
    assert client.get(if_none_match=condition).status == "200 OK"


def test_condition_is_judged_on_the_first_answer_too(client: Client, application: Application) -> None:
    application.body = lambda environ: b"the same"
    etag = client.get().headers["ETag"]
    client.generation += 1
    assert client.get(if_none_match=etag).status == "304 NOT MODIFIED"
    assert client.get().body == b"the same"


def test_gzipped_answer_has_the_same_etag_whenever_it_was_compressed(client: Client, application: Application) -> None:
    application.headers = [("Content-Encoding", "gzip")]
    application.body = lambda environ: gzip.compress(b"the same", mtime=len(application.asked))
    first = client.get(accept_encoding="gzip")
    client.generation += 1
    second = client.get(accept_encoding="gzip")
    assert len(application.asked) == 2
    assert first.headers["ETag"] == second.headers["ETag"]
    assert gzip.decompress(second.body) == b"the same"


# -- several at once


def at_once(n: int, call: Callable[[], Any]) -> list[Any]:
    """Results of n calls made by n threads at the same time."""
    barrier = threading.Barrier(n)

    def wait_and_call(_: int) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(wait_and_call, range(n)))


class Gate:
    """Holds computations until so many requests stand behind it."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()

    def __call__(self) -> None:
        self.entered.release()
        assert self.opened.wait(5)


def test_burst_of_equal_requests_computes_once(client: Client, application: Application) -> None:
    gate = application.before = Gate()
    threading.Timer(0.1, gate.opened.set).start()
    answers = at_once(30, client.get)
    assert {answer.body for answer in answers} == {b"answer 1"}
    assert len(application.asked) == 1
    assert {answer.environ[ROUTE] for answer in answers} == {"/the/route"}
    assert client.store.figures()[:2] == (29, 1)


def test_request_after_a_commit_does_not_join_a_computation_from_before(
    client: Client, application: Application
) -> None:
    gate = application.before = Gate()
    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(client.get)
        gate.entered.acquire()
        client.generation += 1
        after = pool.submit(client.get)
        assert gate.entered.acquire(timeout=2), "the second request waits for an answer that may be stale"
        gate.opened.set()
        before.result()
        after.result()
    assert len(application.asked) == 2


def test_request_after_a_purge_does_not_join_a_computation_from_before(
    client: Client, application: Application
) -> None:
    gate = application.before = Gate()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(client.get)
        gate.entered.acquire()
        client.store.purge()
        pool.submit(client.get)
        assert gate.entered.acquire(timeout=2)
        gate.opened.set()


def test_failure_of_one_is_not_the_failure_of_all(client: Client, application: Application) -> None:
    gate = Gate()

    def fail_first() -> None:
        if len(application.asked) == 1:
            gate()
            raise RuntimeError("the first one fails")

    application.before = fail_first
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(client.get)
        gate.entered.acquire()
        others = [pool.submit(client.get) for _ in range(4)]
        time.sleep(0.05)
        gate.opened.set()
        assert isinstance(first.exception(), RuntimeError)
        assert {other.result().status for other in others} == {"200 OK"}
    assert client.get().status == "200 OK"


def test_requests_for_what_is_never_kept_do_not_queue_behind_each_other(
    client: Client, application: Application
) -> None:
    application.cacheable = False
    client.get()
    gate = application.before = Gate()
    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(client.get) for _ in range(5)]
        for _ in answers:
            assert gate.entered.acquire(timeout=2), "a request waits for another's answer that it cannot use"
        gate.opened.set()


def test_wait_for_another_computation_ends_with_the_deadline(client: Client, application: Application) -> None:
    gate = Gate()
    application.before = lambda: gate() if len(application.asked) == 1 else None

    def hurried() -> bytes:
        deadline.start(0.05)
        try:
            return client.get().body
        finally:
            deadline.start(None)

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(client.get)
        gate.entered.acquire()
        assert pool.submit(hurried).result(timeout=4) == b"answer 2"
        gate.opened.set()
        slow.result()
