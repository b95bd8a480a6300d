"""A real worker process, and a client of a stream of events."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.server import ROOT

COMMAND = (sys.executable, "-c", "from app.cli import main; main()", "worker")


class WorkerProcess:
    """``contimg-api worker`` with some settings; ended by its process id.

    Parameters
    ----------
    directory
        Where its log goes.
    environ
        Its environment.
    options
        Of the command.
    """

    def __init__(self, directory: Path, environ: Mapping[str, str], *options: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.log_path = directory / f"worker-{time.monotonic_ns()}.log"
        self._log = self.log_path.open("wb")
        self.process = subprocess.Popen(
            [*COMMAND, *options], cwd=ROOT, env=dict(environ), stdout=self._log, stderr=self._log
        )

    @property
    def log(self) -> str:
        """Everything it wrote."""
        return self.log_path.read_text("utf-8", "replace")

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()
        self._log.close()

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 30.0) -> int:
        """Tell it to stop; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._log.close()
        return code


def lives(pid: int) -> bool:
    """Whether a process runs; one that waits for its parent to take note of its end does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


class ServerEvent(NamedTuple):
    """An event of a stream."""

    name: str
    data: str
    id: str | None

    def json(self) -> Any:
        """Its data read as JSON."""
        return json.loads(self.data)


class EventStream:
    """A stream of events that is being read."""

    def __init__(self, port: int, target: str, last_event_id: str | None = None, timeout_s: float = 30.0) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        self.connection.request("GET", target, headers=headers)
        self.answer = self.connection.getresponse()
        self.status = self.answer.status

    def __iter__(self) -> Iterator[ServerEvent]:
        """Events until the server ends the stream."""
        fields: dict[str, list[str]] = {}
        while line := self.answer.readline():
            text = line.decode().rstrip("\n")
            if text and not text.startswith(":"):
                name, _, value = text.partition(": ")
                fields.setdefault(name, []).append(value)
            elif not text and "data" in fields:
                yield ServerEvent(fields["event"][0], "\n".join(fields["data"]), fields.get("id", [None])[0])
                fields = {}
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.connection.close()
        self.answer.close()
