"""Several images of the same sky, one after another, as a GIF: each on the grid of the first, with its date."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any

from app.domain.errors import TooFewImages
from app.services.pictures.planes import Plane, resampled
from app.services.pictures.stretches import norm
from app.services.pictures.thumbnails import as_bytes, scaled

if TYPE_CHECKING:
    from PIL.Image import Image

FEWEST_FRAMES = 2

# Fewer shades than a GIF could have: noise in 256 of them hardly compresses. The last three are not the colour map's.
_HIGHEST = 60
_BLANK, _PAPER, _INK = 61, 62, 63
_FIXED_COLOURS = ((0x39, 0x42, 0x4D), (0x12, 0x16, 0x1C), (0xE8, 0xEB, 0xEF))


def draw_animation(
    reference: Plane, frames: Iterable[tuple[str, Plane]], *, fps: float, size_px: int, cmap: str, file: IO[bytes]
) -> None:
    """Write planes as an animated GIF that repeats for ever.

    Parameters
    ----------
    reference
        Whose grid and range of values all frames have, so that nothing moves and only sources change.
    frames
        What to stamp on each, and its pixels; read one at a time.
    fps
        Frames a second.
    size_px
        Longer side.
    cmap
        Colour map.
    file
        Where to write.

    Raises
    ------
    TooFewImages
        There are fewer than two.
    """
    brightness = norm(reference.pixels, "asinh")
    palette = _palette(cmap)
    pictures = []
    for stamp, plane in frames:
        picture = _picture(_on_grid(plane, reference), brightness, size_px, palette)
        _stamp(picture, stamp, max(11, size_px // 32))
        pictures.append(picture)
    if len(pictures) < FEWEST_FRAMES:
        raise TooFewImages("Fewer than two readable images show this field", readable=len(pictures))
    pictures[0].save(
        file, "GIF", save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0, disposal=1
    )


def _picture(plane: Plane, brightness: Any, size_px: int, palette: bytes) -> Image:
    import numpy as np
    from PIL import Image

    size = scaled(plane.pixels.shape, size_px)
    shades = as_bytes(np.ma.filled(brightness(plane.pixels[::-1]), 0.0), _HIGHEST)
    larger = np.asarray(Image.fromarray(shades).resize(size, Image.Resampling.BICUBIC))
    blank = Image.fromarray(np.where(np.isfinite(plane.pixels[::-1]), 0, 255).astype(np.uint8)).resize(size)
    picture = Image.fromarray(np.minimum(larger, _HIGHEST))
    picture.paste(_BLANK, mask=blank)
    picture.putpalette(palette)
    return picture


def _stamp(picture: Image, text: str, height: int) -> None:
    """Write a text upon a plate in the lower left corner; ``height`` of the letters [px]."""
    from PIL import ImageDraw, ImageFont

    draw = ImageDraw.Draw(picture)
    draw.fontmode = "1"  # letters of one colour: the palette has none for shades between
    font = ImageFont.load_default(size=height)
    at = (height * 0.7, picture.height - height * 0.7)
    left, top, right, bottom = draw.textbbox(at, text, font, anchor="ls")
    margin = height // 3
    draw.rectangle((left - margin, top - margin, right + margin, bottom + margin), fill=_PAPER)
    draw.text(at, text, _INK, font, anchor="ls")


def _on_grid(plane: Plane, reference: Plane) -> Plane:
    """The plane on the reference's grid; pixel by pixel where either does not know its coordinates."""
    import numpy as np

    if plane.wcs is not None and reference.wcs is not None:
        return resampled(plane, reference.wcs, reference.pixels.shape)
    pixels = np.full_like(reference.pixels, np.nan)
    ny, nx = (min(a, b) for a, b in zip(pixels.shape, plane.pixels.shape, strict=True))
    pixels[:ny, :nx] = plane.pixels[:ny, :nx]
    return Plane(pixels, None)


def _palette(cmap: str) -> bytes:
    import matplotlib
    import numpy as np

    colours = matplotlib.colormaps[cmap](np.linspace(0.0, 1.0, _HIGHEST + 1))[:, :3]
    return bytes(np.rint(colours * 255).astype(np.uint8).ravel()) + b"".join(map(bytes, _FIXED_COLOURS))
