"""Registering measurement sets, by the time in their names and what the operator says of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.db.writing import WritableDatabase
from app.domain.errors import ContimgError
from app.domain.time import DAY_S, mjd_from_iso
from app.repositories.ingest import PipelineTables
from app.services.ingest.report import FILES_PER_TRANSACTION, Advance, Report, absolute, batches, ignore, walk

# As the pipeline takes a measurement set through them.
STAGES = ("ingested", "converted", "calibrated", "imaged", "mosaicked", "cataloged")

# The correlator writes 24 integrations of 12.88 s into each measurement set.
DURATION_S = 309.12

_START = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}):?(\d{2}):?(\d{2}(?:\.\d{1,9})?)", re.ASCII)


@dataclass(frozen=True)
class MeasurementSetRow:
    """One measurement set to register: facts replace what is known, guesses only fill gaps."""

    path: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    guesses: Mapping[str, Any] = field(default_factory=dict)


def find_measurement_sets(paths: Iterable[Path]) -> list[Path]:
    """Directories called ``*.ms`` at and below some paths, absolute, sorted, each once."""
    found = walk(paths, lambda path: path.name.endswith(".ms"), directories=True)
    return [path for path in found if path.is_dir()]


def measurement_set_row(path: Path, facts: Mapping[str, Any], *, duration_s: float = DURATION_S) -> MeasurementSetRow:
    """A measurement set with the times that its name tells.

    Parameters
    ----------
    path
        Its directory, normally called ``YYYY-MM-DDTHH:MM:SS.ms``; any other name leaves the times open.
    facts
        Columns of ``ms_index`` that the caller knows.
    duration_s
        Length of the observation [s], for the times of its middle and end.
    """
    return MeasurementSetRow(str(absolute(path)), facts, _times(path.name, duration_s))


def ingest_measurement_sets(
    products: WritableDatabase,
    rows: Sequence[MeasurementSetRow],
    *,
    now: Callable[[], float],
    advance: Advance = ignore,
) -> Report:
    """Register or update measurement sets; a stage is only ever raised.

    Parameters
    ----------
    products
        The products database, of any generation.
    rows
        What is known of each.
    now
        Unix time [s], for ``stage_updated_at``.
    advance
        Told of every batch that is written.
    """
    report = Report()
    for batch in batches(rows, FILES_PER_TRANSACTION):
        with products.transaction() as connection:
            tables = PipelineTables(connection)
            known = tables.known_stages([row.path for row in batch])
            for row in batch:
                try:
                    _write(tables, row, known, now(), report)
                except ContimgError as error:
                    report.fail(row.path, error)
        advance(len(batch))
    return report


def raised_stage(current: str | None, proposed: str | None) -> str | None:
    """The stage to write, or ``None`` to leave things as they are.

    A stage is raised along :data:`STAGES` and never lowered; a word outside that list gives way to none and replaces
    only an empty one.
    """
    if proposed is None or proposed == current:
        return None
    if not current:
        return proposed
    if current not in STAGES or proposed not in STAGES:
        return None
    return proposed if STAGES.index(proposed) > STAGES.index(current) else None


def _write(
    tables: PipelineTables, row: MeasurementSetRow, known: Mapping[str, str | None], now: float, report: Report
) -> None:
    facts = {name: value for name, value in row.facts.items() if name != "stage"}
    if row.path in known:
        stage = raised_stage(known[row.path], row.facts.get("stage"))
        changed = {"stage": stage, "stage_updated_at": now} if stage else {}
        report.known(changed=tables.update_ms(row.path, {**facts, **changed}, row.guesses))
        return
    stage = row.facts.get("stage", STAGES[0])
    tables.insert("ms_index", {**row.guesses, **facts, "path": row.path, "stage": stage, "stage_updated_at": now})
    report.registered += 1


def _times(name: str, duration_s: float) -> dict[str, float]:
    match = _START.match(name)
    if match is None:
        return {}
    date, hours, minutes, seconds = match.groups()
    try:
        start = mjd_from_iso(f"{date}T{hours}:{minutes}:{seconds}")
    except ValueError:
        return {}
    length = duration_s / DAY_S
    return {"start_mjd": start, "mid_mjd": start + length / 2, "end_mjd": start + length}
