"""Health as published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import marshmallow as ma

from app.schemas import fields
from app.schemas.base import Schema


class HealthQuery(Schema):
    """How much to look at."""

    detailed = fields.Flag(
        load_default=False,
        metadata={"description": "Look at databases, Redis and disks too: `true`, `1`, `yes` or `on`."},
    )


class RedisStateSchema(Schema):
    """Redis: its version, or what is wrong."""

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset({"version", "message"})

    status = ma.fields.String(metadata={"enum": ["ok", "unavailable", "error", "unknown"]})
    version = ma.fields.String()
    message = ma.fields.String()


class DiskSpaceSchema(Schema):
    """Free space."""

    free_gb = ma.fields.Float(allow_none=True, metadata={"description": "GiB"})
    status = ma.fields.String(metadata={"enum": ["ok", "warning", "critical", "error"]})


class Disks(ma.fields.Dict):
    """File systems by path."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(keys=ma.fields.String(), values=ma.fields.Nested(DiskSpaceSchema), **kwargs)
        self._schema = DiskSpaceSchema()

    def wire(self, disks: Mapping[str, Any]) -> dict[str, Any]:
        """Each as its schema says."""
        return {path: self._schema.dump(space) for path, space in disks.items()}


class HealthSchema(Schema):
    """How the service is; the last three in a detailed report only."""

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset({"databases", "redis", "disk"})

    status = ma.fields.String(metadata={"enum": ["healthy", "degraded"]})
    service = ma.fields.String()
    version = ma.fields.String()
    api_version = ma.fields.String()
    timestamp = fields.UnixTime()
    databases = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.String(),
        metadata={"description": "`ok`, `not_found` or `error: ` and the reason, by logical name."},
    )
    redis = ma.fields.Nested(RedisStateSchema)
    disk = Disks()
