"""Batches as published, and how one is ordered."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from app.domain.batches import BatchSelection
from app.schemas import fields
from app.schemas.base import Schema
from app.schemas.lists import ListQuery
from app.schemas.queue import RerunOrderSchema

MOST_PATHS = 1000
STATES = ["pending", "running", "done", "failed", "cancelled"]


class BatchQuery(ListQuery):
    """Which batches."""


class BatchFilterSchema(Schema):
    """Measurement sets that agree in all that is given."""

    class Meta:
        unknown = ma.RAISE

    stage = ma.fields.String(load_default=None)
    status = ma.fields.String(load_default=None)
    field_name = ma.fields.String(load_default=None)
    start_mjd = fields.IsoDate(
        data_key="start_date", load_default=None, metadata={"description": "Observed at or after this, UTC."}
    )
    end_mjd = fields.IsoDate(
        data_key="end_date", load_default=None, metadata={"description": "Observed at or before this, UTC."}
    )

    @ma.post_load
    def to_selection(self, data: dict[str, Any], **_: Any) -> BatchSelection:
        """The selection."""
        return BatchSelection(**data)


class BatchOrderSchema(RerunOrderSchema):
    """Measurement sets, by path or by what they have in common, to be run again."""

    ms_paths = ma.fields.List(
        ma.fields.String(validate=ma.validate.Length(min=1, max=4096)),
        validate=ma.validate.Length(min=1, max=MOST_PATHS),
        load_default=None,
    )
    selection = ma.fields.Nested(BatchFilterSchema, data_key="filter", load_default=None)

    @ma.validates_schema
    def check_one(self, data: dict[str, Any], **_: Any) -> None:
        """Exactly one of both."""
        if (data.get("ms_paths") is None) == (data.get("selection") is None):
            raise ma.ValidationError("Give either ms_paths or filter.", "ms_paths")


class BatchSchema(Schema):
    """A batch in a list."""

    id = ma.fields.Integer()
    type = ma.fields.String()
    status = ma.fields.String(
        allow_none=True,
        metadata={
            "enum": [*STATES, None],
            "description": "`done` once every item is over and none failed, also where items were cancelled; "
            "`cancelled` where no items were recorded.",
        },
    )
    created_at = fields.UnixTime(allow_none=True)
    total_items = ma.fields.Integer(allow_none=True)
    completed_items = ma.fields.Integer(allow_none=True)
    failed_items = ma.fields.Integer(allow_none=True)


class BatchItemSchema(Schema):
    """One measurement set of a batch; `run_id` is that of the run made for it, once there is one."""

    ms_path = ma.fields.String()
    run_id = ma.fields.String(allow_none=True)
    status = ma.fields.String()
    error = ma.fields.String(allow_none=True)
    started_at = fields.UnixTime(allow_none=True)
    completed_at = fields.UnixTime(allow_none=True)


class BatchDetailSchema(BatchSchema):
    """A batch and its items."""

    cancelled_items = ma.fields.Integer()
    progress = ma.fields.Float(metadata={"description": "Part of the items that are over, 0 to 1."})
    params = ma.fields.Raw(
        allow_none=True, metadata={"description": "What it was ordered with; null where that is not JSON."}
    )
    items = ma.fields.List(ma.fields.Nested(BatchItemSchema))


class BatchMadeSchema(Schema):
    """A batch that was ordered."""

    id = ma.fields.Integer()
    status = ma.fields.String(metadata={"enum": ["pending"]})
    total_items = ma.fields.Integer()


class BatchPath(Schema):
    """A batch's number in a URL."""

    batch_id = fields.WholeNumber(metadata={"description": "Number of a batch."})
