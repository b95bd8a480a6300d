-- What people think of images. A rating belongs to an image as it was when it was seen: number and path together,
-- because pipelines give the number of a removed image to another, and the path to the next version.
CREATE TABLE rating (
    id INTEGER PRIMARY KEY,
    image_id INTEGER NOT NULL,
    image_path TEXT NOT NULL,
    rating INTEGER CHECK (rating BETWEEN 1 AND 5),
    confidence TEXT CHECK (confidence IN ('true', 'false', 'unsure')),
    tag TEXT,
    comment TEXT NOT NULL,
    rater TEXT NOT NULL,
    rated_at REAL NOT NULL -- Unix time [s]
) STRICT;
CREATE INDEX rating_of_image ON rating (image_id, image_path, rated_at);
