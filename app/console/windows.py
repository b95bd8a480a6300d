"""Geometry of the drawing that shows when calibration tables are valid: a bar for each window on a line of time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from app.console import formats, links
from app.console.axes import Axis, Tick, date_ticks, spanning
from app.domain.time import iso_from_unix, unix_from_mjd

WIDTH, LEFT, RIGHT, TOP, ROW = 900, 190, 14, 8, 22
# More would be neither seen nor clicked.
MOST_BARS = 60
_STATES = {"active": "good", "retired": "idle", "failed": "fail"}


class Bar(NamedTuple):
    """Tables that share a window: where it is drawn [px], what it is called, its colour, and what it says of itself."""

    x: float
    y: float
    width: float
    label: str
    state: str
    url: str
    text: str
    is_chosen: bool
    opens_left: bool
    opens_right: bool


class Windows(NamedTuple):
    """The drawing; ``mark_x`` is the moment that matters [px]. ``n_missing`` tables have no window at all."""

    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    mark_x: float | None
    height: int
    n_hidden: int
    n_missing: int
    width: int = WIDTH
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    row: int = ROW


class _Window(NamedTuple):
    """A window [MJD], open where an end is not known, and the tables that share it."""

    start: float | None
    end: float | None
    set_name: str
    status: str
    tables: list[dict[str, Any]]


def windows(tables: Iterable[dict[str, Any]], *, mark_mjd: float | None = None, chosen: str = "") -> Windows:
    """The drawing of some tables' windows, those of a set as one.

    Parameters
    ----------
    tables
        Rows of the list of calibration tables.
    mark_mjd
        A moment to mark [MJD].
    chosen
        Path of the table that the drawing is about.
    """
    given = list(tables)
    found = _windows(given)
    shown = found[:MOST_BARS]
    n_missing = len(given) - sum(len(window.tables) for window in found)
    ends = [end for window in shown for end in (window.start, window.end) if end is not None]
    if not ends:
        return Windows([], [], None, 0, 0, len(given))
    if mark_mjd is not None:
        ends.append(mark_mjd)
    time = spanning(ends, LEFT, WIDTH - RIGHT, air=0.03)
    bars = [_bar(window, number, time, chosen) for number, window in enumerate(shown)]
    mark = None if mark_mjd is None else time.at(mark_mjd)
    height = TOP + ROW * len(shown) + 30
    return Windows(bars, date_ticks(time, 8), mark, height, len(found) - len(shown), n_missing)


def _windows(tables: Sequence[dict[str, Any]]) -> list[_Window]:
    """Tables by set and window, in the order in which they came."""
    together: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for table in tables:
        start, end = (_known(table[name]) for name in ("valid_start_mjd", "valid_end_mjd"))
        if start is not None or end is not None:
            key = (start, end, table["set_name"] or "no set", table["status"] or "unknown")
            together.setdefault(key, []).append(table)
    return list(itertools.starmap(_Window, ((*key, found) for key, found in together.items())))


def _bar(window: _Window, number: int, time: Axis, chosen: str) -> Bar:
    start, end = window.start, window.end
    left = time.start if start is None else time.at(start)
    right = time.end if end is None else time.at(end)
    paths = [table["path"] for table in window.tables]
    return Bar(
        x=min(left, right),
        y=TOP + ROW * number + 4,
        width=max(abs(right - left), 3.0),
        label=window.set_name if len(window.set_name) <= 27 else f"{window.set_name[:26]}…",
        state=_STATES.get(window.status, "idle"),
        url=_url(window, paths),
        text=f"{window.set_name}, {_types(window.tables)}, {window.status}: {_moment(start)} to {_moment(end)}",
        is_chosen=chosen in paths,
        opens_left=start is None,
        opens_right=end is None,
    )


def _url(window: _Window, paths: Sequence[str]) -> str:
    if len(paths) == 1 or window.tables[0]["set_name"] is None:
        return links.calibration_table(paths[0])
    return links.console("cal", [("set_name", window.set_name)])


def _types(tables: Sequence[dict[str, Any]]) -> str:
    return " ".join(dict.fromkeys(table["table_type"] or "?" for table in tables))


def _moment(mjd: float | None) -> str:
    if mjd is None:
        return "open"
    text = iso_from_unix(round(unix_from_mjd(mjd)))
    return text[:16].replace("T", " ") if text else f"MJD {mjd:.2f}"


def _known(mjd: Any) -> float | None:
    return float(mjd) if formats.is_known(mjd) else None
