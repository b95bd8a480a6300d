"""Who may connect: the address allow-list, in front of everything else."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

from app.config import Network, Settings
from app.web.browsers import headers_outside
from app.web.caching import Environ, StartResponse, WsgiApp
from app.web.environ import CLIENT as CLIENT
from app.web.environ import OPEN_PATHS as OPEN_PATHS
from app.web.environ import PROBES as PROBES
from app.web.problems import CONTENT_TYPE, encode, problem

# What is further left than so many characters no proxy of ours has written; and what is read is remembered.
_LONGEST_CHAIN = 1000
# Some proxies write the port behind the address, and brackets around one of IPv6 (RFC 7239, section 6).
_WRITTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::\d{1,5})?", re.ASCII)
_LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("::1"))


class AllowList:
    """WSGI middleware: refuses addresses outside the allowed networks with 403, and tells who the client is.

    Parameters
    ----------
    app
        The application behind it.
    settings
        ``allowed_networks`` and ``trusted_proxies``.

    Notes
    -----
    X-Forwarded-For is believed only from a trusted proxy, and read from the right to the first entry that is no
    trusted proxy itself: what stands further left was written by someone unknown.
    """

    def __init__(self, app: WsgiApp, settings: Settings) -> None:
        self._app = app
        self._proxies = (*_LOOPBACK, *settings.trusted_proxies)
        self._allowed = settings.allowed_networks
        self._headers = headers_outside(settings)
        # A few clients ask very often.
        self._client = lru_cache(maxsize=1024)(self._find_client)
        self._admits = lru_cache(maxsize=1024)(lambda client: _within(client, self._allowed))

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass on or refuse."""
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
        if len(forwarded) > _LONGEST_CHAIN:
            forwarded = forwarded[-_LONGEST_CHAIN:].partition(",")[2]
        client = self._client(environ.get("REMOTE_ADDR", ""), forwarded)
        environ[CLIENT] = client
        if environ.get("PATH_INFO") in OPEN_PATHS or self._admits(client):
            return self._app(environ, start_response)
        message = f"Access denied from {client}"
        hint = "Ask the operator to add your network to DSA110_ALLOWED_IPS."
        body = encode(problem(403, "FORBIDDEN", message, environ=environ, details={"hint": hint}))
        headers = [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body)))]
        start_response("403 FORBIDDEN", [*headers, *self._headers(environ)])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _find_client(self, peer: str, forwarded: str) -> str:
        # A socket that listens for both tells an IPv4 address as ::ffff:10.0.0.7.
        peer = str(_address(peer) or peer)
        if not forwarded or not _within(peer, self._proxies):
            return peer
        for hop in reversed([part.strip() for part in forwarded.split(",")]):
            written = _WRITTEN.fullmatch(hop)
            address = _address((written[1] or written[2]) if written else hop)
            if address is None:
                return peer
            if not _within(str(address), self._proxies):
                return str(address)
        return peer


def is_trusted(peer: str, settings: Settings) -> bool:
    """Whether what a peer says of the request it passes on is believed."""
    return _within(peer, (*_LOOPBACK, *settings.trusted_proxies))


def _within(client: str, networks: Iterable[Network]) -> bool:
    # A Unix socket has no address; its permissions say who may connect.
    if client == "":
        return True
    address = _address(client)
    return address is not None and any(address in network for network in networks)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
