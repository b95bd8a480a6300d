"""Images of the same sky, read from the products database."""

from __future__ import annotations

from app.db.pipeline import PipelineDatabase
from app.domain.errors import NotFound
from app.domain.pictures import Frame, Pointing

SAME_POINTING_DEG = 0.5

GET = f"SELECT {', '.join(Pointing._fields)} FROM v_frame WHERE id = :id"
SAME_SKY = f"""SELECT {", ".join(Frame._fields)} FROM v_frame
WHERE type IS :type AND observed_mjd IS NOT NULL AND (field_name = :field_name OR CASE
      WHEN :ra_deg IS NOT NULL AND dec_deg BETWEEN :dec_deg - :reach_deg AND :dec_deg + :reach_deg
      THEN separation_arcsec(ra_deg, dec_deg, :ra_deg, :dec_deg) <= :reach_deg * 3600.0 END)
ORDER BY abs(observed_mjd - :observed_mjd), id LIMIT :limit"""


class FrameRepository:
    """Images as the frames of an animation."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def same_sky(self, image_id: int, limit: int) -> list[Frame]:
        """The image and those that show the same sky, nearest in time first.

        The same sky: the same type of image, and the same name of the field or a centre within half a degree. Images
        whose time is not known are left out.

        Parameters
        ----------
        image_id
            The image.
        limit
            Most images given, the image itself included.
        """
        asked = Pointing(*self._database.row(GET, {"id": image_id}, missing=NotFound("Image", image_id)))
        values = {**asked._asdict(), "reach_deg": SAME_POINTING_DEG, "limit": limit}
        return [Frame(*row) for row in self._database.rows(SAME_SKY, values)]
