"""A request that is sent twice is carried out once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.domain.errors import KeyReused, StillInTheMaking
from app.queue import idempotency
from app.queue.engine import Engine
from app.queue.idempotency import Idempotency, Once


def test_same_key_and_request_get_the_answer_made_first(engine: Engine) -> None:
    made: list[int] = []

    def make() -> dict[str, Any]:
        made.append(1)
        return {"job_id": f"job_{len(made)}"}

    answers = [Idempotency(engine).once(Once("k", {"a": 1}), make) for _ in range(3)]
    assert answers == [{"job_id": "job_1"}] * 3
    assert Idempotency(engine).once(Once("other", {"a": 1}), make) == {"job_id": "job_2"}
    assert Idempotency(engine).once(Once(None, {"a": 1}), make) == {"job_id": "job_3"}


def test_same_key_with_another_request_is_refused(engine: Engine) -> None:
    Idempotency(engine).once(Once("k", {"a": 1}), dict)
    with pytest.raises(KeyReused):
        Idempotency(engine).once(Once("k", {"a": 2}), dict)


def test_request_under_way_is_not_carried_out_beside_itself(engine: Engine) -> None:
    made, going = [], threading.Event()

    def make() -> dict[str, Any]:
        made.append(1)
        going.wait(5)
        return {"n": len(made)}

    def post(_: int) -> Any:
        try:
            return Idempotency(engine).once(Once("k", {}), make)
        except StillInTheMaking:
            return None
        finally:
            going.set()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(8)))
    assert made == [1]
    assert {"n": 1} in answers
    assert Idempotency(engine).once(Once("k", {}), make) == {"n": 1}


def test_request_that_failed_may_be_tried_again(engine: Engine) -> None:
    def fail() -> dict[str, Any]:
        raise LookupError

    with pytest.raises(LookupError):
        Idempotency(engine).once(Once("k", {}), fail)
    assert Idempotency(engine).once(Once("k", {}), lambda: {"done": True}) == {"done": True}


def test_request_whose_server_was_killed_is_taken_over_by_one(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die() -> dict[str, Any]:
        raise Killed

    kept = Idempotency(engine)
    monkeypatch.setattr(engine, "remove", lambda key: None)
    with pytest.raises(Killed):
        kept.once(Once("k", {}), die)
    with pytest.raises(StillInTheMaking):
        kept.once(Once("k", {}), dict)
    made: list[int] = []

    def make() -> dict[str, Any]:
        made.append(1)
        time.sleep(0.05)
        return {"n": 1}

    monkeypatch.setattr(idempotency, "_ABANDONED_S", 0.0)
    assert kept.once(Once("k", {}), make) == {"n": 1}
    assert made == [1]
