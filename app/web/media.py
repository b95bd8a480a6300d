"""What a client asks to have a list sent as: ``format=``, else the ``Accept`` header, else JSON."""

from __future__ import annotations

from functools import lru_cache

from flask import request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from app.services.tables import FORMATS

JSON = "json"
# Some clients say much, none says more. What is longer is not read, and not remembered either.
LONGEST_WISH = 1000
# Not application/xml or text/xml: browsers ask for those before anything else, and mean pages.
_AMBIGUOUS = frozenset({"application/xml", "text/xml"})
_NAMES = {"application/json": JSON} | {
    media_type: form.name
    for form in FORMATS.values()
    for media_type in form.media_types
    if media_type not in _AMBIGUOUS
}


def requested_format() -> str:
    """Name of the format that the request at hand asks for; what it may be was seen to before."""
    return request.args.get("format", "").lower() or accepted_format(request.headers.get("Accept", ""))


def accepted_format(accept: str) -> str:
    """Name of the format that an Accept header likes best; JSON where it likes none of ours, or all the same."""
    if not accept or accept == "*/*" or len(accept) > LONGEST_WISH:
        return JSON
    return _liked_best(accept)


@lru_cache(maxsize=256)
def _liked_best(accept: str) -> str:
    return _NAMES[parse_accept_header(accept, MIMEAccept).best_match(list(_NAMES), "application/json")]
