"""What counts the requests of attacks tells right from refused, lost and wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask, Response

from tests.faults.test_table import PROBLEM, RIGHT, answer
from tests.security import attempts
from tests.security.attempts import Attempts, CountingClient, attack, control
from tests.security.conftest import Survey
from tests.support.reliability import LOG_VARIABLE

NOT_FOUND = answer(404, b'{"code":"NOT_FOUND","status":404}', PROBLEM)
PAGE, TABLE = "Content-Type: text/html; charset=utf-8", "Content-Type: application/x-votable+xml"


@control
@pytest.mark.parametrize(
    ("received", "counted"),
    [
        (answer(200, RIGHT), {"right": 1}),
        (answer(302, b"", "Location: /"), {"right": 1}),
        (NOT_FOUND, {"refused": 1}),
        (answer(200, RIGHT) + NOT_FOUND, {"right": 1, "refused": 1}),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + NOT_FOUND, {"refused": 1}),
        (b"", {"lost": 1}),
        (answer(404, b'{"code":"NOT_FOUND","status":400}', PROBLEM), {"wrong": 1}),
        (answer(500, b'{"code":"INTERNAL_ERROR","status":500}', PROBLEM), {"wrong": 1}),
        (answer(404, b'{"code":"NOT_FOUND","status":404}', "Content-Type: application/json"), {"wrong": 1}),
        (answer(404, b"<h1>Not Found</h1>", PAGE), {"wrong": 1}),
        (answer(404, b'<h1>404 Not Found</h1>\n<p class="note">', PAGE), {"refused": 1}),
        (answer(400, b'<INFO name="QUERY_STATUS" value="ERROR">', TABLE), {"refused": 1}),
        (answer(400, b'<INFO name="QUERY_STATUS" value="OK">', TABLE), {"wrong": 1}),
    ],
)
def test_answers_on_a_socket_are_counted_by_what_they_are(received: bytes, counted: dict[str, int]) -> None:
    counting = Attempts()
    counting.heard(received)
    counts = counting.tally._asdict()
    assert {name: counts[name] for name in ("right", "refused", "lost", "wrong") if counts[name]} == counted
    assert counting.tally.sent == sum(counted.values())


@control
def test_client_counts_every_request_by_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Attempts()
    monkeypatch.setattr(attempts, "ATTEMPTS", counting)
    app = Flask("x")
    app.test_client_class = CountingClient
    app.add_url_rule("/right", "right", lambda: "x")
    app.add_url_rule("/wrong", "wrong", lambda: Response("<h1>nginx</h1>", 502))
    app.add_url_rule("/lost", "lost", lambda: 1 // 0)
    app.testing = True
    client = app.test_client()
    client.get("/right")
    client.post("/wrong")  # which may not be asked so, and has a page of Flask's own
    client.get("/wrong")
    with pytest.raises(ZeroDivisionError):
        client.get("/lost")
    assert counting.tally[:5] == (4, 1, 0, 1, 2)
    assert "502" in counting.tally.examples[1]


@control
def test_what_is_no_request_is_refused_where_it_raises_what_it_may() -> None:
    counting = Attempts()
    with counting.one(ValueError) as met:
        int("x")
    with counting.one(ValueError):
        int("1")
    with pytest.raises(KeyError), counting.one(ValueError):
        {}["x"]
    assert counting.tally[:3] == (2, 1, 1)
    assert [type(each) for each in met] == [ValueError]


@control
def test_test_that_met_what_is_no_clean_refusal_fails(request: pytest.FixtureRequest) -> None:
    counting = Attempts()
    counting.wrong("a page of nginx")
    with pytest.raises(AssertionError, match="a page of nginx"):
        counting.end(request.node)


@attack("none: an address that is there", "the answer")
def example(survey: Survey) -> None:
    survey.client.get("/api/v1/images")


@control
def test_line_tells_the_words_of_the_test_and_its_figures(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOG_VARIABLE, str(tmp_path / "log"))
    item = pytest.Function.from_parent(request.node.parent, name="example", callobj=example)
    counting = Attempts()
    with pytest.raises(AssertionError, match="attacks nothing"):
        counting.end(item)
    counting.right()
    counting.refused()
    counting.end(item)
    line = json.loads((tmp_path / "log").read_text())
    assert line.pop("place")[0].endswith("test_attempts.py")
    assert line == {
        "attack": "none: an address that is there", "outcome": "the answer", "sent": 2, "right": 1, "refused": 1,
        "test": "tests/security/test_attempts.py::example", "case": "tests/security/test_attempts.py::example",
        "lost": 0, "wrong": 0,
    }  # fmt: skip
