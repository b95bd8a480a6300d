"""URLs of the console's pages and of the API, each made in one place, and the curl line that asks the same.

A page never names the host it was asked at: what is kept in the response cache must be right for everyone. The script
puts the browser's own host into curl lines; without it they name this machine.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from flask import request

from app.web.context import services

API = "/api/v1"
CONSOLE = "/console"

Pairs = Collection[tuple[str, Any]]


def console(path: str = "", params: Pairs = ()) -> str:
    """A page of the console; ``path`` is quoted already."""
    return _with(f"{request.script_root}{CONSOLE}/{path}", params)


def api(path: str, params: Pairs = ()) -> str:
    """A resource of the API; ``path`` is quoted already."""
    return _with(f"{request.script_root}{API}/{path}", params)


def root(path: str) -> str:
    """A path of this service that is neither."""
    return f"{request.script_root}{path}"


def here(params: Pairs) -> str:
    """This page in another state."""
    return _with(f"{request.script_root}{quote(request.path)}", params)


@lru_cache(maxsize=8192)  # a page names a thing more than once, and is made anew after every commit
def segment(value: str | int) -> str:
    """A name as one segment of a path, slashes encoded."""
    return quote(str(value), safe="")


def image(image_id: str | int) -> str:
    """An image."""
    return console(f"images/{segment(image_id)}")


def source(source_id: object) -> str:
    """A source; one whose name holds a slash has no page of its own, but a list of one."""
    name = str(source_id)
    return console("sources", [("id", name)]) if "/" in name else console(f"sources/{segment(name)}")


def measurement_set(path: str) -> str:
    """A measurement set."""
    return console(f"ms/{segment(path)}")


def calibration_table(path: str) -> str:
    """A calibration table."""
    return console(f"cal/{segment(path)}")


def job(run_id: str) -> str:
    """A run."""
    return console(f"jobs/{segment(run_id)}")


def log(run_id: str) -> str:
    """A run's log, on the run's page."""
    return f"{job(run_id)}#log"


def batch(batch_id: int) -> str:
    """A batch."""
    return console(f"batches/{batch_id}")


def curl(path: str, params: Pairs = (), options: str = "") -> str:
    """A line for a shell that asks the API for what a page shows.

    Parameters
    ----------
    path
        Below the API's prefix, quoted.
    params
        Of the query.
    options
        Of curl, such as ``-OJ`` to keep a file under its own name.
    """
    return f"curl {options + ' ' if options else ''}'{_base()}{api(path, params)}'"


def curl_post(path: str, key_header: str) -> str:
    """A line for a shell that orders something, with a key from the environment."""
    return f"curl -X POST -H \"{key_header}: $KEY\" '{_base()}{api(path)}'"


def _base() -> str:
    return f"http://localhost:{services().monitor.own_port}"


def _with(url: str, params: Pairs) -> str:
    return f"{url}?{urlencode(list(params), safe=':,')}" if params else url
