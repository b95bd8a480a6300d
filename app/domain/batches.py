"""Batches: many measurement sets ordered at once, as the pipeline's own batch tables record them."""

from __future__ import annotations

from typing import Any, NamedTuple

from app.domain import json_text

KIND = "batch_rerun"
OVER = frozenset({"done", "failed", "completed", "cancelled"})


class Batch(NamedTuple):
    """A batch as lists show it; ``created_at`` in Unix seconds."""

    id: int
    type: str
    status: str | None
    created_at: float | None
    total_items: int | None
    completed_items: int | None
    failed_items: int | None


class BatchItem(NamedTuple):
    """One measurement set of a batch; times in Unix seconds. ``run_id`` is that of the run made for it."""

    ms_path: str
    run_id: str | None
    status: str
    error: str | None
    started_at: float | None
    completed_at: float | None


class BatchDetail(NamedTuple):
    """A batch in full, with its items; ``params_text`` is what it was ordered with, as the table has it."""

    id: int
    type: str
    status: str | None
    created_at: float | None
    total_items: int | None
    completed_items: int | None
    failed_items: int | None
    params_text: str | None
    items: list[BatchItem]

    @property
    def params(self) -> Any:
        """What it was ordered with, or ``None`` where that is not JSON: older batches hold Python's notation."""
        try:
            return json_text.parse(self.params_text or "null")
        except ValueError:
            return None

    @property
    def cancelled_items(self) -> int:
        """Number of items that were cancelled."""
        return sum(item.status == "cancelled" for item in self.items)

    @property
    def progress(self) -> float:
        """Part of the items that are over, 0 to 1; an empty batch is over."""
        if self.items:
            return sum(item.status not in {"pending", "running"} for item in self.items) / len(self.items)
        over = (self.completed_items or 0) + (self.failed_items or 0)
        return min(1.0, over / self.total_items) if self.total_items and self.status not in OVER else 1.0


class BatchSelection(NamedTuple):
    """Which measurement sets a batch is for: those that agree in all that is given; dates in MJD [d]."""

    stage: str | None = None
    status: str | None = None
    field_name: str | None = None
    start_mjd: float | None = None
    end_mjd: float | None = None


class BatchOrdered(NamedTuple):
    """A batch that was recorded and put into the queue."""

    id: int
    total_items: int
    status: str = "pending"
