"""The WSGI layers around Flask, outermost first: observe, admit, find the path, count, answer from the cache."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from app.config import Settings
from app.web.access import PROBES, AllowList
from app.web.browsers import headers_outside
from app.web.caching import Environ, ResponseCache, StartResponse, WsgiApp
from app.web.environ import only_at_hand
from app.web.metrics import RequestCounter
from app.web.observe import Observed
from app.web.peers import WorkerCaches
from app.web.ratelimit import RequestLimits
from app.wiring import Services

# What lives directly under /api; everything else there is the same resource under /api/v1.
_UNVERSIONED = ("/api/v1", "/api/openapi.json", "/api/docs", "/api/redoc")


def wrap(
    flask: WsgiApp,
    settings: Settings,
    services: Services,
    caches: WorkerCaches,
    requests: RequestCounter,
    limits: RequestLimits,
) -> WsgiApp:
    """The application as gunicorn sees it."""
    key_header = "HTTP_" + settings.api_key_header.upper().replace("-", "_")
    cache = ResponseCache(
        flask,
        services.changes.generation,
        caches.store,
        standing=services.changes.standing if services.changes.is_prompt else lambda: None,
        origins=settings.cors_origins,
        credentials=("HTTP_AUTHORIZATION", "HTTP_COOKIE", key_header),
        before_storing=caches.listen,
    )
    counter = requests if settings.enable_metrics else None
    answering = limits.in_front_of(cache) if limits.wanted else cache
    return Observed(AllowList(Paths(answering, flask, settings), settings), settings, services.database, counter)


class Paths:
    """WSGI middleware: one path for each resource, however it was written.

    The legacy prefix ``/api`` leads to ``/api/v1``, so both are identical by construction and share one cache entry;
    a trailing slash is redirected away. Probes go straight to Flask, in a thread: the response cache looks at the
    databases' files, and a disk that hangs must not keep a probe from telling so.
    """

    def __init__(self, app: WsgiApp, flask: WsgiApp, settings: Settings) -> None:
        self._app = app
        self._flask = flask
        self._headers = headers_outside(settings)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Rewrite or redirect."""
        path: str = environ.get("PATH_INFO", "")
        if path.startswith("/api/"):
            if path.endswith("/") and not path.startswith("/api/docs/"):
                return self._redirect(environ, path.rstrip("/"), start_response)
            if not path.startswith(_UNVERSIONED):
                environ["PATH_INFO"] = f"/api/v1{path[4:]}"
        elif path in PROBES:
            only_at_hand(environ)
            return self._flask(environ, start_response)
        return self._app(environ, start_response)

    def _redirect(self, environ: Environ, path: str, start_response: StartResponse) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING", "")
        target = quote((environ.get("SCRIPT_NAME", "") + path).encode("latin-1")) + (f"?{query}" if query else "")
        headers = [("Location", target), ("Content-Length", "0"), *self._headers(environ)]
        start_response("307 TEMPORARY REDIRECT", headers)
        return []
