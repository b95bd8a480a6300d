"""What is handed out as a file: lines of tables, and what becomes of a removed image."""

from __future__ import annotations

from typing import NamedTuple

# At once.
MOST_IMAGES = 500
MOST_SOURCES = 1000


class ExportedSource(NamedTuple):
    """A source as a line of a table; position in ICRS degrees, the images are those on record."""

    id: str
    ra_deg: float
    dec_deg: float
    num_images: int
    latest_image_id: int | None

    @property
    def name(self) -> str:
        """Sources are called by their id."""
        return self.id


class ImageDeleted(NamedTuple):
    """An image that was removed, and whether its file was."""

    image_id: int
    file_deleted: bool

    @property
    def status(self) -> str:
        """What clients of the former service look for."""
        return "deleted"
