"""A bound on what a worker may grow to: past it, it finishes what it is at and ends, and the master starts another.

Something in a library may leak, and a rendering may leave memory that is never given back. Without a bound, the system
ends whichever process it likes best when memory runs out; with one, no request is lost.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable

# Looking takes less than ten microseconds.
BETWEEN_LOOKS_S = 0.1
# A drawing at work needs memory for a moment, and gives it back: for so long it may be more than is allowed [s] ...
PATIENCE_S = 1.0
# ... but not more than so many times what is allowed: who leaks fast would not be stopped before the system does it.
FAR = 1.25
_MIB = 2**20
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / _MIB


def resident_mib() -> float:
    """Memory that this process occupies, shared pages included [MiB]; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read(100).split(maxsplit=2)[1]) * _PAGE_MIB
    except (OSError, ValueError, IndexError):
        return 0.0


class MemoryLimit:
    """Tells when a process has become too large and stays so.

    Parameters
    ----------
    most_mib
        What is allowed [MiB]; 0 for anything.
    measure
        Tells what is occupied [MiB].
    """

    def __init__(self, most_mib: int, measure: Callable[[], float] = resident_mib) -> None:
        self._most_mib = most_mib or math.inf
        self._measure = measure
        self._next_look_s = 0.0 if most_mib else math.inf
        self._over_since_s = self._far_over_since_s = math.inf

    def is_passed(self, now_s: float) -> bool:
        """Whether it is passed, and was at every look for a while: asked again and again, it looks now and then.

        Parameters
        ----------
        now_s
            Of the monotonic clock [s].
        """
        if now_s < self._next_look_s:
            return False
        self._next_look_s = now_s + BETWEEN_LOOKS_S
        share = self._measure() / self._most_mib
        self._over_since_s = min(self._over_since_s, now_s) if share > 1.0 else math.inf
        self._far_over_since_s = min(self._far_over_since_s, now_s) if share > FAR else math.inf
        return now_s >= self._over_since_s + PATIENCE_S or now_s > self._far_over_since_s
