"""SQL that keeps the images of each source in ``contimg_api_source``: how many, and the newest."""

from __future__ import annotations

# The newest image of the sources that {which} holds for, from the tables.
WORK_OUT_IMAGE = """
        UPDATE contimg_api_source SET (image_created_at, image_id, doubtful) = (
            SELECT i.created_at, i.id, 0 FROM photometry AS q JOIN images AS i ON i.path = q.image_path
            WHERE q.source_id = contimg_api_source.source_id ORDER BY i.created_at DESC, i.id DESC LIMIT 1)
        WHERE {which} AND num_images > 0;"""

# Everything about the images of the sources that {which} holds for, from the tables.
WORK_OUT_IMAGES = f"""
        UPDATE contimg_api_source SET image_created_at = NULL, image_id = NULL, doubtful = 0, num_images = (
            SELECT count(DISTINCT i.path) FROM photometry AS q JOIN images AS i ON i.path = q.image_path
            WHERE q.source_id = contimg_api_source.source_id)
        WHERE {{which}};{WORK_OUT_IMAGE}"""

MADE = """
    CREATE TRIGGER contimg_api_images_source_insert AFTER INSERT ON images
    WHEN EXISTS (SELECT 1 FROM photometry WHERE image_path = NEW.path) AND NOT {notes}
    BEGIN
        UPDATE contimg_api_source SET
            num_images = num_images + NOT EXISTS (SELECT 1 FROM images WHERE path = NEW.path AND id <> NEW.id)
        WHERE source_id IN (SELECT source_id FROM photometry WHERE image_path = NEW.path);
        UPDATE contimg_api_source SET image_created_at = NEW.created_at, image_id = NEW.id, doubtful = 0
        WHERE source_id IN (SELECT source_id FROM photometry WHERE image_path = NEW.path) AND (
            image_id IS NULL OR NEW.created_at > image_created_at
            OR NEW.created_at = image_created_at AND NEW.id >= image_id);
    END
"""

# Before the deletion, while the measurements that it may take along are still there.
UNMADE = """
    CREATE TRIGGER contimg_api_images_source_delete BEFORE DELETE ON images
    WHEN EXISTS (SELECT 1 FROM photometry WHERE image_path = OLD.path)
    BEGIN
        UPDATE contimg_api_source SET
            num_images = num_images - NOT EXISTS (SELECT 1 FROM images WHERE path = OLD.path AND id <> OLD.id),
            doubtful = doubtful OR image_id IS OLD.id
        WHERE source_id IN (SELECT source_id FROM photometry WHERE image_path = OLD.path);
        UPDATE contimg_api_source SET doubtful = 0, image_id = NULL
        WHERE source_id IN (SELECT source_id FROM photometry WHERE image_path = OLD.path) AND num_images = 0;
    END
"""

RENAMED = """
    CREATE TRIGGER contimg_api_images_source_{event} AFTER {on} ON images
    WHEN {when}
    BEGIN{work_out_images}
    END
"""
