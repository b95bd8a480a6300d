"""Counts that all workers share: no request is counted twice, none is lost, and no damage stops the service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db.counters import Counters
from app.domain.errors import DatabaseError, DatabaseUnavailable

COUNTER = """
import sys
from pathlib import Path
from app.db.counters import Counters
counters = Counters(Path(sys.argv[1]))
sys.stdin.readline()
print(*[counters.add("k", 60) for _ in range(100)])
"""


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counters(tmp_path: Path, clock: Clock) -> Iterator[Counters]:
    made = Counters(tmp_path / "state", clock)
    yield made
    made.close()


def test_processes_that_count_together_get_every_number_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COUNTER, str(tmp_path)]
    together = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in together:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60) for process in together]
    assert [errors for _, errors in said] == [""] * 4
    assert sorted(int(word) for output, _ in said for word in output.split()) == list(range(1, 401))


def test_window_begins_with_the_first_and_ends_for_all(counters: Counters, clock: Clock) -> None:
    assert [counters.add("k", 60), counters.add("k", 60)] == [1, 2]
    assert counters.read("k") == (2, clock.now + 60)
    clock.now += 59.9
    assert counters.add("k", 60) == 3
    clock.now += 0.1
    assert counters.read("k").hits == 0
    assert counters.add("k", 60) == 1
    assert counters.read("other").hits == 0


def test_clock_that_was_put_back_does_not_lock_anybody_out(counters: Counters, clock: Clock) -> None:
    counters.add("k", 60, 1000)
    clock.now -= 86_400
    assert counters.add("k", 60) == 1


def test_count_that_is_written_late_does_not_begin_the_window_again(counters: Counters, clock: Clock) -> None:
    counters.add("k", 60)
    clock.now -= 0.001  # read by another process just before, written just after
    assert counters.add("k", 60) == 2


def test_what_is_given_back_never_makes_more_than_there_was(counters: Counters, clock: Clock) -> None:
    counters.add("k", 60)
    assert counters.add("k", 60, -1) == 0
    assert counters.add("k", 60, -1) == 0
    assert counters.add("other", 60, -1) == 0
    clock.now += 61
    assert counters.add("k", 60, -1) == 0


def test_windows_that_are_over_do_not_pile_up(counters: Counters, clock: Clock) -> None:
    for n in range(50):
        counters.add(f"peer{n}", 60)
    clock.now += 3600
    counters.add("k", 60)
    assert counters.forget() == 1


def test_damaged_file_is_made_anew(counters: Counters) -> None:
    counters.add("k", 60)
    counters.close()
    for file in counters.path.parent.iterdir():
        file.write_bytes(b"no database at all" * 300)
    with pytest.raises(DatabaseError):
        counters.add("k", 60)
    assert counters.add("k", 60) == 1


def test_file_that_was_removed_is_made_anew(counters: Counters) -> None:
    counters.add("k", 60)
    for file in counters.path.parent.iterdir():
        file.unlink()
    assert counters.add("k", 60) == 1


def test_place_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnavailable):
        Counters(tmp_path / "file").add("k", 60)


def test_connection_is_not_taken_through_a_fork(counters: Counters) -> None:
    counters.add("k", 60)
    pid = os.fork()
    if pid == 0:  # pragma: no cover - seen through its exit code
        os._exit(0 if counters.add("k", 60) == 2 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert counters.add("k", 60) == 3
