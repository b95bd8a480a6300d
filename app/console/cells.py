"""Cells of a table: how a column is called, in which unit it is shown, and how its values are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup, escape

from app.console import formats, links
from app.console.forms import in_milli
from app.domain.columns import Column, Kind

_LABELS = {
    "id": "id", "path": "file", "ms_path": "measurement set", "run_id": "run", "field_name": "field",
    "qa_grade": "grade", "created_at": "made", "observed_mjd": "observed", "pointing_ra_deg": "RA (centre)",
    "pointing_dec_deg": "Dec (centre)", "ra_deg": "RA", "dec_deg": "Dec", "noise_jy": "noise",
    "dynamic_range": "dyn. range", "beam_major_arcsec": "beam major", "beam_minor_arcsec": "beam minor",
    "beam_pa_deg": "beam PA", "cellsize_arcsec": "pixel", "freq_ghz": "frequency", "bandwidth_mhz": "bandwidth",
    "integration_sec": "integration", "pbcor": "PB corrected", "num_images": "images", "image_id": "newest image",
    "n_points": "measurements", "n_fluxes": "fluxes", "mean_flux_jy": "mean flux", "eta": "η", "v": "V", "m": "|m|",
    "vs": "Vs", "weighted_mean_flux_jy": "flux", "weighted_mean_flux_err_jy": "± flux", "min_flux_jy": "min flux",
    "max_flux_jy": "max flux", "max_snr": "max SNR", "first_mjd": "first seen", "last_mjd": "last seen",
    "source_ms_path": "solved from", "valid_start_mjd": "valid from", "valid_end_mjd": "valid until",
    "table_type": "type", "set_name": "set", "cal_field": "calibrator", "mid_mjd": "observed", "status": "state",
    "started_at": "started", "finished_at": "ended", "peak_flux_jy": "peak flux", "separation_arcsec": "separation",
}  # fmt: skip

# Fluxes are stored in Jy and read in mJy.
_SCALED: Mapping[str, str] = {"Jy": "mJy", "Jy/beam": "mJy/beam"}
_UNITS = {"deg": "°", "arcsec": "″", "d": "UTC", "pixel": "px", "": ""}

# Writes a value as HTML. What comes from a database is escaped by whoever writes it.
Writer = Callable[[Any], str]


def label(column: Column) -> str:
    """What a column is called in the head of a table."""
    return _LABELS.get(column.name, column.name.replace("_", " "))


def shown_unit(column: Column) -> str:
    """The unit that its values are shown in."""
    if column.kind in {Kind.TIME, Kind.MJD}:
        return "UTC"
    if column.name in _POSITIONS:
        return ""
    return _SCALED.get(column.unit) or _UNITS.get(column.unit, column.unit)


def is_numeric(column: Column) -> bool:
    """Whether its values stand to the right."""
    return column.kind in {Kind.INTEGER, Kind.REAL} and column.name not in _POSITIONS


def in_shown_unit(column: Column, value: str) -> str:
    """A value that a filter compares with, in the unit that is shown."""
    if column.unit in _SCALED:
        return f"{in_milli(value)} {_SCALED[column.unit]}"
    unit = "" if column.kind in {Kind.TIME, Kind.MJD} else _UNITS.get(column.unit, f" {column.unit}")
    return f"{value}{unit}"


def writer(kind: str, column: Column) -> Writer:
    """How the cells of a column are written in a list: ``images``, ``sources``, ``jobs``, ``ms`` or ``cal``."""
    linked = _LINKED.get((kind, column.name))
    if linked is not None:
        return linked
    return _BY_NAME.get(column.name) or _by_unit(column) or _BY_KIND[column.kind]


def _by_unit(column: Column) -> Writer | None:
    return formats.in_milli if column.unit in _SCALED else None


def _image(value: Any) -> Markup:
    return _a(links.image(value), f"#{value}") if value is not None else formats.MISSING


def _source(value: Any) -> Markup:
    return _a(links.source(value), str(value))


def _run(value: Any) -> Markup:
    return _a(links.job(value), value) if value else formats.MISSING


def _measurement_set(value: Any) -> Markup:
    return _a(links.measurement_set(value), formats.file_name(value)) if value else formats.MISSING


def _calibration_table(value: Any) -> Markup:
    return _a(links.calibration_table(value), formats.file_name(value)) if value else formats.MISSING


def _a(url: str, text: Any) -> Markup:
    # Markup.format says the same ten times slower, and a page has a thousand cells.
    return Markup(f'<a href="{escape(url)}">{escape(text)}</a>')


def _position(write: Callable[[Any], Any]) -> Writer:
    def put(value: Any) -> str:
        if not formats.is_known(value):
            return formats.MISSING
        return f"{write(value)} <small>{formats.degrees(value)}</small>"

    return put


def _boolean(value: Any) -> Markup:
    return formats.MISSING if value is None else Markup("yes") if value else Markup("no")


_POSITIONS = frozenset({"ra_deg", "dec_deg", "pointing_ra_deg", "pointing_dec_deg"})
_LINKED: Mapping[tuple[str, str], Writer] = {
    ("images", "id"): _image,
    ("sources", "id"): _source,
    ("jobs", "status"): formats.state,
    ("ms", "path"): _measurement_set,
    ("cal", "path"): _calibration_table,
    ("cal", "status"): formats.state,
}
_BY_NAME: Mapping[str, Writer] = {
    "image_id": _image,
    "run_id": _run,
    "ms_path": _measurement_set,
    "source_ms_path": _measurement_set,
    "path": formats.file_name,
    "qa_grade": formats.grade,
    "ra_deg": _position(formats.right_ascension),
    "pointing_ra_deg": _position(formats.right_ascension),
    "dec_deg": _position(formats.declination),
    "pointing_dec_deg": _position(formats.declination),
}
_BY_KIND: Mapping[Kind, Writer] = {
    Kind.TEXT: formats.text,
    Kind.IDENTIFIER: formats.text,
    Kind.INTEGER: formats.whole,
    Kind.REAL: formats.number,
    Kind.BOOLEAN: _boolean,
    Kind.TIME: formats.moment,
    Kind.MJD: formats.observed,
}
