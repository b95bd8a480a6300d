"""Attacks, and what became of every request that they made: counted where it is made, not told by whoever makes it.

A test is an attack, with its words for docs/operations/reliability.md, or a control::

    @attack("forged tokens", "401")
    def test_forged_token_opens_nothing(guarded: Survey, token: str) -> None: ...

Every application of these tests has a client that counts (:class:`CountingClient`), raw sockets are counted by
:meth:`Attempts.heard`. An error that is no clean refusal, such as one without a form of ours or a defect that was
caught, fails the test in which it was met, whatever the test looks at itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support import reliability
from tests.support.load import Tally

# What an error of ours looks like, by its media type: a problem; the console's page of one, or what it says beside the
# form that it is about; the table of DALI 1.1, section 4.2; the line of SODA 1.0, section 5.1; a probe that says no.
FORMS = {
    "application/problem+json": rb'"status": ?CODE\b',
    "text/html": rb'(?s)<h1>CODE .*<p class="note">|role="alert" id="refused"',
    "application/x-votable+xml": rb'name="QUERY_STATUS"[^>]* value="ERROR"',
    "text/plain": rb"\A[A-Z][A-Za-z]+: ",
    "application/json": rb'\A{"status":"not ready"',
}

# Shows that an attack would be noticed, so that it means something that none is.
control = pytest.mark.control


def attack(what: str, outcome: str) -> pytest.MarkDecorator:
    """Marks a test as an attack: ``what`` is attacked and by which means, and what becomes of it."""
    return pytest.mark.attack(what, outcome)


class Attempts:
    """What became of the requests of the test that runs."""

    def __init__(self) -> None:
        self.tally = Tally()

    def begin(self) -> None:
        """Forget what was before."""
        self.tally = Tally()

    def end(self, item: pytest.Item) -> None:
        """Write down what became of a test's requests; fails where any answer was neither right nor a clean refusal."""
        assert self.tally.wrong == 0, f"neither right nor cleanly refused: {self.tally.examples}"
        marker = item.get_closest_marker("attack")
        if marker is None:
            return
        assert self.tally.sent > 0, "an attack that attacks nothing"
        name, (what, outcome) = item.nodeid.partition("[")[0], marker.args
        line = {"attack": what, "outcome": outcome, "test": name, "case": item.nodeid, "place": item.location[:2]}
        reliability.write(line | {count: getattr(self.tally, count) for count in reliability.COUNTS})

    def right(self) -> None:
        """Count one that got what it may get; the test says whether that was right."""
        self.tally += Tally(sent=1, right=1)

    def refused(self) -> None:
        """Count one that was refused."""
        self.tally += Tally(sent=1, refused=1)

    def lost(self) -> None:
        """Count one that got no answer."""
        self.tally += Tally(sent=1, lost=1)

    def wrong(self, example: object) -> None:
        """Count one whose answer is none of these."""
        self.tally += Tally(sent=1, wrong=1, examples=(f"{example}",))

    @contextmanager
    def one(self, *refusals: type[Exception]) -> Iterator[list[Exception]]:
        """Count what is no request, such as a statement or a command: refused where it raises one of those."""
        met: list[Exception] = []
        try:
            yield met
        except refusals as refusal:
            met.append(refusal)
            self.refused()
        else:
            self.right()

    def answered(self, status: int, kind: str, body: bytes, about: object) -> None:
        """Count a request by its answer."""
        if status < 400:
            self.right()
        elif is_clean(status, kind.partition(";")[0], body):
            self.refused()
        else:
            self.wrong((about, status, kind, body[:300]))

    def heard(self, received: bytes) -> None:
        """Count what a server said on a connection until it hung up.

        How many requests there were is what such attacks leave open: it is as many as were answered, and one that was
        lost where nothing came.
        """
        answers = list(_answers(received))
        for status, kind, body in answers:
            self.answered(status, kind, body, received[:300])
        if not answers:
            self.lost()


ATTEMPTS = Attempts()


class CountingClient(FlaskClient):
    """Flask's client, whose requests are counted by what became of them."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Make a request."""
        try:
            answer = super().open(*args, **kwargs)
        except Exception:
            ATTEMPTS.lost()
            raise
        body = answer.get_data() if answer.status_code >= 400 and answer.request.method != "HEAD" else b""
        ATTEMPTS.answered(answer.status_code, answer.mimetype, body, (answer.request.method, answer.request.path))
        return answer


def is_clean(status: int, kind: str, body: bytes) -> bool:
    """Whether an answer is an error of ours, in the form that its place has; a defect that was caught (500) is none."""
    form = FORMS.get(kind, rb"(?!)").replace(b"CODE", b"%d" % status)
    return status != 500 and re.search(form, body) is not None


def _answers(received: bytes) -> Iterator[tuple[int, str, bytes]]:
    """Status, media type and body of each answer; those that are only an interim word are left out."""
    for piece in re.split(rb"(?=HTTP/1\.1 \d{3} )", received)[1:]:
        head, _, body = piece.partition(b"\r\n\r\n")
        kind = re.search(rb"(?im)^content-type: *([^\s;]+)", head)
        if int(piece[9:12]) >= 200:
            yield int(piece[9:12]), kind[1].decode() if kind else "", body
