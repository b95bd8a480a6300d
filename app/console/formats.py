"""Numbers, positions and times as people of the field read them."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

from app.domain.time import iso_from_unix, mjd_from_unix, unix_from_mjd

MISSING = Markup('<span class="none" title="not known">–</span>')
_NUMBERS = (int, float)
# A page is made anew after every commit, mostly of the values that it had before.
_KEPT = lru_cache(maxsize=4096)
_RECENT_S = 30 * 86400
_UNITS = (("d", 86400), ("h", 3600), ("min", 60))
_GRADES = {"good": "●", "warn": "▲", "fail": "✕"}


def is_known(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, _NUMBERS) and math.isfinite(value)


@_KEPT
def number(value: Any, digits: int = 4) -> Markup | str:
    """A number to so many significant digits, without an exponent where that stays short."""
    if not is_known(value):
        return MISSING
    size = abs(value)
    if 1e-4 <= size < 10**digits - 0.5:
        shown = f"{value:#.{digits}g}".rstrip(".")
    elif value == 0 or 1 <= size < 1e7:
        shown = f"{value:.0f}"
    else:
        shown = f"{value:.{digits - 1}e}"
    return shown.replace("-", "\u2212") if "-" in shown else shown


def whole(value: Any) -> Markup | str:
    """A count, in groups of three."""
    return f"{value:,}".replace(",", "\u202f") if is_known(value) else MISSING


def counted(n: int, noun: str) -> str:
    """A number of things: ``1 image``, ``3 batches``."""
    plural = f"{noun}{'es' if noun.endswith('ch') else 's'}"
    return f"{whole(n)} {noun if n == 1 else plural}"


@_KEPT
def degrees(value: Any) -> Markup | str:
    """An angle to a third of an arcsecond."""
    return f"{value:.4f}°".replace("-", "\u2212") if is_known(value) else MISSING


@_KEPT
def right_ascension(ra_deg: Any) -> Markup | str:
    """Right ascension in hours, to a hundredth of a second."""
    if not is_known(ra_deg):
        return MISSING
    hundredths = round(ra_deg % 360.0 / 15.0 * 360_000) % (24 * 360_000)
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest / 100:05.2f}"


@_KEPT
def declination(dec_deg: Any) -> Markup | str:
    """Declination in degrees, to a tenth of an arcsecond."""
    if not is_known(dec_deg):
        return MISSING
    tenths = round(abs(dec_deg) * 36_000)
    minutes, rest = divmod(tenths, 600)
    return f"{'−' if dec_deg < 0 < tenths else '+'}{minutes // 60:02d}:{minutes % 60:02d}:{rest / 10:04.1f}"


def moment(unix_s: Any) -> Markup:
    """A time in UTC; the script adds how long ago that is."""
    text = iso_from_unix(unix_s) if is_known(unix_s) else None
    if text is None:
        return MISSING
    shown = f"{text[:10]}\u00a0{text[11:19]}"
    return _time(text, unix_s, shown)


def ago(unix_s: Any) -> Markup:
    """How long ago a time was, the exact one on hover; the exact one where that was long ago or is to come.

    For pages that are made anew each time only: one that is kept would soon be wrong.
    """
    text = iso_from_unix(unix_s) if is_known(unix_s) else None
    seconds = time.time() - unix_s if text else -1.0
    if text is None or not 0 <= seconds < _RECENT_S:
        return moment(unix_s)
    name, length = next((unit for unit in _UNITS if seconds >= unit[1]), ("s", 1))
    return _time(text, unix_s, f"{seconds // length:.0f}\u00a0{name} ago")


def _time(iso: str, unix_s: float, shown: str) -> Markup:
    title = f"{iso[:10]}\u00a0{iso[11:19]} UTC, MJD {mjd_from_unix(unix_s):.5f}"
    return Markup(f'<time datetime="{iso}" title="{title}">{shown}</time>')


def observed(mjd: Any) -> Markup:
    """A time given as Modified Julian Date."""
    return moment(to_unix(mjd))


def to_unix(mjd: Any) -> int | None:
    """Unix time of a Modified Julian Date, to the second."""
    return round(unix_from_mjd(mjd)) if is_known(mjd) else None


def lasting(seconds: Any) -> Markup | str:
    """A time span [s] in the two largest units that matter."""
    if not is_known(seconds):
        return MISSING
    if abs(seconds) < 60:
        return f"{number(seconds, 2)} s"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min {rest_s} s"


@lru_cache(maxsize=256)
def grade(word: str | None) -> Markup:
    """A quality grade: a sign, a word and a colour, so that none of them is needed alone."""
    known = word if word in _GRADES else "ungraded"
    sign = _GRADES.get(known, "○")
    return Markup('<span class="grade {0}"><span aria-hidden="true">{1}</span> {0}</span>').format(known, sign)


@lru_cache(maxsize=256)
def state(word: str | None) -> Markup:
    """The state of a job or of something watched."""
    word = word or "unknown"
    return Markup('<span class="state {}">{}</span>').format(_STATES.get(word, "odd"), spelt(word))


def spelt(word: str) -> str:
    """A state as these pages spell it: the queue's own word for cancelled has one l less."""
    return "cancelled" if word == "canceled" else word


def as_set(value: Any) -> Markup:
    """A value of a configuration: text as it is, anything else as JSON."""
    if value is None or isinstance(value, str):
        return text(value)
    return escape(json.dumps(value, ensure_ascii=False, default=str))


def file_name(path: str | None) -> Markup:
    """The last part of a path, the whole of it on hover."""
    if not path:
        return MISSING
    name = path.rstrip("/").rpartition("/")[2]
    return Markup(f'<span class="path" title="{escape(path)}">{escape(name)}</span>')


def in_milli(value: Any, digits: int = 4) -> Markup | str:
    """A flux of so many Jy, in mJy."""
    return number(value * 1e3, digits) if is_known(value) else MISSING


def text(value: Any) -> Markup:
    """Any text, or that there is none."""
    return MISSING if value is None or value == "" else escape(value)


_STATES = {
    "ok": "well", "running": "busy", "healthy": "well", "completed": "well", "connected": "well",
    "active": "well", "done": "well", "finished": "well", "started": "busy", "queued": "idle", "canceled": "idle",
    "retired": "idle", "pending": "idle", "cancelled": "idle", "stopped": "idle", "not_found": "idle",
    "unavailable": "idle",
    "warning": "doubtful", "degraded": "doubtful",
    "failed": "ill", "error": "ill", "critical": "ill", "away": "ill",
}  # fmt: skip

FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "whole": whole,
    "counted": counted,
    "degrees": degrees,
    "ra": right_ascension,
    "dec": declination,
    "moment": moment,
    "observed": observed,
    "ago": ago,
    "to_unix": to_unix,
    "lasting": lasting,
    "grade": grade,
    "state": state,
    "as_set": as_set,
    "file_name": file_name,
    "in_milli": in_milli,
    "known": text,
}
