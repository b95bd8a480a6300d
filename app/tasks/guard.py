"""The guard: a process beside each worker that ends the worker's commands should the worker die without a word.

Run as a script, with the grace period and a mark. It waits for the end of a pipe whose other end only the worker holds,
which comes whatever the worker dies of. Then every process whose environment has the mark is told to terminate, and
killed after the grace period: the commands, their children, and those that went into a session of their own. A worker
that is killed by SIGKILL can do nothing itself, and its commands would go on while another worker starts them anew.

Where there is no /proc nothing is found, and nothing ended. Uses the standard library's smallest modules, so as to
start quickly and need little memory.
"""

import os
import signal
import sys
import time


def _marked(mark: bytes) -> "list[int]":
    """Processes whose environment has the mark; not those of other users, which cannot be read."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if name.isdigit():
            try:
                with open(f"/proc/{name}/environ", "rb") as environ:
                    if mark in environ.read().split(b"\0"):
                        found.append(int(name))
            except OSError:
                continue
    return found


def _signal_all(processes: "list[int]", number: int) -> None:
    for process in processes:
        try:
            os.kill(process, number)
        except (ProcessLookupError, PermissionError):
            continue


def _main(grace_s: float, mark: bytes) -> None:
    # Ctrl-C in the worker's terminal, or a shell that hangs up, is for the worker to act on.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 4096):
        pass
    _signal_all(_marked(mark), signal.SIGTERM)
    kill_at = time.monotonic() + grace_s
    while left := _marked(mark):
        if time.monotonic() >= kill_at:
            _signal_all(left, signal.SIGKILL)
        time.sleep(0.05)


if __name__ == "__main__":
    _main(float(sys.argv[1]), sys.argv[2].encode())
