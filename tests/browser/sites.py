"""A server with something to look at, and the pages that are worth a look."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from app.services.demo.build import Demo, build_demo
from tests.support.server import Server

KEY = "dsa110_live_test_key"


class View(NamedTuple):
    """A page of the console: what it is called here, its path below the console, and the status it answers with."""

    name: str
    path: str
    status: int = 200


class Site(NamedTuple):
    """A server, and the directory of its survey."""

    server: Server
    demo: Demo

    def url(self, view: View) -> str:
        """Where a page is."""
        return f"{self.server.base}/console/{fill(view.path, self.demo)}"


@contextlib.contextmanager
def demo_site(directory: Path, **settings: str) -> Iterator[Site]:
    """A gunicorn over a demo survey in a directory."""
    demo = build_demo(directory / "survey", if_missing=True)
    usual = {"DSA110_WORKERS": "1", "DSA110_LOG_REQUESTS": "false", "DSA110_API_KEYS": KEY}
    with Server(directory / "server", None, **{**usual, **demo.environment, **settings}) as server:
        yield Site(server, demo)


def fill(path: str, demo: Demo) -> str:
    """A path with the names of this survey in it: ``{ms}``, ``{cal}``, ``{run}`` …"""
    if "{" not in path:
        return path
    products = sqlite3.connect(demo.directory / "state" / "products.sqlite3")
    registry = sqlite3.connect(demo.directory / "state" / "cal_registry.sqlite3")
    with contextlib.closing(products), contextlib.closing(registry):
        ms = _first(products, "SELECT path FROM ms_index WHERE stage = 'imaged' ORDER BY path LIMIT 1")
        run = _first(products, "SELECT run_id FROM jobs WHERE status = 'completed' ORDER BY id LIMIT 1")
        rerun = _first(products, "SELECT run_id FROM jobs WHERE type = 'pipeline_rerun' AND status = 'running'")
        cal = _first(registry, "SELECT path FROM caltables WHERE status = 'active' ORDER BY id LIMIT 1")
        source = _first(products, "SELECT source_id FROM photometry GROUP BY 1 ORDER BY max(flux_jy) DESC LIMIT 1")
        ra_deg = _first(products, "SELECT center_ra_deg FROM images WHERE id = 1")
    names = {"ra": ra_deg, "ms": ms, "run": run, "rerun": rerun, "cal": cal, "source": source}
    return path.format(**{name: quote(value, safe="") for name, value in names.items()})


def _first(connection: sqlite3.Connection, statement: str) -> str:
    (value,) = connection.execute(statement).fetchone()
    return str(value)


VIEWS = (
    View("overview", ""),
    View("images", "images?limit=10"),
    View("images-grid", "images?view=grid&qa_grade=good&limit=12"),
    View("image", "images/1?sources=true"),
    View("piece", "images/1/piece?ra_deg={ra}&dec_deg=37.2&size_arcsec=900"),
    View("piece-refused", "images/1/piece?ra_deg=noon&dec_deg=37.2&size_arcsec=300", 422),
    View("header", "images/1/header"),
    View("sources", "sources?min_eta=1.5&limit=10"),
    View("source", "sources/{source}"),
    View("candidates", "candidates"),
    View("runs", "jobs?limit=10"),
    View("run", "jobs/{run}"),
    View("run-live", "jobs/{rerun}"),
    View("batches", "batches"),
    View("batch", "batches/3"),
    View("queue", "queue"),
    View("measurement-sets", "ms?limit=10"),
    View("measurement-set", "ms/{ms}"),
    View("calibration", "cal?limit=12"),
    View("calibration-table", "cal/{cal}"),
    View("quality", "quality?days=14"),
    View("nothing", "images?field_name=none"),
    View("refused", "images?max_noise_jy=loud", 422),
    View("missing", "jobs/nobody", 404),
)
