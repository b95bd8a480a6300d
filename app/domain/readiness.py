"""Readiness: whether requests may be sent to this process, and if not, because of what."""

from __future__ import annotations

from typing import NamedTuple

# With less room than this, state can hardly be written, and a write-ahead log no longer grows.
LEAST_FREE_BYTES = 64 * 2**20


class Check(NamedTuple):
    """One thing that was looked at: is it well, and what was found. Never a path of this machine."""

    name: str
    ok: bool
    found: str


class Readiness(NamedTuple):
    """Every check, in the order in which they were asked for."""

    checks: tuple[Check, ...]

    @property
    def failing(self) -> list[str]:
        """Names of the checks that failed."""
        return [check.name for check in self.checks if not check.ok]

    @property
    def ready(self) -> bool:
        """Whether none failed."""
        return not self.failing
