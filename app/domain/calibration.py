"""Calibration tables, as the registry knows them."""

from __future__ import annotations

from typing import NamedTuple


class CalTable(NamedTuple):
    """A calibration table as lists show it; ``created_at`` in Unix seconds."""

    id: int
    path: str
    set_name: str | None
    table_type: str
    status: str | None
    source_ms_path: str | None
    created_at: float


class CalTableDetail(NamedTuple):
    """A calibration table in full; ``created_at`` in Unix seconds."""

    path: str
    table_type: str
    set_name: str | None
    cal_field: str | None
    refant: str | None
    created_at: float | None
    source_ms_path: str | None
    status: str | None
    notes: str | None
