"""A load of requests, each answer of which is judged: right, refused cleanly, wrong, or lost on the way.

What is right is worked out from the pipeline's own rows, not from what the service said before. While something changes
both the earlier and the later state of the databases are right; an answer must be that of a state that stood at some
moment between the sending of its request and its arrival.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple, Self

from tests.support.pipeline import Pipeline
from tests.support.server import Reply

PAGE = 20
_MOST_EXAMPLES = 5
_BETWEEN_ATTEMPTS_S = 0.01

# Tells whether an answer is right, given what ``mark`` gave before its request was sent, and when that was.
Judge = Callable[[str, Reply, Any, float], bool]
Answers = Mapping[str, Any]


class Tally(NamedTuple):
    """What became of requests, and how long the slowest answer took [s]."""

    sent: int = 0
    right: int = 0
    refused: int = 0
    lost: int = 0
    wrong: int = 0
    slowest_s: float = 0.0
    examples: tuple[str, ...] = ()

    def __add__(self, other: Tally) -> Tally:  # type: ignore[override]
        counts = [mine + theirs for mine, theirs in zip(self[:5], other[:5], strict=True)]
        examples = (*self.examples, *other.examples)[:_MOST_EXAMPLES]
        return Tally(*counts, max(self.slowest_s, other.slowest_s), examples)


# -- what is right


def answers_of(pipeline: Pipeline, *, details: int = 12, curves: int = 3) -> dict[str, Any]:
    """What is to be answered to each of some questions, from the rows themselves."""
    rows = pipeline.connection.execute("SELECT id, path, noise_jy FROM images ORDER BY created_at DESC, id DESC")
    images = [(str(number), path, noise) for number, path, noise in rows]
    answers: dict[str, Any] = {f"/api/v1/images/{image[0]}": image for image in images[-details:]}
    answers[f"/api/v1/images?limit={PAGE}"] = [image[:2] for image in images[:PAGE]]
    answers["/api/v1/images?format=csv&fields=id,path"] = [image[:2] for image in images]
    answers["/api/v1/stats"] = len(images)
    for n in range(curves):
        source = {"id": f"S{n:06d}"}
        found = pipeline.connection.execute(
            "SELECT flux_jy FROM photometry WHERE source_id = :id ORDER BY mjd, id", source
        )
        answers[f"/api/v1/sources/{source['id']}/lightcurve"] = [flux for (flux,) in found]
    return answers


def essence(target: str, body: bytes) -> Any:
    """What an answer says, in the form of :func:`answers_of`."""
    if "format=csv" in target:
        return [tuple(row) for row in csv.reader(io.StringIO(body.decode()))][1:]
    said = json.loads(body)
    if target.endswith("/stats"):
        return said["images"]["total"]
    if target.endswith("/lightcurve"):
        return [point["flux_jy"] for point in said["data_points"]]
    if isinstance(said, list):
        return [(image["id"], image["path"]) for image in said]
    return said["id"], said["path"], said["noise_jy"]


class _State(NamedTuple):
    answers: Answers
    since_s: float
    until_s: float


class Truth:
    """What is right, and from when to when.

    Parameters
    ----------
    answers
        By target, see :func:`answers_of`.
    """

    def __init__(self, answers: Answers) -> None:
        self.targets = list(answers)
        self._states = [_State(answers, float("-inf"), float("inf"))]
        self._read: dict[str, tuple[bytes, Any]] = {}

    @contextlib.contextmanager
    def becoming(self, answers: Answers) -> Iterator[None]:
        """Inside, something changes: then and until an answer that is under way has come in, both are right."""
        self._states.append(_State(answers, time.monotonic(), float("inf")))
        yield
        self._states[-2] = self._states[-2]._replace(until_s=time.monotonic())

    def __call__(self, target: str, reply: Reply, _mark: Any, sent_s: float) -> bool:
        """Whether an answer is right that has just come in."""
        now = time.monotonic()
        if reply.status != 200:
            return False
        body, said = self._read.get(target, (None, None))
        if body != reply.body:
            said = essence(target, reply.body)
            self._read[target] = reply.body, said
        standing = [state for state in self._states if state.since_s <= now and state.until_s >= sent_s]
        return any(state.answers.get(target) == said for state in standing)


def is_clean_refusal(reply: Reply) -> bool:
    """Whether an answer says, in the form of every other error, that it cannot be given now and when to come back."""
    if not (500 <= reply.status < 600 and reply.headers.get("content-type") == "application/problem+json"):
        return False
    try:
        problem = reply.json()
    except ValueError:
        return False
    return problem.get("status") == reply.status and int(reply.headers.get("retry-after", "0")) > 0


# -- the load


class Load:
    """Clients that ask one question after another on kept connections, until the context ends.

    Parameters
    ----------
    port
        Of 127.0.0.1.
    targets
        What is asked, over and over; each client begins elsewhere.
    judge
        Tells whether an answer is right.
    mark
        Called before each request; ``judge`` gets what it gave.
    clients
        How many.
    method, headers
        Of each request.
    pause_s
        Between an answer and the next request of the same client [s].
    limit_s
        Ends by itself after so long [s].
    """

    def __init__(
        self,
        port: int,
        targets: Sequence[str],
        judge: Judge,
        *,
        mark: Callable[[], Any] = lambda: None,
        clients: int = 4,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        pause_s: float = 0.002,
        limit_s: float = 600.0,
    ) -> None:
        self._port = port
        self._targets = targets
        self._judge = judge
        self._mark = mark
        self._method = method
        self._headers = dict(headers or {})
        self._pause_s = pause_s
        self._limit_s = limit_s
        self._stop = threading.Event()
        self._tallies = [Tally()] * clients
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(clients)]
        self.started_s = self.ended_s = 0.0

    @classmethod
    def of(cls, port: int, truth: Truth, **options: Any) -> Self:
        """A load of everything that a truth knows the answer to."""
        return cls(port, truth.targets, truth, **options)

    def __enter__(self) -> Self:
        self.started_s = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        self.ended_s = time.monotonic()

    @property
    def tally(self) -> Tally:
        """What became of the requests so far."""
        return sum(self._tallies, Tally())

    @property
    def seconds(self) -> float:
        """How long it lasted [s]."""
        return (self.ended_s or time.monotonic()) - self.started_s

    def wait_for(self, condition: Callable[[Tally], bool], timeout_s: float = 30.0) -> None:
        """Go on until something can be seen; fails where it cannot in time."""
        limit = time.monotonic() + timeout_s
        while not condition(self.tally):
            if time.monotonic() > limit:
                raise TimeoutError(f"not in {timeout_s} s: {self.tally}")
            time.sleep(0.01)

    def wait_for_more(self, requests: int = 20) -> None:
        """Go on for some requests more."""
        enough = self.tally.sent + requests
        self.wait_for(lambda tally: tally.sent >= enough)

    def _run(self, client: int) -> None:
        limit = time.monotonic() + self._limit_s
        first = client * len(self._targets) // len(self._tallies)
        connection = HTTPConnection("127.0.0.1", self._port, timeout=90)
        for target in itertools.islice(itertools.cycle(self._targets), first, None):
            if self._stop.is_set() or time.monotonic() > limit:
                break
            self._tallies[client] += self._ask(connection, target)
            if self._pause_s:
                self._stop.wait(self._pause_s)
        connection.close()

    def _ask(self, connection: HTTPConnection, target: str) -> Tally:
        mark, sent_s = self._mark(), time.monotonic()
        try:
            connection.request(self._method, target, headers=self._headers)
            answer = connection.getresponse()
            reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        except (OSError, HTTPException) as error:
            connection.close()
            time.sleep(_BETWEEN_ATTEMPTS_S)
            return Tally(sent=1, lost=1, examples=(f"{target}: {error!r}",))
        took_s = time.monotonic() - sent_s
        if is_clean_refusal(reply):
            return Tally(sent=1, refused=1, slowest_s=took_s, examples=(f"{target}: {reply.body[:200]!r}",))
        try:
            right = self._judge(target, reply, mark, sent_s)
        except (ValueError, KeyError, TypeError):
            right = False
        if right:
            return Tally(sent=1, right=1, slowest_s=took_s)
        example = f"{target}: {reply.status} {reply.body[:200]!r}"
        return Tally(sent=1, wrong=1, slowest_s=took_s, examples=(example,))
