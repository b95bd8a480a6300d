"""How the text of an environment variable becomes a setting; ``ValueError`` says what was expected."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

N = TypeVar("N", int, float)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_UNITS_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in a window of so many seconds."""

    count: int
    per_s: int

    def __str__(self) -> str:
        """As it is written in the environment."""
        unit = next((name for name, seconds in _UNITS_S.items() if seconds == self.per_s), None)
        return f"{self.count} per {unit or f'{self.per_s} seconds'}"


def text(value: str) -> str:
    """As it is."""
    return value


def flag(value: str) -> bool:
    """true or false, in the usual spellings."""
    word = value.strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError("expected true or false")


def positive(value: str) -> float:
    """A finite number above zero."""
    number = _number(float, value)
    if number is None or not 0 < number < float("inf"):
        raise ValueError("expected a number above zero")
    return number


def count(value: str) -> int:
    """A whole number of at least 1."""
    number = _number(int, value)
    if number is None or number < 1:
        raise ValueError("expected a whole number of at least 1")
    return number


def whole(value: str) -> int:
    """A whole number of at least 0."""
    number = _number(int, value)
    if number is None or number < 0:
        raise ValueError("expected a whole number of at least 0")
    return number


def port(value: str) -> int:
    """A TCP port."""
    number = _number(int, value)
    if number is None or not 0 <= number <= 65535:
        raise ValueError("expected a port, 0 to 65535")
    return number


def path(value: str) -> Path:
    """A path; ``~`` is the home directory."""
    return Path(value).expanduser()


def path_or_none(value: str) -> Path | None:
    """A path, or nothing."""
    return path(value) if value.strip() else None


def paths(value: str) -> tuple[Path, ...]:
    """Colon-separated paths."""
    return tuple(path(part) for part in value.split(":") if part)


def rate_of(seconds: int) -> Callable[[str], Rate | None]:
    """Reads a rate: a number for a window of ``seconds`` [s], or such as ``100 per minute``, ``5/second``."""

    def rate(value: str) -> Rate | None:
        found = re.fullmatch(
            r"(\d{1,9})(?:\s*(?:/|per)\s*(?:(\d{1,5})\s*)?(second|minute|hour|day)s?)?", value.strip().lower(), re.ASCII
        )
        if found is None and value.strip():
            raise ValueError("expected a whole number, or a rate such as 100 per minute")
        if found is None or int(found[1]) == 0:
            return None
        window_s = _UNITS_S[found[3]] * max(1, int(found[2] or 1)) if found[3] else seconds
        return Rate(int(found[1]), window_s)

    return rate


def queue_name(value: str) -> str:
    """A name of up to 40 letters, digits, dots, dashes and underscores."""
    if re.fullmatch(r"[A-Za-z0-9._-]{1,40}", value, re.ASCII) is None:
        raise ValueError("expected up to 40 letters, digits, dots, dashes and underscores")
    return value


def words(value: str) -> tuple[str, ...]:
    """Comma-separated words."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def networks(value: str) -> tuple[Network, ...]:
    """Comma-separated addresses and networks."""
    return tuple(ipaddress.ip_network(part, strict=False) for part in words(value))


def environment(value: str) -> str:
    """One of the four environments; anything else is development."""
    word = value.strip().lower()
    return word if word in {"development", "testing", "staging", "production"} else "development"


def level(value: str) -> str:
    """A log level."""
    word = value.strip().upper()
    if word not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ValueError("expected DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return word


def _number(kind: Callable[[str], N], value: str) -> N | None:
    # The caller says what was expected; Python's own message does not.
    try:
        return kind(value)
    except ValueError:
        return None
