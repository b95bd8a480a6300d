"""``contimg_api_source``: one row for each source, kept exact by triggers on photometry and images.

It holds what the canonical view ``v_source`` publishes: where the source is (its newest measurement), in how many
images it was measured, and the newest of them; and what its light curve comes to
(:mod:`migrations.products.light_curves`).

A measurement that comes or goes is added to what is known, or taken off it, in a few index look-ups. What cannot be
followed in steps (a measurement that moves to another source or image, an image that changes its name or replaces
another) makes the sources concerned be worked out anew from the tables, which is right whatever happened before. Steps
and working-out exclude each other, because SQLite promises no order among triggers.

One thing is put off: when the newest image of a source goes, finding the next takes a look at all of its measurements.
The row is marked ``doubtful`` instead, and the view takes that look for such rows. What it says of the newest image is
then still an upper bound, so that a measurement in an image as new (the same, measured again) settles the doubt.

Another thing put off is the light curve of a source of which measurements went or changed: its row is ``unsettled``,
and the view looks at the measurements, until the next one of that source has all of it worked out anew. So it costs
little to withdraw many measurements, or to correct them all.
"""

from __future__ import annotations

from migrations.products import light_curves, replaced
from migrations.products.laying import columns, lay, read, take_away
from migrations.products.source_images import MADE, RENAMED, UNMADE, WORK_OUT_IMAGES

revision = "0006"
down_revision = "0005"

PART = "source_summary"
WATCHED = {
    "photometry": ("id", "source_id", "image_path", "ra_deg", "dec_deg", "mjd", "measured_at", *light_curves.WATCHED),
    "images": ("id", "path", "created_at"),
}

TABLE = """
    CREATE TABLE contimg_api_source (
        source_id TEXT NOT NULL PRIMARY KEY, n_points INTEGER NOT NULL, num_images INTEGER NOT NULL,
        image_created_at REAL, image_id INTEGER, doubtful INTEGER NOT NULL DEFAULT 0,
        ra_deg REAL, dec_deg REAL, newest_mjd REAL, newest_id INTEGER,
        unsettled INTEGER NOT NULL DEFAULT 1, settled_by INTEGER, {light_curves}
    ) WITHOUT ROWID
"""

# The newest measurement of the sources that {which} holds for, from the table.
WORK_OUT_POSITION = """
        UPDATE contimg_api_source SET (ra_deg, dec_deg, newest_mjd, newest_id) = ({newest})
        WHERE {which};"""

NEWEST = """
            SELECT p.ra_deg, p.dec_deg, {mjd} AS date, p.id FROM photometry AS p
            WHERE p.source_id = contimg_api_source.source_id ORDER BY date DESC, p.id DESC LIMIT 1"""

# The same where there is an index on (source_id, mjd): the newest of those with an MJD, and all of the few without.
# Columns of a subquery have names of ours: SQLite cannot follow others through a RENAME COLUMN and would refuse it.
NEWEST_BY_MJD = """
            SELECT n.ra, n.dec, n.date, n.number FROM (
                SELECT t.ra, t.dec, t.date, t.number FROM (
                    SELECT p.ra_deg AS ra, p.dec_deg AS dec, p.mjd AS date, p.id AS number FROM photometry AS p
                    WHERE p.source_id = contimg_api_source.source_id AND p.mjd IS NOT NULL
                    ORDER BY p.mjd DESC, p.id DESC LIMIT 1) AS t
                UNION ALL
                SELECT p.ra_deg, p.dec_deg, {mjd}, p.id FROM photometry AS p
                WHERE p.source_id = contimg_api_source.source_id AND p.mjd IS NULL) AS n
            ORDER BY n.date DESC, n.number DESC LIMIT 1"""

# Light curves take the longest by far, and can wait: the upgrade settles them a few sources at a time, so that the
# pipeline gets its turn in between, and until then the views read the rows.
UNSETTLED = "UPDATE contimg_api_source SET unsettled = 1"

FILL = """
        INSERT INTO contimg_api_source (source_id, n_points, num_images)
        SELECT q.source_id, count(*), 0 FROM photometry AS q WHERE {which} GROUP BY q.source_id;"""

# -- photometry

# One statement, because it runs for every measurement. A source that is not there yet, or is unsettled, is worked out
# by REPLACED; should that have fired before, the row holds this measurement already.
MEASURED = """
    CREATE TRIGGER contimg_api_photometry_source_insert AFTER INSERT ON photometry
    WHEN NEW.source_id IS NOT NULL AND NOT {notes}
    BEGIN
        UPDATE contimg_api_source SET n_points = n_points + 1,
            num_images = num_images + (EXISTS (SELECT 1 FROM images WHERE path = NEW.image_path) AND NOT EXISTS (
                SELECT 1 FROM photometry
                WHERE source_id = NEW.source_id AND image_path = NEW.image_path AND id <> NEW.id)),
            (image_created_at, image_id, doubtful) = (
                SELECT i.made_at, i.number, 0 FROM (
                    SELECT created_at AS made_at, id AS number FROM images WHERE path = NEW.image_path
                    ORDER BY created_at DESC, id DESC LIMIT 1) AS i
                WHERE image_id IS NULL OR i.made_at > image_created_at
                    OR i.made_at = image_created_at AND i.number >= image_id
                UNION ALL SELECT image_created_at, image_id, doubtful LIMIT 1),
            (ra_deg, dec_deg, newest_mjd, newest_id) = (
                SELECT ra_deg, dec_deg, newest_mjd, newest_id WHERE newest_mjd > {mjd}
                    OR newest_mjd IS {mjd} AND newest_id > NEW.id OR newest_mjd IS NOT NULL AND {mjd} IS NULL
                UNION ALL SELECT NEW.ra_deg, NEW.dec_deg, {mjd}, NEW.id LIMIT 1){steps}
        WHERE source_id = NEW.source_id AND settled_by IS NOT NEW.id;
    END
"""

# Where ON DELETE CASCADE removes the measurements of an image, that image is gone by now: its own trigger, fired
# before, has counted it off. One that was replaced has had no trigger, and leaves a note.
REMOVED = """
    CREATE TRIGGER contimg_api_photometry_source_delete AFTER DELETE ON photometry
    WHEN OLD.source_id IS NOT NULL
    BEGIN
        UPDATE contimg_api_source SET n_points = n_points - 1, unsettled = 1 WHERE source_id = OLD.source_id;
        DELETE FROM contimg_api_source WHERE source_id = OLD.source_id AND n_points = 0;
        UPDATE contimg_api_source SET num_images = num_images - 1,
            doubtful = num_images > 1 AND (doubtful OR image_id IN (SELECT id FROM images WHERE path = OLD.image_path)),
            image_id = CASE WHEN num_images > 1 THEN image_id END
        WHERE source_id = OLD.source_id
            AND EXISTS (SELECT 1 FROM images WHERE path = OLD.image_path)
            AND NOT EXISTS (SELECT 1 FROM photometry WHERE source_id = OLD.source_id AND image_path = OLD.image_path);
        {work_out_images}
        {work_out_position}
    END
"""

MOVED = """
    CREATE TRIGGER contimg_api_photometry_source_update AFTER UPDATE OF {of} ON photometry
    WHEN NEW.source_id IS NOT OLD.source_id OR NEW.image_path IS NOT OLD.image_path OR {notes}
    BEGIN{work_out}
    END
"""

RELOCATED = """
    CREATE TRIGGER contimg_api_photometry_source_position AFTER UPDATE OF {of} ON photometry
    WHEN NEW.source_id IS NOT NULL
    BEGIN{work_out_position}
    END
"""

# What it does stands in a trigger of its own, which only then is entered: SQLite makes room for everything that a
# trigger might do before it looks whether there is anything to do.
REPLACED = """
    CREATE TRIGGER contimg_api_photometry_source_replace AFTER INSERT ON photometry
    WHEN {notes} OR NEW.source_id IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM contimg_api_source WHERE source_id = NEW.source_id AND NOT unsettled)
    BEGIN
        INSERT INTO contimg_api_source_anew (source_id, id) VALUES (NEW.source_id, NEW.id);
    END
"""
ANEW = (
    "CREATE VIEW contimg_api_source_anew AS SELECT source_id, settled_by AS id FROM contimg_api_source WHERE FALSE",
    """
    CREATE TRIGGER contimg_api_source_anew_insert INSTEAD OF INSERT ON contimg_api_source_anew
    BEGIN{work_out}{settle}
    END
    """,
)

CHANGED = """
    CREATE TRIGGER contimg_api_photometry_source_flux AFTER UPDATE OF {of} ON photometry
    WHEN NEW.source_id IS NOT NULL
    BEGIN
        UPDATE contimg_api_source SET unsettled = 1 WHERE source_id = NEW.source_id AND NOT unsettled;
    END
"""

# -- how many sources

COUNT = """
        INSERT INTO contimg_api_count (kind, key, n)
        SELECT 'sources', '', count(*) FROM contimg_api_source
        UNION ALL SELECT 'points', '', ifnull(sum(n_points), 0) FROM contimg_api_source"""

COUNTED = """
    CREATE TRIGGER contimg_api_source_count_{event} AFTER {event} ON contimg_api_source
    BEGIN
        UPDATE contimg_api_count SET n = n {change} 1 WHERE kind = 'sources' AND key = '';
        UPDATE contimg_api_count SET n = n {change} {row}.n_points WHERE kind = 'points' AND key = '';
    END
"""

POINTS_COUNTED = """
    CREATE TRIGGER contimg_api_source_count_points AFTER UPDATE OF n_points ON contimg_api_source
    BEGIN
        UPDATE contimg_api_count SET n = n + NEW.n_points - OLD.n_points WHERE kind = 'points' AND key = '';
    END
"""


def upgrade() -> None:
    """Make the table, work it out, lay the triggers; all in one transaction."""
    usable = columns("photometry").issuperset(("id", "source_id", "image_path", "ra_deg", "dec_deg"))
    usable = usable and columns("images").issuperset(WATCHED["images"])
    lay(PART, revision, _statements() if usable else [], WATCHED)


def downgrade() -> None:
    """Drop the triggers, then the table."""
    take_away(PART)


def _statements() -> list[str]:
    return [
        TABLE.format(light_curves=light_curves.declarations()),
        FILL.format(which="q.source_id IS NOT NULL").strip().rstrip(";"),
        *(WORK_OUT_IMAGES.format(which="TRUE") + _work_out_position("TRUE")).strip().rstrip(";").split(";"),
        UNSETTLED,
        COUNT,
        COUNTED.format(event="insert", change="+", row="NEW"),
        COUNTED.format(event="delete", change="-", row="OLD"),
        POINTS_COUNTED,
        *replaced.note_triggers("photometry", key="''", name="t.source_id", listened=("source_id", "image_path")),
        *_on_photometry(),
        *_on_images(),
    ]


def _on_photometry() -> list[str]:
    notes = replaced.notes("photometry")
    noted = "SELECT name FROM contimg_api_replaced WHERE base = 'photometry' UNION SELECT NEW.source_id"
    touched = sorted({"source_id", "image_path", *replaced.conflict_columns("photometry")})
    placed = sorted({"id", "ra_deg", "dec_deg", "mjd", "measured_at"} & columns("photometry"))
    weighed = sorted({"id", "mjd", "measured_at", *light_curves.WATCHED} & columns("photometry"))
    replacing = f"SELECT OLD.source_id WHERE {replaced.notes('images')}"
    settle = _settle(f"source_id = NEW.source_id AND NOT {notes}", "NEW.id")
    return [
        MEASURED.format(notes=notes, mjd=_mjd("NEW"), steps=light_curves.steps(_mjd("NEW"))),
        REPLACED.format(notes=notes),
        ANEW[0],
        ANEW[1].format(work_out=_work_out(noted), settle=settle),
        CHANGED.format(of=", ".join(weighed)),
        MOVED.format(of=", ".join(touched), notes=notes, work_out=_work_out(f"{noted} UNION SELECT OLD.source_id")),
        RELOCATED.format(of=", ".join(placed), work_out_position=_work_out_position("source_id = NEW.source_id")),
        REMOVED.format(
            work_out_images=WORK_OUT_IMAGES.format(which=f"source_id IN ({replacing})").strip(),
            work_out_position=_work_out_position("source_id = OLD.source_id AND newest_id = OLD.id").strip(),
        ),
    ]


def _on_images() -> list[str]:
    notes = replaced.notes("images")
    noted = "SELECT name FROM contimg_api_replaced WHERE base = 'images' UNION SELECT NEW.path"
    touching = "source_id IN (SELECT source_id FROM photometry WHERE image_path IN ({paths}))"
    replacing = WORK_OUT_IMAGES.format(which=touching.format(paths=noted))
    renaming = WORK_OUT_IMAGES.format(which=touching.format(paths=f"{noted} UNION SELECT OLD.path"))
    keys = ("path", "created_at", "id")
    changed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in keys)
    of = ", ".join(sorted({*keys, *replaced.conflict_columns("images")}))
    return [
        MADE.format(notes=notes),
        UNMADE,
        RENAMED.format(event="replace", on="INSERT", when=notes, work_out_images=replacing),
        RENAMED.format(event="update", on=f"UPDATE OF {of}", when=f"{changed} OR {notes}", work_out_images=renaming),
    ]


def _work_out(sources: str) -> str:
    """SQL: everything about the sources that a SELECT names, from the tables."""
    which = f"source_id IN ({sources})"
    return f"""
        DELETE FROM contimg_api_source WHERE {which};{FILL.format(which=f"q.{which}")}
        {WORK_OUT_IMAGES.format(which=which).strip()}
        {_work_out_position(which).strip()}"""


def _settle(which: str, by: str) -> str:
    settled = f"""
        UPDATE contimg_api_source SET unsettled = 0, settled_by = {by} WHERE {which};"""
    return settled + light_curves.settle(which, _mjd("p"))


def _work_out_position(which: str) -> str:
    newest = NEWEST_BY_MJD if "mjd" in columns("photometry") else NEWEST
    return WORK_OUT_POSITION.format(newest=newest.format(mjd=_mjd("p")).lstrip(), which=which)


def _mjd(alias: str) -> str:
    present = columns("photometry")
    mjd, measured_at = (read(alias, name, present) for name in ("mjd", "measured_at"))
    return f"ifnull({mjd}, {measured_at} / 86400.0 + 40587.0)"
