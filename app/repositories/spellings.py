"""A path of the file system as it may have come through URLs and proxies."""

from __future__ import annotations

from app.db.pipeline import Params

# Bind with :func:`spellings`. What was written comes first.
SPELLED = "path IN (:path, :rooted, :folder, :rooted_folder) ORDER BY path = :path DESC, path LIMIT 1"


def spellings(path: str) -> Params:
    """Values for :data:`SPELLED`: the path as given, and as it was before doubled or trailing slashes got lost."""
    rooted = path if path.startswith("/") else f"/{path}"
    return {"path": path, "rooted": rooted, "folder": f"{path}/", "rooted_folder": f"{rooted}/"}
