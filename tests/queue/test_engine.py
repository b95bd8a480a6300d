"""The engine keeps its promises on every kind of store."""

from __future__ import annotations

import pickle
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.domain.errors import QueueUnavailable
from app.queue.engine import Engine


def test_facts_are_read_as_they_were_written(engine: Engine) -> None:
    fact = {"text": "σ > 5", "number": 1.5, "list": [1, None, True], "inner": {"a": "b"}}
    engine.write("job:1", fact)
    engine.write("job:2", "other")
    assert engine.read("job:1", "job:3") == {"job:1": fact}
    assert engine.read_all() == {"job:1": fact, "job:2": "other"}
    engine.remove("job:1")
    assert engine.read("job:1") == {}


@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
def test_server_that_lets_in_and_says_nothing_is_not_waited_for_long(scheme: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        engine = Engine(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/0", "silent", tmp_path)
        for limit_s in (5, 1):
            began = time.monotonic()
            with pytest.raises(QueueUnavailable):
                engine.read("job:1")
            assert time.monotonic() - began < limit_s
        engine.close()


def test_of_many_who_claim_one_is_told_yes(engines: Callable[[], Engine]) -> None:
    claimants = [engines() for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        for n in range(10):
            won = list(pool.map(lambda k, n=n: claimants[k % 4].claim(f"start:{n}", {"by": k}), range(8)))
            assert sum(won) == 1
            assert claimants[0].read(f"start:{n}") == {f"start:{n}": {"by": won.index(True)}}


def test_claim_whose_confirmation_was_lost_is_recognized(engine: Engine) -> None:
    assert engine.claim("end:1", {"by": "me", "at": 1.5})
    assert engine.claim("end:1", {"by": "me", "at": 1.5})
    assert not engine.claim("end:1", {"by": "another", "at": 1.5})


def test_names_leave_the_queue_by_priority_and_then_in_order(engines: Callable[[], Engine]) -> None:
    sender, receiver = engines(), engines()
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", -1), ("e", 5)):
        sender.send(name, priority)
    assert sender.waiting() == set("abcde")
    assert [receiver.huey.dequeue().args[0] for _ in range(5)] == ["b", "e", "a", "c", "d"]
    assert receiver.waiting() == set()


def test_every_name_is_given_to_one_of_many_takers(engines: Callable[[], Engine]) -> None:
    sender, takers = engines(), [engines() for _ in range(4)]
    for n in range(60):
        sender.send(f"job_{n}", 0)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda n: takers[n % 4].huey.dequeue().args[0], range(60)))
    assert sorted(taken) == sorted(f"job_{n}" for n in range(60))


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (self.path,)


def test_pickle_in_the_store_is_never_loaded(engine: Engine, tmp_path: Path) -> None:
    boom = pickle.dumps(Bomb(tmp_path / "boom"))
    engine.write("job:1", {"kind": "x"})
    engine.huey.storage.put_data("job:2", boom)
    engine.huey.storage.enqueue(boom)
    assert engine.read_all() == {"job:1": {"kind": "x"}}
    assert engine.read("job:2") == {}
    assert engine.waiting() == set()
    with pytest.raises(ValueError, match=r"."):
        engine.huey.dequeue()
    assert not (tmp_path / "boom").exists()


def test_queues_of_other_names_on_the_same_store_are_others(engine: Engine, tmp_path: Path) -> None:
    other = Engine(engine._url, f"{engine.name}-2", engine._directory)
    engine.write("job:1", {})
    engine.send("job_1", 0)
    assert other.read_all() == {}
    assert other.waiting() == set()
    other.close()


@pytest.mark.parametrize("scheme", ["redis", "postgresql"])
def test_server_that_is_away_is_told_from_a_defect(scheme: str, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        engine = Engine(f"{scheme}://127.0.0.1:{unused.getsockname()[1]}/x1".replace("/x1", "/0"), "q", tmp_path)
        with pytest.raises(QueueUnavailable):
            engine.write("job:1", {})


def test_directory_that_cannot_be_made_is_told_from_a_defect(tmp_path: Path) -> None:
    (tmp_path / "api").write_text("a file")
    with pytest.raises(QueueUnavailable):
        Engine("", "q", tmp_path / "api").read_all()


@pytest.mark.parametrize(
    ("url", "kind", "shown"),
    [
        ("", "sqlite", None),
        ("redis://user:hunter2@cache.example:6380/3?password=hunter2", "redis", "redis://cache.example:6380/3"),
        ("rediss://:hunter2@[::1]/0", "redis", "rediss://[::1]/0"),
        ("unix://:hunter2@/run/redis.sock?db=1", "redis", "unix:///run/redis.sock"),
        ("postgresql://me:hunter2@db.example/queue", "postgresql", None),
        ("postgres://me:hunter2@db.example/queue", "postgresql", None),
    ],
)
def test_password_of_a_store_is_never_shown(url: str, kind: str, shown: str | None, tmp_path: Path) -> None:
    engine = Engine(url, "q", tmp_path)
    assert (engine.kind, engine.shown_url) == (kind, shown)
