"""Measurements by image and source: for the triggers of the source summary, and for ingest.

Image first, because the pipeline measures image after image: its next rows then go to the page that the last went to,
where an index by source would touch another page for every row. Photometry is by far the largest table, so each index
on it is a revision, and a transaction, of its own: the pipeline never waits for more than one.
"""

from __future__ import annotations

from migrations.products.laying import columns, lay, take_away

revision = "0002"
down_revision = "0001"

PART = "photometry_by_image"
WATCHED = ("image_path", "source_id")


def upgrade() -> None:
    """Make the index."""
    statements = []
    if columns("photometry").issuperset(WATCHED):
        statements.append("CREATE INDEX contimg_api_photometry_image ON photometry (image_path, source_id)")
    lay(PART, revision, statements, {"photometry": WATCHED})


def downgrade() -> None:
    """Drop it."""
    take_away(PART)
