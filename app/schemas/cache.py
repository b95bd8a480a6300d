"""The response cache as published."""

from __future__ import annotations

from typing import ClassVar

import marshmallow as ma

from app.schemas.base import Schema


class CacheSchema(Schema):
    """The response cache of all workers; switched off, it has a status and nothing else."""

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset(
        {"hits", "misses", "hit_rate", "memory_used_bytes", "memory_used_human", "total_keys", "error"}
    )

    enabled = ma.fields.Boolean(required=True)
    status = ma.fields.String(required=True, validate=ma.validate.OneOf(["connected", "disabled", "error"]))
    hits = ma.fields.Integer(metadata={"description": "Answers served without computing them."})
    misses = ma.fields.Integer(metadata={"description": "Answers computed that the cache might have held."})
    hit_rate = ma.fields.Float(metadata={"description": "hits / (hits + misses), 0 to 1."})
    memory_used_bytes = ma.fields.Integer()
    memory_used_human = ma.fields.String(metadata={"example": "1.02M"})
    total_keys = ma.fields.Integer(metadata={"description": "Answers held; one that three workers hold counts thrice."})
    error = ma.fields.String(metadata={"description": "Why the figures are not to be had."})


class PurgedSchema(Schema):
    """What a purge by pattern removed."""

    pattern = ma.fields.String(required=True)
    keys_deleted = ma.fields.Integer(required=True)


class ClearedSchema(Schema):
    """What clearing the cache removed."""

    status = ma.fields.String(required=True, metadata={"example": "cleared"})
    keys_deleted = ma.fields.Integer(required=True)
