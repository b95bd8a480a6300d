"""Canonical views that have two ways to their rows: the summaries that the upgrade keeps, or the tables themselves.

Both give the same rows, so repositories never know which it was. A summary is read only while it can be believed
(:mod:`app.db.parts`); a file that was never upgraded, or whose pipeline rebuilt a table since, is read the slow way.
"""

from __future__ import annotations

import sqlite3

from app.db import aggregates
from app.db.light_curves import FLUX_TYPES, light_curve_columns
from app.db.parts import standing_parts

SUMMARIES = ("counts", "source_summary")

# Band of a tenth of a degree of declination; cone searches look a few of them up.
ZONE = "CAST(({of}.dec_deg + 90.0) * 10 AS INTEGER) AS zone"

# A doubtful row is one whose newest image went, and none as new has come since.
SUMMARISED_SOURCE = f"""
    SELECT s.source_id AS id, s.ra_deg, s.dec_deg, s.num_images,
           CASE WHEN s.doubtful THEN (
               SELECT i.id FROM t_photometry AS m JOIN t_images AS i ON i.path = m.image_path
               WHERE m.source_id = s.source_id ORDER BY i.created_at DESC, i.id DESC LIMIT 1)
           ELSE s.image_id END AS image_id, {ZONE.format(of="s")}{{light_curve}}
    FROM main.contimg_api_source AS s"""

# The first row of a source stands for it, the newest measurement tells where it is. A GROUP BY would say the same, but
# only a plain join is read in order and no further than the page needs.
GROUPED_SOURCE = f"""
    SELECT p.source_id AS id, n.ra_deg, n.dec_deg,
           (SELECT count(DISTINCT i.path) FROM t_photometry AS m JOIN t_images AS i ON i.path = m.image_path
            WHERE m.source_id = p.source_id) AS num_images,
           (SELECT i.id FROM t_photometry AS m JOIN t_images AS i ON i.path = m.image_path
            WHERE m.source_id = p.source_id ORDER BY i.created_at DESC, i.id DESC LIMIT 1) AS image_id,
           {ZONE.format(of="n")}{{light_curve}}
    FROM t_photometry AS p JOIN t_photometry AS n ON n.id = (
        SELECT l.id FROM v_photometry AS l WHERE l.source_id = p.source_id ORDER BY l.mjd DESC, l.id DESC LIMIT 1)
    WHERE p.source_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM t_photometry AS e WHERE e.source_id = p.source_id AND e.id < p.id)"""

# How many rows of each kind there are, by the word that tells them apart.
KEPT_COUNTS = "SELECT c.kind, c.key, c.n FROM {schema}.contimg_api_count AS c WHERE c.kind IN ({kinds})"
KEPT_PHOTOMETRY = """
    SELECT 'photometry' AS kind, '' AS key,
           (SELECT c.n FROM main.contimg_api_count AS c WHERE c.kind = 'points' AND c.key = '')
           + (SELECT count(*) FROM t_photometry AS p WHERE p.source_id IS NULL) AS n"""
COUNTS = {
    "images": "SELECT 'images' AS kind, ifnull(i.type, '') AS key, count(*) AS n FROM t_images AS i GROUP BY i.type",
    "photometry": "SELECT 'photometry' AS kind, '' AS key, count(*) AS n FROM t_photometry",
    "sources": "SELECT 'sources' AS kind, '' AS key, count(DISTINCT p.source_id) AS n FROM t_photometry AS p",
    "ms": "SELECT 'ms' AS kind, ifnull(m.stage, '') AS key, count(*) AS n FROM t_ms_index AS m GROUP BY m.stage",
    "batch_jobs": "SELECT 'batch_jobs' AS kind, ifnull(b.status, '') AS key, count(*) AS n "
    "FROM t_batch_jobs AS b GROUP BY b.status",
    "caltables": "SELECT 'caltables' AS kind, '' AS key, count(*) AS n FROM t_caltables",
}


def summary_views(connection: sqlite3.Connection, *, registry: str | None) -> dict[str, str]:
    """SELECT statements of ``v_source``, its sisters by flux type, and ``v_count`` for this connection's files.

    Registers the functions that they use.

    Parameters
    ----------
    connection
        With the pipeline's file as ``main``.
    registry
        Schema name that holds ``caltables``, or ``None``.
    """
    aggregates.register(connection)
    main = standing_parts(connection, "main", SUMMARIES)
    kept: list[str] = []
    has_sources = {"counts", "source_summary"} <= main
    if "counts" in main:
        kept += ["images", "ms", "batch_jobs", *(["sources"] if has_sources else [])]
    arms = [_kept("main", kept)] if kept else []
    if has_sources:
        arms.append(KEPT_PHOTOMETRY)
        kept.append("photometry")
    if registry is not None and "counts" in (
        main if registry == "main" else standing_parts(connection, registry, SUMMARIES)
    ):
        arms.append(_kept(registry, ["caltables"]))
        kept.append("caltables")
    arms += [select for kind, select in COUNTS.items() if kind not in kept]
    return {
        "v_source": _sources(has_sources, None),
        **{f"v_source_{flux_type}": _sources(has_sources, flux_type) for flux_type in FLUX_TYPES},
        "v_count": f"SELECT kind, key, n FROM ({' UNION ALL '.join(arms)}) WHERE n > 0",
    }


def _sources(kept: bool, flux_type: str | None) -> str:
    source_id = "s.source_id" if kept else "p.source_id"
    columns = light_curve_columns(source_id, kept=kept, flux_type=flux_type)
    return (SUMMARISED_SOURCE if kept else GROUPED_SOURCE).format(light_curve=columns)


def _kept(schema: str, kinds: list[str]) -> str:
    return KEPT_COUNTS.format(schema=schema, kinds=", ".join(f"'{kind}'" for kind in kinds))
