"""Images and sources by many ids at once, for what is handed out as a file."""

from __future__ import annotations

import json
from collections.abc import Collection

from app.db.pipeline import PipelineDatabase
from app.domain.exports import ExportedSource
from app.domain.images import ImageDetail

IMAGES = f"""SELECT {", ".join(ImageDetail._fields)} FROM v_image_detail
WHERE id IN (SELECT value FROM json_each(:ids))"""
SOURCES = """SELECT id, ra_deg, dec_deg, num_images, image_id FROM v_source
WHERE id IN (SELECT value FROM json_each(:ids))"""


class ExportRepository:
    """Images and sources by id."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def images(self, ids: Collection[int]) -> dict[int, ImageDetail]:
        """Those of some images that exist, by id."""
        rows = self._database.rows(IMAGES, {"ids": json.dumps(list(ids))})
        return {row[0]: ImageDetail(*row) for row in rows}

    def sources(self, ids: Collection[str]) -> dict[str, ExportedSource]:
        """Those of some sources that exist, by id."""
        rows = self._database.rows(SOURCES, {"ids": json.dumps(list(ids))})
        return {row[0]: ExportedSource(*row) for row in rows}
