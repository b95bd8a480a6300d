"""Columns of ``v_source`` that tell of light curves, out of the kept sums or out of the measurements.

The sums are those that the upgrade keeps for each flux type (``contimg_api_source``). A source that was changed since
its last measurement is unsettled: the measurements are asked. Nothing that a query does not select is computed.
"""

from __future__ import annotations

FLUX_TYPES = ("integrated", "peak")

# The same bounds as the sums were made with: beyond them a square is no longer a number.
_BOUNDS = "BETWEEN -1e75 AND 1e75"
_FLUX = {"integrated": "m.flux_jy", "peak": "m.peak_jyb"}
_ERROR = {"integrated": "m.flux_err_jy", "peak": "m.peak_err_jyb"}
_DATE = "ifnull(m.mjd, m.measured_at / 86400.0 + 40587.0)"
_MEASUREMENTS = "FROM t_photometry AS m WHERE m.source_id = {id}"

# From the sums of type {t} in the row s.
KEPT = {
    "n_fluxes": "s.{t}_n",
    "mean_flux_jy": "CASE WHEN s.{t}_n > 0 THEN s.{t}_mean END",
    "weighted_mean_flux_jy": "CASE WHEN s.{t}_pairs > 0 THEN s.{t}_wmean END",
    "weighted_mean_flux_err_jy": "CASE WHEN s.{t}_pairs > 0 THEN 1.0 / sqrt(s.{t}_weight) END",
    "v": "CASE WHEN s.{t}_n > 1 AND s.{t}_mean > 0.0 THEN sqrt(s.{t}_m2 / (s.{t}_n - 1)) / s.{t}_mean END",
    "eta": "CASE WHEN s.{t}_pairs > 1 THEN s.{t}_chi2 / (s.{t}_pairs - 1) END",
    "m": "CASE WHEN s.{t}_pairs > 1 THEN s.{t}_m END",
    "vs": "CASE WHEN s.{t}_pairs > 1 THEN sqrt(s.{t}_vs2) END",
    "min_flux_jy": "CASE WHEN s.{t}_n > 0 THEN s.{t}_low END",
    "max_flux_jy": "CASE WHEN s.{t}_n > 0 THEN s.{t}_high END",
    "max_snr": "nullif(s.{t}_snr, -9e999)",
    "first_mjd": "nullif(s.{t}_first, 9e999)",
    "last_mjd": "nullif(s.{t}_last, -9e999)",
}

# From the measurements m with flux {x} and error {e}, both NULL where missing.
WORKED_OUT = {
    "n_fluxes": "count({x})",
    "mean_flux_jy": "avg({x})",
    "weighted_mean_flux_jy": "sum({x} / ({e} * {e})) / sum(1.0 / ({e} * {e}))",
    "weighted_mean_flux_err_jy": "1.0 / sqrt(sum(1.0 / ({e} * {e})))",
    "v": "variation_of({x})",
    "eta": "eta_of({x}, {e})",
    "m": "m_of({x}, {e})",
    "vs": "vs_of({x}, {e})",
    "min_flux_jy": "min({x})",
    "max_flux_jy": "max({x})",
    "max_snr": f"max(CASE WHEN {{x}} IS NOT NULL THEN CASE WHEN m.snr {_BOUNDS} THEN m.snr ELSE {{x}} / {{e}} END END)",
    "first_mjd": f"min(CASE WHEN {{x}} IS NOT NULL AND {_DATE} {_BOUNDS} THEN {_DATE} END)",
    "last_mjd": f"max(CASE WHEN {{x}} IS NOT NULL AND {_DATE} {_BOUNDS} THEN {_DATE} END)",
}


def light_curve_columns(source_id: str, *, kept: bool, flux_type: str | None = None) -> str:
    """SQL of the columns, each with a comma before it.

    Parameters
    ----------
    source_id
        SQL for the source.
    kept
        Whether a row ``s`` of the summary is at hand.
    flux_type
        ``None`` for the integrated flux where a source has one, else the peak.
    """
    has_integrated = f"EXISTS (SELECT 1 {_MEASUREMENTS} AND m.flux_jy {_BOUNDS})"
    columns = {
        "flux_type": f"'{flux_type}'"
        if flux_type
        else _choice("s.integrated_n > 0" if kept else "", has_integrated, ("'integrated'", "'peak'") * 2),
        "n_points": "s.n_points" if kept else f"(SELECT count(*) {_MEASUREMENTS})",
        "peak_flux_jy": _of("max_flux_jy", "peak", kept),
    }
    for name in KEPT:
        if flux_type:
            columns[name] = _of(name, flux_type, kept)
            continue
        sums, rows = [KEPT[name].format(t=kind) for kind in FLUX_TYPES], [_rows(name, kind) for kind in FLUX_TYPES]
        columns[name] = _choice("s.integrated_n > 0" if kept else "", has_integrated, (*sums, *rows))
    return "".join(f",\n           {sql} AS {name}" for name, sql in columns.items()).replace("{id}", source_id)


def _choice(kept_condition: str, condition: str, alternatives: tuple[str, ...]) -> str:
    """By default flux type: of the sums (integrated, peak) where they are settled, else of the rows (the same)."""
    kept_integrated, kept_peak, integrated, peak = alternatives
    rows = f"CASE WHEN {condition} THEN {integrated} ELSE {peak} END"
    if not kept_condition:
        return rows
    sums = f"WHEN {kept_condition} THEN {kept_integrated} ELSE {kept_peak}"
    return f"CASE WHEN s.unsettled THEN {rows} {sums} END"


def _of(name: str, kind: str, kept: bool) -> str:
    rows = _rows(name, kind)
    return f"CASE WHEN s.unsettled THEN {rows} ELSE {KEPT[name].format(t=kind)} END" if kept else rows


def _rows(name: str, kind: str) -> str:
    x = f"CASE WHEN {_FLUX[kind]} {_BOUNDS} THEN {_FLUX[kind]} END"
    usable = f"{_FLUX[kind]} {_BOUNDS} AND {_ERROR[kind]} BETWEEN 1e-75 AND 1e75"
    e = f"CASE WHEN {usable} THEN {_ERROR[kind]} END"
    return f"(SELECT {WORKED_OUT[name].format(x=x, e=e)} {_MEASUREMENTS})"
