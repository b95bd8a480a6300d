"""gunicorns: the service's own, and the bare ones on as many workers and threads."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.data import Survey
from tests.support.server import ROOT, environment

THREADS = 4
BARE = {"bare WSGI": "tests.benchmarks.bare:wsgi", "bare Flask": "tests.benchmarks.bare:flask"}

_LISTENING = re.compile(r"Listening at: http://127\.0\.0\.1:(\d+)")


class Gunicorn:
    """A running gunicorn on a free port of 127.0.0.1; its log, and with it the line of each request, goes to a file."""

    def __init__(self, command: list[str], variables: Mapping[str, str], log_path: Path) -> None:
        with log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", *command], cwd=ROOT, env=variables, stdout=log, stderr=log
            )
        while (found := _LISTENING.search(log_path.read_text("utf-8", "replace"))) is None:
            if self.process.poll() is not None:
                raise RuntimeError(f"gunicorn did not start:\n{log_path.read_text('utf-8', 'replace')}")
            time.sleep(0.005)
        self.port = int(found[1])
        while not self.worker_pids:
            time.sleep(0.005)

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers."""
        pid = self.process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def stop(self) -> None:
        """End it by its process id."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Gunicorn:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def service(directory: Path, survey: Survey, workers: int, **settings: str) -> Gunicorn:
    """The service with its default settings, request log included."""
    directory.mkdir(parents=True, exist_ok=True)
    variables = environment(directory, None, **survey.variables)
    variables |= {"DSA110_WORKERS": str(workers), "DSA110_THREADS": str(THREADS), **settings}
    command = ["-c", "python:app.gunicorn_conf", "wsgi:app"]
    return Gunicorn(command, variables, directory / "service.log")


def bare(kind: str, directory: Path, answers: Mapping[str, str], workers: int) -> Gunicorn:
    """A bare application that hands out the answers given, under the same kind of worker."""
    directory.mkdir(parents=True, exist_ok=True)
    name = kind.replace(" ", "-")
    path = directory / f"{name}.json"
    path.write_text(json.dumps(dict(answers)), "utf-8")
    command = ["-k", "gthread", "-w", str(workers), "--threads", str(THREADS), "-b", "127.0.0.1:0", "--preload"]
    command += ["--keep-alive", "75", "--worker-tmp-dir", "/dev/shm", "--no-control-socket", BARE[kind]]
    variables = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT), "BENCH_ANSWERS": str(path)}
    return Gunicorn(command, variables, directory / f"{name}.log")
