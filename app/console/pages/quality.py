"""Quality by day: how many images of each grade were made."""

from __future__ import annotations

from flask import Response, request

from app.console import links, render
from app.console.blueprint import blp, cacheable
from app.console.day_bars import columns_of, images_of
from app.schemas.qa import QaDaysQuery
from app.web.api import Parser
from app.web.context import services

_QUERY = QaDaysQuery()
_KNOWN = ("days", "end_date")


@blp.route("/quality")
@cacheable
def quality() -> Response:
    """Images by day and grade."""
    query = Parser().parse(_QUERY, request, location="query")
    days = services().qa.days(query).days
    given = [(name, request.args[name]) for name in _KNOWN if name in request.args]
    return render.page(
        "quality.html",
        days=days,
        drawn=columns_of(days),
        images_of=images_of,
        asked=query.days,
        args=request.args,
        curl=links.curl("qa/days", given),
    )
