"""What the service does with keys."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from app.domain.errors import DatabaseError, InvalidValue
from app.domain.keys import SCOPES, Key, NewKey, Scope, digest_of, make_secret, prefix_of, same
from app.repositories.keys import KeyRepository

log = logging.getLogger(__name__)

NOTED_EVERY_S = 60.0
_LONGEST_NAME = 64
# What is compared where there is no such key, so that its absence takes as long as its presence.
_NOBODYS = bytes(32)


class KeyService:
    """Makes, shows, withdraws and recognises keys.

    Parameters
    ----------
    keys
        Where they are kept.
    clock
        Tells Unix time [s].

    Notes
    -----
    A key is read from the database each time it is shown: 20 microseconds, and a key that was revoked opens nothing
    from the next request on, in every process.
    """

    def __init__(self, keys: KeyRepository, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._clock = clock
        self._noted_at: dict[int, float] = {}

    def create(self, name: str, scope: Scope, expires_at: float | None = None) -> NewKey:
        """Make a key.

        Parameters
        ----------
        name
            What it is for; the audit log calls it so.
        scope
            What it allows.
        expires_at
            When it ends [Unix s]; never without.

        Raises
        ------
        InvalidValue
            The name is empty, too long or not printable, or the time has passed already.
        """
        now_s = self._clock()
        if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            raise InvalidValue("name", f"1 to {_LONGEST_NAME} printable characters")
        if scope not in SCOPES:
            raise InvalidValue("scope", f"one of {', '.join(SCOPES)}")
        if expires_at is not None and expires_at <= now_s:
            raise InvalidValue("expires", "that time has passed")
        secret = make_secret()
        key = Key(0, name, prefix_of(secret), digest_of(secret), scope, now_s, expires_at, None, None)
        return NewKey(self._keys.insert(key), secret)

    def all(self) -> list[Key]:
        """Every key there ever was, oldest first."""
        return self._keys.all()

    def revoke(self, named: str) -> Key:
        """Withdraw the key of that number or beginning; raises NotFound."""
        key = self._keys.get(named)
        self._keys.revoke(key.id, self._clock())
        return self._keys.get(str(key.id))

    def recognise(self, offered: str) -> Key | None:
        """The live key that this is, if it is one; raises a DatabaseError where that cannot be found out."""
        digest = digest_of(offered)
        # Ours are ASCII; what is not may not even be text.
        candidates = self._keys.beginning_with(prefix_of(offered)) if offered.isascii() else []
        matching = [key for key in candidates if same(key.digest, digest)]
        if not candidates:
            same(_NOBODYS, digest)
        now_s = self._clock()
        if not matching or matching[0].state(now_s) != "live":
            return None
        self._note_use(matching[0], now_s)
        return matching[0]

    def _note_use(self, key: Key, now_s: float) -> None:
        """Once a minute; whether it can be noted changes nothing for who uses it."""
        latest_s = max(key.last_used_at or 0.0, self._noted_at.get(key.id, 0.0))
        # A clock that was put back would else keep it quiet until it has caught up.
        if 0.0 <= now_s - latest_s < NOTED_EVERY_S:
            return
        self._noted_at[key.id] = now_s
        try:
            self._keys.note_use(key.id, now_s, at_least_s=NOTED_EVERY_S)
        except DatabaseError as error:
            log.warning("The use of key %d could not be noted: %s", key.id, error)
