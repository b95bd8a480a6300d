"""Who is asking, and what they may do: an API key, or a bearer token with the scope.

Every route says what it needs, by ``blp.require(PUBLIC)`` or ``blp.require(WRITE)``. Reads are public inside the
address allow-list (:mod:`app.web.access`), unless the operator wants a key or token for them too.

Nothing here knows Flask's request but through its WSGI environment, because requests are identified in front of Flask
as well, where reads are counted. A request is identified once, and only where somebody wants to know.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, TypeVar, cast
from urllib.parse import quote

import jwt
from flask import Flask, current_app, g, request
from limits.strategies import RateLimiter
from werkzeug.exceptions import Forbidden, TooManyRequests, Unauthorized

from app.config import Settings
from app.domain.errors import ContimgError
from app.domain.keys import granted
from app.services.keys import KeyService
from app.web.context import settings
from app.web.counting import is_exempt, item_of, peer_key
from app.web.environ import CALLER, CLIENT, OPEN_PATHS

PUBLIC = "public"
READ = "read"
WRITE = "write"
JWT_LEEWAY_S = 10

_REFUSAL = "contimg.refusal"
_EXTENSION = "contimg.authentication"
_FAILURES = "failed-authentication"
# What a client must be able to read before it has a key: how the service is, and how to ask it.
_OPEN = OPEN_PATHS | {"/api/v1/health", "/api/openapi.json", "/api/redoc", "/api/docs"}

F = TypeVar("F", bound=Callable[..., Any])
Environ = dict[str, Any]


class CredentialsRequired(Unauthorized):
    """401, naming both ways to authenticate."""

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        """Challenges, spelled as clients know them (werkzeug's own class would capitalise ``Apikey``)."""
        challenges = [("WWW-Authenticate", 'ApiKey realm="DSA-110 API"'), ("WWW-Authenticate", "Bearer")]
        return [*super().get_headers(environ, scope), *challenges]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked: how that was established, under which name, what they may do, and as whom they are counted."""

    method: Literal["api_key", "jwt", "disabled", "anonymous"]
    key_id: str
    scopes: frozenset[str]
    counted_as: str = ""
    key_number: int | None = None

    def may(self, scope: str) -> bool:
        """Whether the scope is granted: ``admin`` includes ``write``, which includes ``read``."""
        return scope in granted(self.scopes)


_ANONYMOUS = Caller("anonymous", "unknown", frozenset())
_ANYBODY = Caller("disabled", "unknown", frozenset({"admin"}))


class Authentication:
    """Finds out who is asking.

    Parameters
    ----------
    settings
        Keys, secret and whether any of it is wanted.
    keys
        Recognises the keys that were made by ``contimg-api keys create``.

    Notes
    -----
    A key is looked at before a token, and a token only where no key was recognised. Invalid credentials are counted by
    peer, in all workers together, an invalid key also beside a valid token; past the quota no credential from there is
    looked at, valid or not, so that guessing tells nothing. Requests without any go on being answered.
    """

    def __init__(self, settings: Settings, keys: KeyService) -> None:
        self._settings = settings
        self._keys = keys
        self._header = "HTTP_" + settings.api_key_header.upper().replace("-", "_")
        self._quota = item_of(settings.rate_limit_auth) if settings.rate_limit_auth else None
        self._failures: RateLimiter | None = None

    def throttle_by(self, counter: RateLimiter) -> None:
        """Count failures by this."""
        self._failures = counter

    def identify(self, environ: Environ) -> Caller:
        """Who is asking; an invalid key does not stop a valid token from counting."""
        known = environ.get(CALLER)
        if known is None:
            known = environ[CALLER] = self._identify(environ)
        return cast(Caller, known)

    def _identify(self, environ: Environ) -> Caller:
        if self._settings.auth_disabled:
            return _ANYBODY
        key, token = environ.get(self._header) or None, _bearer(environ)
        if key is None and token is None:
            return _ANONYMOUS
        client = environ.get(CLIENT, "")
        peer = "" if is_exempt(self._settings, client) else peer_key(client)
        if peer and self._is_throttled(peer, environ):
            return _ANONYMOUS
        for offered, find in ((key, self._by_key), (token, self._by_token)):
            if offered is None:
                continue
            try:
                caller = find(offered)
            except ContimgError as error:
                # It may well be valid: whoever needs to know is told to come again, not that it is wrong.
                environ[_REFUSAL] = error
                continue
            if caller is not None:
                return caller
            # It is counted by the same word that says whether it was still allowed: workers that look first all see
            # room. And before a token is looked at, beside which keys could else be guessed for ever.
            if peer and self._is_throttled(peer, environ, one_more=True):
                return _ANONYMOUS
        reason = "the key or token that came is not valid, or not any more"
        environ.setdefault(_REFUSAL, CredentialsRequired(f"Authentication required: {reason}."))
        return _ANONYMOUS

    def _is_throttled(self, peer: str, environ: Environ, *, one_more: bool = False) -> bool:
        """Whether too many failed from there, ``one_more`` with this one, which is then counted."""
        if self._quota is None or self._failures is None:
            return False
        is_allowed = self._failures.hit if one_more else self._failures.test
        if is_allowed(self._quota, peer, _FAILURES):
            return False
        ends_at = self._failures.get_window_stats(self._quota, peer, _FAILURES).reset_time
        environ[_REFUSAL] = TooManyRequests(
            "Too many invalid keys or tokens came from your address; none is looked at for a while.",
            retry_after=max(1, math.ceil(ends_at - time.time())),
        )
        return True

    def _by_key(self, offered: str) -> Caller | None:
        return self._by_given_key(offered) or self._by_stored_key(offered)

    def _by_given_key(self, offered: str) -> Caller | None:
        """By a key of DSA110_API_KEYS."""
        candidate = _bytes(offered)
        # Every key is compared, and in constant time, so that the answer's delay tells nothing.
        matches = [hmac.compare_digest(candidate, key.encode()) for key in self._settings.api_keys]
        if not any(matches):
            return None
        counted_as = f"key:{hashlib.sha256(candidate).hexdigest()[:32]}"
        shown = min(8, len(offered) // 2)  # of a short key no more than half
        return Caller("api_key", offered[len(offered) - shown :], frozenset({"admin"}), counted_as)

    def _by_stored_key(self, offered: str) -> Caller | None:
        key = self._keys.recognise(_bytes(offered).decode("utf-8", "surrogateescape"))
        return Caller("api_key", key.name, frozenset({key.scope}), f"key:{key.id}", key.id) if key else None

    def _by_token(self, token: str) -> Caller | None:
        claims = read_token(token, self._settings.jwt_secret)
        if claims is None:
            return None
        # JSON may hold half a surrogate, which neither a file nor a log takes.
        subject = str(claims.get("sub", "unknown"))[:64].encode("utf-8", "backslashreplace").decode()
        return Caller("jwt", subject, frozenset(map(str, claims["scopes"])), f"token:{quote(subject, safe='')}")


def install(app: Flask, settings: Settings, keys: KeyService) -> Authentication:
    """Let the application know its callers; where reads need authorisation, ask for it before anything else."""
    authentication = Authentication(settings, keys)
    app.extensions[_EXTENSION] = authentication
    if settings.require_auth_for_reads:

        @app.before_request
        def require_read() -> None:
            # A browser's question whether it may ask carries no credentials (Fetch, CORS-preflight).
            path = request.path
            if request.method != "OPTIONS" and path not in _OPEN and not path.startswith("/api/docs/"):
                authorize(READ)

    return authentication


def caller() -> Caller:
    """Who asked, in a view that requires a scope."""
    found: Caller = g.caller
    return found


def enforce(scope: str) -> Callable[[F], F]:
    """Decorator: answer 401 or 403 before anything is looked up unless the caller has the scope."""

    def decorator(view: F) -> F:
        if scope == PUBLIC:
            return view

        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.caller = authorize(scope)
            return view(*args, **kwargs)

        return guarded  # type: ignore[return-value]

    return decorator


def identify() -> Caller:
    """Who is asking."""
    authentication: Authentication = current_app.extensions[_EXTENSION]
    return authentication.identify(request.environ)


def authorize(scope: str) -> Caller:
    """The caller, if they have the scope.

    Raises
    ------
    Unauthorized
        Neither a valid key nor a valid token came with the request; it says whether any came.
    Forbidden
        A valid key or token came, without the scope.
    TooManyRequests
        Too many invalid ones came from there.
    DatabaseError
        Whether the key is valid cannot be found out now.
    """
    found = identify()
    if found.method == "anonymous":
        if _REFUSAL in request.environ:
            raise request.environ[_REFUSAL]
        token = " or a bearer token" if settings().jwt_secret else ""
        raise CredentialsRequired(f"Authentication required: send a key in {settings().api_key_header}{token}.")
    if not found.may(scope):
        if _REFUSAL in request.environ:  # a key beside the token, of which nothing could be found out
            raise request.environ[_REFUSAL]
        raise Forbidden("Write access required." if scope == WRITE else f"The scope '{scope}' is required.")
    return found


def make_token(secret: str, subject: str, scopes: Iterable[str], *, life_hours: float) -> str:
    """A bearer token (RFC 7519, HS256) for ``subject``, valid for ``life_hours`` [h]."""
    now_s = time.time()
    claims = {"sub": subject, "iat": int(now_s), "exp": int(now_s + life_hours * 3600), "scopes": list(scopes)}
    return jwt.encode(claims, secret, algorithm="HS256")


def read_token(token: str, secret: str) -> dict[str, Any] | None:
    """The claims of a valid token; ``None`` for any other, and without a secret.

    Notes
    -----
    HS256 only, whatever the token's header says; ``exp`` must be there, and ``scopes`` must be a list.
    """
    if not secret:
        return None
    try:
        claims: dict[str, Any] = jwt.decode(
            token, secret, algorithms=["HS256"], leeway=JWT_LEEWAY_S, options={"require": ["exp"]}
        )
    # A header of nested brackets, or a time beyond all calendars, is no reason for an error of ours.
    except (jwt.InvalidTokenError, ValueError, OverflowError, RecursionError):
        return None
    return claims if isinstance(claims.setdefault("scopes", []), list) else None


def _bearer(environ: Environ) -> str | None:
    kind, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def _bytes(header: str) -> bytes:
    # WSGI hands the bytes of a header over as Latin-1 (PEP 3333).
    return header.encode("latin-1", "replace")
