"""A picture for a slide: coordinates around it, a colour bar with its unit, the beam, the sources measured."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple

from app.domain.pictures import DETECTION_SNR, Look
from app.services.beams import Beam
from app.services.pictures import style
from app.services.pictures.planes import Plane
from app.services.pictures.scenes import Scene
from app.services.pictures.stretches import norm, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Room around the image [px at 100 dpi].
LEFT, RIGHT, BOTTOM, TOP = 96.0, 100.0, 58.0, 62.0
BAR_GAP, BAR_WIDTH = 10.0, 16.0
# An image more stretched than this is shown between empty margins.
_MOST_STRETCHED = 4.0
# Beside date and frequency.
_ROOM_FOR_LEGEND = 380.0

# Circles must stand out from the image: by the hue that its colour map lacks.
_CIRCLES = {"gray": "#ff9d2e", "gray_r": "#c2410c", "cubehelix": "#ffffff", "viridis": "#ffffff", "cividis": "#ffffff"}
_CIRCLE = "#5ee7ff"
CIRCLE_BEAMS = 1.3
_BRIGHT_SKY = {"gray_r"}


class Layout(NamedTuple):
    """Size of the figure and of the image in it [px]."""

    width: float
    height: float
    image_width: float
    image_height: float

    def box(self, left: float, bottom: float, width: float, height: float) -> tuple[float, float, float, float]:
        """A rectangle of pixels as fractions of the figure."""
        return left / self.width, bottom / self.height, width / self.width, height / self.height


def layout(shape: tuple[int, int], size_px: float) -> Layout:
    """The largest image, with its surroundings, whose longer side is ``size_px``.

    Parameters
    ----------
    shape
        Rows and columns of the image.
    size_px
        Longer side of the figure.
    """
    aspect = min(max(shape[0] / shape[1], 1 / _MOST_STRETCHED), _MOST_STRETCHED)
    image_width = min(size_px - LEFT - RIGHT, (size_px - BOTTOM - TOP) / aspect)
    image_height = image_width * aspect
    return Layout(image_width + LEFT + RIGHT, image_height + BOTTOM + TOP, image_width, image_height)


def draw_preview(scene: Scene, look: Look, file: IO[bytes]) -> None:
    """Write a scene as PNG."""
    scale = style.scale_for(look.size_px)
    place = layout(scene.plane.pixels.shape, look.size_px / scale)
    with style.drawing(look.theme, width_px=place.width, height_px=place.height, scale=scale) as figure:
        axes = figure.add_axes(
            place.box(LEFT, BOTTOM, place.image_width, place.image_height),
            **({} if scene.plane.wcs is None else {"projection": scene.plane.wcs}),
        )
        _draw_image(figure, axes, scene, look, place)
        _label(axes, scene.plane, look)
        if look.beam and scene.beam is not None:
            _draw_beam(axes, scene.plane, scene.beam, look)
        if look.sources:
            _draw_sources(axes, scene, look, place)
        _write_title(figure, scene, look, place)
        style.save(figure, file)


def _draw_image(figure: Figure, axes: Axes, scene: Scene, look: Look, place: Layout) -> None:
    import matplotlib

    theme = style.THEMES[look.theme]
    colours = matplotlib.colormaps[look.cmap].with_extremes(bad=theme.blank)
    shown = axes.imshow(
        scene.plane.pixels, origin="lower", cmap=colours, norm=norm(scene.plane.pixels, look.stretch), aspect="equal",
        interpolation="antialiased",
    )  # fmt: skip
    at = LEFT + place.image_width + BAR_GAP
    bar = figure.add_axes(place.box(at, BOTTOM, BAR_WIDTH, place.image_height))
    figure.colorbar(shown, cax=bar)
    bar.set_ylabel(scene.unit, parse_math=False)
    bar.minorticks_off()
    values = ticks(shown.norm, least=2.0 * style.FONT_PX / place.image_height)
    bar.set_yticks(values, [f"{value:.6g}".replace("-", "\N{MINUS SIGN}") for value in values])


def _label(axes: Any, plane: Plane, look: Look) -> None:
    theme = style.THEMES[look.theme]
    if plane.wcs is None:
        axes.set(xlabel="x [px]", ylabel="y [px]")
        axes.grid(look.grid)
        return
    frame = (plane.wcs.wcs.radesys.strip() or "ICRS").replace("FK5", "J2000")
    for axis, name in ((axes.coords[0], "Right ascension"), (axes.coords[1], "Declination")):
        axis.set_axislabel(f"{name} ({frame})")
        axis.set_ticks(number=4, color=theme.muted, direction="out")
        axis.set_ticklabel(exclude_overlapping=True)
        axis.display_minor_ticks(False)
    axes.coords[1].set_ticklabel(rotation="vertical", va="center")
    axes.coords[0].set_ticks_position("b")
    axes.coords[1].set_ticks_position("l")
    if look.grid:
        axes.coords.grid(color=_circle_colour(look), alpha=0.35, linestyle="-", linewidth=0.6)


def _draw_beam(axes: Axes, plane: Plane, beam: Beam, look: Look) -> None:
    """The beam's half-maximum ellipse in the lower left corner, in the scale of the image, with its size."""
    from matplotlib.offsetbox import AnchoredOffsetbox, AuxTransformBox, TextArea, VPacker
    from matplotlib.patches import Ellipse

    theme = _overlay(look)
    words = TextArea(
        f'{beam.major_arcsec:.1f}" × {beam.minor_arcsec:.1f}", PA {beam.pa_deg:.0f}°',
        textprops={"size": style.FONT_PX * 0.6, "color": theme.ink},
    )
    children: list[Any] = [words]
    if plane.cell_arcsec is not None:
        ellipse = AuxTransformBox(axes.transData)
        size = beam.minor_arcsec / plane.cell_arcsec, beam.major_arcsec / plane.cell_arcsec
        # Position angles run from north through east, which is anticlockwise where east is left.
        ellipse.add_artist(Ellipse((0, 0), *size, angle=beam.pa_deg, facecolor=theme.ink, edgecolor="none"))
        children.insert(0, ellipse)
    packed = VPacker(children=children, align="center", pad=0, sep=3)
    box = AnchoredOffsetbox("lower left", child=packed, pad=0.35, borderpad=0.6, frameon=True)
    box.patch.set(facecolor=theme.paper, edgecolor="none", alpha=0.7)
    axes.add_artist(box)


def _draw_sources(axes: Axes, scene: Scene, look: Look, place: Layout) -> None:
    """A circle around each source: drawn out where it stands out from the noise, dotted where it does not."""
    colour = _circle_colour(look)
    handles = []
    for detected, line, sign in ((True, "-", "≥"), (False, ":", "<")):
        places = _pixels_of(scene, detected=detected)
        if places:
            _draw_circles(axes, scene, places, edgecolor=colour, linestyle=line)
            label = f"{len(places)} with S/N {sign} {DETECTION_SNR:.0f}"
            handles.append(
                axes.scatter([], [], s=70, facecolors="none", edgecolors=colour, linestyles=line, label=label)
            )
    if handles:
        theme = _overlay(look)
        # Above the image, where it hides no source; on a plate that the circles' colour is made for.
        loc: Literal["lower right", "upper right"] = (
            "lower right" if place.image_width >= _ROOM_FOR_LEGEND else "upper right"
        )
        axes.legend(
            handles=handles, loc=loc, bbox_to_anchor=(1.0, 1.0), borderaxespad=0.4, handletextpad=0.2,
            facecolor=theme.paper, edgecolor="none", labelcolor=theme.ink,
        )  # fmt: skip


def _draw_circles(axes: Axes, scene: Scene, places: list[tuple[float, float]], **line: Any) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Circle

    cell_arcsec, beam = scene.plane.cell_arcsec, scene.beam
    by_beam_px = CIRCLE_BEAMS * beam.major_arcsec / cell_arcsec if beam is not None and cell_arcsec else 0.0
    radius_px = max(by_beam_px, 0.012 * max(scene.plane.pixels.shape))
    circles = [Circle(place, radius_px) for place in places]
    axes.add_collection(PatchCollection(circles, facecolor="none", linewidth=1.2, **line), autolim=False)


def _pixels_of(scene: Scene, *, detected: bool) -> list[tuple[float, float]]:
    """Pixels of those sources that lie in the image."""
    import numpy as np
    from astropy.coordinates import SkyCoord

    chosen = [source for source in scene.sources if source.detected == detected]
    places = [(source.ra_deg, source.dec_deg) for source in chosen if None not in (source.ra_deg, source.dec_deg)]
    if scene.plane.wcs is None or not places:
        return []
    ny, nx = scene.plane.pixels.shape
    found = scene.plane.wcs.world_to_pixel(SkyCoord(np.array(places), unit="deg"))
    inside = ((float(x), float(y)) for x, y in zip(*found, strict=True))
    return [(x, y) for x, y in inside if -0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5]


def _write_title(figure: Figure, scene: Scene, look: Look, place: Layout) -> None:
    theme = style.THEMES[look.theme]
    left, top = LEFT / place.width, (place.height - 14.0) / place.height
    figure.text(left, top, scene.field, va="top", ha="left", weight="bold", size=style.FONT_PX * 0.9, parse_math=False)
    facts = "   ·   ".join(scene.facts)
    figure.text(left, top - 22.0 / place.height, facts, va="top", ha="left", color=theme.muted)


def _overlay(look: Look) -> style.Theme:
    """Colours of what is written upon the image: as dark as the sky in it."""
    return style.THEMES["light" if look.cmap in _BRIGHT_SKY else "dark"]


def _circle_colour(look: Look) -> str:
    return _CIRCLES.get(look.cmap, _CIRCLE)
