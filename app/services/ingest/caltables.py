"""Registering calibration tables, by the suffixes of their directories and what the operator says of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.db.writing import WritableDatabase
from app.domain.errors import ContimgError, InvalidValue
from app.repositories.ingest import PipelineTables
from app.services.ingest.report import FILES_PER_TRANSACTION, Advance, Report, absolute, batches, ignore, walk

# Order in which CASA is to apply each kind of table: delays, bandpass, gains, fluxes.
ORDER = {"K": 10, "BA": 20, "BP": 30, "GA": 40, "GP": 50, "2G": 60, "FLUX": 70}
OTHER_ORDER = 100

_TYPE_OF_SUFFIX = {
    "k": "K", "ba": "BA", "bp": "BP", "b": "BP", "ga": "GA", "gp": "GP", "g": "GP", "2g": "2G", "flux": "FLUX",
}  # fmt: skip
_SUFFIX = re.compile(r"(.+)[._](k|ba|bp|b|ga|gp|g|2g|flux)cal", re.IGNORECASE)


@dataclass(frozen=True)
class CaltableRow:
    """One calibration table to register: facts replace what is known, guesses only fill gaps."""

    path: str
    facts: Mapping[str, Any]
    guesses: Mapping[str, Any]


def find_caltables(paths: Iterable[Path]) -> list[Path]:
    """Directories called ``*.bcal``, ``*_gpcal`` and so on at and below some paths, absolute, sorted, each once.

    A directory that was named itself may be called anything if it is a CASA table.
    """
    return [path for path in walk(paths, _is_caltable, directories=True) if path.is_dir()]


def caltable_row(path: Path, facts: Mapping[str, Any]) -> CaltableRow:
    """A calibration table with what its name and its directory's time tell.

    Raises
    ------
    InvalidValue
        Its name tells no type, and none is given.
    """
    path = absolute(path)
    match = _SUFFIX.fullmatch(path.name)
    kind = facts.get("table_type") or (_TYPE_OF_SUFFIX[match.group(2).lower()] if match else None)
    if kind is None:
        raise InvalidValue("table_type", f"the name {path.name} ends in none of the known suffixes; give the type")
    guesses = {
        "table_type": kind,
        "order_index": ORDER.get(kind, OTHER_ORDER),
        "set_name": match.group(1) if match else path.stem,
        "status": "active",
        "created_at": path.stat().st_mtime,
    }
    return CaltableRow(str(path), facts, guesses)


def ingest_caltables(
    registry: WritableDatabase, paths: Sequence[Path], facts: Mapping[str, Any], *, advance: Advance = ignore
) -> Report:
    """Register or update calibration tables.

    Parameters
    ----------
    registry
        The database that holds ``caltables``: the registry, or a unified file.
    paths
        Directories, as :func:`find_caltables` lists them.
    facts
        Columns of ``caltables`` that hold for all of them.
    advance
        Told of every batch that is written.
    """
    report = Report()
    for batch in batches(paths, FILES_PER_TRANSACTION):
        rows = []
        for path in batch:
            try:
                rows.append(caltable_row(path, facts))
            except (ContimgError, OSError) as error:
                report.fail(path, error)
        _write(registry, rows, report)
        advance(len(batch))
    return report


def _write(registry: WritableDatabase, rows: Sequence[CaltableRow], report: Report) -> None:
    with registry.transaction() as connection:
        tables = PipelineTables(connection)
        known = tables.known_caltables([row.path for row in rows])
        for row in rows:
            try:
                if row.path in known:
                    report.known(changed=tables.update_caltable(known[row.path], row.facts, row.guesses))
                else:
                    tables.insert("caltables", {**row.guesses, **row.facts, "path": row.path})
                    report.registered += 1
            except ContimgError as error:
                report.fail(row.path, error)


def _is_caltable(path: Path) -> bool:
    return _SUFFIX.fullmatch(path.name) is not None
