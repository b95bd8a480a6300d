"""Geometry of the drawing of images by day and grade: a column for each day, a link for each part of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from app.console import links
from app.console.axes import Axis, Tick, linear_ticks
from app.domain.graded_days import GradedDay

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 240, 46, 14, 14, 30
GRADES = ("good", "warn", "fail", "ungraded")


class Part(NamedTuple):
    """Images of one day and grade: where they are drawn [px], and what that says of itself."""

    x: float
    y: float
    width: float
    height: float
    grade: str
    url: str
    text: str


class Columns(NamedTuple):
    """The drawing."""

    parts: Sequence[Part]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def columns_of(days: Sequence[GradedDay]) -> Columns:
    """The drawing of some days, oldest first."""
    most = max((day.total for day in days), default=0)
    number = Axis(0, most or 1, HEIGHT - BOTTOM, TOP)
    room = (WIDTH - LEFT - RIGHT) / max(len(days), 1)
    parts = [part for n, day in enumerate(days) for part in _parts(day, LEFT + room * n, room, number)]
    every = max(1, -(-len(days) // 10))
    dates = [Tick(round(LEFT + room * (n + 0.5), 1), day.date[5:]) for n, day in enumerate(days) if n % every == 0]
    whole = [tick for tick in linear_ticks(number, 5) if "." not in tick.text]
    return Columns(parts, dates, whole)


def images_of(day: str, grade: str = "") -> str:
    """The list of the images made on a day (ISO 8601), of one grade or of all; empty where no filter says so."""
    if grade == "ungraded":
        return ""
    last = f"{date.fromisoformat(day).isoformat()}T23:59:59.999999"
    chosen = [("qa_grade", grade)] if grade else []
    return links.console("images", [("min_created_at", day), ("max_created_at", last), *chosen])


def _parts(day: GradedDay, x: float, room: float, number: Axis) -> list[Part]:
    parts, below = [], 0
    for grade in GRADES:
        n = getattr(day, grade)
        if n:
            top, bottom = number.at(below + n), number.at(below)
            text = f"{day.date}: {n} {grade}"
            width = round(max(room * 0.78, 1.0), 1)
            parts.append(
                Part(
                    round(x + room * 0.11, 1),
                    top,
                    width,
                    round(bottom - top, 1),
                    grade,
                    images_of(day.date, grade),
                    text,
                )
            )
            below += n
    return parts
