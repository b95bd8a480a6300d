"""Calibration tables, as the registry knows them."""

from __future__ import annotations

from typing import NamedTuple

from app.domain.columns import Column, Kind


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


CAL_COLUMNS = (
    Column("path", Kind.TEXT, "Path of the calibration table.", ucd="meta.id;meta.main"),
    Column("set_name", Kind.TEXT, "Set that it belongs to.", ucd="meta.id;meta.dataset"),
    Column("table_type", Kind.TEXT, "K, BA, BP, GA, GP, 2G or FLUX.", ucd="meta.code.class"),
    Column("order_index", Kind.INTEGER, "Place in the order of application.", ucd="meta.number"),
    Column("status", Kind.TEXT, "active, retired or failed.", ucd="meta.code.status"),
    Column("cal_field", Kind.TEXT, "Calibrator it was solved on.", ucd="meta.id;obs.field"),
    Column("refant", Kind.TEXT, "Reference antenna.", ucd="meta.id;instr"),
    Column("source_ms_path", Kind.TEXT, "Measurement set it was solved from.", ucd="meta.id;meta.file"),
    Column("created_at", Kind.TIME, "When it was registered.", ucd="time.creation"),
    Column("valid_start_mjd", Kind.MJD, "First time that it is valid for.", "d", "time.start"),
    Column("valid_end_mjd", Kind.MJD, "Last time that it is valid for.", "d", "time.end"),
    Column("notes", Kind.TEXT, "Remarks.", ucd="meta.note"),
)
