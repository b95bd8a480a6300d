"""Images of the same sky, read from the products database."""

from __future__ import annotations

import math

from app.db.pipeline import PipelineDatabase
from app.domain.errors import NotFound
from app.domain.pictures import Frame, Pointing

SAME_POINTING_DEG = 0.5

GET = f"SELECT {', '.join(Pointing._fields)} FROM v_frame WHERE id = :id"
SAME_SKY = f"""SELECT {", ".join(Frame._fields)} FROM v_frame
WHERE type IS :type AND (field_name = :field_name OR dec_deg BETWEEN :dec_deg - :reach_deg AND :dec_deg + :reach_deg
      AND min(abs(ra_deg - :ra_deg), 360.0 - abs(ra_deg - :ra_deg)) <= :ra_reach_deg)
ORDER BY abs(observed_mjd - :observed_mjd), id LIMIT :limit"""


class FrameRepository:
    """Images as the frames of an animation."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def same_sky(self, image_id: int, limit: int) -> list[Frame]:
        """The image and those that show the same sky, nearest in time first.

        The same sky: the same type of image, and the same name of the field or a centre within half a degree.

        Parameters
        ----------
        image_id
            The image.
        limit
            Most images given, the image itself included.
        """
        asked = Pointing(*self._database.row(GET, {"id": image_id}, missing=NotFound("Image", image_id)))
        values = {**asked._asdict(), "reach_deg": SAME_POINTING_DEG, "limit": limit, "ra_reach_deg": _ra_reach(asked)}
        return [Frame(*row) for row in self._database.rows(SAME_SKY, values)]


def _ra_reach(asked: Pointing) -> float:
    """Half a degree on the sky as a difference of right ascension [deg]: all of it at the poles."""
    cosine = 0.0 if asked.dec_deg is None else math.cos(math.radians(asked.dec_deg))
    return min(180.0, SAME_POINTING_DEG / cosine) if cosine > 1e-9 else 180.0
