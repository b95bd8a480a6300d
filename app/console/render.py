"""Pages out of templates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from flask import Response, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.console import cells, formats, links
from app.console.forms import in_milli, typed
from app.version import VERSION

ROOM = Path(__file__).parent
STATIC = ROOM / "static"

# Name, path below the console, and the first segments of the pages that belong there.
NAVIGATION = (
    ("Overview", "", ("",)),
    ("Images", "images", ("images",)),
    ("Sources", "sources", ("sources",)),
    ("Variables", "candidates", ("candidates",)),
    ("Runs", "jobs", ("jobs", "batches", "queue")),
    ("Measurement sets", "ms", ("ms",)),
    ("Calibration", "cal", ("cal",)),
    ("Quality", "quality", ("quality",)),
)


def page(template: str, status: int = 200, **context: Any) -> Response:
    """A page; templates see what is given here, the links, and where they are."""
    section = request.path.removeprefix(links.CONSOLE).strip("/").partition("/")[0]
    html = environment().get_template(template).render(section=section, **context)
    made = Response(html, status, content_type="text/html; charset=utf-8")
    if status >= 400:
        made.headers["Cache-Control"] = "no-store"
    return made


@cache
def environment() -> Environment:
    """Templates, compiled once in a process. A name that nobody gave is an error, not an empty text."""
    made = Environment(
        loader=FileSystemLoader(ROOM / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    made.filters.update(formats.FILTERS, typed=typed)
    made.globals.update(links=links, asset=asset, navigation=NAVIGATION, version=VERSION)
    made.globals.update(label_of=cells.label, pairs_of=pairs_of, to_milli=in_milli)
    return made


def pairs_of(words: Iterable[str]) -> list[tuple[str, str]]:
    """Words as choices of a form that are called what they are."""
    return [(word, word) for word in words]


def asset(name: str) -> str:
    """URL of a file of this room; it changes with the content, so the file may be kept for ever."""
    return links.console(f"static/{name}", [("v", fingerprint(name))])


@cache
def fingerprint(name: str) -> str:
    """Hash of a file's content."""
    return hashlib.blake2b((STATIC / name).read_bytes(), digest_size=6).hexdigest()
