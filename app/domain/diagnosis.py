"""What the doctor says of one thing."""

from __future__ import annotations

from typing import Literal, NamedTuple

Verdict = Literal["ok", "note", "wrong"]


class Check(NamedTuple):
    """One thing looked at: what it is, how it is, what was found, and what to do where it is not well."""

    what: str
    verdict: Verdict
    found: str
    remedy: str | None = None
