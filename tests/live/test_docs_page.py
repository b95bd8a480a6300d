"""The documentation page, as a browser shows it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.server import Server

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# A machine without a browser still runs the suite; continuous integration installs one.
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


@needs_browser
def test_page_shows_every_resource_without_leaving_this_host(server: Server, tmp_path: Path) -> None:
    assert BROWSER is not None
    base = f"http://127.0.0.1:{server.port}"
    shown = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=15000",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--dump-dom", f"{base}/api/docs/",
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "opblock-tag" in shown.stdout, "Swagger UI has rendered the document"
    for resource in ("images", "sources", "jobs", "ms", "qa", "cal", "stats"):
        assert f'data-tag="{resource}"' in shown.stdout
    assert "Refused to" not in shown.stderr
