"""Rows of the pipeline's images table, as an operator lets this service remove them."""

from __future__ import annotations

from app.db.writing import WritableDatabase
from app.domain.errors import NotFound

# The path as well: a number may have been given to another image since somebody looked.
DELETE = "DELETE FROM images WHERE id = :id AND path = :path"
OTHERS = "SELECT count(*) FROM images WHERE path = :path"


class ImageWriter:
    """Removes images."""

    def __init__(self, database: WritableDatabase) -> None:
        self._database = database

    def delete(self, image_id: int, path: str) -> int:
        """Remove an image; how many others name the same file. Raises NotFound.

        What the pipeline's schema ties to an image goes with it: newer ones say so for measurements.
        """
        row = {"id": image_id, "path": path}
        with self._database.transaction() as connection:
            if not connection.execute(DELETE, row).rowcount:
                raise NotFound("Image", image_id)
            others: int = connection.execute(OTHERS, {"path": path}).fetchone()[0]
        return others
