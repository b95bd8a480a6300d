"""Names under which the layers tell each other things in the WSGI environment, and paths that they all let through."""

from __future__ import annotations

# Address of the client, as far as it can be believed.
CLIENT = "contimg.client"
# Who is asking, an app.web.auth.Caller; there once somebody wanted to know.
CALLER = "contimg.caller"

# What load balancers ask. Answered without a look at the databases on the request's own thread.
PROBES = frozenset({"/livez", "/readyz"})
# Probes and scrapers may come from anywhere.
OPEN_PATHS = frozenset({"/api/health", "/metrics", *PROBES})
