"""Batches: many runs ordered at once, and how far each has come."""

from __future__ import annotations

from flask import Response, request
from werkzeug.exceptions import NotFound

from app.console import links, lookup, render
from app.console.blueprint import blp, cacheable
from app.domain.batches import OVER
from app.schemas.batches import BatchQuery
from app.web.context import services, settings

_QUERY = BatchQuery()


@blp.route("/batches")
@cacheable
def list_batches() -> Response:
    """Batches, newest first."""
    page = services().batches.page(lookup.asked(_QUERY))
    return render.page(
        "batches.html",
        batches=list(page.items),
        next=lookup.next_page(page),
        first=lookup.first_page(),
        args=request.args,
        curl=lookup.curl("batches"),
    )


@blp.route("/batches/<batch_id>")
@cacheable
def batch(batch_id: str) -> Response:
    """One batch with its items."""
    if not (batch_id.isascii() and batch_id.isdigit() and len(batch_id) <= 18):
        raise NotFound("A batch has a number.")
    found = services().batches.get(int(batch_id))
    return render.page(
        "batch.html",
        batch=found,
        over=found.status in OVER,
        key_header=settings().api_key_header,
        key_needed=not settings().auth_disabled,
        curl=links.curl(f"batches/{found.id}"),
    )
