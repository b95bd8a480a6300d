"""The console: the survey as pages in a browser, at ``/console/``.

Pages are rendered here, on the server, and work without JavaScript. Room beside the blueprints: a page reads its
arguments by the API's own schemas, calls the services that the API calls, and hands records to a template. It never
holds SQL and never sends a request to this server itself. ``pages`` has one module per subject; everything around them
is shared: ``blueprint`` (headers, errors, the canonical form of a URL), ``render``, ``links``, ``formats``, ``listing``
and the geometry of the drawings in ``axes``, ``charts`` and ``sky``.
"""

from app.console.install import install

__all__ = ["install"]
