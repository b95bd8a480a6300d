"""A built single-page client, served beside the API it calls: its files, and its start page for everything else.

What the build named after its content never changes and may be kept for a year; the rest is revalidated each time, the
start page first of all, because it names the others.
"""

from __future__ import annotations

import mimetypes
import posixpath
import re
from pathlib import Path

from flask import Flask, Response, abort, send_file
from werkzeug.routing import BaseConverter

from app.config import Settings
from app.domain.errors import FileNotAccessible
from app.services.files import DataFiles

START_PAGE = "index.html"
FOREVER = "public, max-age=31536000, immutable"
# A client brings scripts, styles, workers and tiles of the sky of its own; nobody may put it into a frame of theirs.
PAGE_POLICY = "frame-ancestors 'self'; base-uri 'self'; form-action 'self'; object-src 'none'"

# Folders in which bundlers put what they have named after its content.
_HASHED_FOLDERS = ("assets", "static")
_HASHED = re.compile(r"[.-][0-9A-Za-z_-]{8,}\.[0-9A-Za-z]+(?:\.map)?", re.ASCII)
# The same on every machine, whatever its tables of types say; browsers run no script of another type.
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


class SitePath(BaseConverter):
    """Any path but those of the API and of the metrics, slashes and all."""

    part_isolating = False
    regex = r"(?!(?:api|metrics)(?:/|\Z)).*?"
    # Behind everything else.
    weight = 1000


class ClientFiles:
    """The files of a built client.

    Parameters
    ----------
    directory
        Where they lie; links that lead out of it are refused, and so are hidden files and databases.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files = DataFiles((directory,))

    def find(self, path: str) -> tuple[Path, bool]:
        """The file for a path of the site, and whether it may be kept forever.

        Raises
        ------
        FileNotAccessible
            The path leads out of the directory, or names a hidden file, or a part of the client that is not there:
            the start page in place of a script would break the page that asks for it.
        """
        parts = [part for part in path.split("/") if part]
        if any(part.startswith(".") or "\\" in part or "\0" in part for part in parts):
            raise FileNotAccessible(START_PAGE)
        try:
            file = self._files.locate(posixpath.join(self._directory, *parts))
        except FileNotAccessible:
            if self._names_a_file(parts):
                raise
            return self._files.locate(posixpath.join(self._directory, START_PAGE)), False
        return file, len(parts) > 1 and parts[0] in _HASHED_FOLDERS and _HASHED.search(parts[-1]) is not None

    def _names_a_file(self, parts: list[str]) -> bool:
        """Whether a path must be that of a file, as opposed to one that the client makes something of itself."""
        if not parts:
            return False
        there = self._directory.joinpath(*parts)
        part_of_client = parts[0] in _HASHED_FOLDERS or there.suffix.lower() in _TYPES
        # What stands there and was refused: a link that leads out, a database.
        return part_of_client or there.is_symlink() or there.is_file()


def install(app: Flask, settings: Settings, directory: Path) -> None:
    """Serve the client in a directory at the root of the site."""
    client = ClientFiles(directory)
    app.url_map.converters["site"] = SitePath

    def page(path: str = "") -> Response:
        try:
            file, forever = client.find(path)
        except FileNotAccessible:
            abort(404)
        return _send(file, forever)

    app.add_url_rule("/", "ui", page)
    app.add_url_rule("/<site:path>", "ui", page)


def _send(file: Path, forever: bool) -> Response:
    known = _TYPES.get(file.suffix.lower()) or mimetypes.guess_type(file.name)[0]
    response = send_file(file, mimetype=known or "application/octet-stream", conditional=True)
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    response.headers["Cache-Control"] = FOREVER if forever else "no-cache"
    return response
