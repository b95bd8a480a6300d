"""The body of every error, as published in the OpenAPI document."""

from __future__ import annotations

import marshmallow as ma

from app.schemas.base import Schema


class ProblemErrorSchema(Schema):
    """One rejected parameter or member of a body."""

    loc = ma.fields.List(ma.fields.String(), metadata={"description": "Where it stood: place, then name."})
    field = ma.fields.String()
    message = ma.fields.String()


class ProblemSchema(Schema):
    """A problem (RFC 9457), with the members that existing clients read."""

    type = ma.fields.String(metadata={"description": "`about:blank`: the title is that of the status."})
    title = ma.fields.String()
    status = ma.fields.Integer()
    detail = ma.fields.String(metadata={"description": "One sentence for the person who reads it."})
    instance = ma.fields.String(metadata={"description": "Path of the request."})
    error = ma.fields.String(metadata={"description": "What went wrong, as a stable code."})
    code = ma.fields.String(metadata={"description": "The code that the dashboard has texts for."})
    message = ma.fields.String(metadata={"description": "Same as `detail`."})
    details = ma.fields.Dict(metadata={"description": "Facts a program can act on."})
    errors = ma.fields.List(ma.fields.Nested(ProblemErrorSchema), metadata={"description": "For 422: every fault."})
    trace_id = ma.fields.String(metadata={"description": "Same as the header `X-Request-ID`."})
