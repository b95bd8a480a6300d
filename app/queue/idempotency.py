"""Idempotency keys: a request that is sent twice, because its answer got lost, is carried out once.

References
----------
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from app.domain.errors import KeyReused, StillInTheMaking
from app.queue.engine import Engine

KEPT_S = 48 * 3600.0
# Nobody makes an answer for that long: whoever was at it has been killed.
_ABANDONED_S = 120.0


class Once(NamedTuple):
    """An idempotency key (``None`` without one) and the request that came with it."""

    key: str | None
    request: Any


class Idempotency:
    """Answers by idempotency key, kept for two days."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def once(self, once: Once, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The answer to a request: made now, or the one that was made when its key first came.

        Raises
        ------
        StillInTheMaking
            It is being made at this moment.
        KeyReused
            The key came with another request before.
        """
        if once.key is None:
            return make()
        name = f"idem:{_digest(once.key)}"
        claim = {"request": _digest(once.request), "at": time.time(), "by": secrets.token_hex(6), "answer": None}
        if not self._engine.claim(name, claim):
            known = self._engine.read(name).get(name)
            if known is not None:
                answer = self._known(name, known, claim)
                if answer is not None:
                    return answer
        try:
            answer = make()
        except BaseException:
            self._engine.remove(name)
            raise
        self._engine.write(name, {**claim, "answer": answer})
        return answer

    def _known(self, name: str, known: dict[str, Any], claim: dict[str, Any]) -> dict[str, Any] | None:
        """The answer that is known, or ``None`` to whoever may make it in place of one that was killed."""
        if known["request"] != claim["request"]:
            raise KeyReused("This idempotency key was used for another request.")
        if known["answer"] is not None:
            answer: dict[str, Any] = known["answer"]
            return answer
        abandoned = claim["at"] - known["at"] > _ABANDONED_S
        if not abandoned or not self._engine.claim(f"idem:{name[5:]}:{known['by']}", claim):
            raise StillInTheMaking("A request with this idempotency key is being carried out; ask again in a moment.")
        self._engine.write(name, claim)
        return None


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=16).hexdigest()
