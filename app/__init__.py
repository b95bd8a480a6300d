"""The read API over the DSA-110 continuum imaging pipeline: a synchronous WSGI application.

:func:`create_app` is the one place that knows every room. Its imports stand inside it so that a command, a migration
or a test can use a lower floor (``app.domain``, ``app.db`` …) without loading Flask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.config import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application.

    Parameters
    ----------
    settings
        As given, else read from the environment.

    Raises
    ------
    ConfigurationError
        A setting is wrong, or unsafe in this environment.
    """
    from flask import Flask

    from app import blueprints, console, wiring
    from app.blueprints import probes, site, vo
    from app.config import Settings
    from app.web import (
        audit,
        auth,
        browsers,
        context,
        docs,
        edge,
        errors,
        headers,
        metrics,
        observe,
        peers,
        places,
        ratelimit,
        sse,
    )
    from app.web.api import Api, FilePath
    from app.web.json import OrjsonProvider

    settings = settings or Settings.from_environment()
    services = wiring.build(settings)
    observe.set_up_logging(settings)

    app = Flask(__name__, static_folder=None)
    app.config.update(docs.OPENAPI, PAGE_DEFAULT=settings.page_default, PAGE_MAX=settings.page_max)
    app.config.update(MAX_CONTENT_LENGTH=settings.max_body_bytes, DEBUG=settings.debug)
    app.json = OrjsonProvider(app)
    app.url_map.merge_slashes = False
    app.url_map.converters["filepath"] = FilePath
    context.keep(app, settings, services)

    errors.install(app)
    headers.install(app, settings)
    browsers.install(app, settings)
    observe.install(app)
    requests = metrics.install(app, settings, services)
    authentication = auth.install(app, settings, services.keys)
    counter = ratelimit.install(app, settings, authentication, services.counters)
    audit.install(app, services.audit)
    caches = peers.install(app, settings)
    sse.install(app, settings, requests)
    places.install(app, settings)
    api = Api(app)
    docs.describe(api, settings)
    for blueprint in blueprints.ALL:
        api.register_blueprint(blueprint, url_prefix=f"/api/v1{blueprint.url_prefix or ''}")
    docs.repeat(api, "/api/v1/health", at="/api/health")
    docs.install(app, settings)
    vo.install(app)
    probes.install(app)
    site.install(app, settings)
    console.install(app, settings)

    limits = ratelimit.RequestLimits(app.wsgi_app, settings, authentication, counter)
    app.wsgi_app = edge.wrap(app.wsgi_app, settings, services, caches, requests, limits)  # type: ignore[method-assign, assignment]
    return app
