"""Ratings, in this service's own database."""

from __future__ import annotations

from app.db.state import StateDatabase
from app.domain.ratings import Opinion, Rating, RatingGiven, Ratings

INSERT = """INSERT INTO rating (image_id, image_path, rating, confidence, tag, comment, rater, rated_at)
VALUES (:image_id, :image_path, :rating, :confidence, :tag, :comment, :rater, :at)"""
AVERAGE = "SELECT avg(rating) FROM rating WHERE image_id = :image_id AND image_path = :image_path"
SUMMARY = "SELECT count(*), avg(rating) FROM rating WHERE image_id = :image_id AND image_path = :image_path"
PAGE = f"""SELECT {", ".join(Rating._fields)} FROM rating
WHERE image_id = :image_id AND image_path = :image_path
ORDER BY rated_at DESC, id DESC LIMIT :limit OFFSET :offset"""


class RatingRepository:
    """Ratings by image, which is known by its number and its path together."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def insert(self, image_id: int, image_path: str, opinion: Opinion, at: float) -> RatingGiven:
        """Record an opinion at a Unix time [s]."""
        image = {"image_id": image_id, "image_path": image_path}
        with self._database.transaction() as connection:
            number = connection.execute(INSERT, {**image, **opinion._asdict(), "at": at}).lastrowid
            (average,) = connection.execute(AVERAGE, image).fetchone()
        assert number is not None
        return RatingGiven(number, image_id, *opinion, at, average)

    def of_image(self, image_id: int, image_path: str, *, limit: int, offset: int) -> Ratings:
        """The ratings of an image, newest first, some of them passed over, no more than a number."""
        image = {"image_id": image_id, "image_path": image_path}
        count, average = self._database.find(SUMMARY, image) or (0, None)
        rows = self._database.rows(PAGE, {**image, "limit": limit, "offset": offset})
        return Ratings(image_id, count, average, [Rating(*row) for row in rows])
