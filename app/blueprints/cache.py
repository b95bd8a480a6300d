"""The response cache."""

from __future__ import annotations

from typing import NamedTuple

from app.schemas.cache import CacheSchema, ClearedSchema, PurgedSchema
from app.web.api import Blueprint
from app.web.auth import PUBLIC, WRITE
from app.web.peers import Report, caches

blp = Blueprint("cache", __name__, url_prefix="/cache", description="The response cache of all workers")


class Purged(NamedTuple):
    """A pattern, and how many answers it removed."""

    pattern: str
    keys_deleted: int


class Cleared(NamedTuple):
    """How many answers were removed."""

    keys_deleted: int
    status: str = "cleared"


@blp.route("")
@blp.require(PUBLIC)
@blp.response(200, CacheSchema)
def get_cache() -> Report:
    """Get the state of the response cache, summed over all workers

    Answers are kept for as long as nothing is committed to the databases, and never longer.
    """
    return caches().report()


@blp.route("/invalidate/<pattern>", methods=["POST"])
@blp.require(WRITE)
@blp.response(200, PurgedSchema)
def invalidate(pattern: str) -> Purged:
    """Remove the answers that a pattern names

    A Redis glob: `*` any text, `?` any character, `[abc]`, `[^abc]`, `[a-c]`, `\\` before a literal character. It is
    matched against the path below `/api/v1`, with `:` for `/`, and the query: `images*`, `sources:S1:lightcurve*`,
    `ms:*`. Prefixes of the earlier service's keys work too: `images:list*`, `images:detail:7`, `sources:list*`,
    `sources:detail:*`, `cal:tables*`, `cal:matches*`, `ms:metadata*`, `jobs:list*`, `stats*`.

    Every worker has done it when the answer arrives. Stale answers are never served in any case; this frees memory.
    """
    return Purged(pattern, caches().purge(pattern))


@blp.route("/clear", methods=["POST"])
@blp.require(WRITE)
@blp.response(200, ClearedSchema)
def clear() -> Cleared:
    """Remove every answer from the cache of every worker"""
    return Cleared(caches().purge())
