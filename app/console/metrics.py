"""Metrics of a source beside what they mean, so that no one has to guess which of several conventions is meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from app.console import formats


class Metric(NamedTuple):
    """A metric of a source: symbol, value as shown, unit, and definition."""

    symbol: str
    name: str
    value: Markup | str
    unit: str
    definition: str


def definitions(row: Mapping[str, Any]) -> list[Metric]:
    """The metrics of a source.

    Parameters
    ----------
    row
        Values by name of column, as the list of sources publishes them.
    """
    flux, error = formats.in_milli(row["weighted_mean_flux_jy"]), formats.in_milli(row["weighted_mean_flux_err_jy"])
    unit = "mJy/beam" if row["flux_type"] == "peak" else "mJy"
    spread = Markup("{} … {}").format(formats.in_milli(row["min_flux_jy"]), formats.in_milli(row["max_flux_jy"]))
    return [
        Metric("I*", "weighted mean flux", Markup("{} ± {}").format(flux, error), unit, "Σ wI / Σ w with w = 1/σ²"),
        Metric("η", "reduced χ²", formats.number(row["eta"]), "", "Σ (I − I*)² / σ² over N − 1; 1 for a steady source"),
        Metric(
            "V", "coefficient of variation", formats.number(row["v"]), "", "sample standard deviation over mean flux"
        ),
        Metric(
            "|m|", "two-epoch modulation", formats.number(row["m"]), "",
            "largest 2 (S₁ − S₂) / (S₁ + S₂) among pairs with |Vs| ≥ 4.3; 0 without one; variable above 0.26",
        ),
        Metric("|Vs|", "its significance", formats.number(row["vs"]), "σ", "(S₁ − S₂) / √(σ₁² + σ₂²) of that pair"),
        Metric("", "range of flux", spread, unit, "smallest and largest flux measured"),
        Metric("", "largest SNR", formats.number(row["max_snr"]), "", "as measured, else flux over its error"),
        Metric("N", "fluxes", formats.whole(row["n_fluxes"]), "", f"of {row['n_points']} measurements"),
    ]  # fmt: skip
