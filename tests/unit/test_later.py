"""Work done a moment later: all of it, once, in order."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from app.web import later
from app.web.later import Later

AT_EXIT = """
from app.web.later import Later
Later(lambda items: print(len(items), flush=True)).add("left at the last moment")
"""


def until(condition: object, timeout_s: float = 5.0) -> None:
    limit = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < limit
        time.sleep(0.002)


def test_items_are_handed_on_in_order_and_together() -> None:
    batches: list[list[int]] = []
    collected: Later[int] = Later(batches.append)
    for number in range(100):
        collected.add(number)
    until(lambda: sum(map(len, batches)) == 100)
    assert [number for batch in batches for number in batch] == list(range(100))
    assert len(batches) < 10


def test_later_items_call_for_another_batch() -> None:
    batches: list[list[int]] = []
    collected: Later[int] = Later(batches.append)
    for number in range(3):
        collected.add(number)
        until(lambda number=number: batches and batches[-1] == [number])


def test_nothing_is_lost_or_done_twice_by_many_threads() -> None:
    done: list[int] = []
    collected: Later[int] = Later(done.extend)

    def leave(first: int) -> None:
        for number in range(first, first + 5_000):
            collected.add(number)

    threads = [threading.Thread(target=leave, args=(n * 5_000,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: len(done) == 20_000)
    assert sorted(done) == list(range(20_000))


def test_what_waits_is_bounded() -> None:
    batches: list[list[int]] = []
    collected: Later[int] = Later(batches.append)
    for number in range(3 * later._MOST):
        collected.add(number)
    assert batches, "nothing was done before the moment came"
    assert max(map(len, batches)) <= later._MOST


def test_flush_does_it_now() -> None:
    done: list[int] = []
    collected: Later[int] = Later(done.extend)
    collected.add(1)
    collected.flush()
    assert done == [1]


def test_failure_of_one_batch_does_not_stop_the_next() -> None:
    done: list[int] = []

    def work(items: list[int]) -> None:
        if 1 in items:
            raise OSError("the log cannot be written")
        done.extend(items)

    collected: Later[int] = Later(work)
    collected.add(1)
    try:
        collected.flush()
    except OSError:
        collected.add(2)
    until(lambda: done == [2])


def test_what_is_left_at_exit_is_done() -> None:
    told = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, check=True, timeout=20)
    assert told.stdout == "1\n"
