"""What systemd does for the service, in small: it holds the listening socket, hands it on, and waits to be told."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.server import COMMAND, ROOT

_HAND_ON = 'exec 3<&"$0"; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'


class SocketUnit:
    """Holds a listening socket of 127.0.0.1 and starts and stops the service behind it.

    Parameters
    ----------
    directory
        For its log and the socket of notifications.
    environ
        The service's environment.
    """

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.log_path = directory / "service.log"
        self._log = self.log_path.open("wb")
        self._environ = {**environ, "NOTIFY_SOCKET": str(directory / "notify")}
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._told.bind(self._environ["NOTIFY_SOCKET"])
        self._told.settimeout(30)
        self.port: int = self._listening.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SocketUnit:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._log.close()
        self._listening.close()
        self._told.close()

    @property
    def log(self) -> str:
        """Everything the service wrote."""
        return self.log_path.read_text("utf-8", "replace")

    def start(self) -> None:
        """Start the service, and wait until it says that it is ready."""
        number = self._listening.fileno()
        self.process = subprocess.Popen(
            ["bash", "-c", _HAND_ON, str(number), *COMMAND],
            cwd=ROOT, env=self._environ, pass_fds=(number,), stdout=self._log, stderr=self._log,
        )  # fmt: skip
        while b"READY=1" not in self._told.recv(4096).splitlines():
            pass

    def stop(self, timeout_s: float = 45.0) -> int:
        """Stop the service as systemd does; the socket stays. Its exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def restart(self) -> None:
        """Stop, and start anew."""
        self.stop()
        self.start()

    def reload(self) -> None:
        """What ``systemctl reload`` does: the workers are replaced."""
        assert self.process is not None
        old = self.workers
        self.process.send_signal(signal.SIGHUP)
        limit = time.monotonic() + 20
        while old & self.workers or len(self.workers) < len(old):
            assert time.monotonic() < limit, self.log
            time.sleep(0.02)

    @property
    def workers(self) -> set[int]:
        """Process ids of the workers that live now."""
        assert self.process is not None
        pid = self.process.pid
        with contextlib.suppress(FileNotFoundError):
            return {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
        return set()
