"""Where things are on the sky: indexes on zones of declination, and in each on right ascension.

Expressions are word for word those by which the repositories look for candidates, because SQLite recognises an index
on an expression by its text. ``contimg_api_images_reach`` gives the largest image at once.
"""

from __future__ import annotations

from migrations.products.laying import columns, lay, take_away

revision = "0007"
down_revision = "0006"

PART = "sky"
POINTING = ("ra_deg", "dec_deg", "pointing_ra_deg", "pointing_dec_deg")
CENTRE = ("center_ra_deg", "center_dec_deg")
SIZE = ("imsize_x", "imsize_y", "cellsize_arcsec")

IMAGES = """
    CREATE INDEX contimg_api_images_zone ON images (CAST((center_dec_deg + 90.0) * 10 AS INTEGER), center_ra_deg)"""
REACH = "CREATE INDEX contimg_api_images_reach ON images ((imsize_x + imsize_y) * cellsize_arcsec)"
NOISE = "CREATE INDEX contimg_api_images_noise ON images (ifnull(noise_jy, -9e999), id)"
MS = """
    CREATE INDEX contimg_api_ms_zone ON ms_index (
        CAST((ifnull(pointing_dec_deg, dec_deg) + 90.0) * 10 AS INTEGER), ifnull(pointing_ra_deg, ra_deg))"""
SOURCES = """
    CREATE INDEX contimg_api_source_zone ON contimg_api_source (CAST((dec_deg + 90.0) * 10 AS INTEGER), ra_deg)"""


def upgrade() -> None:
    """Make the indexes that the file has columns for."""
    wanted = (
        ("images", CENTRE, IMAGES),
        ("images", SIZE, REACH),
        ("images", ("noise_jy", "id"), NOISE),
        ("ms_index", POINTING, MS),
        ("contimg_api_source", ("ra_deg", "dec_deg"), SOURCES),
    )
    statements = [statement for table, needed, statement in wanted if columns(table).issuperset(needed)]
    watched = {"images": (*CENTRE, *SIZE, "noise_jy", "id"), "ms_index": POINTING}
    lay(PART, revision, statements, watched)


def downgrade() -> None:
    """Drop them."""
    take_away(PART)
