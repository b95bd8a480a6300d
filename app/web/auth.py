"""Who may write: an API key, or a bearer token with the scope.

Reads are public inside the address allow-list (:mod:`app.web.access`). Every route says which of both it is, by
``blp.require(PUBLIC)`` or ``blp.require(WRITE)``.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, TypeVar

import jwt
from flask import g, request
from werkzeug.exceptions import Forbidden, Unauthorized

from app.config import Settings
from app.web.context import settings

PUBLIC = "public"
WRITE = "write"
JWT_LEEWAY_S = 10

F = TypeVar("F", bound=Callable[..., Any])


class CredentialsRequired(Unauthorized):
    """401, naming both ways to authenticate."""

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        """Challenges, spelled as clients know them (werkzeug's own class would capitalise ``Apikey``)."""
        challenges = [("WWW-Authenticate", 'ApiKey realm="DSA-110 API"'), ("WWW-Authenticate", "Bearer")]
        return [*super().get_headers(environ, scope), *challenges]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked: how that was established, under which name, and what they may do."""

    method: Literal["api_key", "jwt", "disabled", "anonymous"]
    key_id: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether the scope is granted; ``admin`` grants every one."""
        return scope in self.scopes or "admin" in self.scopes


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


def authorize(scope: str) -> Caller:
    """The caller, if they have the scope.

    Raises
    ------
    Unauthorized
        Neither a valid key nor a valid token came with the request.
    Forbidden
        A valid token came, without the scope.
    """
    caller = identify(settings())
    if caller.method == "anonymous":
        header = settings().api_key_header
        raise CredentialsRequired(f"Authentication required: send a key in {header} or a bearer token.")
    if not caller.may(scope):
        raise Forbidden("Write access required." if scope == WRITE else f"The scope '{scope}' is required.")
    return caller


def identify(config: Settings) -> Caller:
    """Who is asking; an invalid key does not stop a valid token from counting."""
    if config.auth_disabled:
        return Caller("disabled", "unknown", frozenset({"admin"}))
    return (
        _by_key(config, request.headers.get(config.api_key_header))
        or _by_token(config, request.headers.get("Authorization"))
        or Caller("anonymous", "unknown", frozenset())
    )


def make_token(secret: str, subject: str, scopes: Iterable[str], *, life_hours: float) -> str:
    """A bearer token (RFC 7519, HS256) for ``subject``, valid for ``life_hours`` [h]."""
    now_s = time.time()
    claims = {"sub": subject, "iat": int(now_s), "exp": int(now_s + life_hours * 3600), "scopes": list(scopes)}
    return jwt.encode(claims, secret, algorithm="HS256")


def _by_key(config: Settings, offered: str | None) -> Caller | None:
    if not offered:
        return None
    candidate = offered.encode("utf-8", "surrogateescape")
    # Every key is compared, and in constant time, so that the answer's delay tells nothing.
    matches = [hmac.compare_digest(candidate, key.encode()) for key in config.api_keys]
    return Caller("api_key", offered[-8:], frozenset({"admin"})) if any(matches) else None


def _by_token(config: Settings, header: str | None) -> Caller | None:
    kind, _, token = (header or "").partition(" ")
    if kind.lower() != "bearer" or not config.jwt_secret:
        return None
    try:
        claims = jwt.decode(
            token.strip(), config.jwt_secret, algorithms=["HS256"], leeway=JWT_LEEWAY_S, options={"require": ["exp"]}
        )
    except (jwt.InvalidTokenError, ValueError):
        return None
    scopes = claims.get("scopes", [])
    if not isinstance(scopes, list):
        return None
    return Caller("jwt", str(claims.get("sub", "unknown"))[:64], frozenset(map(str, scopes)))
