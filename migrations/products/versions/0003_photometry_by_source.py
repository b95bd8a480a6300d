"""Measurements of a source in order of MJD: its newest position is found at once. Production files have this index."""

from __future__ import annotations

from migrations.products.laying import columns, is_served, lay, take_away

revision = "0003"
down_revision = "0002"

PART = "photometry_by_source"
WATCHED = ("source_id", "mjd")


def upgrade() -> None:
    """Make the index."""
    statements = []
    if columns("photometry").issuperset(WATCHED) and not is_served("photometry", WATCHED):
        statements.append("CREATE INDEX contimg_api_photometry_source ON photometry (source_id, mjd)")
    lay(PART, revision, statements, {"photometry": WATCHED})


def downgrade() -> None:
    """Drop it."""
    take_away(PART)
