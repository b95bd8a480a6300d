"""Batches."""

from __future__ import annotations

from typing import Any

from app.domain.batches import Batch, BatchDetail, BatchOrdered
from app.domain.paging import Page, PageRequest
from app.domain.queue import Requester
from app.queue.idempotency import Once
from app.schemas.batches import (
    BatchDetailSchema,
    BatchMadeSchema,
    BatchOrderSchema,
    BatchPath,
    BatchQuery,
    BatchSchema,
)
from app.schemas.queue import IdempotencyHeader
from app.services.batches import BatchOrder
from app.services.reruns import Order
from app.web.api import Blueprint
from app.web.auth import PUBLIC, WRITE, caller
from app.web.context import services

blp = Blueprint("batches", __name__, url_prefix="/batches", description="Many runs ordered at once")


@blp.route("")
@blp.require(PUBLIC)
@blp.arguments(BatchQuery, location="query")
@blp.response(200, BatchSchema(many=True))
@blp.paginated
@blp.cacheable
def list_batches(query: PageRequest) -> Page[Batch]:
    """List batches, newest first"""
    return services().batches.page(query)


@blp.route("", methods=["POST"])
@blp.require(WRITE)
@blp.arguments(BatchOrderSchema)
@blp.arguments(IdempotencyHeader, location="headers")
@blp.response(202, BatchMadeSchema, headers={"Location": {"description": "The batch.", "schema": {"type": "string"}}})
def create_batch(body: dict[str, Any], header: dict[str, Any]) -> tuple[BatchOrdered, dict[str, str]]:
    """Run many measurement sets again

    Name them in `ms_paths`, or say in `filter` what they have in common; 1000 at most. Each gets a job of its own.
    """
    wanted = BatchOrder(body["ms_paths"], body["selection"], Order(body["config"], body["priority"]))
    once = Once(header["key"], ["batch", body])
    answer = services().batches.create(wanted, Requester(caller().key_id, caller().method), once)
    return answer, {"Location": f"/api/v1/batches/{answer.id}"}


@blp.route("/<batch_id>")
@blp.require(PUBLIC)
@blp.arguments(BatchPath, location="path")
@blp.response(200, BatchDetailSchema)
@blp.cacheable
def get_batch(path: dict[str, int], **_: str) -> BatchDetail:
    """Get a batch, its progress and its items"""
    return services().batches.get(path["batch_id"])


@blp.route("/<batch_id>/cancel", methods=["POST"])
@blp.require(WRITE)
@blp.arguments(BatchPath, location="path")
@blp.response(200, BatchDetailSchema)
def cancel_batch(path: dict[str, int], **_: str) -> BatchDetail:
    """Cancel what is left of a batch

    409 where it is over.
    """
    return services().batches.cancel(path["batch_id"])
