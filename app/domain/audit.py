"""The audit log: every write, who did it and how it ended."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

# A path longer than that is cut: the digest of the arguments and the route tell the rest.
LONGEST_PATH = 500


class Act(NamedTuple):
    """A write. ``at`` in Unix seconds; ``key_id`` is the number of a stored key, ``None`` where none was used."""

    at: float
    method: str
    route: str
    path: str
    arguments: str
    actor: str
    actor_kind: str
    key_id: int | None
    client: str
    request_id: str
    status: int


class Entry(NamedTuple):
    """A line of the audit log: its number, and the write."""

    id: int
    act: Act


def digest_of_arguments(query: bytes, body: bytes) -> str:
    """SHA-256 of what a write was told, in hexadecimal: tells whether two were told the same, not what."""
    return hashlib.sha256(len(query).to_bytes(8, "big") + query + body).hexdigest()
