"""Means to break things with, and to see what is left of a process."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

# So long does a fault last in the normal suite [s]; `make soak` sets the full length.
QUICK_S = 0.4
_SET_S = os.environ.get("CONTIMG_TEST_FAULT_S")
# What the full lengths are fractions of: a fault that lasts a minute in full lasts a minute where the setting is 60.
FULL_S = 60.0

# As root, permissions would not be looked at.
WITHOUT_PRIVILEGES: tuple[str, ...] = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
)
SITES = Path(__file__).resolve().parent / "sites"


def lasting(full_s: float, quick_s: float = QUICK_S) -> float:
    """How long a fault lasts whose full length is ``full_s`` [s]."""
    return quick_s if _SET_S is None else min(full_s, float(_SET_S))


def counting(full: int, quick: int) -> int:
    """How many requests there are where ``full`` would be all of them."""
    return quick if _SET_S is None else max(quick, int(full * min(1.0, float(_SET_S) / FULL_S)))


# -- a disk that can be full


class SmallDisk:
    """A file system of a megabyte that only one server sees, and that can be filled.

    Parameters
    ----------
    directory
        Where it is mounted, in a mount namespace of the server's own.
    """

    SIZE = "1m"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def command(self) -> tuple[str, ...]:
        """What the server's command is put behind; its standard error goes to ``server.log`` on the disk."""
        mount = f"mount -t tmpfs -o size={self.SIZE} tmpfs {self.directory}"
        return (*NAMESPACE, "sh", "-c", f'{mount} && exec "$@" 2>>{self.directory}/server.log', "sh")

    def seen_by(self, pid: int) -> Path:
        """The directory, as a process with the disk sees it."""
        return Path(f"/proc/{pid}/root{self.directory}")

    @contextlib.contextmanager
    def full(self, pid: int) -> Iterator[None]:
        """Inside, nothing more can be written; ``pid`` is of a process with the disk."""
        ballast = self.seen_by(pid) / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"\0" * 4096):
                pass
        try:
            yield
        finally:
            ballast.unlink()


NAMESPACE = ("unshare", "-m") if os.geteuid() == 0 else ("unshare", "-r", "-m")


def may_mount() -> bool:
    """Whether a file system can be mounted in a namespace of one's own."""
    if shutil.which("unshare") is None:
        return False
    trial = [*NAMESPACE, "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /mnt"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


# -- what a process holds


def descriptors(pid: int) -> list[str]:
    """What a process has open: paths of files, and ``socket:[…]`` and the like."""
    names = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            names.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return names


def threads(pid: int) -> int:
    """Threads of a process."""
    return len(os.listdir(f"/proc/{pid}/task"))


def pss_mb(pid: int) -> float:
    """Memory of a process, what it shares counted by its share [MB]."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no proportional set size")
