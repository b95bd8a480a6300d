"""Commands: started without a shell, in a process group of their own, watched, and ended as a whole."""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from app.tasks import guard as guard_script

TAIL_BYTES = 4000
_LOOK_EVERY_S = 0.05
_ASK_EVERY_S = 0.5
# How long a child that outlives the command may keep its output open.
_LEFTOVERS_S = 1.0
_LONGEST_LINE_BYTES = 65536


class Ended(NamedTuple):
    """How a command ended.

    ``stopped`` is the reason for which it was stopped, ``None`` if it ended by itself; ``exit_status`` is negative for
    the signal that killed it; the tails are the last bytes of its output.
    """

    exit_status: int
    stdout_tail: bytes
    stderr_tail: bytes
    stopped: str | None = None


class Guard:
    """Our side of :mod:`app.tasks.guard`; one for a worker process.

    Parameters
    ----------
    grace_s
        Time between SIGTERM and SIGKILL [s].
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._mark = f"CONTIMG_WORKER={secrets.token_hex(8)}"
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def marked(self, environ: Mapping[str, str]) -> dict[str, str]:
        """An environment by which the guard finds a command, for whose sake it is running from now on."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._let_go()
                command = [sys.executable, "-I", "-S", str(guard_script.__file__), str(self._grace_s), self._mark]
                self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        name, _, value = self._mark.partition("=")
        return {**environ, name: value}

    def close(self) -> None:
        """Let the guard go, once it has ended what is still there."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait()


class RunLog:
    """A run's log file, written to as output comes, and opened anew when it has been rotated away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._open()

    def write(self, data: bytes) -> None:
        """Append."""
        try:
            same = os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            same = False
        if not same:
            self._file.close()
            self._file = self._open()
        self._file.write(data)

    def close(self) -> None:
        """Close."""
        self._file.close()

    def _open(self) -> IO[bytes]:
        return open(self._path, "ab", buffering=0)


class _Output:
    """One of a command's output streams: whole lines go to the log, the end is remembered."""

    def __init__(self, stream: IO[bytes], log: RunLog) -> None:
        self.stream = stream
        self._log = log
        self._partial = b""
        self.tail = b""

    def read(self) -> bool:
        """Take what is there; false at the end."""
        data = os.read(self.stream.fileno(), 65536)
        self.tail = (self.tail + data)[-TAIL_BYTES:]
        self._partial += data
        whole, end, rest = self._partial.rpartition(b"\n")
        if len(rest) > _LONGEST_LINE_BYTES or not data:
            whole, end, rest = self._partial, b"", b""
        if whole or end:
            self._log.write(whole + end)
        self._partial = rest
        return bool(data)


def run(
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    log: RunLog,
    limit_s: float,
    grace_s: float,
    guard: Guard,
    verdict: Callable[[], str | None],
) -> Ended:
    """Run a command to its end.

    Parameters
    ----------
    command
        The program and its arguments.
    environ
        Its environment.
    log
        Gets both output streams, line by line.
    limit_s
        How long it may take [s].
    grace_s
        Time between SIGTERM and SIGKILL [s].
    guard
        Ends it if this process dies.
    verdict
        Asked twice a second; a word is a reason to stop.

    Raises
    ------
    OSError
        The command cannot be started.
    """
    process = subprocess.Popen(
        command,
        env=guard.marked(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process, contextlib.ExitStack() as at_end:
        # Nothing of a command outlives it: what is left of its group ends before its number may be another's.
        at_end.callback(_signal_group, process.pid, signal.SIGKILL)
        assert process.stdout is not None
        assert process.stderr is not None
        outputs = _Output(process.stdout, log), _Output(process.stderr, log)
        stopped = _watch(process, outputs, limit_s, grace_s, verdict)
    return Ended(process.returncode, outputs[0].tail, outputs[1].tail, stopped)


def _watch(
    process: subprocess.Popen[bytes],
    outputs: tuple[_Output, _Output],
    limit_s: float,
    grace_s: float,
    verdict: Callable[[], str | None],
) -> str | None:
    """Read the output until the command has ended; the reason if it was stopped."""
    started = asked = time.monotonic()
    stopped: str | None = None
    kill_at = leave_at = float("inf")
    with selectors.DefaultSelector() as selector:
        for output in outputs:
            selector.register(output.stream, selectors.EVENT_READ, output)
        while True:
            for key, _ in selector.select(_LOOK_EVERY_S) if selector.get_map() else []:
                if not key.data.read():
                    selector.unregister(key.fileobj)
            now = time.monotonic()
            if _has_ended(process.pid):
                leave_at = min(leave_at, now + _LEFTOVERS_S if stopped is None else kill_at)
                if not selector.get_map() or now >= leave_at:
                    return stopped
            elif not selector.get_map():
                time.sleep(_LOOK_EVERY_S)
            if stopped is None and now - asked >= _ASK_EVERY_S:
                asked = now
                stopped = verdict() or ("timeout" if now - started > limit_s else None)
                if stopped is not None:
                    kill_at = now + grace_s
                    _signal_group(process.pid, signal.SIGTERM)
            if now >= kill_at:
                _signal_group(process.pid, signal.SIGKILL)


def _has_ended(pid: int) -> bool:
    """Whether a child has ended; it is not reaped, so that its process group cannot be another's."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
