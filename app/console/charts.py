"""Geometry of the plots whose points are links: light curves, and the η–V plane."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from app.console import formats, links
from app.console.axes import Axis, Tick, date_ticks, decade_ticks, linear_ticks, spanning
from app.domain.photometry import Measurement
from app.domain.sources import ContributingImage
from app.domain.time import iso_from_unix, unix_from_mjd

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 34, 40
# More would be neither seen nor clicked; the API's own plot shows every one.
MOST_POINTS = 500


class Frame(NamedTuple):
    """The frame of a plot [px] and its ticks."""

    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


class Epoch(NamedTuple):
    """A point of a light curve [px], the ends of its error bar where it has one, and what it says of itself."""

    x: float
    y: float
    high: float | None
    low: float | None
    grade: str
    url: str
    text: Markup


class LightCurve(NamedTuple):
    """A light curve in mJy; ``n_hidden`` points are older than those shown, ``n_missing`` have no flux or no time."""

    frame: Frame | None
    epochs: Sequence[Epoch]
    mean_y: float | None
    n_hidden: int
    n_missing: int


class Star(NamedTuple):
    """A source in the η–V plane [px]."""

    x: float
    y: float
    stands_out: bool
    url: str
    text: Markup


class Plane(NamedTuple):
    """The η–V plane; a threshold is a place on its axis [px]. ``n_missing`` sources have no logarithm there."""

    frame: Frame | None
    stars: Sequence[Star]
    eta_x: float | None
    v_y: float | None
    n_hidden: int
    n_missing: int

    @property
    def marks(self) -> Markup:
        """The sources as links with what they say of themselves."""
        if self.frame is None:
            return Markup()
        # Joined here: a template would take longer over them than the database over the page.
        tip = f'<text class="tip" x="{self.frame.right}" y="{self.frame.top - 12}" text-anchor="end">'
        return Markup(
            "\n".join(
                f'<a href="{escape(url)}" class="point{" out" if stands_out else ""}" aria-label="{text}">'
                f'<circle class="star" cx="{x}" cy="{y}" r="{5 if stands_out else 3.5}"/>'
                f"<title>{text}</title>{tip}{text}</text></a>"
                for x, y, stands_out, url, text in self.stars
            )
        )


class Metrics(NamedTuple):
    """What is plotted of a source."""

    id: str
    eta: float | None
    v: float | None


def light_curve(
    points: Iterable[Measurement], images: Mapping[str, ContributingImage], mean_jy: float | None
) -> LightCurve:
    """The drawing of a light curve.

    Parameters
    ----------
    points
        Measurements in the order of their observation [Jy].
    images
        Images on record, by path.
    mean_jy
        Weighted mean flux, for a line [Jy].
    """
    given = list(points)
    usable = [point for point in given if formats.is_known(point.mjd) and formats.is_known(point.flux_jy)]
    shown = usable[-MOST_POINTS:]
    if not shown:
        return LightCurve(None, [], None, 0, len(given))
    time = spanning([point.mjd or 0.0 for point in shown], LEFT, WIDTH - RIGHT, air=0.03)
    mean = [mean_jy * 1e3] if mean_jy is not None and formats.is_known(mean_jy) else []
    ends = [end for point in shown for end in _ends(point)]
    flux = spanning([*ends, *mean], HEIGHT - BOTTOM, TOP)
    epochs = [_epoch(point, images.get(point.image_path), time, flux) for point in shown]
    frame = Frame(date_ticks(time), linear_ticks(flux))
    return LightCurve(
        frame, epochs, flux.at(mean[0]) if mean else None, len(usable) - len(shown), len(given) - len(usable)
    )


def plane(sources: Iterable[Metrics], eta_threshold: float | None, v_threshold: float | None) -> Plane:
    """The drawing of the η–V plane, both axes logarithmic.

    Parameters
    ----------
    sources
        The most important first.
    eta_threshold, v_threshold
        What a candidate exceeds, ``None`` where there is no such thing.
    """
    given = list(sources)
    usable = [source for source in given if _has_logarithm(source.eta) and _has_logarithm(source.v)]
    shown = usable[:MOST_POINTS]
    if not shown:
        return Plane(None, [], None, None, 0, len(given))
    etas, vs = [math.log10(source.eta or 1) for source in shown], [math.log10(source.v or 1) for source in shown]
    lines = [math.log10(each) if each and each > 0 else None for each in (eta_threshold, v_threshold)]
    x = spanning([*etas, *(each for each in lines[:1] if each is not None)], LEFT, WIDTH - RIGHT)
    y = spanning([*vs, *(each for each in lines[1:] if each is not None)], HEIGHT - BOTTOM, TOP)
    limits = eta_threshold or math.inf, v_threshold or math.inf
    stars = [_star(source, x, y, limits) for source in shown]
    return Plane(
        Frame(decade_ticks(x), decade_ticks(y)),
        stars,
        None if lines[0] is None else x.at(lines[0]),
        None if lines[1] is None else y.at(lines[1]),
        len(usable) - len(shown),
        len(given) - len(usable),
    )


def _ends(point: Measurement) -> list[float]:
    flux, error = (point.flux_jy or 0.0) * 1e3, _error(point)
    return [flux] if error is None else [flux - error, flux + error]


def _error(point: Measurement) -> float | None:
    """Error of the flux [mJy], where it is one."""
    error = point.flux_err_jy
    return error * 1e3 if error is not None and formats.is_known(error) and error > 0 else None


def _epoch(point: Measurement, image: ContributingImage | None, time: Axis, flux: Axis) -> Epoch:
    mjd, value, error = point.mjd or 0.0, (point.flux_jy or 0.0) * 1e3, _error(point)
    when = (iso_from_unix(round(unix_from_mjd(mjd))) or "").replace("T", " ").rstrip("Z")
    grade = (image and image.qa_grade) or "ungraded"
    spread = "" if error is None else f" ± {formats.number(error, 3)}"
    name = f"image #{image.image_id}, {grade}" if image else "image no longer on record"
    return Epoch(
        time.at(mjd),
        flux.at(value),
        None if error is None else flux.at(value + error),
        None if error is None else flux.at(value - error),
        grade,
        links.image(image.image_id) if image else "",
        escape(f"{when} UTC: {formats.number(value)}{spread} mJy ({name})"),
    )


def _has_logarithm(value: float | None) -> bool:
    return value is not None and formats.is_known(value) and value > 0


def _star(source: Metrics, x: Axis, y: Axis, limits: tuple[float, float]) -> Star:
    eta, v = source.eta or 1.0, source.v or 1.0
    text = f"{source.id}: η {formats.number(eta, 3)}, V {formats.number(v, 3)}"
    stands_out = eta > limits[0] and v > limits[1]
    return Star(x.at(math.log10(eta)), y.at(math.log10(v)), stands_out, links.source(source.id), escape(text))
