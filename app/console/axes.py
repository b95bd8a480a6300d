"""Axes of drawings: from values to pixels, and where the ticks stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from app.domain.time import iso_from_unix, unix_from_mjd


class Tick(NamedTuple):
    """A place on an axis [px], and what is written there."""

    at: float
    text: str


class Axis(NamedTuple):
    """A linear axis from ``low`` at ``start`` [px] to ``high`` at ``end`` [px]."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value lies [px]."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def spanning(values: Sequence[float], start: float, end: float, *, air: float = 0.06) -> Axis:
    """An axis that shows every value with some air around them."""
    low, high = min(values), max(values)
    margin = (high - low) * air or abs(high) * air or 1.0
    return Axis(low - margin, high + margin, start, end)


def step_for(span: float, most: int) -> float:
    """A step of 1, 2 or 5 times a power of ten that divides a span into at most so many parts."""
    raw = span / most
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))


def linear_ticks(axis: Axis, most: int = 6) -> list[Tick]:
    """Ticks at round values."""
    step = step_for(axis.high - axis.low, most)
    decimals = max(0, -math.floor(math.log10(step)))
    first = math.ceil(axis.low / step)
    values = [n * step for n in range(first, math.floor(axis.high / step) + 1)]
    return [Tick(axis.at(value), f"{value + 0.0:.{min(decimals, 9)}f}".replace("-", "\u2212")) for value in values]


def decade_ticks(axis: Axis) -> list[Tick]:
    """Ticks of an axis of common logarithms: powers of ten, between them 2 and 5 where there are few."""
    few = axis.high - axis.low < 2.5
    found = []
    for power in range(math.floor(axis.low), math.ceil(axis.high) + 1):
        for factor in (1, 2, 5) if few else (1,):
            logarithm = power + math.log10(factor)
            if axis.low <= logarithm <= axis.high:
                found.append(Tick(axis.at(logarithm), f"{factor * 10.0**power:g}"))
    return found


def date_ticks(axis: Axis, most: int = 6) -> list[Tick]:
    """Ticks of an axis of Modified Julian Dates: UTC dates, with the time where less than a few days are shown."""
    span = axis.high - axis.low
    steps = (1 / 24, 1 / 8, 1 / 4, 1 / 2, 1, 2, 5, 7, 14, 30, 60, 91, 182, 365, 730)
    step = next((step for step in steps if span / step <= most), step_for(span, most))
    values = [n * step for n in range(math.ceil(axis.low / step), math.floor(axis.high / step) + 1)]
    return [Tick(axis.at(value), _date(value, with_time=step < 1)) for value in values]


def _date(mjd: float, *, with_time: bool) -> str:
    text = iso_from_unix(round(unix_from_mjd(mjd))) or ""
    return f"{text[5:10]} {text[11:16]}" if with_time else text[:10]
