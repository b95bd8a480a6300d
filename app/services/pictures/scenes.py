"""What a picture of an image shows: pixels in a readable unit, beam, title and sources."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from app.domain.pictures import ImageSource, date_and_time
from app.domain.time import unix_from_iso
from app.services.beams import Beam
from app.services.fits import RadioImage
from app.services.pictures.planes import Plane, Window, north_up, read_plane

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

_DATE_IN_NAME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}", re.ASCII)
# Units of flux density from the smallest, each good from 1 in it upwards.
_UNITS = ((1e-3, 1e6, "µJy/beam"), (1.0, 1e3, "mJy/beam"), (float("inf"), 1.0, "Jy/beam"))


class Names(NamedTuple):
    """What to call an image whose header does not say: its file and its measurement set."""

    path: Path
    ms_path: str | None


class Scene(NamedTuple):
    """A plane ready to be drawn, north up, and what is written around it."""

    plane: Plane
    unit: str
    beam: Beam | None
    field: str
    facts: tuple[str, ...]
    sources: Sequence[ImageSource] = ()


def scene_of(
    image: RadioImage, names: Names, longest_px: int, window: Window | None = None, sources: Sequence[ImageSource] = ()
) -> Scene:
    """Read an open image, or a window of it, for a picture of about ``longest_px``."""
    plane = north_up(read_plane(image, longest_px, window))
    pixels, unit = in_readable_unit(plane.pixels, image)
    freq_ghz = image.band().freq_ghz
    facts = (observed(image, names), "" if freq_ghz is None else f"{freq_ghz:.3f} GHz")
    field = image.text("OBJECT") or names.path.name.split(".")[0]
    return Scene(
        Plane(pixels, plane.wcs), unit, image.beam(), field, tuple(fact for fact in facts if fact), tuple(sources)
    )


def in_readable_unit(pixels: NDArray[numpy.floating[Any]], image: RadioImage) -> tuple[Any, str]:
    """Pixels and their unit, such that the brightest is neither 0.0004 nor 40,000; other units stay as they are."""
    import numpy as np

    to_jy = image.jy_per_unit()
    if to_jy is None:
        return pixels, image.text("BUNIT") or ""
    brightest_jy = float(np.nanmax(np.abs(pixels))) * to_jy
    from_jy, unit = next((factor, unit) for limit, factor, unit in _UNITS if brightest_jy < limit)
    return pixels * np.float32(to_jy * from_jy), unit


def observed(image: RadioImage, names: Names) -> str:
    """When the observation began: by the header, else by the measurement set's or the file's name, else empty."""
    in_names = (_DATE_IN_NAME.search(text or "") for text in (names.ms_path, names.path.name))
    candidates = (image.text("DATE-OBS"), *(found[0] if found else None for found in in_names))
    for text in candidates:
        try:
            return date_and_time(unix_from_iso(text or ""))
        except ValueError:
            continue
    return ""
