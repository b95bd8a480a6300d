"""Servers that a queue can live on, each started for the tests on a loopback port of its own and ended by its id."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_TIMEOUT_S = 20.0
STORES = ("sqlite", "redis", "postgresql")
# For tests of what hardly touches the store: one of them, and all in ``make soak``.
SOME_STORES = STORES if "CONTIMG_TEST_JOBS" in os.environ else STORES[:1]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def redis_server(directory: Path) -> Iterator[str]:
    """A Redis; its URL."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    with _running(command, directory / "redis.log", lambda: _listens(port)):
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def postgresql_server() -> Iterator[str]:
    """A PostgreSQL; its URL. Its files lie where the user it must run as can reach them."""
    programs = _postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    port = free_port()
    as_user: list[str] = []
    directory = Path(tempfile.mkdtemp(prefix="contimg-test-pg-"))
    try:
        if os.getuid() == 0:  # which PostgreSQL refuses to run as
            user = pwd.getpwnam("postgres")
            os.chown(directory, user.pw_uid, user.pw_gid)
            as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        data = directory / "data"
        made = [str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "contimg", "--no-sync"]
        subprocess.run([*as_user, *made], check=True, capture_output=True, cwd=directory)
        options = f"-p {port} -h 127.0.0.1 -k {directory} -c fsync=off".split()
        command = [*as_user, str(programs / "postgres"), "-D", str(data), *options]
        with _running(command, directory.parent / f"{directory.name}.log", lambda: _listens(port)):
            yield f"postgresql://contimg@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        (directory.parent / f"{directory.name}.log").unlink(missing_ok=True)


@contextmanager
def hanging(url: str, file: Path) -> Iterator[None]:
    """Inside, a store that has been used takes questions and answers none: a Redis is stopped, the tables of a
    PostgreSQL are locked, and so is the file of those that have no URL."""
    kinds = {"redis": _stopped_redis, "postgresql": _locked_tables}
    scheme = url.partition(":")[0]
    with kinds[scheme](url) if scheme else _locked_file(file):
        yield


@contextmanager
def _stopped_redis(url: str) -> Iterator[None]:
    import redis

    with redis.Redis.from_url(url) as client:
        process: int = client.info("server")["process_id"]
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@contextmanager
def _locked_tables(url: str) -> Iterator[None]:
    import psycopg

    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE huey_kv, huey_task IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def _locked_file(file: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield


def _postgresql_programs() -> Path | None:
    found = shutil.which("postgres")
    if found is not None:
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return versions[-1].parent if versions else None


@contextmanager
def _running(command: list[str], log: Path, ready: Callable[[], bool]) -> Iterator[None]:
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=log.parent)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
