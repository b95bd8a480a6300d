"""Jobs, continued: what changes them, and what follows them as they go."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.domain.queue import CanceledMany, Ordered, OrderedMany, Requester
from app.queue.idempotency import Once
from app.schemas.queue import (
    BulkCanceledSchema,
    BulkRerunSchema,
    ExportedJobSchema,
    ExportQuery,
    IdempotencyHeader,
    LastEventIdHeader,
    RerunOrderSchema,
    RerunSchema,
    RunIdsSchema,
)
from app.services.reruns import Order
from app.web import sse
from app.web.api import Blueprint
from app.web.auth import PUBLIC, WRITE, caller
from app.web.context import services
from app.web.ratelimit import EXPORTS
from app.web.tables import csv_response

blp = Blueprint("reruns", __name__, url_prefix="/jobs", description="Processing runs")


@blp.route("/<run_id>/rerun", methods=["POST"])
@blp.require(WRITE)
@blp.arguments(RerunOrderSchema, required=False)
@blp.arguments(IdempotencyHeader, location="headers")
@blp.response(202, RerunSchema, headers={"Location": {"description": "The job.", "schema": {"type": "string"}}})
def rerun(order: dict[str, Any], header: dict[str, Any], run_id: str) -> tuple[Ordered, dict[str, str]]:
    """Run a job again

    The answer comes at once; `Location` leads to the job in the queue, and `/jobs/{run_id}/events` of the new `run_id`
    tells how it goes. Calibration table and phase centre are those of the measurement set unless `config` has others.
    """
    once = Once(header["key"], ["rerun", run_id, order])
    answer = services().reruns.rerun(run_id, Order(**order), Requester(caller().key_id, caller().method), once)
    return answer, {"Location": f"/api/v1/queue/jobs/{answer.job_id}"}


@blp.route("/bulk-rerun", methods=["POST"])
@blp.require(WRITE)
@blp.arguments(RunIdsSchema)
@blp.arguments(IdempotencyHeader, location="headers")
@blp.response(202, BulkRerunSchema)
def rerun_many(body: dict[str, list[str]], header: dict[str, Any]) -> OrderedMany:
    """Run several jobs again

    Run ids that nobody knows are returned in `not_found`, and the others are ordered all the same.
    """
    once = Once(header["key"], ["bulk-rerun", body])
    return services().reruns.rerun_all(body["run_ids"], Requester(caller().key_id, caller().method), once)


@blp.route("/bulk-cancel", methods=["POST"])
@blp.require(WRITE)
@blp.arguments(RunIdsSchema)
@blp.response(200, BulkCanceledSchema)
def cancel_many(body: dict[str, list[str]]) -> CanceledMany:
    """Cancel what the queue holds for several jobs

    A run id may be that of the original, which cancels every rerun of it on the way, or that of a rerun.
    """
    return services().reruns.cancel_all(body["run_ids"])


@blp.route("/export")
@blp.require(PUBLIC)
@blp.limited(EXPORTS)
@blp.arguments(ExportQuery, location="query")
@blp.response(200, {"type": "string"}, content_type="text/csv")
def export_jobs(query: dict[str, str]) -> Response:
    """Download jobs as a table

    Run ids that nobody knows are left out; 404 where none is known.
    """
    run_ids = [run_id for run_id in query["ids"].split(",") if run_id]
    return csv_response("jobs.csv", ExportedJobSchema(many=True).dump(services().reruns.export(run_ids)))


@blp.route("/<run_id>/events")
@blp.require(PUBLIC)
@blp.arguments(LastEventIdHeader, location="headers")
@blp.response(200, {"type": "string"}, content_type=sse.CONTENT_TYPE)
def follow_job(header: dict[str, Any], run_id: str) -> Response:
    """Follow a job as it goes (Server-Sent Events)

    `status` at the beginning and at each change, `log` with the lines that were written, `progress` where the pipeline
    prints a line `PROGRESS 40 imaging`, and `complete` at the end. Of a run that is being run again, its rerun is
    followed. The ids of `log` events lead back into the log: a client that sends the last one as `Last-Event-ID`, as
    browsers do by themselves, misses no line and gets none twice. 503 where too many are following.
    """
    return sse.respond(lambda: services().following.run(run_id, header["last_event_id"]))
