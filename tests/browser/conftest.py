"""Fixtures of tests in a browser: the browser, a site with the demo survey, pages that are watched."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import PROGRAM, Watched, chromium, watched
from tests.browser.sites import Site, demo_site

Open = Callable[..., Watched]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, started once."""
    if PROGRAM is None:
        pytest.skip("no Chromium on this machine; continuous integration installs one")
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A gunicorn over the demo survey; nothing changes it."""
    with demo_site(tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens pages of a test's own: ``open_page(url)``."""
    with contextlib.ExitStack() as pages:

        def open_one(url: str, **options: Any) -> Watched:
            base = "/".join(url.split("/")[:3])
            page = pages.enter_context(watched(browser, base, **options))
            page.open(url)
            return page

        yield open_one
