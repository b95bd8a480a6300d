"""The OpenAPI document as it was last agreed on; written anew by ``make openapi``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app import create_app
from app.config import Settings

SNAPSHOT = Path(__file__).with_name("openapi.json")


def document() -> dict[str, Any]:
    """The document of an application with default settings."""
    app = create_app(Settings.from_environment({"DSA110_ENV": "testing", "DSA110_LOG_REQUESTS": "false"}))
    described: dict[str, Any] = app.test_client().get("/api/openapi.json").get_json()
    return described


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
