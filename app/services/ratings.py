"""What the service does with ratings."""

from __future__ import annotations

import time

from app.domain.errors import InvalidValue
from app.domain.ratings import Opinion, RatingGiven, Ratings
from app.queue.idempotency import Idempotency, Once
from app.repositories.images import ImageRepository
from app.repositories.ratings import RatingRepository


class RatingService:
    """What people think of images. Every opinion is kept; the mean is that of all numbers given."""

    def __init__(self, images: ImageRepository, ratings: RatingRepository, idempotency: Idempotency) -> None:
        self._images = images
        self._ratings = ratings
        self._idempotency = idempotency

    def rate(self, identifier: str, opinion: Opinion, once: Once, *, item_id: str | None = None) -> RatingGiven:
        """Record what somebody thinks of an image.

        Parameters
        ----------
        identifier
            The image.
        opinion
            What is said.
        once
            Idempotency key, and the request it is for.
        item_id
            The image as the body names it, where it does.

        Raises
        ------
        NotFound
            There is no such image.
        InvalidValue
            The body names another image.
        """
        image = self._images.get(identifier)
        if item_id is not None and item_id not in {str(image.id), image.path}:
            raise InvalidValue("itemId", f"the address names image {image.id}")
        answer = self._idempotency.once(
            once, lambda: self._ratings.insert(image.id, image.path, opinion, time.time())._asdict()
        )
        return RatingGiven(**answer)

    def of_image(self, identifier: str, *, limit: int, offset: int) -> Ratings:
        """Ratings of an image, newest first; raises NotFound."""
        image = self._images.get(identifier)
        return self._ratings.of_image(image.id, image.path, limit=limit, offset=offset)
