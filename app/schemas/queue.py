"""The work queue as published, and what is ordered from it."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import marshmallow as ma

from app.domain.queue import STATES
from app.schemas import fields
from app.schemas.base import Schema
from app.schemas.lists import ListQuery

MOST_JOBS = 200
MOST_RUNS = 1000
_PATH = re.compile(r"/[^\x00-\x1f]{0,4000}")


class WorkerSchema(Schema):
    """A living worker."""

    worker_id = ma.fields.String()
    host = ma.fields.String()
    pid = ma.fields.Integer()
    started_at = fields.UnixTime()
    last_seen = fields.UnixTime()
    concurrency = ma.fields.Integer(metadata={"description": "Jobs it can run at a time."})
    running = ma.fields.List(ma.fields.String(), metadata={"description": "Jobs it runs now."})


class QueueSchema(Schema):
    """State of the queue. The counts are there where its store answers, `error` where it does not."""

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset(
        {"queued_count", "started_count", "finished_count", "failed_count", "canceled_count", "error"}
    )

    connected = ma.fields.Boolean(metadata={"description": "Whether a living worker is there to run things."})
    queue_name = ma.fields.String()
    engine = ma.fields.String(metadata={"enum": ["sqlite", "redis", "postgresql"]})
    redis_url = ma.fields.String(allow_none=True, metadata={"description": "Without credentials; null without Redis."})
    workers = ma.fields.List(ma.fields.Nested(WorkerSchema))
    queued_count = ma.fields.Integer()
    started_count = ma.fields.Integer()
    finished_count = ma.fields.Integer()
    failed_count = ma.fields.Integer()
    canceled_count = ma.fields.Integer()
    error = ma.fields.String()


class QueueJobQuery(ListQuery):
    """Which jobs of the queue."""

    limit = fields.WholeNumber(
        load_default=50,
        validate=ma.validate.Range(min=0, max=MOST_JOBS),
        metadata={"description": f"Rows of a page: 50 unless given, {MOST_JOBS} at most."},
    )
    status = fields.Word(*STATES, load_default=None, metadata={"description": "Only jobs in this state."})

    @ma.post_load
    def to_request(self, data: dict[str, Any], **kwargs: Any) -> Any:
        """The page asked for, and the state."""
        status = data["status"]
        return super().to_request(data, **kwargs), status


class QueueJobSchema(Schema):
    """A job of the queue."""

    job_id = ma.fields.String()
    status = ma.fields.String(metadata={"enum": list(STATES)})
    created_at = fields.UnixTime()
    started_at = fields.UnixTime(allow_none=True)
    ended_at = fields.UnixTime(allow_none=True)
    result = ma.fields.Raw(allow_none=True)
    error = ma.fields.String(allow_none=True)
    meta = ma.fields.Dict(
        metadata={"description": "Who ordered what: `original_run_id`, `run_id` (that of the rerun), `requested_by` …"}
    )


class CanceledSchema(Schema):
    """What became of a cancellation."""

    status = ma.fields.String(metadata={"description": "`canceled`; of a job that had ended before, how it ended."})
    job_id = ma.fields.String()


class IdempotencyHeader(Schema):
    """A name for this request, so that sending it again does not do it again."""

    key = ma.fields.String(
        data_key="Idempotency-Key",
        load_default=None,
        validate=ma.validate.Length(min=1, max=255),
        metadata={
            "description": "Any text that is new for each new request. The same request with the same key gets the "
            "same answer for two days; another request with it gets 422, one while the first is carried out 409."
        },
    )


class RerunConfigSchema(Schema):
    """What replaces the original run's configuration."""

    class Meta:
        unknown = ma.RAISE

    cal_table = ma.fields.String(validate=lambda value: _check_path(value), metadata={"description": "Absolute path."})
    phase_center_ra = ma.fields.Float(
        validate=ma.validate.Range(0, 360, max_inclusive=False), metadata={"description": "ICRS [deg]"}
    )
    phase_center_dec = ma.fields.Float(validate=ma.validate.Range(-90, 90), metadata={"description": "ICRS [deg]"})


class RerunOrderSchema(Schema):
    """How to run again. Everything may be left out."""

    config = ma.fields.Nested(RerunConfigSchema, load_default=dict)
    priority = ma.fields.Integer(
        load_default=0,
        strict=True,
        validate=ma.validate.Range(-100, 100),
        metadata={"description": "Higher goes first; among equals the order of arrival."},
    )


class RerunSchema(Schema):
    """A rerun that was ordered."""

    status = ma.fields.String(metadata={"enum": ["queued"]})
    job_id = ma.fields.String(metadata={"description": "Name of the job in the queue."})
    run_id = ma.fields.String(metadata={"description": "Name of the new run: its log, events and record."})
    original_run_id = ma.fields.String()
    message = ma.fields.String()
    queue_connected = ma.fields.Boolean()


class RunIdsSchema(Schema):
    """Some runs."""

    run_ids = ma.fields.List(
        ma.fields.String(validate=ma.validate.Length(min=1, max=300)),
        data_key="runIds",
        required=True,
        validate=ma.validate.Length(min=1, max=MOST_RUNS),
    )


class EnqueuedSchema(Schema):
    """A run and the job that will do it again."""

    run_id = ma.fields.String()
    job_id = ma.fields.String()


class BulkRerunSchema(Schema):
    """Reruns that were ordered, and run ids that nobody knows."""

    status = ma.fields.String(metadata={"enum": ["queued"]})
    enqueued = ma.fields.List(ma.fields.Nested(EnqueuedSchema))
    not_found = ma.fields.List(ma.fields.String())
    queue_connected = ma.fields.Boolean()


class BulkCanceledSchema(Schema):
    """Runs of which jobs were canceled, and those of which there were none."""

    status = ma.fields.String(metadata={"enum": ["ok"]})
    canceled = ma.fields.List(ma.fields.String())
    not_found = ma.fields.List(ma.fields.String())


class ExportQuery(Schema):
    """Which runs."""

    ids = ma.fields.String(load_default="", metadata={"description": "Comma-separated run ids."})


class ExportedJobSchema(Schema):
    """A run as a line of a table."""

    run_id = ma.fields.String()
    status = ma.fields.String()
    started_at = fields.UnixTime(allow_none=True)
    finished_at = fields.UnixTime(allow_none=True)
    input_ms = ma.fields.String(allow_none=True)
    output_image_id = ma.fields.Integer(allow_none=True)


class LastEventIdHeader(Schema):
    """Where a client left off."""

    last_event_id = ma.fields.String(
        data_key="Last-Event-ID",
        load_default=None,
        metadata={"description": "Id of the last event seen; the stream goes on behind it."},
    )


def _check_path(value: str) -> None:
    if _PATH.fullmatch(value) is None:
        raise ma.ValidationError("Not an absolute path.")
