"""Functions of SQL that the canonical views use on light curves; they are registered on this service's connections.

Only views use them. Triggers run in the pipeline's process, which does not know them.
"""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections.abc import Callable
from typing import Any

from app.domain.variability.metrics import coefficient_of_variation, reduced_chi_squared, two_epoch


class _Fluxes:
    """V of the fluxes of a group; NULL is no flux."""

    def __init__(self) -> None:
        self._fluxes: list[float] = []

    def step(self, flux: float | None) -> None:
        """One more row."""
        if flux is not None:
            self._fluxes.append(flux)

    def finalize(self) -> float | None:
        """V."""
        return coefficient_of_variation(self._fluxes)


class _Pairs:
    """A metric of the fluxes of a group that have an error; NULL is none."""

    metric: Callable[[list[tuple[float, float]]], float | None]

    def __init__(self) -> None:
        self._pairs: list[tuple[float, float]] = []

    def step(self, flux: float | None, error: float | None) -> None:
        """One more row."""
        if flux is not None and error is not None:
            self._pairs.append((flux, error))

    def finalize(self) -> float | None:
        """The metric."""
        return type(self).metric(self._pairs)


class _Eta(_Pairs):
    metric = staticmethod(reduced_chi_squared)


class _M(_Pairs):
    metric = staticmethod(lambda pairs: found.m if (found := two_epoch(pairs)) else None)


class _Vs(_Pairs):
    metric = staticmethod(lambda pairs: found.vs if (found := two_epoch(pairs)) else None)


class _Packed:
    """Two columns of a group as one value: doubles in turn, row after row, NaN for NULL."""

    def __init__(self) -> None:
        self._numbers = array("d")

    def step(self, one: float | None, other: float | None) -> None:
        """One more row."""
        self._numbers.append(math.nan if one is None else one)
        self._numbers.append(math.nan if other is None else other)

    def finalize(self) -> bytes:
        """The doubles, in the byte order of this machine."""
        return self._numbers.tobytes()


# Typeshed's protocol of an aggregate knows steps of one integer only.
AGGREGATES: tuple[tuple[str, int, Any], ...] = (
    ("variation_of", 1, _Fluxes),
    ("eta_of", 2, _Eta),
    ("m_of", 2, _M),
    ("vs_of", 2, _Vs),
    ("packed", 2, _Packed),
)


def register(connection: sqlite3.Connection) -> None:
    """Make ``variation_of(flux)``, ``eta_of``, ``m_of``, ``vs_of(flux, error)`` and ``packed(one, other)`` known.

    And ``sqrt``, where this SQLite was built without mathematical functions.
    """
    for name, arguments, aggregate in AGGREGATES:
        connection.create_aggregate(name, arguments, aggregate)
    try:
        connection.execute("SELECT sqrt(1.0)")
    except sqlite3.OperationalError:
        connection.create_function("sqrt", 1, _square_root, deterministic=True)


def _square_root(value: float | None) -> float | None:
    return None if value is None or value < 0 else math.sqrt(value)
