"""The runtime directory: what the processes of one gunicorn share while it runs, and nobody needs afterwards.

The master makes it before it forks and removes it when it ends. In it lie the workers' counts of requests
(``metrics/``), the sockets by which workers talk to each other (``workers/``) and their heartbeat files. It is on a
file system in memory where there is one, because all of these are written often and none is worth a disk.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "DSA110_RUNTIME_DIR"
MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_PREFIX = "contimg-api-"
_LOCK = "lock"
_MEMORY = Path("/dev/shm")


def make(parent: Path | None = None) -> Path:
    """Make this master's directory, mode 0700, and tell its workers of it by ``DSA110_RUNTIME_DIR``.

    Parameters
    ----------
    parent
        Where to make it; memory if possible, else the place for temporary files, unless given.

    Notes
    -----
    An inherited value of the variable is never used: after USR2 two masters live side by side, each with its own
    directory. The master and its workers hold a lock on a file in it for as long as any of them lives, so whoever
    starts next can tell what a killed master left behind from what is in use.
    """
    parent = parent or _memory_or_disk()
    sweep(parent)
    # Locked under a name that sweep() does not look at, then renamed.
    hidden = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=parent))
    lock = os.open(hidden / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    directory = hidden.rename(parent / hidden.name.removeprefix("."))
    for name in ("metrics", "workers"):
        (directory / name).mkdir(mode=0o700)
    os.environ[VARIABLE] = str(directory)
    os.environ[MULTIPROCESS_VARIABLE] = str(directory / "metrics")
    atexit.register(_remove, directory, os.getpid())
    return directory


def current() -> Path | None:
    """The directory of the gunicorn that this process belongs to; ``None`` outside of one."""
    value = os.environ.get(VARIABLE)
    return Path(value) if value else None


def sweep(parent: Path) -> list[Path]:
    """Remove the directories under ``parent`` that no living process holds; those that were removed."""
    left_behind = [directory for directory in parent.glob(f"{_PREFIX}*") if not _in_use(directory)]
    for directory in left_behind:
        shutil.rmtree(directory, ignore_errors=True)
    return left_behind


def _in_use(directory: Path) -> bool:
    try:
        lock = os.open(directory / _LOCK, os.O_RDWR)
    except OSError:  # someone else's, or not one of ours
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _memory_or_disk() -> Path:
    return _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def _remove(directory: Path, master: int) -> None:
    # Workers inherit the registration through the fork and must not act on it.
    if os.getpid() == master:
        with contextlib.suppress(OSError):
            shutil.rmtree(directory)
