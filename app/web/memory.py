"""A bound on what a worker may grow to: past it, it finishes what it is at and ends, and the master starts another.

Something in a library may leak, and a rendering may leave memory that is never given back. Without a bound, the system
ends whichever process it likes best when memory runs out; with one, no request is lost.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

BETWEEN_LOOKS_S = 1.0
_MIB = 2**20
_STATM = Path("/proc/self/statm")


def resident_mib() -> float:
    """Memory that this process occupies, shared pages included [MiB]; 0 where the system does not tell."""
    try:
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MIB
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
        self._most_mib = most_mib
        self._measure = measure
        self._next_look_s = 0.0
        self._was_over = False

    def is_passed(self) -> bool:
        """Whether it was passed at two looks, a second apart: one drawing at work is no reason."""
        now_s = time.monotonic()
        if not self._most_mib or now_s < self._next_look_s:
            return False
        self._next_look_s = now_s + BETWEEN_LOOKS_S
        before, self._was_over = self._was_over, self._measure() > self._most_mib
        return before and self._was_over
