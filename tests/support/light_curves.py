"""Variability metrics worked out from the pipeline's photometry table by numpy: two passes, every pair compared."""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np

from tests.support.pipeline_schema import columns_of

COLUMNS = (
    "n_points", "n_fluxes", "mean_flux_jy", "weighted_mean_flux_jy", "weighted_mean_flux_err_jy", "v", "eta", "m",
    "vs", "min_flux_jy", "max_flux_jy", "max_snr", "first_mjd", "last_mjd",
)  # fmt: skip
Metrics = dict[str, Any]


def true_metrics(connection: sqlite3.Connection, flux_type: str) -> dict[str, Metrics]:
    """The metrics of every source in one type of flux."""
    present = columns_of(connection, "photometry")
    flux = {"integrated": ["flux_jy"], "peak": ["peak_jyb", "peak_flux_jy"]}[flux_type]
    names = ["mjd", "measured_at", "snr", {"integrated": "flux_err_jy", "peak": "peak_err_jyb"}[flux_type], *flux]
    read = ", ".join(name if name in present else f"NULL AS {name}" for name in names)
    curves: dict[str, list[list[Any]]] = {}
    for source, *row in connection.execute(f"SELECT source_id, {read} FROM photometry WHERE source_id IS NOT NULL"):
        curves.setdefault(source, []).append(row)
    return {source: _metrics(rows) for source, rows in curves.items()}


def number(value: Any) -> float:
    """A number, NaN where there is none."""
    return float(value) if isinstance(value, int | float) and abs(value) <= 1e75 else np.nan


def _metrics(rows: list[list[Any]]) -> Metrics:
    mjd, measured_at, snr, err, *flux = zip(*rows, strict=True)
    raw = [next((value for value in values if value is not None), None) for values in zip(*flux, strict=True)]
    dates = [t / 86400 + 40587 if m is None and t is not None else m for m, t in zip(mjd, measured_at, strict=True)]
    x, e, s, t = (np.array([number(value) for value in column], dtype=float) for column in (raw, err, snr, dates))
    known = ~np.isnan(x)
    x, e, s, t = x[known], e[known], s[known], t[known]
    e[~(e >= 1e-75)] = np.nan
    s = np.where(np.isnan(s), x / e, s)
    found: Metrics = dict.fromkeys(COLUMNS) | {"n_points": len(rows), "n_fluxes": len(x)}
    if len(x):
        found |= {"mean_flux_jy": np.mean(x), "min_flux_jy": x.min(), "max_flux_jy": x.max()}
    if len(x) > 1 and np.mean(x) > 0:
        found["v"] = np.std(x, ddof=1) / np.mean(x)
    for name, extreme, values in (("max_snr", np.max, s), ("first_mjd", np.min, t), ("last_mjd", np.max, t)):
        if not np.isnan(values).all():
            found[name] = extreme(values[~np.isnan(values)])
    return found | _weighted(x[~np.isnan(e)], e[~np.isnan(e)])


def _weighted(x: np.ndarray, e: np.ndarray) -> Metrics:
    if not len(x):
        return {}
    mean = np.average(x, weights=e**-2)
    found: Metrics = {"weighted_mean_flux_jy": mean, "weighted_mean_flux_err_jy": np.sum(e**-2) ** -0.5}
    if len(x) < 2:
        return found
    mean = mean + np.average(x - mean, weights=e**-2)
    i, j = np.triu_indices(len(x), 1)
    with np.errstate(all="ignore"):
        m, vs = 2 * np.abs(x[i] - x[j]) / (x[i] + x[j]), np.abs(x[i] - x[j]) / np.sqrt(e[i] ** 2 + e[j] ** 2)
    use = (vs >= 4.3) & (x[i] + x[j] > 0)
    best = max(zip(m[use], vs[use], strict=True), default=(0.0, 0.0))
    return found | {"eta": np.sum(((x - mean) / e) ** 2) / (len(x) - 1), "m": best[0], "vs": best[1]}
