"""Which file systems answer from memory what a file is, and which ask another machine, that may never answer."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
# Network and cluster file systems, and what a process of somebody's answers for.
_REMOTE = re.compile(
    r"(nfs|cifs|smb|9p|afs|ceph|lustre|gpfs|beegfs|glusterfs|orangefs|pvfs2|ocfs2|gfs2|virtiofs|fuse\.)"
)
_ESCAPED = re.compile(r"\\([0-7]{3})")


def is_local(path: Path, mounts: Path = MOUNTS) -> bool:
    """Whether looking at a file that is looked at all the time waits for no other machine.

    Parameters
    ----------
    path
        The file, there or not.
    mounts
        The kernel's table of mounts (proc_pid_mountinfo(5)); where there is none, everything counts as local.
    """
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
        place = path.resolve()
    except OSError:
        return True
    # Of several mounted over each other, the last is seen.
    found = [each for each in map(_mount, lines) if each and place.is_relative_to(each[0])]
    deepest = max(reversed(found), key=lambda each: len(each[0].parts), default=None)
    return deepest is None or _REMOTE.match(deepest[1]) is None


def _mount(line: str) -> tuple[Path, str] | None:
    """Where a file system is mounted, and its type."""
    head, _, tail = line.partition(" - ")
    fields, kind = head.split(" "), tail.partition(" ")[0]
    if len(fields) < 5:
        return None
    return Path(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), fields[4])), kind
