"""Measurements by time, for the timeline of the statistics."""

from __future__ import annotations

from migrations.products.laying import columns, is_served, lay, take_away

revision = "0004"
down_revision = "0003"

PART = "photometry_by_day"
WATCHED = ("measured_at",)


def upgrade() -> None:
    """Make the index."""
    statements = []
    if "measured_at" in columns("photometry") and not is_served("photometry", WATCHED):
        statements.append("CREATE INDEX contimg_api_photometry_measured ON photometry (measured_at)")
    lay(PART, revision, statements, {"photometry": WATCHED})


def downgrade() -> None:
    """Drop it."""
    take_away(PART)
