"""Images by the ObsCore model, and which of them a request means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from app.domain.regions import Region, bounding_circle, meets
from app.domain.vo import COLLECTION, FACILITY, FITS, ImageRequest, Observation
from app.repositories.observations import ObservationRepository

_DIGITS = 9
_BYTES_PER_PIXEL = 4
_HEADER_BYTES = 5760


def row(image: Observation, base: str) -> tuple[Any, ...]:
    """An image as a row of ObsCore.

    Parameters
    ----------
    image
        The image.
    base
        What URLs of this service begin with.

    Notes
    -----
    The pipeline makes Stokes I of one channel and one time, and the databases know no other.
    """
    start_mjd, end_mjd = image.span_mjd
    shortest_m, longest_m = image.wavelengths_m
    return (
        "image",
        image.type,
        level(image),
        COLLECTION,
        image.run_id or f"image-{image.id}",
        image.identifier,
        f"{base}/api/v1/images/{image.id}/fits",
        FITS,
        _size_kbyte(image),
        image.field_name,
        None if image.ra_deg is None else image.ra_deg % 360.0,  # some are stored as -180 to 180
        image.dec_deg,
        diameter_deg(image),
        region(image),
        image.imsize_x,
        image.imsize_y,
        image.beam_major_arcsec,
        image.cellsize_arcsec,
        start_mjd,
        end_mjd,
        image.exposure_s,
        image.exposure_s,
        1,
        shortest_m,
        longest_m,
        resolving_power(image),
        1,
        "phot.flux.density",
        "/I/",
        1,
        FACILITY,
        FACILITY,
    )


def region(image: Observation) -> str | None:
    """The corners of an image in STC-S; ``None`` where its size is not known."""
    footprint = image.footprint
    if footprint is None or image.size_deg is None:
        return None
    numbers = (round(number, _DIGITS) for corner in footprint.corners for number in corner)
    return f"POLYGON ICRS {' '.join(map(repr, numbers))}"


def level(image: Observation) -> int:
    """Calibration level: 3 for what was put together of several observations."""
    return 3 if "mosaic" in (image.type or "").lower() else 2


def diameter_deg(image: Observation) -> float | None:
    """Diameter of the circle around an image's corners."""
    extent = image.extent
    return None if extent is None else round(2.0 * extent.radius_deg, _DIGITS)


def resolving_power(image: Observation) -> float | None:
    """Frequency over bandwidth."""
    if not image.freq_ghz or not image.bandwidth_mhz:
        return None
    return image.freq_ghz * 1000.0 / image.bandwidth_mhz


def matching(images: ObservationRepository, request: ImageRequest) -> Iterator[Observation]:
    """The images that a request means, each once."""
    seen: set[int] = set()
    regions: Iterable[Region | None] = request.regions or (None,)
    for area in regions:
        around = bounding_circle(area) if area is not None else None
        for image in images.read(around, request.ids):
            if image.id not in seen and _shows(image, area) and _fits(image, request):
                seen.add(image.id)
                yield image


def _shows(image: Observation, area: Region | None) -> bool:
    if area is None:
        return True
    footprint = image.footprint
    return footprint is not None and meets(area, footprint)


def _fits(image: Observation, request: ImageRequest) -> bool:
    for name, intervals in request.intervals.items():
        low, high = _SPANS[name](image)
        if not any(interval.meets(low, high) for interval in intervals):
            return False
    return all(_WORDS[name](image).casefold() in words for name, words in request.words.items())


def _point(value: float | None) -> tuple[float | None, float | None]:
    return value, value


def _size_kbyte(image: Observation) -> int | None:
    if not (image.imsize_x and image.imsize_y):
        return None
    return round((image.imsize_x * image.imsize_y * _BYTES_PER_PIXEL + _HEADER_BYTES) / 1000)


# What the parameters of Simple Image Access are compared with.
_SPANS: dict[str, Callable[[Observation], tuple[float | None, float | None]]] = {
    "BAND": lambda image: image.wavelengths_m,
    "TIME": lambda image: image.span_mjd,
    "FOV": lambda image: _point(diameter_deg(image)),
    "SPATRES": lambda image: _point(image.beam_major_arcsec),
    "SPECRP": lambda image: _point(resolving_power(image)),
    "EXPTIME": lambda image: _point(image.exposure_s),
    "TIMERES": lambda image: _point(image.exposure_s),
}
_WORDS: dict[str, Callable[[Observation], str]] = {
    "POL": lambda image: "I",
    "COLLECTION": lambda image: COLLECTION,
    "FACILITY": lambda image: FACILITY,
    "INSTRUMENT": lambda image: FACILITY,
    "DPTYPE": lambda image: "image",
    "CALIB": lambda image: str(level(image)),
    "TARGET": lambda image: image.field_name or "",
    "FORMAT": lambda image: FITS,
}
