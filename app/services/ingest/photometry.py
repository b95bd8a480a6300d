"""Registering measurements of sources from a catalogue: names and units understood, every row checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from app.db.writing import WritableDatabase
from app.domain.errors import ContimgError, InvalidValue
from app.domain.time import mjd_from_unix, unix_from_iso, unix_from_mjd
from app.repositories.ingest import PipelineTables
from app.services.ingest.report import ROWS_PER_TRANSACTION, Advance, Report, absolute, batches, ignore
from app.services.ingest.tables import UnreadableTable, read_table

# Other names under which catalogues carry a column; flux columns may also end in a unit, as in ``peak_flux_mjy``.
ALIASES: dict[str, tuple[str, ...]] = {
    "source_id": ("source", "source_name", "src_id", "name", "id"),
    "image_path": ("image", "path", "filename"),
    "ra_deg": ("ra", "raj2000", "ra_j2000"),
    "dec_deg": ("dec", "dej2000", "decj2000", "dec_j2000"),
    "flux_jy": ("flux", "int_flux", "integrated_flux", "total_flux"),
    "flux_err_jy": ("flux_err", "flux_error_jy", "flux_error", "e_flux", "int_flux_err", "integrated_flux_err"),
    "peak_jyb": ("peak", "peak_flux", "f_peak"),
    "peak_err_jyb": ("peak_err", "peak_error", "peak_flux_err", "e_peak"),
    "mjd": ("mjd_obs", "obs_mjd", "mjd_mid"),
    "snr": ("s_n", "signal_to_noise"),
    "flags": ("flag",),
    "measured_at": ("timestamp", "datetime", "date_obs", "obs_time"),
    "local_rms": ("rms", "local_rms_jy", "rms_jy"),
    "nvss_flux_mjy": (),
    "normalized_flux_jy": (),
    "normalized_flux_err_jy": (),
    "sep_from_center_deg": (),
    "mosaic_path": (),
}
REQUIRED = ("source_id", "image_path", "ra_deg", "dec_deg")

# Names the columns that values are stored in, and what one unit of theirs is called by astropy.
STORED_UNITS = {
    "ra_deg": ("deg",), "dec_deg": ("deg",), "sep_from_center_deg": ("deg",), "mjd": ("d",), "nvss_flux_mjy": ("mJy",),
    **dict.fromkeys(
        ("flux_jy", "flux_err_jy", "peak_jyb", "peak_err_jyb", "local_rms", "normalized_flux_jy",
         "normalized_flux_err_jy"),
        ("Jy", "Jy / beam"),
    ),
}  # fmt: skip

_FLUX_ENDINGS = {"": 1.0, "_jy": 1.0, "_jyb": 1.0, "_mjy": 1e-3, "_mjyb": 1e-3, "_ujy": 1e-6, "_ujyb": 1e-6}
_EMPTY = frozenset({"", "nan", "null", "none", "n/a", "--"})
_TEXTS = frozenset({"source_id", "image_path", "mosaic_path"})
_ERRORS = ("flux_err_jy", "peak_err_jyb", "normalized_flux_err_jy", "local_rms")


class Column(NamedTuple):
    """A column of a catalogue that is understood: where it stands, where it goes, and the factor between the units."""

    position: int
    target: str
    factor: float


def ingest_photometry(products: WritableDatabase, path: Path, *, advance: Advance = ignore) -> Report:
    """Register or update the measurements of a catalogue, a transaction for every 2,000 rows.

    A measurement is known by its source, its image and its time; one whose catalogue gives no time, by source and
    image.

    Parameters
    ----------
    products
        The products database, of any generation.
    path
        CSV, VOTable or Parquet. Image paths in it that are relative start at its directory.
    advance
        Told of every batch that is written.

    Raises
    ------
    UnreadableTable
        The file cannot be read, or lacks a column that no measurement can be without. Where only a part of it cannot,
        the batches before stay written.
    Busy, DatabaseUnavailable
        The database could not be written; the batches before stay written.
    """
    table = read_table(path)
    columns, unused = match_columns(table.names, table.units)
    report = Report()
    if unused:
        report.notes.append(f"columns not used: {', '.join(unused)}")
    times: dict[str, float | None] = {}
    for batch in batches(table.rows, ROWS_PER_TRANSACTION):
        with products.transaction() as connection:
            tables = PipelineTables(connection)
            for place, cells in batch:
                try:
                    if isinstance(cells, InvalidValue):
                        raise cells
                    _write(tables, measurement(columns, cells, path.parent), times, report)
                except ContimgError as error:
                    report.fail(place, error)
        advance(len(batch))
    return report


def match_columns(names: Sequence[str], units: Sequence[str | None]) -> tuple[list[Column], list[str]]:
    """Which columns of a catalogue are understood, and the names of the others.

    Where two would fill the same place, the one that bears its very name wins, then the earlier alias.

    Raises
    ------
    UnreadableTable
        A column that no measurement can be without is missing, or a unit cannot be converted.
    """
    lowered = {name.strip().lower(): index for index, name in reversed(list(enumerate(names)))}
    columns = []
    for target, aliases in ALIASES.items():
        for name, factor in _spellings(target, aliases):
            if name in lowered:
                index = lowered[name]
                columns.append(Column(index, target, _factor(names[index], units[index], target, factor)))
                break
    targets = {column.target for column in columns}
    missing = [target for target in REQUIRED if target not in targets]
    if missing:
        raise UnreadableTable(f"A catalogue needs the columns {_listed(REQUIRED)}. {_lacking(missing, names)}")
    if not targets & {"flux_jy", "peak_jyb"}:
        raise UnreadableTable("No column with a flux: neither peak_jyb nor flux_jy (or flux_mjy, peak_flux …)")
    used = {column.position for column in columns}
    return columns, [name for index, name in enumerate(names) if index not in used]


def _lacking(missing: Sequence[str], names: Sequence[str]) -> str:
    there = f"it has {_listed(names)}" if names else "it has none"
    lacks = "all of them" if len(missing) == len(REQUIRED) else _listed(missing)
    return f"This one lacks {lacks}; {there}"


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def measurement(columns: Sequence[Column], cells: Sequence[Any], folder: Path) -> dict[str, Any]:
    """One row of the photometry table from one row of a catalogue; its ``mjd`` is still open where the row has no time.

    Raises
    ------
    InvalidValue
        A cell is not what its column holds, or one is missing that no measurement can be without.
    """
    row: dict[str, Any] = {}
    for position, target, factor in columns:
        row[target] = _READERS[target](target, cells[position], factor)
    _check(row)
    for target in ("image_path", "mosaic_path"):
        if row.get(target):
            row[target] = str(absolute(folder / row[target]))
    if row.get("peak_jyb") is None:
        row["peak_jyb"], row["peak_err_jyb"] = row["flux_jy"], row.get("flux_err_jy")
    if row.get("snr") is None and row.get("peak_err_jyb"):
        row["snr"] = row["peak_jyb"] / row["peak_err_jyb"]
    if row.get("mjd") is None and row.get("measured_at") is not None:
        row["mjd"] = mjd_from_unix(row["measured_at"])
    return row


def _write(tables: PipelineTables, row: dict[str, Any], times: dict[str, float | None], report: Report) -> None:
    own_time = row.get("mjd")
    image_path = row["image_path"]
    if own_time is None:
        if image_path not in times:
            times[image_path] = tables.mjd_of_image(image_path)
        row["mjd"] = times[image_path]
    if row["mjd"] is None:
        raise InvalidValue("mjd", "the row has no time, and its image is not registered")
    if row.get("measured_at") is None:
        row["measured_at"] = unix_from_mjd(row["mjd"])
    found = tables.find_photometry(row["source_id"], image_path, own_time)
    if found is None:
        tables.insert("photometry", row)
        report.registered += 1
    else:
        report.known(changed=tables.update_photometry(found, row))


def _check(row: Mapping[str, Any]) -> None:
    for target in REQUIRED:
        if row[target] is None:
            raise InvalidValue(target, "is missing")
    if not 0.0 <= row["ra_deg"] < 360.0:
        raise InvalidValue("ra_deg", f"{row['ra_deg']} is not within 0 and 360")
    if not -90.0 <= row["dec_deg"] <= 90.0:
        raise InvalidValue("dec_deg", f"{row['dec_deg']} is not within -90 and 90")
    if row.get("flux_jy") is None and row.get("peak_jyb") is None:
        raise InvalidValue("flux_jy", "neither a peak nor an integrated flux")
    for target in _ERRORS:
        if (row.get(target) or 0.0) < 0.0:
            raise InvalidValue(target, f"{row[target]} is below zero")


def _spellings(target: str, aliases: Sequence[str]) -> list[tuple[str, float]]:
    """Names a column may bear, most exact first, each with the factor that its ending tells."""
    spellings = [(target, 1.0), *((alias, 1.0) for alias in aliases)]
    if "Jy" in STORED_UNITS.get(target, ()):
        stems = [target.removesuffix("_jyb").removesuffix("_jy"), *aliases]
        spellings += [(f"{stem}{end}", factor) for stem in stems for end, factor in _FLUX_ENDINGS.items()]
    return spellings


def _factor(name: str, unit: str | None, target: str, by_name: float) -> float:
    """Factor from a column's own unit to the stored one; the name's ending decides where no unit is declared."""
    if not unit or target not in STORED_UNITS:
        return by_name
    from astropy.units import Unit, UnitConversionError

    for stored in STORED_UNITS[target]:
        try:
            return float(Unit(unit).to(stored))
        except UnitConversionError:
            continue
        except ValueError as error:
            raise UnreadableTable(f"Column {name}: the unit {unit} is not known") from error
    raise UnreadableTable(f"Column {name}: {unit} cannot be converted to {STORED_UNITS[target][0]}")


def _text(_target: str, value: Any, _factor: float) -> str | None:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    text = "" if value is None else str(value).strip()
    return text or None


def _number(target: str, value: Any, factor: float) -> float | None:
    if value is None or (isinstance(value, str) and value.strip().lower() in _EMPTY):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InvalidValue(target, f"{value!r} is not a number") from None
    if math.isnan(number):
        return None
    if math.isinf(number):
        raise InvalidValue(target, f"{value!r} is not finite")
    return number * factor


def _flags(target: str, value: Any, _factor: float) -> int | None:
    number = _number(target, value, 1.0)
    if number is not None and (number != int(number) or number < 0):
        raise InvalidValue(target, f"{value!r} is not a bit mask")
    return None if number is None else int(number)


def _ra(target: str, value: Any, factor: float) -> float | None:
    degrees = _number(target, value, factor)
    return 0.0 if degrees == 360.0 else degrees


def _moment(target: str, value: Any, _factor: float) -> float | None:
    """Unix seconds, or ISO 8601 in UTC."""
    if hasattr(value, "isoformat"):
        value = value.isoformat()
    if isinstance(value, str) and value.strip().lower() not in _EMPTY:
        try:
            return unix_from_iso(value.strip())
        except ValueError:
            pass
    return _number(target, value, 1.0)


_READERS: dict[str, Callable[[str, Any, float], Any]] = {
    **dict.fromkeys(ALIASES, _number),
    **dict.fromkeys(_TEXTS, _text),
    "flags": _flags,
    "ra_deg": _ra,
    "measured_at": _moment,
}
