"""A store that hangs costs one question its time and the others nothing: by a clock of the test's own, and for real."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.errors import QueueUnavailable
from app.queue.breaker import REST_S, SLOW_S, Breaker
from app.queue.engine import FILE_NAME, Engine
from app.web.errors import RETRY_AFTER_S
from tests.queue.conftest import Store
from tests.support.stores import hanging


class Clock:
    """Goes on when told to."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock=clock)


class Refused(Exception):
    """What a store says."""


def ask(breaker: Breaker, clock: Clock, *, takes_s: float = 0.0, fails: bool = False) -> str:
    """One question; what became of it."""
    try:
        with breaker.question():
            clock.now_s += takes_s
            if fails:
                raise Refused
    except Refused:
        return "failed"
    except QueueUnavailable:
        return "not asked"
    return "answered"


@pytest.mark.parametrize(
    ("takes_s", "fails", "afterwards"),
    [
        (SLOW_S, True, "not asked"),
        (SLOW_S * 3, True, "not asked"),
        (SLOW_S * 0.9, True, "answered"),
        (0.0, True, "answered"),
        (SLOW_S * 3, False, "answered"),
    ],
)
def test_only_failure_that_took_long_opens_it(
    takes_s: float, fails: bool, afterwards: str, breaker: Breaker, clock: Clock
) -> None:
    ask(breaker, clock, takes_s=takes_s, fails=fails)
    assert ask(breaker, clock) == afterwards


def opened(breaker: Breaker, clock: Clock) -> None:
    """Have a question hang."""
    assert ask(breaker, clock, takes_s=3, fails=True) == "failed"


def test_nobody_asks_until_the_rest_is_over(breaker: Breaker, clock: Clock) -> None:
    opened(breaker, clock)
    clock.now_s += REST_S * 0.99
    assert ask(breaker, clock) == "not asked"
    clock.now_s += REST_S * 0.01
    assert ask(breaker, clock) == "answered"


def test_one_asks_after_the_rest_and_the_others_not_until_it_knows(breaker: Breaker, clock: Clock) -> None:
    opened(breaker, clock)
    clock.now_s += REST_S
    with breaker.question():
        clock.now_s += 3
        assert [ask(breaker, clock) for _ in range(3)] == ["not asked"] * 3
    assert [ask(breaker, clock) for _ in range(3)] == ["answered"] * 3


@pytest.mark.parametrize(
    ("takes_s", "fails", "afterwards"),
    [(3, True, "not asked"), (0.1, True, "answered"), (0.1, False, "answered"), (3, False, "answered")],
)
def test_probe_decides(takes_s: float, fails: bool, afterwards: str, breaker: Breaker, clock: Clock) -> None:
    opened(breaker, clock)
    clock.now_s += REST_S
    ask(breaker, clock, takes_s=takes_s, fails=fails)
    assert ask(breaker, clock) == afterwards
    clock.now_s += REST_S
    assert ask(breaker, clock) == "answered"


def test_answer_to_whoever_asked_before_it_opened_closes_it(breaker: Breaker, clock: Clock) -> None:
    with breaker.question():
        opened(breaker, clock)
    assert ask(breaker, clock) == "answered"


@pytest.mark.parametrize(("one_at_a_time", "became"), [(True, "not asked"), (False, "answered")])
def test_who_stands_in_line_behind_a_question_that_hangs_is_not_to_hang_in_turn(
    one_at_a_time: bool, became: str, clock: Clock
) -> None:
    breaker = Breaker(one_at_a_time=one_at_a_time, clock=clock)
    with ThreadPoolExecutor(3) as pool:
        with contextlib.suppress(Refused), breaker.question():
            others = [pool.submit(ask, breaker, clock) for _ in range(3)]
            if one_at_a_time:
                with pytest.raises(TimeoutError):
                    others[0].result(0.1)
            else:
                assert others[0].result(10) == became
            clock.now_s += 3
            raise Refused
        assert {other.result(10) for other in others} == {became}


def test_of_many_at_once_one_is_the_probe(breaker: Breaker, clock: Clock) -> None:
    opened(breaker, clock)
    clock.now_s += REST_S
    start, seen = threading.Barrier(8), threading.Semaphore(0)

    def probe() -> str:
        start.wait(10)
        try:
            with breaker.question():
                for _ in range(7):
                    assert seen.acquire(timeout=10)
        except QueueUnavailable:
            seen.release()
            return "not asked"
        return "answered"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(lambda _: probe(), range(8))) == ["answered"] + ["not asked"] * 7


def test_clients_are_told_to_come_back_when_the_probe_is_over() -> None:
    from app.queue.engine import _ANSWER_TIMEOUT_S, _CONNECT_TIMEOUT_S, LOCK_TIMEOUT_S

    assert RETRY_AFTER_S[QueueUnavailable] >= REST_S + _ANSWER_TIMEOUT_S
    assert min(_ANSWER_TIMEOUT_S, _CONNECT_TIMEOUT_S, LOCK_TIMEOUT_S) > SLOW_S


# -- in the engine, over stores that hang

LIMIT_S = 1.2


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of time that are worth a test's while."""
    monkeypatch.setattr("app.queue.engine._ANSWER_TIMEOUT_S", LIMIT_S)
    monkeypatch.setattr("app.queue.engine.LOCK_TIMEOUT_S", LIMIT_S)


def timed(question: Callable[[], object]) -> float:
    """How long it takes a question to fail [s]."""
    began = time.monotonic()
    with pytest.raises(QueueUnavailable):
        question()
    return time.monotonic() - began


def wait_for(question: Callable[[], object]) -> None:
    """Ask until there is an answer."""
    limit = time.monotonic() + 20
    while True:
        try:
            question()
            return
        except QueueUnavailable:
            assert time.monotonic() < limit
            time.sleep(0.02)


@contextlib.contextmanager
def hung(store: Store) -> Iterator[None]:
    with hanging(store.url, store.directory / FILE_NAME):
        yield


@pytest.mark.usefixtures("short")
def test_store_that_hangs_costs_one_limit_of_time_and_then_nothing(engine: Engine, store: Store) -> None:
    engine.write("job:1", {"a": 1})
    with hung(store):
        assert SLOW_S <= timed(lambda: engine.write("job:1", {"a": 2})) < 2 * LIMIT_S
        questions = (
            lambda: engine.read("job:1"), engine.read_all, lambda: engine.claim("job:3", {}), engine.waiting,
            lambda: engine.send("job:1", 0), lambda: engine.remove("job:1"),
        )  # fmt: skip
        assert max(map(timed, questions)) < SLOW_S
    wait_for(lambda: engine.write("job:2", {"b": 1}))
    assert engine.read("job:2") == {"job:2": {"b": 1}}


@pytest.mark.usefixtures("short")
def test_many_who_ask_at_once_are_held_no_longer_than_one(engine: Engine, store: Store) -> None:
    engine.write("job:1", {})
    with hung(store), ThreadPoolExecutor(6) as pool:
        took = list(pool.map(lambda n: timed(lambda: engine.write(f"job:{n}", {})), range(6)))
    assert max(took) < 3 * LIMIT_S


@pytest.mark.usefixtures("short")
def test_store_that_hangs_before_it_is_opened_costs_no_more(engines: Callable[[], Engine], store: Store) -> None:
    engines().write("job:1", {})
    with hung(store):
        late = engines()
        assert timed(lambda: late.write("job:2", {})) < 2 * LIMIT_S
        assert timed(lambda: late.write("job:2", {})) < SLOW_S


@pytest.mark.usefixtures("short")
def test_workers_ask_again_and_are_answered_as_soon_as_the_store_is(store: Store) -> None:
    engine = Engine(store.url, store.name, store.directory, patient=True)
    engine.write("job:1", {})
    with hung(store):
        assert timed(lambda: engine.write("job:1", {"b": 1})) >= 2 * SLOW_S
    engine.write("job:1", {"b": 2})
    assert engine.read("job:1") == {"job:1": {"b": 2}}
    engine.close()


@pytest.mark.usefixtures("short")
def test_process_that_was_forked_finds_out_for_itself(engine: Engine, store: Store) -> None:
    engine.write("job:1", {})
    with hung(store):
        timed(lambda: engine.write("job:1", {}))
    with engine._breaker._lock:
        child = os.fork()
        if not child:
            code = 1
            signal.alarm(20)  # were it to wait for the lock that the parent holds
            try:
                code = 0 if engine.read("job:1") == {"job:1": {}} else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
