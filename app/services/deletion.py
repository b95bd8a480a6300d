"""Removing images: only where the operator allows it, because the pipeline owns its tables."""

from __future__ import annotations

import logging

from app.domain.errors import FileNotAccessible, NotAllowed
from app.domain.exports import ImageDeleted
from app.repositories.image_writes import ImageWriter
from app.repositories.images import ImageRepository
from app.services.files import DataFiles

log = logging.getLogger(__name__)


class DeletionService:
    """Removes images, and their files where that is asked for.

    Parameters
    ----------
    images, writer
        The images, to read and to remove.
    files
        Finds the files that may be removed.
    allowed
        Whether the operator allows it.
    """

    def __init__(self, images: ImageRepository, writer: ImageWriter, files: DataFiles, *, allowed: bool) -> None:
        self._images = images
        self._writer = writer
        self._files = files
        self._allowed = allowed

    def delete_image(self, identifier: str, *, delete_file: bool) -> ImageDeleted:
        """Remove an image from the products database, then its file.

        Raises
        ------
        NotAllowed
            The operator does not allow it.
        NotFound
            There is no such image.

        Notes
        -----
        The row goes first: should the process end in between, a file is left over that nobody names, rather than a row
        that names no file. The file stays where another image names it as well, where it lies outside the data roots,
        and where it is no regular file.
        """
        if not self._allowed:
            raise NotAllowed("Images cannot be removed here: the operator has not set DSA110_ALLOW_IMAGE_DELETE.")
        image = self._images.get(identifier)
        others = self._writer.delete(image.id, image.path)
        deleted = delete_file and not others and self._delete_file(image.path)
        log.info("Removed image %s (%s), its file: %s", image.id, image.path, "removed" if deleted else "kept")
        return ImageDeleted(image.id, deleted)

    def _delete_file(self, path: str) -> bool:
        try:
            self._files.locate(path).unlink()
        except (FileNotAccessible, OSError) as error:
            log.warning("The file of a removed image stays: %s", error.__cause__ or error)
            return False
        return True
