"""What the running application holds for its views: settings and services."""

from __future__ import annotations

from typing import cast

from flask import Flask, current_app

from app.config import Settings
from app.wiring import Services

_SETTINGS = "contimg.settings"
_SERVICES = "contimg.services"


def keep(app: Flask, settings: Settings, services: Services) -> None:
    """Give the application its settings and services."""
    app.extensions[_SETTINGS] = settings
    app.extensions[_SERVICES] = services


def settings() -> Settings:
    """Settings of the running application."""
    return cast(Settings, current_app.extensions[_SETTINGS])


def services() -> Services:
    """Services of the running application."""
    return cast(Services, current_app.extensions[_SERVICES])
