"""The services monitor as published, in the spelling of the dashboard's panel."""

from __future__ import annotations

import re
from typing import Any

import marshmallow as ma

from app.schemas import fields
from app.schemas.base import Schema

# More than any port has, and no more than the language reads at once.
_DIGITS = re.compile(r"-?[0-9]{1,4000}", re.ASCII)


class Port(fields.WholeNumber):
    """A whole number, however large: no service listens on most of them."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            return int(value)
        return super()._deserialize(value, attr, data, **kwargs)


class PortPath(Schema):
    """A port in a URL."""

    port = Port(metadata={"description": "Port of a monitored service."})


class ServiceStateSchema(Schema):
    """How one service is."""

    name = ma.fields.String()
    port = ma.fields.Integer()
    description = ma.fields.String()
    status = ma.fields.String(metadata={"enum": ["running", "stopped", "degraded", "error", "checking"]})
    response_time_ms = ma.fields.Float(data_key="responseTime", metadata={"description": "Milliseconds."})
    last_checked = fields.UnixTime(data_key="lastChecked")
    error = ma.fields.String(allow_none=True)
    details = ma.fields.Dict(allow_none=True)


class ServicesSummarySchema(Schema):
    """How many run."""

    total = ma.fields.Integer()
    running = ma.fields.Integer()
    stopped = ma.fields.Integer()


class ServicesSchema(Schema):
    """Every monitored service."""

    services = ma.fields.List(ma.fields.Nested(ServiceStateSchema))
    summary = ma.fields.Nested(ServicesSummarySchema)
    timestamp = fields.UnixTime()
