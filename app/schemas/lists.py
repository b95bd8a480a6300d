"""What every list accepts: a page by number or by cursor, and nothing it does not know."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import current_app

from app.domain.paging import PageRequest
from app.schemas import fields
from app.schemas.base import Schema

LARGEST_OFFSET = 2**53


class ListQuery(Schema):
    """Query parameters of a list. Unknown ones are refused, naming the known."""

    class Meta:
        unknown = ma.RAISE

    limit = fields.WholeNumber(
        load_default=lambda: current_app.config["PAGE_DEFAULT"],
        validate=lambda value: ma.validate.Range(min=0, max=current_app.config["PAGE_MAX"])(value),
        metadata={"description": "Rows of a page: 100 unless given, 1000 at most, unless the operator set others."},
    )
    offset = fields.WholeNumber(
        load_default=0,
        validate=ma.validate.Range(min=0, max=LARGEST_OFFSET),
        metadata={"description": "Rows to pass over; costs more the larger it is. Prefer `cursor`."},
    )
    cursor = ma.fields.String(
        load_default=None,
        validate=ma.validate.Length(max=2000),
        metadata={"description": "Where the next page starts, as given by the `Link` header. Opaque."},
    )
    count = fields.Word(
        "exact",
        load_default=None,
        metadata={"description": "`exact` adds the header `X-Total-Count`; none is counted without it."},
    )

    @ma.post_load
    def to_request(self, data: dict[str, Any], **_: Any) -> PageRequest:
        """The page asked for, bound to this list and its filters."""
        page = {name: data.pop(name) for name in ("limit", "offset", "cursor", "count")}
        binding = f"{type(self).__name__}:{sorted(data.items())}"
        return PageRequest(**page, binding=binding)

    def handle_error(self, error: ma.ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Say which parameters there are, where one is unknown."""
        if not isinstance(error.messages, dict):
            return
        for name, reasons in error.messages.items():
            if name not in self.load_fields and isinstance(reasons, list):
                error.messages[name] = [f"Unknown parameter; known are {', '.join(sorted(self.load_fields))}."]
