"""Commands run without a shell, and nothing of one outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from app.tasks.process import Ended, Guard, RunLog, run
from tests.support.server import ROOT
from tests.support.worker import lives


@pytest.fixture
def guard() -> Iterator[Guard]:
    made = Guard(0.3)
    yield made
    made.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RunLog]:
    made = RunLog(tmp_path / "logs" / "run.log")
    yield made
    made.close()


Run = Callable[..., Ended]


@pytest.fixture
def execute(guard: Guard, log: RunLog) -> Run:
    def execute(
        command: Sequence[str],
        limit_s: float = 20.0,
        grace_s: float = 0.3,
        verdict: Callable[[], str | None] = lambda: None,
    ) -> Ended:
        return run(command, environ=os.environ, log=log, limit_s=limit_s, grace_s=grace_s, guard=guard, verdict=verdict)

    return execute


def sh(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def until(condition: Callable[[], object], limit_s: float = 10.0) -> None:
    limit = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def number_in(path: Path) -> int:
    until(lambda: path.exists() and path.read_text().strip())
    return int(path.read_text())


def test_output_goes_to_the_log_and_its_end_into_the_report(execute: Run, tmp_path: Path) -> None:
    ended = execute(sh("echo one; echo two >&2; sleep 0.1; printf unfinished"))
    assert ended == Ended(0, b"one\nunfinished", b"two\n")
    assert sorted((tmp_path / "logs/run.log").read_text().split("\n")) == ["one", "two", "unfinished"]


def test_log_is_written_while_the_command_runs(execute: Run, tmp_path: Path) -> None:
    path = tmp_path / "logs/run.log"
    seen: list[str] = []

    def verdict() -> str | None:
        seen.append(path.read_text())
        return "enough" if seen[-1] else None

    ended = execute(sh("echo early; sleep 30"), verdict=verdict)
    assert seen[-1] == "early\n"
    assert ended.stopped == "enough"


def test_streams_do_not_tear_each_others_lines(execute: Run, tmp_path: Path) -> None:
    execute(sh("for i in 1 2 3 4 5 6 7 8 9; do printf ab; printf cd >&2; echo ab; echo cd >&2; done"))
    assert set((tmp_path / "logs/run.log").read_text().split()) == {"abab", "cdcd"}


def test_exit_status_and_signal_are_told(execute: Run) -> None:
    assert execute(sh("exit 7")).exit_status == 7
    assert execute(sh("kill -KILL $$")).exit_status == -signal.SIGKILL


def test_arguments_reach_the_program_as_they_are(execute: Run) -> None:
    nasty = "$(touch boom) `x` ; | & > \" ' \\ * {}\n"
    program = [sys.executable, "-c", "import sys; sys.stdout.write(sys.argv[1])", nasty]
    assert execute(program).stdout_tail == nasty.encode()


def test_command_that_is_not_there_cannot_be_started(execute: Run) -> None:
    with pytest.raises(FileNotFoundError):
        execute(["/nowhere/pipeline"])


def test_command_past_its_limit_is_stopped(execute: Run) -> None:
    started = time.monotonic()
    ended = execute(sh("sleep 30"), limit_s=0.3)
    assert ended.stopped == "timeout"
    assert ended.exit_status == -signal.SIGTERM
    assert time.monotonic() - started < 5


def test_command_that_ignores_sigterm_is_killed_with_its_children(execute: Run, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"trap '' TERM; sh -c 'trap \"\" TERM; echo $$ >{pid}; while :; do sleep 0.1; done' & wait; sleep 30"
    ended = execute(sh(script), verdict=lambda: "canceled" if pid.exists() and pid.read_text().strip() else None)
    assert (ended.stopped, ended.exit_status) == ("canceled", -signal.SIGKILL)
    until(lambda: not lives(number_in(pid)))


def test_command_is_told_to_stop_before_it_is_killed(execute: Run, tmp_path: Path) -> None:
    ended = execute(
        sh(f"trap 'echo tidied >{tmp_path}/tidy; exit 3' TERM; echo up; while :; do sleep 0.05; done"),
        grace_s=5,
        verdict=lambda: "canceled" if (tmp_path / "logs/run.log").read_text() else None,
    )
    assert (ended.stopped, ended.exit_status) == ("canceled", 3)
    assert (tmp_path / "tidy").read_text() == "tidied\n"


def test_children_are_told_to_stop_too(execute: Run, tmp_path: Path) -> None:
    child = f"trap 'echo tidied >{tmp_path}/tidy; exit' TERM; touch {tmp_path}/up; while :; do sleep 0.05; done"
    (tmp_path / "child.sh").write_text(child)
    script = f"trap '' TERM; (trap - TERM; exec sh {tmp_path}/child.sh) & wait; wait"
    execute(sh(script), grace_s=5, verdict=lambda: "canceled" if (tmp_path / "up").exists() else None)
    assert (tmp_path / "tidy").read_text() == "tidied\n"


def test_children_left_behind_end_with_the_command(execute: Run, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    started = time.monotonic()
    ended = execute(sh(f"(echo $$; sleep 60) & echo $! >{pid}; exit 0"))
    assert ended.exit_status == 0
    assert time.monotonic() - started < 10
    until(lambda: not lives(number_in(pid)))


def test_log_that_is_rotated_away_is_begun_anew(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "run.log")
    log.write(b"one\n")
    (tmp_path / "run.log").rename(tmp_path / "run.log.1")
    log.write(b"two\n")
    log.close()
    assert (tmp_path / "run.log.1").read_bytes() == b"one\n"
    assert (tmp_path / "run.log").read_bytes() == b"two\n"


@pytest.mark.parametrize("detached", ["", "setsid "], ids=["in its group", "in a session of its own"])
def test_commands_of_a_killed_worker_are_ended(tmp_path: Path, detached: str) -> None:
    """SIGKILL leaves a worker no time to do it; the guard does."""
    pid = tmp_path / "pid"
    program = f"""
import os
from pathlib import Path
from app.tasks.process import Guard, RunLog, run
script = "trap '' TERM; echo $$ >{pid}; while :; do sleep 0.1; done"
log = RunLog(Path("{tmp_path}/run.log"))
command = [*"{detached}/bin/sh -c".split(), script]
run(command, environ=os.environ, log=log, limit_s=60, grace_s=1, guard=Guard(0.3), verdict=lambda: None)
"""
    worker = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    command = number_in(pid)
    assert lives(command)
    worker.kill()
    worker.wait()
    until(lambda: not lives(command))


def test_guard_that_was_killed_is_replaced(execute: Run, guard: Guard, tmp_path: Path) -> None:
    execute(sh("true"))
    assert guard._process is not None
    first = guard._process
    first.kill()
    first.wait()
    assert execute(sh("echo on")).stdout_tail == b"on\n"
    assert guard._process is not None
    assert guard._process.pid != first.pid
