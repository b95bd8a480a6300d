"""A real gunicorn over a pipeline's databases, and a client that sends a path exactly as written."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import IO, Any, NamedTuple

from tests.support.pipeline import Pipeline

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "gunicorn", "-c", "python:app.gunicorn_conf", "wsgi:app")
START_TIMEOUT_S = 30.0

_LISTENING = re.compile(r"Listening at: https?://127\.0\.0\.1:(\d+)")


class Reply(NamedTuple):
    """An answer; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.body)


def environment(directory: Path, pipeline: Pipeline | None, **settings: str) -> dict[str, str]:
    """Variables for a server of its own: nothing inherited but what a process needs to start.

    Parameters
    ----------
    directory
        Holds its state, data roots and logs.
    pipeline
        Whose databases it serves.
    settings
        Variables that replace or add to the usual ones.
    """
    (directory / "data").mkdir(parents=True, exist_ok=True)
    variables = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(ROOT),
        "DSA110_ENV": "testing",
        "DSA110_HOST": "127.0.0.1",
        "DSA110_PORT": "0",
        "DSA110_WORKERS": "2",
        "DSA110_API_KEYS": "dsa110_live_test_key",
        "DSA110_STATE_DIR": str(directory / "state"),
        "DSA110_DATA_ROOTS": str(directory / "data"),
        "DSA110_LOG_DIRS": str(directory / "logs"),
    }
    if pipeline is not None:
        variables["PIPELINE_PRODUCTS_DB"] = str(pipeline.products_path)
        variables["PIPELINE_CAL_REGISTRY_DB"] = str(pipeline.registry_path)
    return variables | settings


class Server:
    """One gunicorn, on a port of 127.0.0.1 that the system chooses; ended by its process id.

    Parameters
    ----------
    directory
        Where it keeps its log, and its data unless told otherwise.
    pipeline
        Whose databases it serves.
    certificate
        What it proves itself with where it speaks TLS.
    before
        What the command is put behind, such as ``setpriv`` with its options.
    settings
        Variables, see :func:`environment`.
    """

    def __init__(
        self,
        directory: Path,
        pipeline: Pipeline | None = None,
        *,
        certificate: Path | None = None,
        before: Sequence[str] = (),
        **settings: str,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._trusts = ssl.create_default_context(cafile=str(certificate)) if certificate else None
        self.directory = directory
        self.pipeline = pipeline
        self.log_path = directory / "server.log"
        self._log: IO[bytes] = self.log_path.open("wb")
        self.process = subprocess.Popen(
            [*before, *COMMAND],
            cwd=ROOT,
            env=environment(directory, pipeline, **settings),
            stdout=self._log,
            stderr=self._log,
        )
        try:
            self.port = self._wait_for_port()
            self._wait_for_answer()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def base(self) -> str:
        """URL of its root, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything it wrote."""
        return self.log_path.read_text("utf-8", "replace")

    @property
    def worker_pids(self) -> set[int]:
        """Process ids of the workers that live now."""
        pid = self.process.pid
        return {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    def connect(self, timeout_s: float = 30.0) -> HTTPConnection:
        """A connection to it."""
        if self._trusts is not None:
            return HTTPSConnection("127.0.0.1", self.port, timeout=timeout_s, context=self._trusts)
        return HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)

    def get(self, target: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Reply:
        """One request on a connection of its own; ``target`` is sent as it is, percent signs and all."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, target, headers=dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def signal(self, number: signal.Signals) -> None:
        """Send the master a signal."""
        self.process.send_signal(number)

    def stop(self, timeout_s: float = 45.0) -> int:
        """End it gracefully, and after ``timeout_s`` for good; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._log.close()
        return code

    def wait_until(self, condition: Any, timeout_s: float = 20.0) -> None:
        """Wait for something that is bound to happen; fails with the log where it does not."""
        limit = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > limit:
                raise TimeoutError(f"not in {timeout_s} s; the server's log:\n{self.log}")
            time.sleep(0.02)

    def _wait_for_port(self) -> int:
        limit = time.monotonic() + START_TIMEOUT_S
        while (found := _LISTENING.search(self.log)) is None:
            if self.process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"gunicorn did not start:\n{self.log}")
            time.sleep(0.02)
        return int(found[1])

    def _wait_for_answer(self) -> None:
        def answers() -> bool:
            try:
                return self.get("/api/health").status == 200
            except OSError:
                return False

        self.wait_until(answers, START_TIMEOUT_S)


def refusal(directory: Path, pipeline: Pipeline | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
    """Start a gunicorn that is expected to refuse; what it said and its exit code."""
    return subprocess.run(
        COMMAND,
        cwd=ROOT,
        env=environment(directory, pipeline, **settings),
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
