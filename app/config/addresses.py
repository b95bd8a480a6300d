"""How a setting that is a URL, a host or a part of an address is read.

What one of them may name is what its reader knows how to talk to; any other scheme stops the start. An error says what
was expected and quotes nothing, since any of them may hold a password by mistake.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Set
from urllib.parse import SplitResult, urlsplit

# A host, or a pattern of hosts as flask-cors has them, behind which no path comes.
_ORIGIN = re.compile(r"https?://[^\s/@:\"'<>][^\s/@\"'<>]*")
_HOST = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}", re.ASCII)
_LOCATION = re.compile(r"/(?!/)[\w./~-]*", re.ASCII)
_SPACES_AND_CONTROLS = re.compile(r"[\s\x00-\x1f\x7f]")


def base_url(value: str) -> str:
    """An address of the web that paths can be put behind, or nothing."""
    url = value.strip().rstrip("/")
    parts = _parts(url)
    if url and (parts is None or parts.scheme not in {"http", "https"} or not _is_public(url, parts)):
        raise ValueError("expected http://… or https://… without credentials and query, or nothing")
    return url


def queue_url(value: str) -> str:
    """A URL of a store that the work queue can use, or nothing."""
    schemes = {"redis", "rediss", "unix", "postgresql", "postgres"}
    return _store_url(value, schemes, "expected redis://, rediss://, unix:// or postgresql://, or nothing")


def limiter_url(value: str) -> str:
    """A URL of a store that requests can be counted in, or nothing."""
    return _store_url(value, {"redis", "rediss"}, "expected redis:// or rediss://, or nothing")


def redis_url(value: str) -> str:
    """A URL of a Redis, or nothing; ``memory://`` is how deployments of the former service said that there is none."""
    schemes = {"redis", "rediss", "unix", "memory"}
    return _store_url(value, schemes, "expected redis://, rediss://, unix:// or memory://, or nothing")


def host(value: str) -> str:
    """An address or a name of this machine to listen on."""
    name = value.strip()
    if not _is_address(name) and _HOST.fullmatch(name) is None:
        raise ValueError("expected an address such as 0.0.0.0 or ::1, or the name of a host, without scheme and port")
    return name


def origins(value: str) -> tuple[str, ...]:
    """Comma-separated origins of the web, or patterns of them."""
    found = tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
    if not all(_ORIGIN.fullmatch(origin) for origin in found):
        raise ValueError(
            "expected origins such as https://host:8080, of http or https, without credentials and path; "
            "* would let every page in, with the credentials of whoever looks at it"
        )
    return found


def location(value: str) -> str:
    """A path of this site, or nothing."""
    if value and (_LOCATION.fullmatch(value) is None or ".." in value.split("/")):
        raise ValueError("expected a path such as /protected, or nothing")
    return value


def _store_url(value: str, schemes: Set[str], expected: str) -> str:
    """A URL with perhaps a password in it, of which no error quotes anything."""
    if not value:
        return value
    parts = _parts(value)
    # A slash in a password that is written as it is ends the host, and what follows is taken for what may be shown.
    if parts is None or "@" in parts.path + parts.query + parts.fragment:
        raise ValueError(f"{expected}; a password's / ? # @ are written %2F %3F %23 %40")
    if parts.scheme not in schemes or not value.lower().startswith(f"{parts.scheme}://"):
        raise ValueError(expected)
    return value


def _parts(url: str) -> SplitResult | None:
    """What a URL consists of; ``None`` where that cannot be told, or where blanks and line ends would be left out."""
    try:
        parts = urlsplit(url)
        if not parts.scheme.startswith("postgres"):  # which may name several hosts
            _ = parts.port
    except ValueError:  # whose own words may quote a part of the password
        return None
    return None if _SPACES_AND_CONTROLS.search(url) else parts


def _is_public(url: str, parts: SplitResult) -> bool:
    if not parts.hostname or "@" in parts.netloc or set(url) & set("?#\"'<>\\"):
        return False
    return _is_address(parts.hostname) or _HOST.fullmatch(parts.hostname) is not None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
