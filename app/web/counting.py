"""Counting requests in fixed windows: the ``limits`` library over a storage of ours, or over Redis.

Registers two things with ``limits``: the storage ``contimg:``, a small SQLite file that all workers of this machine
share (:mod:`app.db.counters`), and the strategy ``forgiving-window``. The latter is limits' fixed window, but where the
storage is away it lets everybody through and says so in the log: what limits requests must never be what stops them.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from limits import RateLimitItem, WindowStats, parse
from limits.storage import Storage
from limits.strategies import STRATEGIES, FixedWindowRateLimiter

from app.config import Settings
from app.config.parse import Rate
from app.db.counters import Counters
from app.domain.errors import DatabaseError

log = logging.getLogger(__name__)

STRATEGY = "forgiving-window"

_SCHEME = "contimg"
# A storage that failed is left alone for so long [s], so that it does not slow every request down.
_LEFT_ALONE_S = 2.0
# A request may wait for Redis for so long [s].
_REDIS_TIMEOUT_S = 0.5

_AT_HOME = frozenset({"development", "testing"})
_LOOPBACK = frozenset({"peer:127.0.0.1", "peer:::", "peer:local"})

T = TypeVar("T")


class CountersStorage(Storage):
    """Counters in a file, as ``limits`` wants them; its URL is ``contimg:``, and the option ``counters`` has them."""

    STORAGE_SCHEME = [_SCHEME]  # noqa: RUF012

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, *, counters: Counters) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._counters = counters

    @property
    def base_exceptions(self) -> type[Exception]:
        """What says that the file cannot be had."""
        return DatabaseError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, and tell how many that makes."""
        return self._counters.add(key, expiry, amount)

    def get(self, key: str) -> int:
        """How many were counted."""
        return self._counters.read(key).hits

    def get_expiry(self, key: str) -> float:
        """When the window ends [Unix s]."""
        return self._counters.read(key).ends_at

    def check(self) -> bool:
        """Whether counting is possible."""
        try:
            self._counters.read("")
        except DatabaseError:
            return False
        return True

    def reset(self) -> int:
        """Forget everything."""
        return self._counters.forget()

    def clear(self, key: str) -> None:
        """Forget a key."""
        self._counters.forget(key)


class ForgivingWindow(FixedWindowRateLimiter):
    """A fixed window that lets everybody through while its storage is away."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage)
        self._left_alone_until = 0.0

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Count; whether it was still allowed."""
        return self._or(True, lambda: super(ForgivingWindow, self).hit(item, *identifiers, cost=cost))

    def give_back(self, item: RateLimitItem, *identifiers: str) -> None:
        """Count one less, unless its window has ended: it would be credit for the next."""
        ours = isinstance(self.storage, CountersStorage)  # which never counts below nothing
        if ours or self._or(False, lambda: self.storage.get(item.key_for(*identifiers)) > 0):
            self.hit(item, *identifiers, cost=-1)

    def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Whether it would be allowed."""
        return self._or(True, lambda: super(ForgivingWindow, self).test(item, *identifiers, cost=cost))

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """When the window ends, and how many it still allows."""
        whole = WindowStats(time.time() + item.get_expiry(), item.amount)
        return self._or(whole, lambda: super(ForgivingWindow, self).get_window_stats(item, *identifiers))

    def _or(self, otherwise: T, ask: Callable[[], T]) -> T:
        if time.monotonic() < self._left_alone_until:
            return otherwise
        if self._left_alone_until:
            # Whoever asks first after a failure asks for all: a storage that hangs holds one thread, not each of them.
            self._left_alone_until = time.monotonic() + _LEFT_ALONE_S
        try:
            answer = ask()
        except self.storage.base_exceptions as error:
            self._left_alone_until = time.monotonic() + _LEFT_ALONE_S
            log.error("Requests are not limited, because they cannot be counted: %s", error)
            return otherwise
        self._left_alone_until = 0.0
        return answer


STRATEGIES[STRATEGY] = ForgivingWindow


class Window(NamedTuple):
    """What is left of a quota: how many, and for how many seconds."""

    name: str
    item: RateLimitItem
    remaining: int
    reset_s: int


def is_exempt(settings: Settings, client: str) -> bool:
    """Whether a client is counted at all: not on the machine of whoever develops this."""
    return settings.environment in _AT_HOME and peer_key(client) in _LOOPBACK


def storage_url(settings: Settings) -> str:
    """Where requests are counted, as ``limits`` names it."""
    return settings.rate_limit_storage_url or f"{_SCHEME}:"


def storage_options(settings: Settings, counters: Counters) -> dict[str, Any]:
    """What the storage is to be told."""
    if not settings.rate_limit_storage_url:
        return {"counters": counters}
    return {"socket_timeout": _REDIS_TIMEOUT_S, "socket_connect_timeout": _REDIS_TIMEOUT_S}


def item_of(rate: Rate) -> RateLimitItem:
    """A rate as ``limits`` has it."""
    return parse(in_words(rate))


def in_words(rate: Rate) -> str:
    """A rate as ``limits`` reads it."""
    return f"{rate.count} per {rate.per_s} second"


def window(name: str, item: RateLimitItem, stats: WindowStats) -> Window:
    """A quota's state, as told to clients: whole seconds, never less than 1 while there is a window."""
    return Window(name, item, max(0, stats.remaining), max(1, math.ceil(stats.reset_time - time.time())))


def fields(windows: list[Window]) -> list[tuple[str, str]]:
    """Header fields that tell quotas and what is left of them.

    References
    ----------
    draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4; RFC 9651 (structured fields)
    """
    policies = ", ".join(f'"{w.name}";q={w.item.amount};w={w.item.get_expiry()}' for w in windows)
    left = ", ".join(f'"{w.name}";r={w.remaining};t={w.reset_s}' for w in windows)
    return [("RateLimit-Policy", policies), ("RateLimit", left)] if windows else []


@lru_cache(maxsize=1024)
def peer_key(client: str) -> str:
    """Whom an address stands for: itself, or the /64 of an IPv6 address, which one subscriber has all of."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return "peer:local"
    if isinstance(address, ipaddress.IPv6Address):
        return f"peer:{ipaddress.ip_network((address, 64), strict=False).network_address}"
    return f"peer:{address}"
