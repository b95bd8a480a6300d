"""What all plots have in common: paper of a size in pixels, title, notes, axes in dates, and PNG or SVG of it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, cast
from xml.sax.saxutils import escape

from app.domain.plots import Sheet
from app.services.pictures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

# Beyond so many, an SVG holds the points as a picture: as shapes they would weigh megabytes and stall its reader.
MOST_SHAPES = 2000

# The first colours of the series, lighter on dark paper.
_COLOURS = {
    "light": style.SERIES,
    "dark": ("#56B4E9", "#F0844A", "#2CC49A", "#E3A3C8", "#E69F00", "#8FCBF0"),
}
_PT_PER_PX = 72.0 / style.DPI
# What a letter takes on average, as a fraction of the font's size.
_LETTER = 0.6


class Canvas(NamedTuple):
    """A figure with its size before magnification [px], and its colours."""

    figure: Figure
    width: float
    height: float
    theme: style.Theme
    colours: Sequence[str]

    @property
    def is_small(self) -> bool:
        """Whether there is room for the essential only."""
        return self.width < 480.0

    def axes(self, left: float, bottom: float, right: float, top: float, **kwargs: Any) -> Axes:
        """Axes so far from the edges [px]."""
        box = (
            left / self.width,
            bottom / self.height,
            max(20.0, self.width - left - right) / self.width,
            max(20.0, self.height - bottom - top) / self.height,
        )
        return self.figure.add_axes(box, **kwargs)

    def write(self, x: float, y: float, text: str, **kwargs: Any) -> Text:
        """Text at a distance from the upper left corner [px], shown as it is."""
        at = x / self.width, 1.0 - y / self.height
        return self.figure.text(*at, printable(text), **{"va": "top", "ha": "left", "parse_math": False, **kwargs})

    def title(self, title: str, facts: Sequence[str], left: float) -> None:
        """Title, and a line of facts below it as long as the paper is wide."""
        room = self.width - left - 10.0
        size_px = style.FONT_PX * 1.25
        self.write(left, 14.0, fitted(title, room, size_px * 1.1), weight="bold", size=size_px * _PT_PER_PX)
        self.write(left, 39.0, joined(facts, room), color=self.theme.muted, size=style.FONT_PX * 0.95 * _PT_PER_PX)


@contextmanager
def canvas(sheet: Sheet, aspect: float) -> Iterator[Canvas]:
    """Paper for one plot; this thread alone draws until the end of the block.

    Parameters
    ----------
    sheet
        As asked for.
    aspect
        Height over width, where no height was asked for.
    """
    scale = style.scale_for(sheet.width_px)
    width, height = sheet.width_px / scale, height_px(sheet, aspect) / scale
    with style.drawing(sheet.theme, width_px=width, height_px=height, scale=scale) as figure:
        yield Canvas(figure, width, height, style.THEMES[sheet.theme], _COLOURS[sheet.theme])


def height_px(sheet: Sheet, aspect: float) -> int:
    """Height of a plot: as asked for, else in proportion, but never less than its letters need."""
    if sheet.height_px is not None:
        return sheet.height_px
    return round(max(sheet.width_px * aspect, 300.0 * style.scale_for(sheet.width_px)))


def save(drawn: Canvas, sheet: Sheet, format: str, title: str, file: IO[bytes]) -> None:
    """Write a plot; equal plots give equal bytes.

    An SVG gets the size that was asked for, and its title for those who do not see it.
    """
    if format == "png":
        style.save(drawn.figure, file)
        return
    made = io.BytesIO()
    style.save(drawn.figure, made, cast('Literal["svg"]', format))
    head, opening, rest = made.getvalue().partition(b"<svg ")
    attributes, _, body = rest.partition(b">")
    box = attributes.partition(b"viewBox=")[2].split(b'"')[1].decode()
    scale = style.scale_for(sheet.width_px)
    size = f'width="{sheet.width_px}" height="{round(drawn.height * scale)}" viewBox="{box}"'
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" version="1.1"'
    named = f'{names} {size} role="img">\n <title>{escape(printable(title))}</title>'
    # Without the document type, which names a file elsewhere.
    file.write(head.partition(b"<!DOCTYPE")[0] + opening + named.encode() + body)


def dates(axes: Axes, room_px: float) -> None:
    """Let a horizontal axis in days since 1970 show UTC dates and times."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=2, maxticks=max(3, int(room_px / 80.0)))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def say(axes: Axes, text: str, theme: style.Theme) -> None:
    """Put a message where nothing can be shown."""
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=theme.muted, parse_math=False,
        bbox={"facecolor": theme.paper, "edgecolor": "none", "pad": 6.0},
    )  # fmt: skip


def frame(axes: Axes, theme: style.Theme) -> None:
    """Thin lines at the left and below, a faint grid behind everything."""
    axes.set_axisbelow(True)
    axes.grid(True, axis="y")
    for side in axes.spines.values():
        side.set_color(theme.muted)
    axes.tick_params(color=theme.muted)


def printable(text: str) -> str:
    """Text without what cannot be drawn or may not stand in XML."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def text_width(text: str, size_px: float = style.FONT_PX) -> float:
    """About how wide a text becomes [px]."""
    return _LETTER * size_px * len(text)


def fitted(text: str, room_px: float, size_px: float = style.FONT_PX) -> str:
    """Text cut to a width."""
    most = max(4, int(room_px / (_LETTER * size_px)))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def joined(facts: Sequence[str], room_px: float) -> str:
    """As many of some facts in a line as fit, the first of them in any case."""
    line = ""
    for fact in filter(None, facts):
        longer = f"{line}   ·   {fact}" if line else fact
        if line and text_width(longer, style.FONT_PX * 0.9) > room_px:
            break
        line = longer
    return line
