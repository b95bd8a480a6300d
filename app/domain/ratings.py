"""Ratings: what people think of images."""

from __future__ import annotations

from typing import Literal, NamedTuple

Confidence = Literal["true", "false", "unsure"]

CONFIDENCES: tuple[Confidence, ...] = ("true", "false", "unsure")
TAGS = ("good", "marginal", "artifact", "rfi")
WORST, BEST = 1, 5


class Opinion(NamedTuple):
    """What somebody says of an image: a number from 1 (worst) to 5, or a verdict and a tag, or both."""

    rating: int | None
    confidence: Confidence | None
    tag: str | None
    comment: str
    rater: str


class Rating(NamedTuple):
    """A recorded opinion; ``rated_at`` in Unix seconds."""

    id: int
    image_id: int
    rating: int | None
    confidence: Confidence | None
    tag: str | None
    comment: str
    rater: str
    rated_at: float


class RatingGiven(NamedTuple):
    """A rating as it was just given, and the mean of the numbers that the image has now."""

    id: int
    image_id: int
    rating: int | None
    confidence: Confidence | None
    tag: str | None
    comment: str
    rater: str
    rated_at: float
    new_average: float | None


class Ratings(NamedTuple):
    """Ratings of an image, newest first: how many there are, the mean of their numbers, and some of them."""

    image_id: int
    n_ratings: int
    average: float | None
    ratings: list[Rating]
