"""Putting the console into the application."""

from __future__ import annotations

from flask import Flask, redirect, request
from werkzeug.wrappers import Response

from app.config import Settings
from app.console import pages
from app.console.blueprint import blp


def install(app: Flask, settings: Settings) -> None:
    """Serve the console, and lead there from the root of the site unless a client is served at it."""
    assert pages.ALL
    app.register_blueprint(blp)
    if settings.ui_dir is None:
        app.add_url_rule("/", "console_at_root", _to_console)


def _to_console() -> Response:
    return redirect(f"{request.script_root}/console/")
