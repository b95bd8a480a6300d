"""Which images show the same sky."""

from __future__ import annotations

from typing import Any

import pytest

from app.db.files import PipelineFiles
from app.db.pipeline import PipelineDatabase
from app.repositories.frames import FrameRepository
from tests.support.pipeline import Pipeline


def same_sky(pipeline: Pipeline, image_id: int) -> list[int]:
    database = PipelineDatabase(PipelineFiles(pipeline.products_path, None))
    try:
        return sorted(frame.id for frame in FrameRepository(database).same_sky(image_id, 100))
    finally:
        database.close()


@pytest.mark.parametrize(
    ("asked", "other", "same"),
    [
        ((180.0, 37.2), (180.0, 37.69), True),
        ((180.0, 37.2), (180.0, 37.71), False),
        ((180.0, 37.2), (180.6, 37.2), True),
        ((180.0, 60.0), (180.9, 60.4), False),  # 0.6 degrees, though neither coordinate differs by half a degree
        ((0.1, 0.0), (359.7, 0.0), True),
        ((0.1, 0.0), (-0.3, 0.0), True),
        ((10.0, 89.5), (190.0, 89.99), False),
        ((10.0, 89.8), (190.0, 89.9), True),
        ((0.0, 89.5), (56.0, 89.5), True),  # 0.47 degrees
        ((0.0, -89.6), (120.0, -89.6), False),  # 0.69 degrees
        ((180.0, 37.2), (None, 37.2), False),
        ((180.0, 37.2), (180.0, None), False),
        ((180.0, 37.2), ("12h", 37.2), False),
        ((None, 37.2), (180.0, 37.2), False),
        ((180.0, None), (180.0, 37.2), False),
        (("12h", "37d"), (0.0, 0.0), False),
    ],
)
def test_centre_within_half_a_degree_is_the_same_sky(
    pipeline: Pipeline, asked: tuple[Any, Any], other: tuple[Any, Any], same: bool
) -> None:
    first, second = (
        pipeline.make_image(ms_path="/gone.ms", field_name=None, center_ra_deg=ra_deg, center_dec_deg=dec_deg)
        for ra_deg, dec_deg in (asked, other)
    )
    pipeline.make_image(ms_path="/gone.ms", center_ra_deg=asked[0], center_dec_deg=asked[1], created_at="no-time")
    known = all(isinstance(angle, float) for angle in asked)
    assert same_sky(pipeline, first) == ([first] if known else []) + ([second] if same else [])
