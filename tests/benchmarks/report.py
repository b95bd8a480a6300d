"""Figures beside what is required of them, as a Markdown table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal, NamedTuple


class Figure(NamedTuple):
    """Something measured; without a limit it is there to be read."""

    what: str
    value: float
    unit: str = ""
    bound: Literal["≤", "≥", ""] = ""
    limit: float = 0.0

    @property
    def verdict(self) -> str:
        """Whether the requirement is met; empty without one."""
        if not self.bound:
            return ""
        return "yes" if (self.value <= self.limit if self.bound == "≤" else self.value >= self.limit) else "**no**"

    @property
    def measured(self) -> str:
        """The value in words."""
        return f"{_plain(self.value)} {self.unit}".strip()

    @property
    def line(self) -> str:
        """All of it in one line."""
        return f"{self.what}: {self.measured} {f'({self.required}: {self.verdict})' if self.bound else ''}".strip()

    @property
    def required(self) -> str:
        """The requirement in words."""
        return f"{self.bound} {_plain(self.limit)} {self.unit}".strip() if self.bound else ""


def at_most(what: str, value: float, unit: str, limit: float) -> Figure:
    """A figure that must not be larger."""
    return Figure(what, value, unit, "≤", limit)


def at_least(what: str, value: float, unit: str, limit: float) -> Figure:
    """A figure that must not be smaller."""
    return Figure(what, value, unit, "≥", limit)


def markdown(figures: Iterable[Figure]) -> str:
    """One table."""
    lines = ["| what | measured | required | met |", "|---|---|---|---|"]
    for figure in figures:
        lines.append(f"| {figure.what} | {figure.measured} | {figure.required} | {figure.verdict} |")
    return "\n".join(lines)


def as_json(figures: Iterable[Figure], circumstances: dict[str, str]) -> str:
    """For programs."""
    measured = [
        {**figure._asdict(), "bound": figure.bound or None, "met": {"yes": True, "": None}.get(figure.verdict, False)}
        for figure in figures
    ]
    return json.dumps({"circumstances": circumstances, "figures": measured}, indent=2, ensure_ascii=False)


def _plain(number: float) -> str:
    if number == int(number):
        return f"{int(number):,}"
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"
