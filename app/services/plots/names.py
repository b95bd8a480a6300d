"""Where names of points are written so that none hides another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from app.services.pictures import style
from app.services.plots.canvas import text_width

SIZE_PX = style.FONT_PX * 0.82
# Half of what a point takes.
_POINT_PX = 4.0
_MARGIN_PX = 2.0

_Box = tuple[float, float, float, float]


class Name(NamedTuple):
    """A name and its anchor [px], with the alignment to it; vertically it is centred."""

    text: str
    x: float
    y: float
    ha: str


def placed(names: Sequence[str], places: Sequence[tuple[float, float]], width: float, height: float) -> list[Name]:
    """Where names fit, the first first; those that fit nowhere are left out.

    Parameters
    ----------
    names
        In the order of importance.
    places
        Of what is named, in the same order [px].
    width, height
        Of the room for all of it [px].
    """
    taken = [(x - _POINT_PX, y - _POINT_PX, x + _POINT_PX, y + _POINT_PX) for x, y in places[: len(names)]]
    written = []
    for text, (x, y) in zip(names, places, strict=False):
        for name in _choices(text, x, y):
            box = _box(name)
            inside = box[0] >= 2.0 and box[2] <= width - 2.0 and box[1] >= 2.0 and box[3] <= height - 2.0
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                written.append(name)
                break
    return written


def _choices(text: str, x: float, y: float) -> Iterator[Name]:
    """Right, left, and a line above or below on either side or in the middle."""
    for up in (0.0, 12.0, -12.0):
        for ha, aside in (("left", 7.0), ("right", -7.0), ("center", 0.0)):
            if up or aside:
                yield Name(text, x + aside, y + up, ha)


def _box(name: Name) -> _Box:
    wide = text_width(name.text, SIZE_PX) * 1.1
    left = name.x - {"left": 0.0, "center": 0.5, "right": 1.0}[name.ha] * wide
    return left, name.y - SIZE_PX / 2.0, left + wide, name.y + SIZE_PX / 2.0


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
