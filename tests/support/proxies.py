"""nginx and HAProxy with the files of docs/operations, the addresses and directories of a test in them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from app.web.problems import problem
from tests.support.neighbours import closed_port
from tests.support.server import ROOT

OPERATIONS = ROOT / "docs" / "operations"


def needed(program: str) -> str:
    """Path of a program that continuous integration installs; skipped only where a person has not."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if found is None:
        assert os.environ.get("CI") != "true", f"{program} is not installed"
        pytest.skip(f"{program} is not installed")
    return found


def certificate(directory: Path) -> tuple[Path, Path]:
    """A key, and a certificate of 127.0.0.1 that was made with it."""
    key, cert = directory / "privkey.pem", directory / "fullchain.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run(
        [needed("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         *subject, "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, cert


@contextmanager
def nginx(directory: Path, upstream: int, data: Path, *, patience: str = "75s") -> Iterator[int]:
    """nginx in front of a service, for whose answers it waits so long; its port."""
    program = needed("nginx")
    directory.mkdir()
    key, cert = certificate(directory)
    port, unencrypted = closed_port(), closed_port()
    text = (OPERATIONS / "nginx.conf").read_text()
    for written, real in {
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
        "listen 443 ssl http2": f"listen 127.0.0.1:{port} ssl http2",
        "listen 443 ssl default_server": f"listen 127.0.0.1:{port} ssl default_server",
        "listen 80;": f"listen 127.0.0.1:{unencrypted};",
        "listen 80 default_server": f"listen 127.0.0.1:{unencrypted} default_server",
        "server_name contimg.example.org": "server_name 127.0.0.1 localhost",
        "proxy_read_timeout 75s": f"proxy_read_timeout {patience}",
        "/etc/ssl/contimg-api/fullchain.pem": str(cert),
        "/etc/ssl/contimg-api/privkey.pem": str(key),
        "/protected/data/dsa110-contimg/": f"/protected{data}/",
        "alias /data/dsa110-contimg/": f"alias {data}/",
    }.items():
        assert written in text, written
        text = text.replace(written, real)
    text = re.sub(r"^ *listen \[::\].*\n", "", text, flags=re.MULTILINE)
    paths = "".join(
        f"{name}_temp_path {directory}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off; pid {directory}/pid; error_log stderr; worker_processes 1; user root; events {{}}"
    (directory / "nginx.conf").write_text(f"{head} http {{ access_log off; {paths}\n{text}}}\n")
    command = [program, "-p", str(directory), "-e", "stderr", "-c", str(directory / "nginx.conf")]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False, timeout=20)
    assert tested.returncode == 0, tested.stderr
    warnings = [line for line in tested.stderr.splitlines() if "[warn]" in line]
    assert [line for line in warnings if "http2" not in line] == [], "of its own directive only newer ones tell"
    with _serving(command, port, directory / "nginx.log"):
        yield port


@contextmanager
def haproxy(directory: Path, ports: Sequence[int]) -> Iterator[int]:
    """HAProxy in front of three hosts; its port.

    What differs from the file: addresses, user, log, encryption, and how long a host may take to say whether it is
    ready, since here three hosts, their clients and whatever else runs share the cores of one machine.
    """
    program = needed("haproxy")
    directory.mkdir()
    port = closed_port()
    text = (OPERATIONS / "haproxy.cfg").read_text()
    servers = iter(ports)
    text = re.sub(r"(?m)^( *server \w+) \S+$", lambda found: f"{found[1]} 127.0.0.1:{next(servers)}", text)
    text = re.sub(r"(?m)^ *(user|group|log) .*$", "", text)
    text = re.sub(r"(?m)^ *bind .*$", f"    bind 127.0.0.1:{port}", text)
    text, times = re.subn(r"timeout check \S+", "timeout check 15s", text)
    assert (next(servers, None), times) == (None, 1)
    (directory / "haproxy.cfg").write_text(text)
    command = [program, "-f", str(directory / "haproxy.cfg")]
    tested = subprocess.run([*command, "-c"], capture_output=True, text=True, check=False, timeout=20)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    with _serving([*command, "-db"], port, directory / "haproxy.log"):
        yield port


@contextmanager
def _serving(command: list[str], port: int, log: Path) -> Iterator[None]:
    """A program until it is no longer needed, once it listens."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_until(lambda: _listens(port), lambda: log.read_text())
        yield
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    with closing(connection), contextlib.suppress(OSError):
        connection.connect()
        return True
    return False


def is_problem(body: bytes, status: int, code: str) -> None:
    """Check that a proxy's own error is of the same form as those of the service."""
    said = json.loads(body)
    ours = problem(status, code, said["message"], environ={"contimg.request_id": said["trace_id"]})
    assert said == ours | {"title": said["title"]}, "titles are those of RFC 9110, which Python's have become lately"
    assert said["title"]
    assert said["detail"].endswith(".")


def wait_until(condition: Callable[[], Any], tell: Callable[[], str] = str, timeout_s: float = 20.0) -> None:
    """Wait for something that is bound to happen; fails with what there is to tell where it does not."""
    limit = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < limit, tell()
        time.sleep(0.02)
