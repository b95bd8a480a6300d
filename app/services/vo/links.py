"""What there is of an image, as rows of DataLink."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from app.domain.errors import FileNotAccessible
from app.domain.vo import FITS, Observation, image_of
from app.services.files import DataFiles

Row = tuple[Any, ...]


def unknown(identifier: str) -> Row:
    """The row of a dataset that is none of ours, or no longer on record."""
    kind = "UsageFault" if image_of(identifier) is None else "NotFoundFault"
    reason = "is no identifier of a dataset here" if kind == "UsageFault" else "is not on record"
    return _failure(identifier, f"{kind}: {identifier[:200]} {reason}")


def links_of(identifier: str, image: Observation, files: DataFiles, base: str) -> Iterator[Row]:
    """The file, pictures, the cut-out service and what the image was made from.

    Parameters
    ----------
    identifier
        As the client wrote it.
    image
        What it names.
    files
        Finds the image's file.
    base
        What URLs of this service begin with.
    """
    url = f"{base}/api/v1/images/{image.id}"
    try:
        size_bytes = os.path.getsize(files.locate(image.path))
    except (FileNotAccessible, OSError):
        yield _failure(identifier, "FatalFault: the file of the image cannot be read")
    else:
        yield _link(identifier, f"{url}/fits", "The image.", "#this", FITS, size_bytes)
        yield _link(identifier, f"{url}/preview.png", "The image with coordinates and beam.", "#preview", "image/png")
        yield _link(identifier, f"{url}/thumbnail", "The image, small and grey.", "#preview", "image/png")
        yield (identifier, None, "soda", None, "Cuts FITS out of the image.", "#cutout", FITS, None)
    if image.ms_path:
        metadata = f"{base}/api/v1/ms/{quote(image.ms_path, safe='')}/metadata"
        yield _link(
            identifier, metadata, "The measurement set that it was made from.", "#progenitor", "application/json"
        )
    provenance = "Measurement set, calibration, run and log that it came from."
    yield _link(identifier, f"{url}/provenance", provenance, "#auxiliary", "application/json")


def _link(
    identifier: str, url: str, description: str, semantics: str, content_type: str, length: int | None = None
) -> Row:
    return (identifier, url, None, None, description, semantics, content_type, length)


def _failure(identifier: str, message: str) -> Row:
    return (identifier, None, None, message, None, "#this", None, None)
