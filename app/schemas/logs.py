"""Logs as published."""

from __future__ import annotations

from typing import ClassVar

import marshmallow as ma

from app.domain.logs import DEFAULT_TAIL, LONGEST_TAIL
from app.schemas import fields
from app.schemas.base import Schema


class LogQuery(Schema):
    """How much of a log."""

    tail = fields.WholeNumber(
        load_default=DEFAULT_TAIL,
        validate=ma.validate.Range(max=LONGEST_TAIL),
        metadata={"description": f"Lines from the end; 0 or less for the last {LONGEST_TAIL}."},
    )


class LogSchema(Schema):
    """The last lines of a log, each with its line end, or why there is none."""

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset({"total_lines", "error"})

    run_id = ma.fields.String()
    logs = ma.fields.List(ma.fields.String())
    total_lines = ma.fields.Integer(metadata={"description": "Lines in the whole file."})
    error = ma.fields.String(metadata={"description": "Only where there is no log to read."})
