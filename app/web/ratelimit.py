"""How often somebody may ask: writes, renderings and exports by default, all requests where the operator wants it.

Writes, renderings and exports are counted inside Flask, by Flask-Limiter, once it is known what a request is. All
requests, reads above all, are counted in front of the response cache, because what it answers never comes as far as
Flask; that layer is there only where they are limited, so that else an answer from the cache pays nothing. Whoever is
over a quota is refused by Flask in either case, so every refusal looks the same.

A caller is a verified key or token, else the real peer. What is counted is given back where the answer is a 304; that
something has not changed is told when the quota is used up as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from flask import Flask, Response, current_app, request
from flask_limiter import ApplicationLimit, Limiter, RequestLimit
from limits import RateLimitItem
from werkzeug.exceptions import TooManyRequests
from werkzeug.http import parse_etags

from app.config import Settings
from app.db.counters import Counters
from app.web.api import CACHEABLE, RATE_LIMITED
from app.web.auth import PUBLIC, WRITE, Authentication, identify
from app.web.caching import Environ, StartResponse, WsgiApp, close
from app.web.counting import (
    STRATEGY,
    ForgivingWindow,
    Window,
    fields,
    in_words,
    is_exempt,
    item_of,
    peer_key,
    storage_options,
    storage_url,
    window,
)
from app.web.environ import AT_HAND, CLIENT, FREE, OPEN_PATHS, NotAtHand, only_at_hand
from app.web.media import JSON, requested_format

REQUESTS, WRITES, RENDERINGS, EXPORTS = "requests", "writes", "renderings", "exports"

_REFUSED = "contimg.rate_limit_refused"
# Probes ask often, and whoever is refused must be able to see why.
_FREE = OPEN_PATHS | {"/api/v1/health"}
_REASONS = {
    WRITES: "You changed things as often as you may for now.",
    RENDERINGS: "You asked for as many pictures as you may for now.",
    EXPORTS: "You asked for as many archives and tables as you may for now.",
    REQUESTS: "You asked as often as you may for now.",
}


def install(app: Flask, settings: Settings, authentication: Authentication, counters: Counters) -> ForgivingWindow:
    """Limit what is limited inside Flask; what counts, for the layer in front of it."""
    rates = {} if settings.rate_limit_disabled else _rates(settings)
    limiter = Limiter(
        key_func=_who,
        storage_uri=storage_url(settings),
        storage_options=storage_options(settings, counters),
        strategy=STRATEGY,
        application_limits=[_limit(kind, in_words(rate)) for kind, rate in rates.items()],
    )
    limiter.request_filter(lambda: _kind() not in rates or is_exempt(settings, request.environ.get(CLIENT, "")))
    app.before_request(_refuse)
    limiter.init_app(app)
    app.after_request(lambda response: _tell(limiter, response))
    authentication.throttle_by(_counter(limiter))
    return _counter(limiter)


class RequestLimits:
    """WSGI middleware in front of the cache: counts everything but probes, and questions whether one may ask.

    Parameters
    ----------
    flask
        Who refuses.
    settings
        The quotas.
    authentication
        Tells who is asking.
    counter
        Counts.
    """

    def __init__(
        self, flask: WsgiApp, settings: Settings, authentication: Authentication, counter: ForgivingWindow
    ) -> None:
        self._app = self._flask = flask
        self._settings = settings
        self._authentication = authentication
        self._counter = counter
        self._items = _items(settings)

    @property
    def wanted(self) -> bool:
        """Whether requests are limited at all."""
        return bool(self._items)

    def in_front_of(self, app: WsgiApp) -> RequestLimits:
        """Count what goes to ``app``."""
        self._app = app
        return self

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Count, and pass on to the cache or to who refuses."""
        only_at_hand(environ)
        if environ["REQUEST_METHOD"] == "OPTIONS" or environ.get("PATH_INFO") in _FREE:
            return self._app(environ, start_response)
        client = environ.get(CLIENT, "")
        if is_exempt(self._settings, client):
            return self._app(environ, start_response)
        who = self._authentication.identify(environ).counted_as or peer_key(client)
        refused = self._take(who)
        if refused is None:
            return self._app(environ, self._giving_back(environ, who, start_response))
        unchanged = self._unchanged(environ, f"looks:{who}", start_response)
        if unchanged is not None:
            return unchanged
        environ[_REFUSED] = refused.reset_s
        return self._flask(environ, self._telling([refused], start_response))

    def _unchanged(self, environ: Environ, looks: str, start_response: StartResponse) -> Iterable[bytes] | None:
        """Answer 304 where that is the answer, past the quota.

        To find out may take computing. Looks that find something else, and so were for nothing, have a quota of their
        own, as large as the one that is used up.
        """
        if not _has_some_version(environ) or self._take(looks) is not None:
            return None
        # A copy: what an answer that is thrown away left there is not to be taken for the refusal's.
        asked, started = dict(environ), list[Any]()
        body = self._app(asked, lambda status, headers, exc_info=None: started.extend((status, headers)))
        if not started[0].startswith("304"):
            close(body)
            return None
        self._give_back(looks)
        environ.update(asked)
        start_response(*started)
        return body

    def _take(self, who: str) -> Window | None:
        """Count one in every window; the first that is full, where all get theirs back: a refusal counts in none."""
        for n, (name, item) in enumerate(self._items, 1):
            if not self._counter.hit(item, who, name):
                self._give_back(who, n)
                return self._window(name, item, who)
        return None

    def _give_back(self, who: str, windows: int | None = None) -> None:
        for name, item in self._items[:windows]:
            self._counter.give_back(item, who, name)

    def _giving_back(self, environ: Environ, who: str, start_response: StartResponse) -> StartResponse:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if status.startswith("304") and _has_some_version(environ):
                self._give_back(who)
            else:
                headers = [*headers, *fields([self._window(name, item, who) for name, item in self._items])]
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        return start

    def _telling(self, windows: list[Window], start_response: StartResponse) -> StartResponse:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, *fields(windows)])

        return start

    def _window(self, name: str, item: RateLimitItem, who: str) -> Window:
        return window(name, item, self._counter.get_window_stats(item, who, name))


def _counter(limiter: Limiter) -> ForgivingWindow:
    return cast(ForgivingWindow, limiter.limiter)


def _rates(settings: Settings) -> dict[str, Any]:
    wanted = {
        WRITES: settings.rate_limit_writes,
        RENDERINGS: settings.rate_limit_renderings,
        EXPORTS: settings.rate_limit_exports,
    }
    return {kind: rate for kind, rate in wanted.items() if rate is not None}


def _items(settings: Settings) -> list[tuple[str, RateLimitItem]]:
    """Quotas of all requests, the shortest window first."""
    rates = [settings.rate_limit_burst, settings.rate_limit_minute, settings.rate_limit_hour]
    wanted = [] if settings.rate_limit_disabled else [rate for rate in rates if rate is not None]
    return [(f"{REQUESTS}-{rate.per_s}s", item_of(rate)) for rate in sorted(wanted, key=lambda rate: rate.per_s)]


def _limit(kind: str, rate: str) -> ApplicationLimit:
    return ApplicationLimit(
        rate,
        key_function=lambda: f"{kind}:{_who()}",
        exempt_when=lambda: _kind() != kind,
        error_message=_REASONS[kind],
        on_breach=_unchanged if kind == RENDERINGS else None,
    )


def _unchanged(limit: RequestLimit) -> Response | None:
    """The answer past the quota for pictures, where it is 304: that takes no drawing."""
    if not _has_some_version(request.environ):
        return None
    request.environ[AT_HAND] = True
    try:
        response = current_app.make_response(current_app.dispatch_request())
    except NotAtHand:
        return None
    finally:
        del request.environ[AT_HAND]
    if response.status_code == 304:
        return response
    response.close()
    return None


def _has_some_version(environ: Environ) -> bool:
    """Whether a client asks if what it has is still so; by ``*``, which fits everything, nothing is asked."""
    if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
        return False
    versions = parse_etags(environ.get("HTTP_IF_NONE_MATCH"))
    return bool(versions) and not versions.star_tag


def _who() -> str:
    return identify().counted_as or peer_key(request.environ.get(CLIENT, ""))


def _kind() -> str | None:
    """What the request at hand is, as far as it is counted here: an unauthorised write is none, it will be refused."""
    view = current_app.view_functions.get(request.endpoint or "")
    said: dict[str, Any] = getattr(view, "_apidoc", {})
    if request.method in {"HEAD", "OPTIONS"}:
        return None
    if said.get("access", PUBLIC) == WRITE:
        return WRITES if identify().may(WRITE) else None
    if RATE_LIMITED in said:
        kind: str = said[RATE_LIMITED]
        return kind
    if (said.get("paginated") or said.get("tabulated")) and requested_format() != JSON:
        return EXPORTS
    return None


def _refuse() -> None:
    """Refuse what was found to be one request too many."""
    if _REFUSED in request.environ:
        request.environ.pop(CACHEABLE, None)
        raise TooManyRequests(_REASONS[REQUESTS], retry_after=request.environ[_REFUSED])


def _tell(limiter: Limiter, response: Response) -> Response:
    """Tell what is left; give back where nothing was sent, or little, or it was refused."""
    told: list[Window] = []
    is_unchanged = response.status_code == 304 and _has_some_version(request.environ)
    is_free = is_unchanged or FREE in request.environ
    for limit in limiter.current_limits:
        if is_free or limit.breached:
            _counter(limiter).give_back(limit.limit, *limit.request_args)
        if is_free:
            continue
        kind = limit.request_args[0].partition(":")[0]
        told.append(window(kind, limit.limit, limit.window))
        if limit.breached:
            response.headers["Retry-After"] = str(told[-1].reset_s)
    # What may be kept is another's answer as well.
    if CACHEABLE not in request.environ:
        for name, value in fields(told):
            response.headers[name] = value
    return response
