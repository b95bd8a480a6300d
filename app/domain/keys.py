"""Keys that callers show, and what they may do with them.

A key is ``dsa110_`` and 256 random bits. Only its SHA-256 is ever stored: a slow hash protects secrets that people
choose, which can be guessed one after the other; of 256 random bits nobody guesses one, and a hash that takes
milliseconds would only slow every request down and let strangers keep the processors busy.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Literal, NamedTuple, get_args

Scope = Literal["read", "write", "admin"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
_BEGINNING = "dsa110_"
_RANDOM_BYTES = 32
# Enough to tell keys apart by, too little to help a guess: 36 of the 256 bits.
_SHOWN = len(_BEGINNING) + 6


class Key(NamedTuple):
    """A key as it is kept; times in Unix seconds, ``None`` for never."""

    id: int
    name: str
    prefix: str
    digest: bytes
    scope: Scope
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None

    def state(self, now_s: float) -> Literal["live", "expired", "revoked"]:
        """Whether it opens anything at a Unix time [s]."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now_s >= self.expires_at else "live"


class NewKey(NamedTuple):
    """A key that was just made, and its secret, which is told this once."""

    key: Key
    secret: str


def make_secret() -> str:
    """A new key."""
    return _BEGINNING + secrets.token_urlsafe(_RANDOM_BYTES)


def prefix_of(secret: str) -> str:
    """What of a key may be shown."""
    return secret[:_SHOWN]


def digest_of(secret: str) -> bytes:
    """What of a key is stored; bytes of a header that are no UTF-8 make a key that nobody has."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def same(one: bytes, other: bytes) -> bool:
    """Whether two digests are equal, found out in a time that tells nothing."""
    return hmac.compare_digest(one, other)


def granted(scopes: frozenset[str]) -> frozenset[str]:
    """Everything that scopes allow: ``admin`` includes ``write``, which includes ``read``."""
    if "admin" in scopes:
        return scopes | {"write", "read"}
    return scopes | {"read"} if "write" in scopes else scopes
