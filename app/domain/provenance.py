"""Provenance: where a product came from, in one record whatever the product is."""

from __future__ import annotations

from typing import Literal, NamedTuple

from app.domain.qa import Grade


class Provenance(NamedTuple):
    """The chain from a product to its measurement set, calibration table, run and newest image.

    ``kind`` and ``identifier`` name the product itself; ``image_id`` is the image to look at. Pointing in ICRS
    degrees, ``created_at`` in Unix seconds. ``ms_indexed`` tells whether the measurement set has a row of its own, to
    which one can link. Links are made from these where they are published.
    """

    kind: Literal["image", "ms", "job"]
    identifier: str
    run_id: str | None = None
    ms_path: str | None = None
    ms_indexed: bool = False
    cal_table: str | None = None
    pointing_ra_deg: float | None = None
    pointing_dec_deg: float | None = None
    qa_grade: Grade | None = None
    qa_summary: str | None = None
    image_id: int | None = None
    created_at: float | None = None
