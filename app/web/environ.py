"""Names under which the layers tell each other things in the WSGI environment, and paths that they all let through."""

from __future__ import annotations

from typing import Any

# Address of the client, as far as it can be believed.
CLIENT = "contimg.client"
# Who is asking, an app.web.auth.Caller; there once somebody wanted to know.
CALLER = "contimg.caller"
# There where only an answer that takes neither computing nor waiting is wanted; who has none raises NotAtHand.
AT_HAND = "contimg.at_hand"
# There where the answer turned out to cost so little that its caller's quota is not used.
FREE = "contimg.free"

# What load balancers ask. Answered without a look at the databases on the request's own thread.
PROBES = frozenset({"/livez", "/readyz"})
# Probes and scrapers may come from anywhere.
OPEN_PATHS = frozenset({"/api/health", "/metrics", *PROBES})


class NotAtHand(Exception):
    """There is an answer, but it takes computing or waiting."""


def only_at_hand(environ: dict[str, Any]) -> None:
    """Go no further where what follows would compute or wait and nobody may.

    Raises
    ------
    NotAtHand
        It was asked for what is at hand.
    """
    if AT_HAND in environ:
        raise NotAtHand
