"""Small grey pictures, drawn without matplotlib: the plane between its 1st and 99.5th percentile."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from app.services.fits import RadioImage
from app.services.pictures.planes import north_up, read_plane
from app.services.pictures.stretches import limits

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Bytes = NDArray[numpy.uint8]


def draw_thumbnail(image: RadioImage, size_px: int, file: IO[bytes]) -> None:
    """Write an open image as a grey PNG whose longer side is ``size_px``; pixels without a value are transparent."""
    import numpy as np
    from PIL import Image

    pixels = north_up(read_plane(image, size_px)).pixels
    low, high = limits(pixels)
    grey = as_bytes((pixels - low) / (high - low), 255)
    picture = Image.fromarray(grey[::-1])
    opaque = np.isfinite(pixels)
    if not opaque.all():
        mask = Image.fromarray(np.where(opaque[::-1], 255, 0).astype(np.uint8))
        picture = Image.merge("LA", [picture, mask])
    picture.resize(scaled(pixels.shape, size_px), Image.Resampling.LANCZOS).save(file, "PNG", optimize=True)


def as_bytes(brightness: Any, highest: int) -> Bytes:
    """Whole numbers from 0 to ``highest`` for a brightness from 0 to 1; what is beyond is cut off, NaN gets 0."""
    import numpy as np

    part = np.clip(np.nan_to_num(brightness, nan=0.0), 0.0, 1.0)
    whole: Bytes = np.rint(part * highest).astype(np.uint8)
    return whole


def scaled(shape: tuple[int, ...], size_px: int) -> tuple[int, int]:
    """Width and height of a picture of (rows, columns) whose longer side is ``size_px``."""
    factor = size_px / max(shape)
    return max(1, round(shape[1] * factor)), max(1, round(shape[0] * factor))
